"""The base class of data sets, whose training batches are functions of (seed, step), and a cache of arrays on disk."""

import contextlib
import functools
import json
import pathlib
import typing
import zlib

import numpy as np

from acai_tf import files
from acai_tf.experiment import strict_json
from acai_tf.experiment.errors import UserError

if typing.TYPE_CHECKING:
  import tensorflow as tf

SUMS, BLOCK = 'sums.json', 1 << 24  # file of a cache's checksums; bytes read at a time
EXTRA_SEED = 1 << 32  # offset of the seed for the order of extra batches


class Dataset:
  """Training data whose batches are functions of (seed, step).

  A subclass implements `batch` and `describe`. It overrides `prepare` if models take something other than what `batch`
  returns, for example float32 in place of uint8.
  """

  benchmark: str | None = None  # name of the group of metrics that applies to this data set alone, if there is one

  def describe(self) -> str:
    """Returns one line with the number, kind and size of the examples."""
    raise NotImplementedError

  def identity(self) -> str:
    """Returns a checksum of the training data in hexadecimal; '' if the configuration determines the data."""
    return ''

  def batch(self, seed, step, size, rows) -> tuple:
    """Returns the positions `rows` of training batch `step` of `size` examples.

    The result is a tuple of arrays [len(rows), ...], whose types and other dimensions are the same in every call.
    """
    raise NotImplementedError

  def batch_by_class(self, seed, step, size, rows) -> tuple:
    """Like `batch`, but position i of a batch has an example of class i modulo the number of classes."""
    raise NotImplementedError

  def prepare(self, *tensors) -> tuple:
    """Converts the tensors of a batch into the inputs of a model. It is called while the pipeline is traced."""
    return tensors

  def pipeline(self, seed, size, start, stop, replicas=1, first=0, count=None, extra=0,
               by_class=False) -> 'tf.data.Dataset':
    """Returns training batches `start` to `stop` - 1 as a tf.data.Dataset with prefetching.

    Args:
      seed: seed of the data order.
      size: global batch size.
      start, stop: range of steps. Any start takes the same time.
      replicas: number of replicas that share each batch.
      first, count: the replicas that this pipeline feeds, in turn: `count` of them from `first` on. Default of
        `count`: all from `first` on.
      extra: number of additional batches in every element. They come from a data order of their own and are appended
        to the first batch.
      by_class: whether each batch has the same number of examples of every class (`batch_by_class`).

    Returns:
      A data set whose elements are tuples as `prepare` returns them, of size / replicas * (1 + extra) rows.

    Raises:
      UserError: `size` does not divide evenly among the replicas.
    """
    import tensorflow as tf  # Imported here, because programs list data sets without loading TensorFlow.

    from acai_tf import replicas as replicas_lib

    check_shared(size, replicas)
    table = replicas_lib.rows(size // replicas, replicas)  # [replicas, size / replicas] positions in the batch
    count = replicas - first if count is None else count
    read = self.batch_by_class if by_class else self.batch
    samples = read(seed, start, size, table[0][:1])  # one example, for dtypes and shapes

    def fetch(index):
      step, replica = divmod(int(index), count)
      rows, step = table[first + replica], start + step
      parts = [read(seed, step, size, rows),
               *(read(EXTRA_SEED + seed, step * extra + k, size, rows) for k in range(extra))]
      return tuple(np.concatenate(column) for column in zip(*parts, strict=True)) if extra else parts[0]

    def load(index):
      tensors = tf.numpy_function(fetch, [index], [sample.dtype for sample in samples], stateful=False)
      return self.prepare(*(tf.ensure_shape(tensor, [size // replicas * (1 + extra), *sample.shape[1:]])
                            for tensor, sample in zip(tensors, samples, strict=True)))

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    options.deterministic = True
    options.autotune.enabled = False  # There is nothing to tune, and its thread can delay the exit by up to 60 s.
    return tf.data.Dataset.range((stop - start) * count).map(load).prefetch(4).with_options(options)


def checksum(*arrays) -> str:
  """Returns the CRC-32 of the concatenated bytes of arrays, in hexadecimal; takes about one second per GB."""
  total = 0
  for array in arrays:
    total = zlib.crc32(np.ascontiguousarray(array).data, total)
  return f'{total:08x}'


def check_shared(size, replicas) -> None:
  """Raises a UserError with the nearest valid sizes unless a batch of `size` divides evenly among the replicas."""
  unit = 2 * replicas  # so that each replica has complete pairs
  if replicas > 1 and size % unit:
    near = sorted({max(unit, size // unit * unit), size // unit * unit + unit})
    raise UserError(f'training.batch={size} cannot be shared by {replicas} devices; expected an even number on each, '
                    f'such as {" or ".join(map(str, near))}.')


@functools.lru_cache(maxsize=8)  # a batch by class with further batches needs several at once
def permutation(seed, epoch, count) -> np.ndarray:
  """Returns the order of `count` items in an epoch, [count] int64. It is a function of (seed, epoch)."""
  return np.random.default_rng([seed, epoch]).permutation(count)


def shuffled(seed, step, size, rows, count) -> np.ndarray:
  """Returns the indices of the items at positions `rows` of batch `step`, where every epoch is shuffled differently.

  Args:
    seed: seed of the order.
    step: index of the batch.
    size: number of items in a batch.
    rows: positions in the batch, ints.
    count: number of items in the data set.

  Returns:
    [len(rows)] int64 indices from 0 to count - 1.
  """
  epochs, positions = np.divmod(step * size + np.asarray(rows, np.int64), count)
  indices = np.empty(len(positions), np.int64)
  for epoch in np.unique(epochs):
    chosen = epochs == epoch
    indices[chosen] = permutation(seed, int(epoch), count)[positions[chosen]]
  return indices


class _Rows:
  """A .npy file to which rows are appended, so that the array need not fit into memory."""

  def __init__(self, path, first):
    self.shape, self.dtype, self.count = first.shape[1:], first.dtype, 0
    self.file = open(path, 'wb')  # noqa: SIM115 - closed by `close`
    self._header()

  def _header(self):
    description = {'descr': np.lib.format.dtype_to_descr(self.dtype), 'fortran_order': False,
                   'shape': (self.count, *self.shape)}
    np.lib.format.write_array_header_1_0(self.file, description)  # NumPy pads it, so that any count fits later.

  def append(self, rows) -> None:
    if rows.shape[1:] != self.shape or rows.dtype != self.dtype:
      raise ValueError(f'rows of {rows.shape[1:]} {rows.dtype} after rows of {self.shape} {self.dtype}')
    self.file.write(np.ascontiguousarray(rows).data)
    self.count += len(rows)

  def close(self) -> None:
    self.file.seek(0)
    self._header()
    self.file.close()


def cached_arrays(folder, prepare) -> dict:
  """Returns the arrays cached in `folder`. If there is no cache, `prepare(append)` creates the arrays first.

  A cache is written to a temporary folder, which is renamed at the end, so that an interrupted preparation leaves no
  incomplete cache. Checksums of the files are compared at every opening (about one second per GB). A cache whose files
  have changed is reported and prepared again.

  Args:
    folder: folder of the .npy files.
    prepare: function that calls `append(name, rows)` any number of times.

  Returns:
    Dict: name -> array, memory-mapped.

  Raises:
    UserError: the cache cannot be read, or the disk is full.
  """
  folder = pathlib.Path(folder)
  try:
    if folder.exists() and (changed := _changed(folder)):
      print(f'data cache {folder}: {changed}; preparing it again')
      with files.scratch(folder) as aside, contextlib.suppress(FileNotFoundError):  # Another program has moved it.
        folder.rename(aside / folder.name)
    if not folder.exists():
      _prepare(folder, prepare)
    # Memory-mapped, since reading SVHN into memory took 6 s and made batches slower (measured by benchmarks/input.py).
    return {path.stem: mapped(path) for path in sorted(folder.glob('*.npy'))}
  except UserError:
    raise
  except (OSError, ValueError, EOFError) as error:
    raise UserError(f'data cache {folder}: {error}; expected a writable disk and complete files. '
                    'Free space or delete that folder and run again.') from error


def mapped(path) -> np.ndarray:
  """Returns the memory-mapped array of a .npy file.

  Because of the mapping, a header that declares more data than the file holds does not allocate memory.

  Raises:
    ValueError: the file is not a .npy file of numbers, or is truncated.
    OSError: there is no such file.
  """
  path = files.regular(path)
  try:
    array = np.load(path, mmap_mode='r', allow_pickle=False)
  except OSError:
    raise
  except Exception as error:  # NumPy raises many types for broken headers. Its advice to unpickle would be unsafe.
    raise ValueError('it is not a .npy file of numbers, or it is truncated') from error
  if not isinstance(array, np.memmap) or array.dtype.kind not in 'fiu':
    raise ValueError('it is not a .npy file of numbers')
  if (excess := path.stat().st_size - array.offset - array.nbytes):
    raise ValueError(f'it has {excess} bytes after its array')
  return array


def _sums(folder):
  """Returns a dict: name of a .npy file -> its CRC-32 in hexadecimal and its size in bytes, as 'CRC SIZE'."""
  sums = {}
  for path in sorted(folder.glob('*.npy')):
    total, size = 0, 0
    with files.regular(path).open('rb') as file:
      while part := file.read(BLOCK):
        total, size = zlib.crc32(part, total), size + len(part)
    sums[path.name] = f'{total:08x} {size}'
  return sums


def _changed(folder):
  """Describes how a cache differs from its checksums; '' if it does not."""
  try:
    expected = strict_json.read(folder / SUMS)
  except (OSError, ValueError):
    return f'{SUMS} is missing or cannot be read'
  if not isinstance(expected, dict):
    return f'{SUMS} is not a JSON object'
  actual = _sums(folder)
  names = [name for name in sorted({*expected, *actual}) if expected.get(name) != actual.get(name)]
  return f'{", ".join(names)} changed since it was written' if names else ''


def _prepare(folder, prepare):
  arrays = {}

  def append(name, rows):
    if name not in arrays:
      arrays[name] = _Rows(made / f'{name}.npy', rows)
    arrays[name].append(rows)

  try:
    with files.replacing(folder) as made:
      made.mkdir()
      try:
        prepare(append)
      finally:
        for array in arrays.values():
          array.close()
      (made / SUMS).write_text(json.dumps(_sums(made)))
  except OSError:
    if not folder.exists():  # Otherwise another program or host has prepared the same cache in the meantime.
      raise
