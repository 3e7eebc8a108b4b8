"""How well images come back: one number an image, so that a mean can be taken over any number of them in parts.

Images are [n, height, width, channels], pixels in [-1, 1].
"""

import numpy as np

PIECE = 64  # images at a time: what is computed on the way takes forty times their float32 pixels


def squared_errors(images, reconstructions) -> np.ndarray:
  """[n] mean over an image's pixels of (images - reconstructions)^2, on [-1, 1] data; float64 inside.

  Raises:
    ValueError: different shapes, no images, or reconstructions that are not finite.
  """
  images, reconstructions = _checked(images, reconstructions)
  return np.square(images - reconstructions).reshape(len(images), -1).mean(axis=1)


def peak_signal_to_noise(errors) -> np.ndarray:
  """[n] `squared_errors` -> [n] 10 log10(2^2 / error), in dB; an image without error counts as 100 dB."""
  return np.minimum(10 * np.log10(4 / np.maximum(errors, 1e-300)), 100)


def structural_similarity(images, reconstructions) -> np.ndarray:
  """[n] SSIM (Wang et al. 2004) of pixels brought to [0, 1] and clipped there.

  It depends on where black is, so the scale is the published one. The 11x11 Gaussian window of 1.5 pixels (smaller
  where images are) stays inside the image.

  Raises:
    ValueError: as `squared_errors`.
  """
  import tensorflow as tf

  first, second = (np.clip((x + 1) / 2, 0, 1).astype(np.float32) for x in _checked(images, reconstructions))
  return tf.image.ssim(first, second, 1.0, filter_size=min(11, *first.shape[1:3])).numpy()


def score(parts) -> dict:
  """Means over all images.

  Args:
    parts: iterable of (images, reconstructions), of any lengths; one part is held at a time.

  Returns:
    Dict of `recon_mse` (on [-1, 1] data), `psnr` (dB) and `ssim` (at most 1).

  Raises:
    ValueError: as `squared_errors`, or no parts.
  """
  columns = []
  for whole in parts:
    for start in range(0, len(whole[0]), PIECE):
      pair = [images[start:start + PIECE] for images in whole]
      errors = squared_errors(*pair)
      columns.append([errors, peak_signal_to_noise(errors), structural_similarity(*pair)])
  if not columns:
    raise ValueError('no images; expected some.')
  means = np.concatenate(columns, axis=1).mean(axis=1, dtype=np.float64)
  return dict(zip(('recon_mse', 'psnr', 'ssim'), means.tolist(), strict=True))


def _checked(images, reconstructions):
  images, reconstructions = np.asarray(images), np.asarray(reconstructions)
  if images.shape != reconstructions.shape or not images.size:
    raise ValueError(f'images have shape {images.shape}, reconstructions {reconstructions.shape}; expected the same.')
  if not np.isfinite(reconstructions).all():
    raise ValueError('reconstructions hold NaN or infinite pixels; the model that made them has diverged.')
  return images.astype(np.float64), reconstructions.astype(np.float64)
