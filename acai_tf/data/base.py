"""What all data sets share: a training batch is a function of (seed, step), and arrays are kept on disk."""

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

SUMS, BLOCK = 'sums.json', 1 << 24  # checksums beside a cache's arrays; bytes read at a time
EXTRA_SEED = 1 << 32  # between the orders of batches and of further ones


class Dataset:
  """Training data whose every batch is a function of (seed, step); what a batch consists of is the subclass's own.

  A subclass gives `batch` and `describe`, and `prepare` where models see something else than what is kept.
  """

  benchmark: str | None = None  # the group of metrics that is made for this data set, if there is one

  def describe(self) -> str:
    """One line: how much of what there is, and where it lies."""
    raise NotImplementedError

  def identity(self) -> str:
    """A checksum of the training data, in hexadecimal; '' where the settings say all, as of data that are drawn."""
    return ''

  def batch(self, seed, step, size, rows) -> tuple:
    """Positions `rows` of training batch `step`: a tuple of arrays [n, ...], always of the same types and shapes."""
    raise NotImplementedError

  def batch_by_class(self, seed, step, size, rows) -> tuple:
    """As `batch`, where position i of a batch has an example of class i modulo the number of classes."""
    raise NotImplementedError

  def prepare(self, *tensors) -> tuple:
    """Tensors of a batch, as `batch` gives arrays -> what models see; called once, while the pipeline is traced."""
    return tensors

  def pipeline(self, seed, size, start, stop, replicas=1, first=0, count=None, extra=0,
               by_class=False) -> 'tf.data.Dataset':
    """Training batches `start` ... `stop` - 1 as a tf.data.Dataset, read ahead by a thread.

    Args:
      seed: of the data order.
      size: images in a global batch.
      start, stop: steps; starting anywhere costs the same.
      replicas: replicas that share each batch.
      first, count: of those, the ones fed here, in turn; default: all from `first` on.
      extra: further batches in every element, of an order of their own; its 1 + extra batches stand behind each other.
      by_class: whether each batch has as many examples of one class as of any other (`batch_by_class`).

    Returns:
      Elements as `prepare` gives them, of size / replicas rows; with `extra`, of that many times 1 + extra.

    Raises:
      UserError: `size` does not divide evenly among the replicas.
    """
    import tensorflow as tf  # Here, since programs list data sets without loading TensorFlow.

    from acai_tf import replicas as replicas_lib

    check_shared(size, replicas)
    table = replicas_lib.rows(size // replicas, replicas)
    count = replicas - first if count is None else count
    read = self.batch_by_class if by_class else self.batch
    samples = read(seed, start, size, table[0][:1])

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
    options.autotune.enabled = False  # There is nothing to tune, and its thread, asleep, delays the end by up to 60 s.
    return tf.data.Dataset.range((stop - start) * count).map(load).prefetch(4).with_options(options)


def checksum(*arrays) -> str:
  """CRC-32 of arrays, one after the other, in hexadecimal; about a second a GB."""
  total = 0
  for array in arrays:
    total = zlib.crc32(np.ascontiguousarray(array).data, total)
  return f'{total:08x}'


def check_shared(size, replicas) -> None:
  """UserError, with the nearest batches that do, unless a batch of `size` divides evenly among the replicas."""
  even = 2 * replicas  # so that each has whole pairs
  if replicas > 1 and size % even:
    near = sorted({max(even, size // even * even), size // even * even + even})
    raise UserError(f'training.batch={size} cannot be shared by {replicas} devices; expected an even number on each, '
                    f'such as {" or ".join(map(str, near))}.')


@functools.lru_cache(maxsize=2)
def permutation(seed, epoch, count) -> np.ndarray:
  """The order of `count` items in an epoch, [count] int64: a function of (seed, epoch)."""
  return np.random.default_rng([seed, epoch]).permutation(count)


def shuffled(seed, step, size, rows, count) -> np.ndarray:
  """Which of `count` items stand in positions `rows` of batch `step`, if all are shuffled anew in every epoch.

  Args:
    seed: of the order.
    step: of the batch.
    size: items in a batch.
    rows: positions in it, ints.
    count: how many items there are.

  Returns:
    [len(rows)] int64 indices.
  """
  epochs, places = np.divmod(step * size + np.asarray(rows, np.int64), count)
  indices = np.empty(len(places), np.int64)
  for epoch in np.unique(epochs):
    chosen = epochs == epoch
    indices[chosen] = permutation(seed, int(epoch), count)[places[chosen]]
  return indices


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
  """The arrays under `folder`; where they are not, `prepare(append)` makes them, and they are saved.

  The folder is moved into place whole, so that an interrupted preparation leaves no half cache. Every file's checksum
  lies beside it and is compared when it is opened (about a second a GB); a cache that has changed is named and made
  anew.

  Args:
    folder: where the .npy files lie or will lie.
    prepare: function; it calls `append(name, rows)` as often as it likes.

  Returns:
    Dict: name -> array, memory-mapped.

  Raises:
    UserError: a cache that cannot be read, or a disk that is full.
  """
  folder = pathlib.Path(folder)
  try:
    if folder.exists() and (changed := _changed(folder)):
      print(f'data cache {folder}: {changed}; it is made anew')
      with files.scratch(folder) as aside, contextlib.suppress(FileNotFoundError):  # Another program was faster.
        folder.rename(aside / folder.name)
    if not folder.exists():
      _prepare(folder, prepare)
    # Read into memory, SVHN opened in 6 s instead of none, and was slower cold and warm (benchmarks/input.py then).
    return {path.stem: mapped(path) for path in sorted(folder.glob('*.npy'))}
  except UserError:
    raise
  except (OSError, ValueError, EOFError) as error:
    raise UserError(f'data cache {folder}: {error}; expected a writable disk and whole files. '
                    'Free space or delete that folder and run again.') from error


def mapped(path) -> np.ndarray:
  """The array of a .npy file, memory-mapped: a header that promises more than the file has asks for no memory.

  Raises:
    ValueError: no .npy file of numbers, or one that is cut off.
    OSError: no file.
  """
  path = files.regular(path)
  try:
    array = np.load(path, mmap_mode='r', allow_pickle=False)
  except OSError:
    raise
  except Exception as error:  # A dozen kinds for broken headers. NumPy's advice, to unpickle the file, is none.
    raise ValueError('it is no .npy file of numbers, or it is cut off') from error
  if not isinstance(array, np.memmap) or array.dtype.kind not in 'fiu':
    raise ValueError('it is no .npy file of numbers')
  if (more := path.stat().st_size - array.offset - array.nbytes):
    raise ValueError(f'it has {more} bytes after its array')
  return array


def _sums(folder):
  """Each array's file name -> 'CRC-32 bytes' of it."""
  found = {}
  for path in sorted(folder.glob('*.npy')):
    total, size = 0, 0
    with files.regular(path).open('rb') as file:
      while part := file.read(BLOCK):
        total, size = zlib.crc32(part, total), size + len(part)
    found[path.name] = f'{total:08x} {size}'
  return found


def _changed(folder):
  """What is wrong with a cache, by its checksums; '' if nothing is."""
  try:
    expected = strict_json.read(folder / SUMS)
  except (OSError, ValueError):
    return f'{SUMS} is missing or cannot be read'
  if not isinstance(expected, dict):
    return f'{SUMS} is no object'
  found = _sums(folder)
  names = [name for name in sorted({*expected, *found}) if expected.get(name) != found.get(name)]
  return f'{", ".join(names)} changed since' if names else ''


def _prepare(folder, prepare):
  arrays = {}

  def append(name, rows):
    if name not in arrays:
      arrays[name] = _Rows(made / f'{name}.npy', rows)
    arrays[name].append(rows)

  try:
    with files.replacing(folder) as made:
      made.mkdir()
      prepare(append)
      for array in arrays.values():
        array.close()
      (made / SUMS).write_text(json.dumps(_sums(made)))
  except OSError:
    if not folder.exists():  # Else another program, or host, has made the same meanwhile.
      raise
