"""Lines: images of one line from the centre outwards at some angle, the ACAI paper's synthetic task (section 4.1).

The correct interpolation between two lines is known: a line that rotates from one angle to the other. Interpolation can
therefore be scored (`acai_tf.metrics.lines`).
"""

import functools
from typing import Annotated, Literal

import numpy as np

from acai_tf.data import image_base
from acai_tf.experiment import machine
from acai_tf.experiment.config import Network
from acai_tf.experiment.fields import config_dataclass

BENCHMARK = 'lines'
NETWORK = Network(latent_width=2, latent=16, depth=16)
SOURCE = 'lines that this project draws, one from the centre of each image', 'Apache 2.0'
OFFICIAL_FILES = False
TWO_PI = 2 * np.pi
WIDTH = 2.0  # width of a line in pixels, measured along its minor axis
TEMPLATES = 10_000  # number of reference lines
CHUNK = 128  # lines drawn at a time, so that intermediate arrays stay in the processor's cache


@config_dataclass('dataset')
class Config:
  """Settings of the data set."""

  size: Annotated[int, '[4, inf)'] = 32  # height and width in pixels
  test_images: Annotated[int, '[1, inf)'] = 512  # number of test images
  test_seed: Annotated[int, '[0, inf)'] = 20180719  # seed of the test images
  drawing: Literal['authors'] = 'authors'  # how lines are drawn: as by the ACAI authors' program


def render(angles, size=32) -> np.ndarray:
  """Draws lines as the authors' program does; the images are equal to within 1e-7.

  A line is a band from the centre to one pixel short of the edge. It is drawn slice by slice along its major axis, the
  axis on which it is longer (the vertical one if the extents are equal). Its width, 2 pixels, is measured along the
  *minor* axis.

  Args:
    angles: [n] radians, from the image's right-hand side towards its top.
    size: height and width of the images in pixels.

  Returns:
    [n, size, size, 1] float32; the background is -1 and the line +1.

  Raises:
    ValueError: an angle is not finite, or `size` is less than 4.
  """
  angles = np.asarray(angles, np.float64).reshape(-1)
  if not np.isfinite(angles).all() or size < 4:
    raise ValueError(f'lines of size {size} at {len(angles)} angles; expected a size of 4 or more, and finite angles.')
  images = np.empty([len(angles), size, size], np.float32)
  for start in range(0, len(angles), CHUNK):
    chunk = angles[start:start + CHUNK]
    reach = (size / 2 - 1) * np.stack([np.cos(chunk), -np.sin(chunk)])  # [2, n]: extent to the right, and down
    upright = np.abs(reach[0]) <= np.abs(reach[1])  # [n]: whether the major axis is the vertical one
    minor, major = np.where(upright, reach, reach[::-1])
    slope = minor / major
    # (x0, y0), along the minor and the major axis, is the end with the smaller major coordinate: the centre or the tip.
    x0, y0 = (size / 2 + np.where(major < 0, end, 0.0) for end in (minor, major))
    y1 = y0 + np.abs(major)
    pixel = np.arange(size)
    inside = (pixel >= np.floor(y0)[:, None]) & (pixel < np.ceil(y1)[:, None])
    first = pixel < np.ceil(y0)[:, None]  # a first slice that starts within a pixel; the last slice is always full
    weight = np.where(first, (np.ceil(y0) - y0)[:, None], 1.0) * inside
    left = x0[:, None] - 1 + (pixel - y0[:, None] - 0.5) * slope[:, None]
    covered = np.minimum(pixel + 1, left[..., None] + WIDTH) - np.maximum(pixel, left[..., None])
    drawn = np.clip(2 * weight[..., None] * np.maximum(covered, 0) - 1, -1, 1)
    images[start:start + CHUNK] = np.where(upright[:, None, None], drawn, drawn.swapaxes(1, 2))
  return images[..., None]


@functools.lru_cache(maxsize=2)
def templates(count=TEMPLATES, size=32) -> tuple[np.ndarray, np.ndarray]:
  """Returns the reference lines of the benchmark: `count` evenly spaced angles ([count] radians) and their images."""
  angles = np.arange(count) * (TWO_PI / count)
  return angles, render(angles, size)


def labels_of(angles) -> np.ndarray:
  """Maps [n] angles in radians to [n] int32 classes from 0 to 9, the tenths of the circle."""
  return np.minimum(np.floor(10 * np.mod(angles, TWO_PI) / TWO_PI), 9).astype(np.int32)


class Lines(image_base.ImageDataset):
  """Training lines are drawn for each batch at continuous angles; test lines are determined by their own seed."""

  benchmark = BENCHMARK

  def __init__(self, config):
    each = 4 * config.size**2
    machine.require_memory({'dataset.test_images and dataset.size': each * config.test_images,
                            'dataset.size, for the reference lines': each * TEMPLATES})
    angles = np.random.default_rng(config.test_seed).uniform(0, TWO_PI, config.test_images)
    self.shape, self.classes, self.test_seed = shape(config), classes(config), config.test_seed
    self.test_images, self.test_labels = render(angles, config.size), labels_of(angles)

  def describe(self) -> str:
    size = 'x'.join(map(str, self.shape))
    return f'training lines drawn as they are needed, {len(self.test_images):,} test lines, {size}'

  def pairs(self, count, seed, rows=slice(None)) -> tuple[np.ndarray, ...]:
    """Draws the `rows` of `count` pairs of new lines, as every evaluation of the authors does.

    Args:
      count: number of pairs.
      seed: an int or a sequence of ints; `seed` and `test_seed` determine the angles.
      rows: slice or indices of the pairs that are returned.

    Returns:
      Two arrays [n, size, size, 1] float32 in [-1, 1].
    """
    angles = np.random.default_rng([self.test_seed, *np.atleast_1d(seed)]).uniform(0, TWO_PI, [2, count])[:, rows]
    return tuple(render(half, self.shape[0]) for half in angles)

  def batch(self, seed, step, size, rows) -> tuple:
    angles = np.random.default_rng([seed, step]).uniform(0, TWO_PI, size)[rows]
    return render(angles, self.shape[0]), labels_of(angles)


def shape(config) -> tuple:
  """Returns (height, width, channels) of the images."""
  return config.size, config.size, 1


def classes(config) -> int:
  """Returns the number of classes, the tenths of the circle."""
  del config
  return 10


def load(config, data_dir=None, manual_dir=None) -> Lines:
  """Returns the data set. It reads no files, so that `data_dir` and `manual_dir` are not used."""
  del data_dir, manual_dir
  return Lines(config)
