"""How well images come back; all on pixels in [-1, 1]."""

import numpy as np


def mean_squared_error(images, reconstructions):
  """Mean over all pixels of (images - reconstructions)^2, on [-1, 1] data; float64 inside.

  Raises:
    ValueError: different shapes, no images, or reconstructions that are not finite.
  """
  images, reconstructions = _checked(images, reconstructions)
  return float(np.mean(np.square(images - reconstructions)))


def peak_signal_to_noise(images, reconstructions):
  """Mean over images of 10 log10(2^2 / mean squared error), in dB; an image without error counts as 100 dB.

  Raises:
    ValueError: as `mean_squared_error`.
  """
  images, reconstructions = _checked(images, reconstructions)
  errors = np.square(images - reconstructions).reshape(len(images), -1).mean(axis=1)
  return float(np.mean(np.minimum(10 * np.log10(4 / np.maximum(errors, 1e-300)), 100)))


def structural_similarity(images, reconstructions, batch=512):
  """Mean SSIM (Wang et al. 2004: 11x11 Gaussian window of 1.5 pixels, smaller where images are), clipped to [-1, 1].

  Raises:
    ValueError: as `mean_squared_error`.
  """
  import tensorflow as tf

  images, reconstructions = (np.clip(x, -1, 1).astype(np.float32) for x in _checked(images, reconstructions))
  window = min(11, *images.shape[1:3])
  values = [tf.image.ssim(images[i:i + batch], reconstructions[i:i + batch], 2.0, filter_size=window).numpy()
            for i in range(0, len(images), batch)]
  return float(np.mean(np.concatenate(values)))


def _checked(images, reconstructions):
  images, reconstructions = np.asarray(images), np.asarray(reconstructions)
  if images.shape != reconstructions.shape or not images.size:
    raise ValueError(f'images have shape {images.shape}, reconstructions {reconstructions.shape}; expected the same.')
  if not np.isfinite(reconstructions).all():
    raise ValueError('reconstructions hold NaN or infinite pixels; the model that made them has diverged.')
  return images.astype(np.float64), reconstructions.astype(np.float64)
