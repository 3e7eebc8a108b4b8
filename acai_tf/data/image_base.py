"""Data sets of images, kept as uint8; and reading and resizing pictures, bicubic with antialiasing throughout."""

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
from acai_tf.experiment.errors import UserError

warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)  # `read_square` refuses such pictures.
MOST_PIXELS = 89_478_485  # Pillow's own bound, above which it warns
FORMATS = ('PNG', 'JPEG', 'WEBP')
BLOCK = 1 << 25  # bytes of float32 images that `blocks` gives at a time


class ImageDataset(base.Dataset):
  """Images in [-1, 1] with labels: [n] int32 classes, or [n, classes] int32 of 0 and 1, several for an image.

  A subclass sets `shape` (height, width, channels), `classes` (0: no labels), `test_images` (uint8 or float32) and
  `test_labels`, and gives `describe` and `batch`: ([n, *shape] uint8 or float32 images, int32 labels).
  """

  shape: tuple
  classes = 0
  test_images: np.ndarray
  test_labels: np.ndarray

  def train(self, count, rows=slice(None)) -> tuple:
    """The first `count` training images, fewer if there are fewer, as `test` gives them."""
    images, labels = self.batch(0, 0, count, rows)
    return to_float(images), labels

  def test(self, count=None, rows=slice(None)) -> tuple:
    """The first `count` test images, or all; `rows` of those: ([n, ...] float32 in [-1, 1], their labels)."""
    return to_float(self.test_images[:count][rows]), self.test_labels[:count][rows]

  def blocks(self, part, count=None) -> Iterator[tuple]:
    """The first `count` images of 'train' or 'test' in pieces of up to BLOCK bytes, each as `test` gives them.

    A whole set as float32 need not fit into memory: it is four times the array that is kept.
    """
    take, size = {'train': self.train, 'test': self.test}[part], max(1, BLOCK // (4 * math.prod(self.shape)))
    for start in itertools.count(0, size):
      images, labels = take(count, slice(start, start + size))
      if not len(images):
        return
      yield images, labels

  def pairs(self, count, seed) -> tuple:
    """`count` pairs of test images, no image with itself: [count, ...] float32 in [-1, 1] twice, a function of `seed`.

    Every image is in one pair as long as there are enough; else images recur.
    """
    total = len(self.test_images)
    rounds = -(-2 * count // max(total - total % 2, 2))
    generator = np.random.default_rng(seed)
    order = np.concatenate([generator.permutation(total)[:max(total - total % 2, 1)] for _ in range(rounds)])
    first, second = np.resize(order, 2 * count).reshape(count, 2).T
    return to_float(self.test_images[first]), to_float(self.test_images[second])

  def prepare(self, images, labels) -> tuple:
    """Images become float32 in [-1, 1]."""
    import tensorflow as tf  # Here, since programs list data sets without loading TensorFlow.

    return (tf.cast(images, tf.float32) / 127.5 - 1 if images.dtype == tf.uint8 else images), labels


class ArrayDataset(ImageDataset):
  """Training images in one uint8 array, memory-mapped or not, shuffled whole in every epoch.

  Args:
    arrays: dict of `train_images`, `train_labels`, `test_images`, `test_labels`.
    classes: number of classes.

  Raises:
    UserError: no training or no test images.
  """

  def __init__(self, arrays, classes):
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
    return to_float(self.train_images[:count][rows]), np.asarray(self.train_labels[:count][rows])

  def batch(self, seed, step, size, rows) -> tuple:
    indices = base.shuffled(seed, step, size, rows, len(self.train_images))
    return self.train_images[indices], self.train_labels[indices]


def checked(arrays, shape, classes) -> ArrayDataset:
  """An `ArrayDataset` of arrays from a cache, which another version, or somebody else, may have left.

  Args:
    arrays: dict, as `ArrayDataset` takes it.
    shape: (height, width, channels) of the images.
    classes: labels' number of classes; 0: all labels are 0.

  Raises:
    UserError: arrays that are missing, or have another shape, type or range; it names the folder.
  """
  folder = next((os.path.dirname(array.filename) for array in arrays.values() if hasattr(array, 'filename')), 'memory')

  def refuse(problem):
    raise UserError(f'data cache {folder}: {problem}; delete that folder, and it is made anew.')

  for part in ('train', 'test'):
    images, labels = (arrays.get(f'{part}_{name}') for name in ('images', 'labels'))
    if images is None or labels is None:
      refuse(f'it lacks {part}_images or {part}_labels')
    if images.dtype != np.uint8 or images.shape[1:] != shape:
      refuse(f'{part}_images are {images.dtype} {images.shape}; expected uint8, {("n", *shape)}')
    if labels.dtype != np.int32 or labels.shape not in ((len(images),), (len(images), classes)):
      refuse(f'{part}_labels are {labels.dtype} {labels.shape}; expected int32, one for each of {len(images)} images')
    last = max(classes - 1, 0) if labels.ndim == 1 else 1
    if labels.size and not 0 <= labels.min() <= labels.max() <= last:
      refuse(f'{part}_labels go from {labels.min()} to {labels.max()}; expected 0 to {last}')
  return ArrayDataset(arrays, classes)


def to_float(images) -> np.ndarray:
  """uint8 pixels -> float32 in [-1, 1]; float32 ones pass unchanged."""
  if images.dtype != np.uint8:
    return images
  images = images.astype(np.float32)
  images /= 127.5  # In place: three copies would be held otherwise.
  images -= 1
  return images


def resized(images, size) -> np.ndarray:
  """[n, height, width, 3] uint8 -> [n, size, size, 3] uint8."""
  def one(image):
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))

  with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    return np.stack(list(pool.map(one, images)))


def read_square(path, size, channels) -> np.ndarray:
  """A picture's file -> its centre, [size, size, channels] uint8; the shorter side is resized to `size`.

  What is transparent shows white behind it; 16 bits a pixel are reduced to 8.

  Raises:
    OSError, ValueError, SyntaxError: a file that is no picture or is broken; whatever Pillow raises.
  """
  with Image.open(files.regular(path), formats=FORMATS) as picture:
    if picture.width * picture.height > MOST_PIXELS:
      raise ValueError(f'{picture.width}x{picture.height} pixels, more than {MOST_PIXELS:,}')
    upright = _opaque(ImageOps.exif_transpose(picture)).convert({1: 'L', 3: 'RGB'}[channels])
  side = min(upright.size)
  left, top = ((length - side) // 2 for length in upright.size)
  # Cropped first: ImageOps.fit, which does both at once, blends what lies outside into the border.
  square = upright.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BICUBIC)
  return np.asarray(square).reshape(size, size, channels)


def _opaque(picture):
  """A picture of 8 bits without transparency; Pillow's own conversions clip 16 bits and show what is hidden."""
  if picture.mode == 'I' or picture.mode.startswith('I;16'):
    return Image.fromarray(np.uint8(np.rint(np.clip(np.asarray(picture, np.float64), 0, 65535) / 257)))
  if picture.has_transparency_data:
    picture = picture.convert('RGBA')
    return Image.alpha_composite(Image.new('RGBA', picture.size, 'white'), picture)
  return picture
