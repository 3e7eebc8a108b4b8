"""Reads data sets from TensorFlow Datasets (TFDS) and caches them: images as uint8 arrays, sentences as text."""

import os
import pathlib
import re
import socket
import urllib.parse

import numpy as np

from acai_tf.data import base
from acai_tf.experiment.errors import UserError

BATCH = 1024  # examples read at a time


def padded(pad):
  """Returns a `convert` function for `arrays` that pads images by `pad` black pixels (0) on every side."""
  def convert(batch):
    return np.pad(batch['image'], [(0, 0), (pad, pad), (pad, pad), (0, 0)]), batch['label'].astype(np.int32)

  return convert


def arrays(name, data_dir, manual_dir=None, variant='', splits=None, convert=None) -> dict:
  """Returns the images and labels of a TFDS data set; reads them from the cache after the first call.

  Args:
    name: the TFDS name.
    data_dir: folder of TFDS's files and of the cache.
    manual_dir: folder with the official files. If given, nothing is downloaded.
    variant: suffix of the cache's name. It distinguishes caches of one data set that differ in `splits` or `convert`.
    splits: {'train': TFDS split, 'test': TFDS split}. Default: the splits 'train' and 'test'. For 'a+b', all of a is
      read before b; TFDS itself would interleave them.
    convert: function from a batch (dict of arrays) to (images, labels). Default: the features `image` and `label`.

  Returns:
    Dict: `train_images` [n, height, width, channels] uint8, `train_labels` [n] or [n, classes] int32, `test_images`
    and `test_labels`.

  Raises:
    UserError: the data are not on disk and cannot be downloaded.
  """
  def prepare(append):
    builder = _prepared(name, data_dir, manual_dir)
    for ours, theirs in (splits or {'train': 'train', 'test': 'test'}).items():
      for batch in _batches(builder, theirs):
        images, labels = (convert or padded(0))(batch)
        append(f'{ours}_images', images)
        append(f'{ours}_labels', labels)

  return base.cached_arrays(pathlib.Path(data_dir) / 'acai_tf' / f'{name}{variant}', prepare)


def sentences(name, data_dir, manual_dir, splits, fields, parse=None, variant='', once=(), builder_of=None) -> dict:
  """Returns the sentences of a TFDS text data set; reads them from the cache after the first call.

  Args:
    name, data_dir, manual_dir, variant: as in `arrays`.
    splits: dict: part -> TFDS splits, read one after the other, for example 'train+validation'.
    fields: text features of an example. All sentences of the first field come before those of the second.
    parse: function from a text to a list of its sentences, which all get the example's `label`. None: each text is one
      sentence, without a label.
    once: fields in which a text that occurs several times in a part is read only once.
    builder_of: as in `_prepared`.

  Returns:
    Dict: part -> (list of n sentences, [n] int32 labels or None).

  Raises:
    UserError: as in `arrays`.
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
              if words:
                kept.append(' '.join(words) + '\n')
                labels.append(batch['label'][i] if parse else 0)
          append(ours, np.frombuffer(''.join(kept).encode(), np.uint8))
          append(f'{ours}_labels', np.array(labels, np.int32))

  folder = pathlib.Path(data_dir) / 'acai_tf' / f'{name}{variant}'
  arrays, parts = base.cached_arrays(folder, prepare), {}
  for part in splits:
    texts, labels = _lines(folder, arrays, part, f'{part}_labels')
    parts[part] = texts, labels if parse else None
  return parts


def pairs(name, data_dir, manual_dir, splits, fields, longest, variant='', builder_of=None) -> dict:
  """Returns the labelled sentence pairs of a TFDS data set; reads them from the cache after the first call.

  Pairs without a label (a `label` below 0) are dropped.

  Args:
    name, data_dir, manual_dir, variant: as in `arrays`.
    builder_of: as in `_prepared`.
    splits: dict: part -> TFDS split.
    fields: the two text features of an example.
    longest: maximum number of words; pairs with a longer sentence are dropped.

  Returns:
    Dict: part -> (list of n first sentences, list of n second sentences, [n] int32 labels).

  Raises:
    UserError: as in `arrays`.
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
  arrays = base.cached_arrays(folder, prepare)
  return {part: (*(_lines(folder, arrays, f'{part}_{field}', f'{part}_labels')[0] for field in fields),
                 arrays[f'{part}_labels']) for part in splits}


