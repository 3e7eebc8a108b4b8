"""Codes of a data set's images: made once, for probe and clustering together, and kept beside the run."""

import json
import pathlib

import numpy as np

from acai_tf import files
from acai_tf.experiment.errors import UserError

FILE = 'codes.npz'
PARTS = ('train', 'test')


def of(functions, dataset, train_images, count=None, seed=(0, 0), folder=None, progress=lambda *_: None) -> dict:
  """The codes of training and test images, in pieces encoded, so that no set need fit into memory as float32.

  Args:
    functions: `subject.Functions`.
    dataset: the data set.
    train_images: how many training images, fewer if there are fewer.
    count: of test images; None: all.
    seed: ints, of codes drawn from q(z given x).
    folder: where they are kept and found again, as long as weights, images and settings are the same; None: nowhere.
    progress: function (text, done, total).

  Returns:
    Dict: part ('train' or 'test') -> dict of [n, d] float32 arrays and `labels`. `codes` are what the authors cluster:
    drawn from q(z given x) where a model has one, else the flat `encode`. `means` are the flat `encode` where codes are
    drawn, `features` what the probe sees where that is something else than the flat `encode`.

  Raises:
    UserError: the folder cannot be written.
  """
  totals = {'train': train_images, 'test': len(dataset.test_images[:count])}
  key, path = None, None
  if folder is not None:
    path = pathlib.Path(folder) / FILE
    sums = files.digest(np.ascontiguousarray(array).data for part in PARTS
                        for block in dataset.blocks(part, totals[part]) for array in block)
    drawn = [int(x) for x in seed] if functions.encode_sample else None
    key = json.dumps([functions.identity(), sums, totals, drawn])
    kept = _read(path, key)
    if kept:
      return kept
  own = has_features(functions, dataset.test(64)[0])
  found = {part: _encoded(functions, dataset, part, totals[part], [*seed, place], own, progress)
           for place, part in enumerate(PARTS)}
  if path is not None:
    _write(path, key, found)
  return found


def has_features(functions, images) -> bool:
  """Whether the probe sees something else than the flat code, tried on a few images."""
  if not functions.represent:
    return False
  features, codes = functions.represent(images), functions.encode(images).reshape(len(images), -1)
  return features.shape != codes.shape or np.abs(features - codes).max() > 1e-3 * np.abs(codes).max()


def _encoded(functions, dataset, part, total, seed, own, progress):
  columns, done = {}, 0
  for images, labels in dataset.blocks(part, total):
    progress(f'encoding {part} images', done, total)
    means = functions.encode(images).reshape(len(images), -1)
    row = {'labels': labels, 'codes': means}
    if functions.encode_sample:
      row.update(means=means, codes=functions.encode_sample(images, [*seed, done]).reshape(len(images), -1))
    if own:
      row['features'] = functions.represent(images)
    for name, rows in row.items():
      columns.setdefault(name, []).append(rows)
    done += len(images)
  return {name: np.concatenate(rows) for name, rows in columns.items()}


def _read(path, key):
  """What `_write` wrote with the same key; None where there is no such file, or a broken one, which is made anew."""
  try:
    with np.load(files.regular(path)) as arrays:
      if str(arrays['key']) != key:
        return None
      found = {part: {} for part in PARTS}
      for name in arrays.files:
        part, _, column = name.partition('.')
        if part in PARTS:
          found[part][column] = arrays[name]
      return found
  except Exception:  # NumPy and zipfile raise a dozen kinds for broken files.
    return None


def _write(path, key, found):
  try:
    with files.replacing(path) as made:
      np.savez(made, key=np.array(key), **{
          f'{part}.{name}': array for part, columns in found.items() for name, array in columns.items()})
  except OSError as error:
    raise UserError(f'{path} cannot be written: {error.strerror or error}; expected space for the codes of the '
                    'images. Free some.') from error
