"""Pictures: rows of images with captions. Images are [-1, 1]; nothing needs a screen."""

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402  After the backend has been chosen.
import numpy as np  # noqa: E402


def to_uint8(images):
  """[-1, 1] (clipped) -> 0 ... 255."""
  return np.uint8(np.rint((np.clip(images, -1, 1) + 1) * 127.5))


def tile(images, gap=2):
  """[rows, columns, height, width, channels] -> one [H, W, channels] image, `gap` grey pixels between images."""
  images = np.pad(np.asarray(images), [(0, 0), (0, 0), (0, gap), (0, gap), (0, 0)])
  rows, columns, height, width, channels = images.shape
  return images.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)[:-gap, :-gap]


def save_rows(path, panels, caption):
  """Writes a PNG of panels below one another.

  Args:
    path: the file.
    panels: dict: heading -> [rows, columns, height, width, channels] images in [-1, 1].
    caption: model, data and samples, above all.
  """
  tiles = {heading: to_uint8(tile(images)) for heading, images in panels.items()}
  heights = [image.shape[0] for image in tiles.values()]
  width = max(image.shape[1] for image in tiles.values())
  inches = 10
  figure, axes = plt.subplots(
      len(tiles), 1, squeeze=False, layout='constrained', height_ratios=heights,
      figsize=(inches, inches * sum(heights) / width + 0.35 * len(tiles) + 0.4))
  figure.suptitle(caption, fontsize=10, wrap=True)
  for axis, (heading, image) in zip(axes[:, 0], tiles.items(), strict=True):
    axis.imshow(np.repeat(image, 3, 2) if image.shape[2] == 1 else image, interpolation='nearest')
    axis.set_title(heading, fontsize=9, loc='left')
    axis.axis('off')
  figure.savefig(path, dpi=120)
  plt.close(figure)