def _lines(folder, arrays, texts, labels):
  """Returns (lines of the array named `texts`, the array named `labels`) of a cache.

  The arrays are checked, because another version may have written the cache.

  Raises:
    UserError: an array is missing, `texts` is not UTF-8, or `labels` are not one int32 from 0 for each line.
  """
  try:
    lines, numbers = bytes(arrays[texts]).decode().splitlines(), arrays[labels]
    if numbers.dtype != np.int32 or numbers.shape != (len(lines),) or min(numbers, default=0) < 0:
      raise ValueError(f'{labels} are {numbers.dtype} {numbers.shape}; expected int32 from 0, one for each of '
                       f'{len(lines)} texts')
  except (KeyError, ValueError) as error:
    what = f'{error} is missing' if isinstance(error, KeyError) else f'{texts}: {error}'
    raise UserError(f'data cache {folder}: {what}; delete that folder, and it is prepared again.') from error
  return lines, numbers


def _batches(builder, splits):
  """Yields batches of up to BATCH examples, as dicts of arrays; the splits of 'train+extra' come one after the other.

  Raises:
    UserError: a file is missing, truncated or changed. TFDS's records have checksums, and their number is known.
  """
  import tensorflow as tf

  for split in splits.split('+'):
    try:
      yield from builder.as_dataset(split=split, shuffle_files=False, batch_size=BATCH).as_numpy_iterator()
    except (tf.errors.OpError, OSError, ValueError, KeyError) as error:  # KeyError: dataset_info.json lacks the split.
      raise _damaged(builder.name, builder.data_path, split, error) from error


def _damaged(name, folder, part, error):
  lines = re.sub(r'{{.*?}}', '', str(error)).strip().splitlines()  # {{...}}: TensorFlow's name of the operation
  reason = lines[0][:150] if lines else type(error).__name__
  return UserError(f'data set {name}: {part} in {folder} is damaged ({reason}); expected the files as TFDS wrote them. '
                   'Delete that folder and run again to prepare it again.')


def _prepared(name, data_dir, manual_dir, builder_of=None):
  """Returns a TFDS builder after downloading and preparing its data if necessary.

  `builder_of`: function from data_dir to a builder. None: TFDS's builder of that name.
  """
  import tensorflow_datasets as tfds  # Loads TensorFlow.

  builder_of = builder_of or (lambda data_dir: tfds.builder(name, data_dir=data_dir))
  tfds.display_progress_bar(False)
  try:
    builder = builder_of(str(data_dir))
  except Exception as error:  # Also the errors of protobuf's JSON reader.
    raise _damaged(name, pathlib.Path(data_dir) / name, 'dataset_info.json', error) from error
  if builder.is_prepared():
    return builder
  files = [info.filename or url.rsplit('/', 1)[-1] for url, info in builder.url_infos.items()]
  downloads = pathlib.Path(data_dir) / 'downloads' / name
  missing = [file for file in files if manual_dir and not (pathlib.Path(manual_dir) / file).exists()]
  if missing:
    raise UserError(f'data set {name}: {manual_dir} lacks {", ".join(missing)}; expected the official '
                    'files there (--manual_dir), or omit --manual_dir to download them.')
  advice = f'expected a network, or the official files {", ".join(files)} in DIR with --manual_dir DIR.'
  unknown = None if manual_dir or downloads.exists() else _unknown_host(builder.url_infos)
  if unknown:
    raise UserError(f'data set {name} is not in {data_dir}, and its host {unknown} cannot be found; {advice}')
  print(f'preparing data set {name} in {data_dir}, once' + ('' if manual_dir else '; downloading its files'))
  try:
    builder.download_and_prepare(
        download_dir=str(downloads),
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False))
  except Exception as error:  # TFDS raises its own errors, those of requests, OSError and AssertionError.
    if builder.is_prepared():  # Another program or host has prepared the same data in the meantime.
      return builder_of(str(data_dir))
    reason = str(error).splitlines()[0][:150] if str(error) else type(error).__name__
    raise UserError(f'data set {name} is not in {data_dir} and could not be prepared ({type(error).__name__}: '
                    f'{reason}); {advice}') from error
  return builder


def _unknown_host(urls):
  """Returns a host of `urls` that DNS cannot resolve, or None.

  A missing network is thus reported at once; TFDS would retry for minutes.
  """
  if any(key.lower().endswith('_proxy') for key in os.environ):
    return None  # The proxy resolves the hosts' names.
  for host in {urllib.parse.urlparse(url).hostname for url in urls}:
    try:
      socket.getaddrinfo(host, None)
    except OSError:
      return host
  return None
