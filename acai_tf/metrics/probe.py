"""The single-layer classifier's accuracy (ACAI paper, section 5.1, table 2)."""

import numpy as np


def accuracy(logits, labels):
  """Share in [0, 1] of [n, classes] logits whose largest is at the [n] label.

  Raises:
    ValueError: shapes that do not match, no images, or logits that are not finite.
  """
  logits, labels = np.asarray(logits), np.asarray(labels)
  if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
    raise ValueError(f'logits have shape {logits.shape}, labels {labels.shape}; expected [n, classes] and [n], n > 0.')
  if not np.isfinite(logits).all():
    raise ValueError('logits hold NaN or infinite values; the model that made them has diverged.')
  return float(np.mean(logits.argmax(axis=1) == labels))
