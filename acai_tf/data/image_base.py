"""Base classes of image data sets, which store uint8, and functions to read and resize pictures.

All resizing is bicubic with antialiasing.
"""

import itertools
import math
import os
import warnings
from collections.abc import Iterator
from concurrent import futures

import numpy as np
from PIL import Image, ImageOps

from acai_tf import files
from acai_tf.data import base
from acai_tf.experiment import machine
from acai_tf.experiment.errors import UserError

warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)  # `read_square` rejects such pictures.
MAX_PIXELS = 89_478_485  # Pillow's default limit, above which it warns
FORMATS = ('PNG', 'JPEG', 'WEBP')
BLOCK = 1 << 25  # maximum bytes of float32 images in a piece from `blocks`


class ImageDataset(base.Dataset):
  """Images in [-1, 1] with labels: either [n] int32 classes, or [n, classes] int32 of 0 and 1 for multi-label data.

  A subclass sets `shape` (height, width, channels), `classes` (0: no labels), `test_images` (uint8 or float32) and
  `test_labels`. It implements `describe` and `batch`, which returns [n, *shape] uint8 or float32 images and int32
  labels.
  """

  shape: tuple
  classes = 0
  ordered = False  # whether the images may be sorted, for example by class, so that the first ones are no fair sample
  test_images: np.ndarray
  test_labels: np.ndarray

  def train(self, count, rows=slice(None)) -> tuple:
    """Returns up to `count` training images, the first ones; arguments and result as in `test`."""
    images, labels = self.batch(0, 0, count, rows)
    return to_float(images), labels

  def test(self, count=None, rows=slice(None)) -> tuple:
    """Returns the `rows` of the first `count` test images (None: all): [n, *shape] float32 in [-1, 1], and labels.

    If the images are `ordered`, they are not the first ones, but a random choice that is always the same.
    """
    chosen = self.chosen(len(self.test_images), count, rows)
    return to_float(self.test_images[chosen]), np.asarray(self.test_labels[chosen])

  def chosen(self, total, count, rows=slice(None)) -> np.ndarray | slice:
    """Returns which of `total` images the `rows` of `count` images are, as `test` chooses them."""
    if self.ordered and count is not None and count < total:
      return base.permutation(0, 0, total)[:count][rows]
    return np.arange(total)[:count][rows] if not isinstance(rows, slice) else slice(
        *rows.indices(total if count is None else min(count, total)))

  def blocks(self, part, count=None) -> Iterator[tuple]:
    """Yields the first `count` images of 'train' or 'test' in pieces of up to BLOCK bytes, each as `test` returns them.

    A whole data set may not fit into memory as float32, which is four times as large as the stored uint8.
    """
    read, size = {'train': self.train, 'test': self.test}[part], max(1, BLOCK // (4 * math.prod(self.shape)))
    for start in itertools.count(0, size):
      images, labels = read(count, slice(start, start + size))
      if not len(images):
        return
      yield images, labels

  def pairs(self, count, seed, rows=slice(None)) -> tuple:
    """Returns the `rows` of `count` pairs of different test images: two arrays [n, *shape] float32 in [-1, 1].

    The pairs are a function of `seed`. Each image is in one pair only, unless there are too few images.
    """
    total = len(self.test_images)
    rounds = -(-2 * count // max(total - total % 2, 2))
    generator = np.random.default_rng(seed)
    order = np.concatenate([generator.permutation(total)[:max(total - total % 2, 1)] for _ in range(rounds)])
    first, second = np.resize(order, 2 * count).reshape(count, 2).T
    return to_float(self.test_images[first[rows]]), to_float(self.test_images[second[rows]])

  def prepare(self, images, labels) -> tuple:
    """Converts uint8 images to float32 in [-1, 1]."""
    import tensorflow as tf  # Imported here, because programs list data sets without loading TensorFlow.

    return (tf.cast(images, tf.float32) / 127.5 - 1 if images.dtype == tf.uint8 else images), labels


class ArrayDataset(ImageDataset):
  """A data set in uint8 arrays, memory-mapped or not; the order of all training images is shuffled in every epoch.

  Args:
    arrays: dict with `train_images`, `train_labels`, `test_images` and `test_labels`.
    classes: number of classes; 0: no labels.
    ordered: as the attribute.

  Raises:
    UserError: there are no training or no test images.
  """

  def __init__(self, arrays, classes, ordered=False):
    self.ordered = ordered
    self.train_images, self.train_labels = arrays['train_images'], arrays['train_labels']
    self.test_images, self.test_labels = arrays['test_images'], arrays['test_labels']
    self.shape, self.classes = self.train_images.shape[1:], classes
    if not len(self.train_images) or not len(self.test_images):
      raise UserError(f'{len(self.train_images)} training and {len(self.test_images)} test images; expected some.')

  def describe(self) -> str:
    size = (self.train_images.nbytes + self.test_images.nbytes) / 1e9
    return (f'{len(self.train_images):,} training and {len(self.test_images):,} test images, '
            f'{"x".join(map(str, self.shape))} uint8, {size:.3g} GB')

  def identity(self) -> str:
    return base.checksum(self.train_images, self.train_labels)

  def train(self, count, rows=slice(None)) -> tuple:
    chosen = self.chosen(len(self.train_images), count, rows)
    return to_float(self.train_images[chosen]), np.asarray(self.train_labels[chosen])

  def batch(self, seed, step, size, rows) -> tuple:
    indices = base.shuffled(seed, step, size, rows, len(self.train_images))
    return self.train_images[indices], self.train_labels[indices]


def checked(arrays, shape, classes, ordered=False) -> ArrayDataset:
  """Returns an `ArrayDataset` of cached arrays after checking them, because another version may have written the cache.

  Args:
    arrays: dict, as for `ArrayDataset`.
    shape: (height, width, channels) of the images.
    classes: number of classes; 0: all labels are 0.
    ordered: as for `ArrayDataset`.

  Raises:
    UserError: an array is missing, or has a wrong shape, type or range. The message names the cache's folder.
  """
  folder = next((os.path.dirname(array.filename) for array in arrays.values() if hasattr(array, 'filename')), 'memory')

  def refuse(problem):
    raise UserError(f'data cache {folder}: {problem}; delete that folder, and it is prepared again.')

  for part in ('train', 'test'):
    images, labels = (arrays.get(f'{part}_{name}') for name in ('images', 'labels'))
    if images is None or labels is None:
      refuse(f'{part}_images or {part}_labels is missing')
    if images.dtype != np.uint8 or images.shape[1:] != shape:
      refuse(f'{part}_images are {images.dtype} {images.shape}; expected uint8, {("n", *shape)}')
    if labels.dtype != np.int32 or labels.shape not in ((len(images),), (len(images), classes)):
      refuse(f'{part}_labels are {labels.dtype} {labels.shape}; expected int32, one for each of {len(images)} images')
    last = max(classes - 1, 0) if labels.ndim == 1 else 1
    if labels.size and not 0 <= labels.min() <= labels.max() <= last:
      refuse(f'{part}_labels go from {labels.min()} to {labels.max()}; expected 0 to {last}')
  return ArrayDataset(arrays, classes, ordered)


def to_float(images) -> np.ndarray:
  """Converts uint8 images to float32 in [-1, 1]; returns float32 images unchanged."""
  if images.dtype != np.uint8:
    return images
  images = images.astype(np.float32)
  images /= 127.5  # In place, since memory would otherwise hold three copies.
  images -= 1
  return images


def resized(images, size) -> np.ndarray:
  """Resizes images: [n, height, width, 3] uint8 -> [n, size, size, 3] uint8."""
  def one(image):
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))

  with futures.ThreadPoolExecutor(len(machine.cores())) as pool:
    return np.stack(list(pool.map(one, images)))


