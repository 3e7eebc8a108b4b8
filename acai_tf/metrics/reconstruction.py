"""Reconstruction quality of images: MSE, PSNR and SSIM.

Each metric gives one value per image, so that means over large sets can be computed batch by batch. Images are
[n, height, width, channels], pixels in [-1, 1].
"""

import numpy as np

PIECE = 64  # images at a time; intermediate results take forty times the memory of the float32 images


def squared_errors(images, reconstructions) -> np.ndarray:
  """[n] mean squared error of each image over its pixels, on [-1, 1] data, computed in float64.

  Raises:
    ValueError: the shapes differ, there are no images, or reconstructions are not finite.
  """
  images, reconstructions = _checked(images, reconstructions)
  return np.square(images - reconstructions).reshape(len(images), -1).mean(axis=1)


def peak_signal_to_noise(errors) -> np.ndarray:
  """[n] `squared_errors` -> [n] PSNR, 10 log10(2^2 / error), in dB; at most 100 dB."""
  return np.minimum(10 * np.log10(4 / np.maximum(errors, 1e-300)), 100)


def structural_similarity(images, reconstructions) -> np.ndarray:
  """[n] SSIM (Wang et al. 2004) of images that are rescaled to [0, 1] and clipped.

  SSIM depends on the value of black, so the published scale is used. The 11x11 Gaussian window, sigma 1.5 pixels, stays
  inside the image. Images below 11 pixels have a smaller window.

  Raises:
    ValueError: as in `squared_errors`.
  """
  import tensorflow as tf

  first, second = (np.clip((x + 1) / 2, 0, 1).astype(np.float32) for x in _checked(images, reconstructions))
  return tf.image.ssim(first, second, 1.0, filter_size=min(11, *first.shape[1:3])).numpy()


def score(parts) -> dict:
  """Averages all metrics over all images.

  Args:
    parts: iterable of (images, reconstructions) of any lengths; only one of them is in memory at a time.

  Returns:
    Dict of `recon_mse` (on [-1, 1] data), `psnr` (dB) and `ssim` (at most 1).

  Raises:
    ValueError: as in `squared_errors`, or `parts` is empty.
  """
  columns = []
  for part in parts:
    for start in range(0, len(part[0]), PIECE):
      pair = [images[start:start + PIECE] for images in part]
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
