"""Reads a set from TensorFlow Datasets once: images into uint8 arrays, sentences into text."""

import os
import pathlib
import re
import socket
import urllib.parse

import numpy as np

from acai_tf.data import base
from acai_tf.experiment.errors import UserError

BATCH = 1024  # images read at a time


def padded(pad):
  """A `convert` for `arrays`: as they are, with `pad` zero pixels on every side; 0 becomes -1 in [-1, 1]."""
  def convert(batch):
    return np.pad(batch['image'], [(0, 0), (pad, pad), (pad, pad), (0, 0)]), batch['label'].astype(np.int32)

  return convert


def arrays(name, data_dir, manual_dir=None, variant='', splits=None, convert=None) -> dict:
  """`train_images` [n, h, w, c] uint8, `train_labels` [n] or [n, classes] int32, and the same for `test`.

  Args:
    name: the TFDS name.
    data_dir: folder for TFDS's files and for the cache of arrays.
    manual_dir: folder that holds the official files, which are then not downloaded.
    variant: tells caches of one set, made in different ways, apart.
    splits: {'train': TFDS split, 'test': TFDS split}; default: those of these names. The parts of 'a+b' are read one
      after the other (TFDS itself would read both in turn).
    convert: function of a batch (dict of arrays) -> (images, labels); default: the features `image` and `label`.

  Raises:
    UserError: the data is neither there nor can it be downloaded.
  """
  def prepare(append):
    builder = _prepared(name, data_dir, manual_dir)
    for ours, theirs in (splits or {'train': 'train', 'test': 'test'}).items():
      for batch in _batches(builder, theirs):
        images, labels = (convert or padded(0))(batch)
        append(f'{ours}_images', images)
        append(f'{ours}_labels', labels)

  return base.cached_arrays(pathlib.Path(data_dir) / 'acai_tf' / f'{name}{variant}', prepare)


def sentences(name, data_dir, manual_dir, splits, fields, longest, parse=None, variant='', once=(),
              builder_of=None) -> dict:
  """Dict: part -> (sentences of a text set of at most `longest` words, or of any number, their labels or None).

  Args:
    name, data_dir, manual_dir, variant: as of `arrays`.
    splits: dict: part -> TFDS splits that are read one after the other, 'train+validation' say.
    fields: features of an example that are text; all of the first come before those of the second.
    longest: number of words; None: any.
    parse: function of a text -> list of its sentences, which then have the example's `label`; None: the text is one
      sentence.
    once: fields of which a text that several examples of a part share is read once.
    builder_of: as of `_prepared`.

  Raises:
    UserError: as of `arrays`.
  """
  def prepare(append):
    builder = _prepared(name, data_dir, manual_dir, builder_of)
    for ours, theirs in splits.items():
      for field in fields:
        seen = set()
        for batch in _batches(builder, theirs):
          kept, labels = [], []
          for i, text in enumerate(batch[field]):
            if field in once and text in seen:
              continue
            seen.add(text)
            for words in map(str.split, parse(text.decode()) if parse else [text.decode()]):
              if 0 < len(words) <= (longest or len(words)):
                kept.append(' '.join(words) + '\n')
                labels.append(batch['label'][i] if parse else 0)
          append(ours, np.frombuffer(''.join(kept).encode(), np.uint8))
          append(f'{ours}_labels', np.array(labels, np.int32))

  folder = pathlib.Path(data_dir) / 'acai_tf' / f'{name}{f"_{longest}" if longest else ""}{variant}'
  found, parts = base.cached_arrays(folder, prepare), {}
  for part in splits:
    texts, labels = _lines(folder, found, part, f'{part}_labels')
    parts[part] = texts, labels if parse else None
  return parts


def pairs(name, data_dir, manual_dir, splits, fields, longest, variant='', builder_of=None) -> dict:
  """Dict: part -> (first sentences, second ones, [n] int32 labels) of pairs with a label, of at most `longest` words.

  Args:
    name, data_dir, manual_dir, variant: as of `arrays`.
    builder_of: as of `_prepared`.
    splits: dict: part -> TFDS split.
    fields: the two features of an example that are text; its `label` is below 0 where it has none.
    longest: number of words.

  Raises:
    UserError: as of `arrays`.
  """
  def prepare(append):
    builder = _prepared(name, data_dir, manual_dir, builder_of)
    for ours, theirs in splits.items():
      for batch in _batches(builder, theirs):
        texts = [[text.decode().split() for text in batch[field]] for field in fields]
        kept = [i for i, label in enumerate(batch['label'])
                if label >= 0 and all(0 < len(column[i]) <= longest for column in texts)]
        for field, column in zip(fields, texts, strict=True):
          lines = ''.join(' '.join(column[i]) + '\n' for i in kept)
          append(f'{ours}_{field}', np.frombuffer(lines.encode(), np.uint8))
        append(f'{ours}_labels', batch['label'][kept].astype(np.int32))

  folder = pathlib.Path(data_dir) / 'acai_tf' / f'{name}_{longest}{variant}_pairs'
  found = base.cached_arrays(folder, prepare)
  return {part: (*(_lines(folder, found, f'{part}_{field}', f'{part}_labels')[0] for field in fields),
                 found[f'{part}_labels']) for part in splits}


