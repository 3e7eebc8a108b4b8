"""Lines: one line from the centre outwards, at an angle; the ACAI paper's synthetic benchmark (section 4.1).

Interpolating between two lines has a right answer, the line that turns from one angle to the other, so that
interpolation itself can be scored (`acai_tf.metrics.lines`).
"""

import dataclasses
import functools

import numpy as np

from acai_tf.config import Network, UserError
from acai_tf.data import base

NETWORK = Network(latent_width=2, latent=16, depth=16)
TWO_PI = 2 * np.pi
CHUNK = 128  # lines drawn at a time, so that what is computed on the way stays in the processor's cache


@dataclasses.dataclass(frozen=True)
class Config:
  """`size`: height and width in pixels; `test_images`: how many lines the test split holds, fixed by `test_seed`."""

  size: int = 32
  test_images: int = 512
  test_seed: int = 20180719


def render(angles, size=32, width=2.0):
  """Draws one antialiased line per angle, from the image's centre to one pixel short of its edge.

  A pixel's brightness is the part of a unit square on it, turned with the line, that the line covers.

  Args:
    angles: [n] radians, counted from the image's right-hand side towards its top.
    size: height and width of the images in pixels.
    width: width of the line in pixels.

  Returns:
    [n, size, size, 1] float32; -1 is background, +1 is line.
  """
  angles = np.asarray(angles, np.float32).reshape(-1, 1)
  centre = (size - 1) / 2
  rows, columns = np.mgrid[:size, :size].astype(np.float32)
  x, y = (columns - centre).reshape(1, -1), (centre - rows).reshape(1, -1)
  images = np.empty([len(angles), size * size], np.float32)
  for start in range(0, len(angles), CHUNK):
    chunk = slice(start, start + CHUNK)
    cos, sin = np.cos(angles[chunk]), np.sin(angles[chunk])
    along, across = x * cos + y * sin, y * cos - x * sin
    ends = np.clip(np.minimum(along, size / 2 - 1 - along) + 0.5, 0, 1)
    sides = np.clip((width + 1) / 2 - np.abs(across), 0, 1)
    images[chunk] = 2 * ends * sides - 1
  return images.reshape(-1, size, size, 1)


@functools.lru_cache(maxsize=2)
def templates(count=10_000, size=32):
  """The benchmark's reference lines: `count` evenly spaced angles ([count] radians) and their images, drawn once."""
  angles = np.arange(count) * (TWO_PI / count)
  return angles, render(angles, size)


def labels_of(angles):
  """[n] angles in radians -> [n] int32, the tenth of the circle that each lies in."""
  return np.minimum(np.floor(10 * np.mod(angles, TWO_PI) / TWO_PI), 9).astype(np.int32)


class Lines(base.Dataset):
  """Training lines at continuous angles, drawn for each batch; test lines fixed by their own seed."""

  def __init__(self, config):
    if config.size < 4 or config.test_images < 1:
      raise UserError(f'dataset.size={config.size}, dataset.test_images={config.test_images}; '
                      'expected at least 4 and 1.')
    angles = np.random.default_rng(config.test_seed).uniform(0, TWO_PI, config.test_images)
    self.shape, self.classes = shape(config), classes(config)
    self.test_images, self.test_labels = render(angles, config.size), labels_of(angles)

  def describe(self):
    size = 'x'.join(map(str, self.shape))
    return f'training lines drawn as they are needed, {len(self.test_images):,} test lines, {size}'

  def batch(self, seed, step, size, rows):
    angles = np.random.default_rng([seed, step]).uniform(0, TWO_PI, size)[rows]
    return render(angles, self.shape[0]), labels_of(angles)


def shape(config):
  """(height, width, channels) of the images."""
  return config.size, config.size, 1


def classes(config):
  """Tenths of the circle."""
  del config
  return 10


def load(config, data_dir=None, manual_dir=None):
  """Returns the data set; nothing is read, so `data_dir` and `manual_dir` are not used."""
  del data_dir, manual_dir
  return Lines(config)
