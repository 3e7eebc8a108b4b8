"""Latent codes of a data set's images, computed once for all groups of metrics, and cached in the run's folder."""

import json
import pathlib

import numpy as np

from acai_tf import files
from acai_tf.experiment.errors import UserError

FILE = 'codes.npz'
PARTS = ('train', 'test')


def encode(functions, dataset, train_images, seed=(0, 0), folder=None, progress=lambda *_: None) -> dict:
  """Encodes training and test images block by block, so that no set has to fit into memory as float32.

  Args:
    functions: `subject.Functions`.
    dataset: the data set.
    train_images: maximum number of training images.
    seed: ints, the seed of codes sampled from q(z|x).
    folder: cache folder; None for no cache. The cache is valid while weights, images and settings are the same.
    progress: function (text, done, total).

  Returns:
    Dict: part ('train' or 'test') -> dict of
      `labels`: [n] or [n, attributes].
      `codes`: [n, d] float32, the codes that the authors cluster: samples of q(z|x) if the model has a posterior,
        otherwise the flattened output of `encode`.
      `means`: [n, d] float32, the flattened output of `encode`. Only if `codes` are sampled.
      `features`: [n, features] float32, the inputs of the probe. Only if they differ from the output of `encode`.

  Raises:
    UserError: the folder cannot be written.
  """
  totals = {'train': train_images, 'test': len(dataset.test_images)}
  key, path = None, None
  if folder is not None:
    path = pathlib.Path(folder) / FILE
    images_digest = files.digest(np.ascontiguousarray(array).data for part in PARTS
                                 for block in dataset.blocks(part, totals[part]) for array in block)
    sampling_seed = [int(x) for x in seed] if functions.encode_sample else None
    key = json.dumps([functions.identity(), images_digest, totals, sampling_seed])
    cached = _read(path, key)
    if cached:
      return cached
  with_features = has_features(functions, dataset.test(64)[0])
  codes = {part: _encoded(functions, dataset, part, totals[part], [*seed, i], with_features, progress)
           for i, part in enumerate(PARTS)}
  if path is not None:
    _write(path, key, codes)
  return codes


def has_features(functions, images) -> bool:
  """Whether the inputs of the probe differ from the flattened codes, tested on a few images."""
  if not functions.represent:
    return False
  features, codes = functions.represent(images), functions.encode(images).reshape(len(images), -1)
  return features.shape != codes.shape or np.abs(features - codes).max() > 1e-3 * np.abs(codes).max()


def _encoded(functions, dataset, part, total, seed, with_features, progress):
  """The codes of one part of the data set; result as in `encode`."""
  columns, done = {}, 0
  for images, labels in dataset.blocks(part, total):
    progress(f'encoding {part} images', done, total)
    means = functions.encode(images).reshape(len(images), -1)
    row = {'labels': labels, 'codes': means}
    if functions.encode_sample:
      row.update(means=means, codes=functions.encode_sample(images, [*seed, done]).reshape(len(images), -1))
    if with_features:
      row['features'] = functions.represent(images)
    for name, rows in row.items():
      columns.setdefault(name, []).append(rows)
    done += len(images)
  return {name: np.concatenate(rows) for name, rows in columns.items()}


def _read(path, key):
  """Reads the codes that `_write` stored under `key`; None if the file is missing, damaged or has another key."""
  try:
    with np.load(files.regular(path)) as arrays:
      if str(arrays['key']) != key:
        return None
      codes = {part: {} for part in PARTS}
      for name in arrays.files:
        part, _, column = name.partition('.')
        if part in PARTS:
          codes[part][column] = arrays[name]
      return codes
  except Exception:  # For damaged files NumPy and zipfile raise a dozen different types.
    return None


def _write(path, key, codes):
  try:
    with files.replacing(path) as temporary:
      np.savez(temporary, key=np.array(key), **{
          f'{part}.{name}': array for part, columns in codes.items() for name, array in columns.items()})
  except OSError as error:
    raise UserError(f'{path} cannot be written: {error.strerror or error}; expected space for the codes of the '
                    'images. Free some.') from error
