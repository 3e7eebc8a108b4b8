"""How a vector-quantised model uses its codebook."""

import numpy as np


def score(indices, size, codes) -> dict:
  """Usage of a codebook.

  Args:
    indices: [n] the codes that were chosen, below `size`, over many images.
    size: codes in the book.
    codes: chosen for each image.

  Returns:
    Dict of `codebook_usage` (share of codes chosen at all), `codebook_perplexity` (exp of their entropy, 1 ... size)
    and `rate_bits` (entropy of the codes of one image, in bits, were they independent).

  Raises:
    ValueError: no indices, or some out of range.
  """
  indices = np.asarray(indices).ravel()
  if not len(indices) or indices.min() < 0 or indices.max() >= size:
    raise ValueError(f'{len(indices)} indices; expected some, from 0 to {size - 1}.')
  counts = np.bincount(indices, minlength=size)
  shares = counts[counts > 0] / counts.sum()
  entropy = float(-np.sum(shares * np.log(shares)))
  return {'codebook_usage': float(np.mean(counts > 0)), 'codebook_perplexity': float(np.exp(entropy)),
          'rate_bits': codes * entropy / np.log(2)}
