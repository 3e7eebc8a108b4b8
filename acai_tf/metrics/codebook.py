"""Codebook usage of a vector-quantized model."""

import numpy as np


def score(indices, size, codes) -> dict:
  """Measures how a codebook is used.

  Args:
    indices: [n] integers below `size`: the codes chosen for many images.
    size: number of codes in the codebook.
    codes: number of codes chosen per image.

  Returns:
    Dict of `codebook_usage` (share of codes chosen at least once), `codebook_perplexity` (exp of the entropy of the
    chosen codes, from 1 to `size`) and `rate_bits` (bits per image if its codes were independent).

  Raises:
    ValueError: there are no indices, or some are out of range.
  """
  indices = np.asarray(indices).ravel()
  if not len(indices) or indices.min() < 0 or indices.max() >= size:
    raise ValueError(f'{len(indices)} indices; expected some, from 0 to {size - 1}.')
  counts = np.bincount(indices, minlength=size)
  shares = counts[counts > 0] / counts.sum()
  entropy = float(-np.sum(shares * np.log(shares)))
  return {'codebook_usage': float(np.mean(counts > 0)), 'codebook_perplexity': float(np.exp(entropy)),
          'rate_bits': codes * entropy / np.log(2)}
