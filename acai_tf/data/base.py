"""What all data sets share: a training batch is a function of (seed, step), and arrays live in memory as uint8."""

import functools
import itertools
import math
import os
import pathlib
import shutil

import numpy as np
import psutil

from acai_tf import replicas as replicas_lib
from acai_tf.experiment.errors import UserError

BLOCK = 1 << 25  # bytes of float32 images that `blocks` gives at a time


class Dataset:
  """Images in [-1, 1] with labels: [n] int32 classes, or [n, classes] int32 of 0 and 1, several for an image.

  A subclass sets `shape` (height, width, channels), `classes` (0: no labels), `test_images` (uint8 or float32) and
  `test_labels`, and gives `batch` and `describe`.
  """

  shape, classes, test_images, test_labels = None, 0, None, None
  benchmark = None  # the group of metrics that is made for this data set, if there is one

  def describe(self):
    """One line: how many images of what size, and where they are."""
    raise NotImplementedError

  def batch(self, seed, step, size, rows):
    """Positions `rows` of training batch `step`: ([n, height, width, channels] uint8 or float32, int32 labels)."""
    raise NotImplementedError

  def train(self, count, rows=slice(None)):
    """The first `count` training images, fewer if there are fewer, as `test` gives them."""
    images, labels = self.batch(0, 0, count, rows)
    return to_float(images), labels

  def test(self, count=None, rows=slice(None)):
    """The first `count` test images, or all; `rows` of those: ([n, ...] float32 in [-1, 1], their labels)."""
    return to_float(self.test_images[:count][rows]), self.test_labels[:count][rows]

  def blocks(self, part, count=None):
    """The first `count` images of 'train' or 'test' in pieces of up to BLOCK bytes, each as `test` gives them.

    A whole set as float32 need not fit into memory: it is four times the array that is kept.
    """
    take, size = {'train': self.train, 'test': self.test}[part], max(1, BLOCK // (4 * math.prod(self.shape)))
    for start in itertools.count(0, size):
      images, labels = take(count, slice(start, start + size))
      if not len(images):
        return
      yield images, labels

  def pairs(self, count, seed):
    """`count` pairs of test images, no image with itself: [count, ...] float32 in [-1, 1] twice, a function of `seed`.

    Every image is in one pair as long as there are enough; else images recur.
    """
    total = len(self.test_images)
    rounds = -(-2 * count // max(total - total % 2, 2))
    generator = np.random.default_rng(seed)
    order = np.concatenate([generator.permutation(total)[:max(total - total % 2, 1)] for _ in range(rounds)])
    first, second = np.resize(order, 2 * count).reshape(count, 2).T
    return to_float(self.test_images[first]), to_float(self.test_images[second])

  def pipeline(self, seed, size, start, stop, replicas=1, first=0, count=None):
    """Training batches `start` ... `stop` - 1 as a tf.data.Dataset, read ahead by a thread.

    Args:
      seed: of the data order.
      size: images in a global batch.
      start, stop: steps; starting anywhere costs the same.
      replicas: replicas that share each batch.
      first, count: of those, the ones fed here, in turn; default: all from `first` on.

    Returns:
      Elements ([size / replicas, height, width, channels] float32 in [-1, 1], int32 labels).

    Raises:
      UserError: `size` does not divide evenly among the replicas.
    """
    import tensorflow as tf  # Here, so that flags can be checked against Config without loading TensorFlow.

    if size % replicas:
      raise UserError(f'training.batch={size} does not divide among {replicas} replicas; expected a multiple.')
    try:
      table = replicas_lib.rows(size // replicas, replicas)
    except ValueError as error:
      raise UserError(f'training.batch={size}: {error}') from error
    count = replicas - first if count is None else count
    sample, _ = self.batch(seed, start, size, table[0][:1])

    def fetch(index):
      step, replica = divmod(int(index), count)
      return self.batch(seed, start + step, size, table[first + replica])

    def load(index):
      images, labels = tf.numpy_function(fetch, [index], [sample.dtype, np.int32], stateful=False)
      images = tf.ensure_shape(images, [size // replicas, *self.shape])
      if images.dtype == tf.uint8:
        images = tf.cast(images, tf.float32) / 127.5 - 1
      return images, tf.ensure_shape(labels, [size // replicas, *self.test_labels.shape[1:]])

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    options.deterministic = True
    options.autotune.enabled = False  # There is nothing to tune, and its thread, asleep, delays the end by up to 60 s.
    return tf.data.Dataset.range((stop - start) * count).map(load).prefetch(4).with_options(options)


class ArrayDataset(Dataset):
  """Training images in one uint8 array, in memory or memory-mapped, shuffled whole in every epoch.

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

  def describe(self):
    size = (self.train_images.nbytes + self.test_images.nbytes) / 1e9
    where = 'memory-mapped' if isinstance(self.train_images, np.memmap) else 'in memory'
    return (f'{len(self.train_images):,} training and {len(self.test_images):,} test images, '
            f'{"x".join(map(str, self.shape))} uint8, {size:.3g} GB {where}')

  def train(self, count, rows=slice(None)):
    return to_float(self.train_images[:count][rows]), np.asarray(self.train_labels[:count][rows])

  def batch(self, seed, step, size, rows):
    positions = step * size + np.asarray(rows, np.int64)
    epochs, places = np.divmod(positions, len(self.train_images))
    indices = np.empty(len(places), np.int64)
    for epoch in np.unique(epochs):
      chosen = epochs == epoch
      indices[chosen] = _permutation(seed, int(epoch), len(self.train_images))[places[chosen]]
    return self.train_images[indices], self.train_labels[indices]


@functools.lru_cache(maxsize=2)
def _permutation(seed, epoch, count):
  return np.random.default_rng([seed, epoch]).permutation(count)


def to_float(images):
  """uint8 pixels -> float32 in [-1, 1]; float32 ones pass unchanged."""
  if images.dtype != np.uint8:
    return images
  images = images.astype(np.float32)
  images /= 127.5  # In place: three copies would be held otherwise.
  images -= 1
  return images


class _Rows:
  """A .npy file that grows: rows are written as they come, so that they need not fit into memory."""

  def __init__(self, path, first):
    self.shape, self.dtype, self.count = first.shape[1:], first.dtype, 0
    self.file = open(path, 'wb')  # noqa: SIM115 - closed by `close`
    self._header()

  def _header(self):
    description = {'descr': np.lib.format.dtype_to_descr(self.dtype), 'fortran_order': False,
                   'shape': (self.count, *self.shape)}
    np.lib.format.write_array_header_1_0(self.file, description)  # Has room for any count.

  def append(self, rows):
    if rows.shape[1:] != self.shape or rows.dtype != self.dtype:
      raise ValueError(f'rows of {rows.shape[1:]} {rows.dtype} after rows of {self.shape} {self.dtype}')
    self.file.write(np.ascontiguousarray(rows).data)
    self.count += len(rows)

  def close(self):
    self.file.seek(0)
    self._header()
    self.file.close()


def cached_arrays(folder, prepare, available=None):
  """The arrays under `folder`; where they are not, `prepare(append)` makes them, and they are saved.

  The folder is moved into place whole, so that an interrupted preparation leaves no half cache.

  Args:
    folder: where the .npy files lie or will lie.
    prepare: function; it calls `append(name, rows)` as often as it likes.
    available: bytes of free memory; default: the machine's. Arrays that need more than half are memory-mapped.

  Returns:
    Dict: name -> array.

  Raises:
    UserError: a cache that cannot be read, or a disk that is full.
  """
  folder = pathlib.Path(folder)
  try:
    if not folder.exists():
      _prepare(folder, prepare)
    paths = sorted(folder.glob('*.npy'))
    available = psutil.virtual_memory().available if available is None else available
    mapped = 'r' if sum(path.stat().st_size for path in paths) > available / 2 else None
    return {path.stem: np.load(path, mmap_mode=mapped) for path in paths}
  except UserError:
    raise
  except (OSError, ValueError, EOFError) as error:
    raise UserError(f'data cache {folder}: {error}; expected a writable disk and whole files. '
                    'Free space or delete that folder and run again.') from error


def _prepare(folder, prepare):
  scratch, files = folder.with_name(f'{folder.name}.{os.getpid()}.part'), {}

  def append(name, rows):
    if name not in files:
      files[name] = _Rows(scratch / f'{name}.npy', rows)
    files[name].append(rows)

  scratch.mkdir(parents=True)
  try:
    prepare(append)
    for file in files.values():
      file.close()
    scratch.rename(folder)
  finally:
    shutil.rmtree(scratch, ignore_errors=True)