def _lines(folder, found, texts, labels):
  """(lines of the array `texts`, the array `labels`) of a cache, which another version may have left.

  Raises:
    UserError: arrays that are missing, are no UTF-8 text and counts, or do not belong together.
  """
  try:
    lines, numbers = bytes(found[texts]).decode().splitlines(), found[labels]
    if numbers.dtype != np.int32 or numbers.shape != (len(lines),) or min(numbers, default=0) < 0:
      raise ValueError(f'{labels} are {numbers.dtype} {numbers.shape}; expected int32 from 0, one for each of '
                       f'{len(lines)} texts')
  except (KeyError, ValueError) as error:
    what = f'it lacks {error}' if isinstance(error, KeyError) else f'{texts}: {error}'
    raise UserError(f'data cache {folder}: {what}; delete that folder, and it is made anew.') from error
  return lines, numbers


def _batches(builder, splits):
  """Examples of the splits, 'train+extra' say, one split after the other, as dicts of arrays of BATCH each.

  Raises:
    UserError: a file of them is missing, cut off or changed: TFDS's records have checksums, and their number is known.
  """
  import tensorflow as tf

  for split in splits.split('+'):
    try:
      yield from builder.as_dataset(split=split, shuffle_files=False, batch_size=BATCH).as_numpy_iterator()
    except (tf.errors.OpError, OSError, ValueError, KeyError) as error:  # The last: its facts know no such split.
      raise _damaged(builder.name, builder.data_path, split, error) from error


def _damaged(name, folder, part, error):
  lines = re.sub(r'{{.*?}}', '', str(error)).strip().splitlines()  # TensorFlow's own name of the operation
  reason = lines[0][:150] if lines else type(error).__name__
  return UserError(f'data set {name}: {part} in {folder} is damaged ({reason}); expected the files as TFDS wrote them. '
                   'Delete that folder and run again, which prepares it anew.')


def _prepared(name, data_dir, manual_dir, builder_of=None):
  """A TFDS builder whose data are there. `builder_of`: function data_dir -> builder; None: TFDS's own of that name."""
  import tensorflow_datasets as tfds  # Loads TensorFlow.

  builder_of = builder_of or (lambda data_dir: tfds.builder(name, data_dir=data_dir))
  tfds.display_progress_bar(False)
  try:
    builder = builder_of(str(data_dir))
  except Exception as error:  # A JSON reader's of protobuf among them.
    raise _damaged(name, pathlib.Path(data_dir) / name, 'dataset_info.json', error) from error
  if builder.is_prepared():
    return builder
  files = [info.filename or url.rsplit('/', 1)[-1] for url, info in builder.url_infos.items()]
  downloads = pathlib.Path(data_dir) / 'downloads' / name
  missing = [file for file in files if manual_dir and not (pathlib.Path(manual_dir) / file).exists()]
  if missing:
    raise UserError(f'data set {name}: {manual_dir} lacks {", ".join(missing)}; expected the official '
                    'files there (--manual_dir), or leave --manual_dir out to download them.')
  advice = f'expected a network, or the official files {", ".join(files)} in DIR with --manual_dir DIR.'
  unknown = None if manual_dir or downloads.exists() else _unknown_host(builder.url_infos)
  if unknown:
    raise UserError(f'data set {name} is not in {data_dir}, and its host {unknown} cannot be found; {advice}')
  print(f'preparing data set {name} in {data_dir}, once' + ('' if manual_dir else '; its files are downloaded'))
  try:
    builder.download_and_prepare(
        download_dir=str(downloads),
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False))
  except Exception as error:  # TFDS raises requests', its own, OS and assertion errors alike.
    if builder.is_prepared():  # Another program, or host, has prepared the same meanwhile.
      return builder_of(str(data_dir))
    reason = str(error).splitlines()[0][:150] if str(error) else type(error).__name__
    raise UserError(f'data set {name} is not in {data_dir} and could not be prepared ({type(error).__name__}: '
                    f'{reason}); {advice}') from error
  return builder


def _unknown_host(urls):
  """A host of `urls` that has no address, so that no network is told at once: TFDS tries for minutes."""
  if any(key.lower().endswith('_proxy') for key in os.environ):
    return None  # A proxy knows hosts that this machine need not know.
  for host in {urllib.parse.urlparse(url).hostname for url in urls}:
    try:
      socket.getaddrinfo(host, None)
    except OSError:
      return host
  return None
