"""Reads an image classification set from TensorFlow Datasets once, into uint8 arrays."""

import pathlib

import numpy as np

from acai_tf.config import UserError
from acai_tf.data import base


def arrays(name, data_dir, manual_dir=None, pad=0):
  """`train_images` [n, h, w, c] uint8, `train_labels` [n] int32 and the same for `test`, as memory maps.

  Args:
    name: the TFDS name.
    data_dir: folder for TFDS's files and for the cache of arrays.
    manual_dir: folder that holds the official files, which are then not downloaded.
    pad: zero pixels added on every side; 0 becomes -1 in [-1, 1].

  Raises:
    UserError: the data is neither there nor can it be downloaded.
  """
  def prepare():
    builder = _prepared(name, data_dir, manual_dir)
    return {key: value for split in ('train', 'test') for key, value in _split(builder, split, pad).items()}

  return base.cached_arrays(pathlib.Path(data_dir) / 'acai_tf' / f'{name}_pad{pad}', prepare)


def _prepared(name, data_dir, manual_dir):
  import tensorflow_datasets as tfds  # Loads TensorFlow; see base.Dataset.pipeline.

  tfds.display_progress_bar(False)
  builder = tfds.builder(name, data_dir=str(data_dir))
  files = [info.filename or url.rsplit('/', 1)[-1] for url, info in builder.url_infos.items()]
  missing = [file for file in files if manual_dir and not (pathlib.Path(manual_dir) / file).exists()]
  if missing and not builder.is_prepared():
    raise UserError(f'data set {name}: {manual_dir} lacks {", ".join(missing)}; expected the official '
                    'files there (--manual_dir), or leave --manual_dir out to download them.')
  if not builder.is_prepared():
    print(f'preparing data set {name} in {data_dir}, once' + ('' if manual_dir else '; its files are downloaded'))
  try:
    builder.download_and_prepare(
        download_dir=str(pathlib.Path(data_dir) / 'downloads' / name),
        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False))
  except Exception as error:  # TFDS raises requests', its own, OS and assertion errors alike.
    reason = str(error).splitlines()[0][:150] if str(error) else type(error).__name__
    raise UserError(f'data set {name} is not in {data_dir} and could not be prepared ({type(error).__name__}: '
                    f'{reason}); expected a network, or '
                    f'the official files {", ".join(files)} in DIR with --manual_dir DIR.') from error
  return builder


def _split(builder, split, pad):
  count = builder.info.splits[split].num_examples
  height, width, channels = builder.info.features['image'].shape
  images = np.zeros([count, height + 2 * pad, width + 2 * pad, channels], np.uint8)
  labels = np.zeros([count], np.int32)
  examples = builder.as_dataset(split=split, shuffle_files=False, batch_size=1024)
  start = 0
  for batch in examples.as_numpy_iterator():
    stop = start + len(batch['label'])
    images[start:stop, pad:pad + height, pad:pad + width] = batch['image']
    labels[start:stop] = batch['label']
    start = stop
  return {f'{split}_images': images, f'{split}_labels': labels}
