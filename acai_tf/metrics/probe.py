"""The single-layer classifier's accuracy (ACAI paper, section 5.1, table 2)."""

import numpy as np


def accuracy(logits, labels):
  """Share in [0, 1] of right answers.

  Args:
    logits: [n, classes].
    labels: [n] classes: the largest logit is the answer. Or [n, classes] of 0 and 1: each logit's sign is one.

  Raises:
    ValueError: shapes that do not match, no images, or logits that are not finite.
  """
  logits, labels = np.asarray(logits), np.asarray(labels)
  if logits.ndim != 2 or labels.shape not in (logits.shape[:1], logits.shape) or not len(labels):
    raise ValueError(f'logits have shape {logits.shape}, labels {labels.shape}; expected [n, classes], and [n] or '
                     '[n, classes], n > 0.')
  if not np.isfinite(logits).all():
    raise ValueError('logits hold NaN or infinite values; the model that made them has diverged.')
  if labels.ndim == 2:
    return float(np.mean((logits > 0) == (labels > 0)))
  return float(np.mean(logits.argmax(axis=1) == labels))
