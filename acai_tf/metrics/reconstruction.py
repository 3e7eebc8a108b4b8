"""How well images come back."""

import numpy as np


def mean_squared_error(images, reconstructions):
  """Mean over all pixels of (images - reconstructions)^2, on [-1, 1] data; float64 inside.

  Raises:
    ValueError: different shapes, no images, or reconstructions that are not finite.
  """
  images, reconstructions = np.asarray(images), np.asarray(reconstructions)
  if images.shape != reconstructions.shape or not images.size:
    raise ValueError(f'images have shape {images.shape}, reconstructions {reconstructions.shape}; expected the same.')
  if not np.isfinite(reconstructions).all():
    raise ValueError('reconstructions hold NaN or infinite pixels; the model that made them has diverged.')
  return float(np.mean(np.square(images.astype(np.float64) - reconstructions)))