def read_square(path, size, channels) -> np.ndarray:
  """Reads a picture, crops its central square and resizes it: [size, size, channels] uint8.

  Transparent pixels are composited over white, and 16 bits per channel are reduced to 8.

  Raises:
    OSError, ValueError, SyntaxError: the file is not a picture or is broken. Pillow may raise other types as well.
  """
  with Image.open(files.regular(path), formats=FORMATS) as picture:
    if picture.width * picture.height > MAX_PIXELS:
      raise ValueError(f'{picture.width}x{picture.height} pixels, more than {MAX_PIXELS:,}')
    upright = _opaque(ImageOps.exif_transpose(picture)).convert({1: 'L', 3: 'RGB'}[channels])
  side = min(upright.size)
  left, top = ((length - side) // 2 for length in upright.size)
  # Crops before resizing: ImageOps.fit, which does both at once, blends pixels outside the square into the border.
  square = upright.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BICUBIC)
  return np.asarray(square).reshape(size, size, channels)


def _opaque(picture):
  """Returns a picture with 8 bits per channel and without transparency.

  Pillow's own conversions clip 16-bit values and show the colours of transparent pixels.
  """
  if picture.mode == 'I' or picture.mode.startswith('I;16'):
    return Image.fromarray(np.uint8(np.rint(np.clip(np.asarray(picture, np.float64), 0, 65535) / 257)))
  if picture.has_transparency_data:
    picture = picture.convert('RGBA')
    return Image.alpha_composite(Image.new('RGBA', picture.size, 'white'), picture)
  return picture
