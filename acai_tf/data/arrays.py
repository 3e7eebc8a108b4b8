"""The user's own images in a NumPy file: an .npz archive with `images` and, optionally, labels and test images.

`acai_tf.fit` writes such a file. The names of its arrays are

- `images` [n, size, size, channels] or [n, size, size], uint8, or floats in [0, 1], which are rounded to 8 bits;
- `labels` [n], whole numbers from 0 on, optional;
- `test_images` and `test_labels`, optional. Without them, a share of the images is the test split.
"""

import dataclasses
import os
import pathlib
from typing import Annotated, Literal

import numpy as np

from acai_tf import files
from acai_tf.data import image_base
from acai_tf.experiment import machine
from acai_tf.experiment.config import Network
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.fields import config_dataclass

NETWORK = Network(latent_width=4, latent=16, depth=64)
SOURCE = 'images of the user who trained the model', "the user's own"
OFFICIAL_FILES = False
NAMES = 'images', 'labels', 'test_images', 'test_labels'
SPLIT_SEED = 0  # of the permutation that selects the test split


@config_dataclass('dataset')
class Config:
  """Settings of the data set; `path` is required. The file determines all others but `test_share`."""

  path: str = ''  # the .npz file
  size: Annotated[int, '[0, inf)'] = 0  # height and width in pixels; 0: as in the file
  channels: Literal[0, 1, 3] = 0  # 1: greyscale; 0: as in the file
  test_share: Annotated[float, '(0, 1)'] = 0.1  # share of the images in the test split, if the file has no test images
  labels: Annotated[int, '[-1, inf)'] = -1  # number of classes; -1: as many as there are


def shape(config) -> tuple:
  """Returns (height, width, channels) of the images."""
  return config.size, config.size, config.channels


def classes(config) -> int:
  """Returns the number of classes; 0 if there are fewer than two, since there is then nothing to classify."""
  return config.labels if config.labels > 1 else 0


def resolve(config) -> Config:
  """Returns the configuration with the absolute path of the file and the shape and classes of its images.

  Raises:
    UserError: there is no such file, its arrays are not as the module's docstring says, or the configuration
      contradicts them.
  """
  if not config.path:
    raise UserError('dataset.path is missing; expected an .npz file of images: --set dataset.path=FILE.')
  config = dataclasses.replace(config, path=os.path.abspath(os.path.expanduser(config.path)))
  arrays = read(config.path, config.test_share)
  actual = {'size': arrays['train_images'].shape[1], 'channels': arrays['train_images'].shape[3],
            'labels': int(max(arrays['train_labels'].max(), arrays['test_labels'].max())) + 1}
  for key, value in actual.items():
    if getattr(config, key) not in (Config.__dataclass_fields__[key].default, value):
      raise UserError(f'dataset.{key} is {getattr(config, key)}, and {config.path} has {value}; expected that '
                      'number, or leave it out.')
  return dataclasses.replace(config, **actual)


def load(config, data_dir=None, manual_dir=None) -> image_base.ArrayDataset:
  """Returns the data set, in memory.

  Raises:
    UserError: as in `resolve`.
  """
  del data_dir, manual_dir
  arrays = read(config.path, config.test_share)
  if arrays['train_images'].shape[1:] != shape(config):
    raise UserError(f'{config.path} has images of shape {arrays["train_images"].shape[1:]}; expected {shape(config)}, '
                    'as configured.')
  last = max(arrays['train_labels'].max(), arrays['test_labels'].max())
  if last >= max(config.labels, 1):
    raise UserError(f'{config.path} has label {last}; expected labels from 0 to {config.labels - 1}, as configured.')
  return image_base.ArrayDataset(arrays, classes(config), ordered=True)


def read(path, test_share) -> dict[str, np.ndarray]:
  """Reads a file and returns `train_images`, `train_labels`, `test_images` and `test_labels` as `split` does."""
  try:
    source = files.regular(pathlib.Path(path))
    machine.require_memory({'the size of the images': source.stat().st_size})
    archive = np.load(source, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
      raise ValueError('it is a single array')
    with archive:
      unknown = sorted(set(archive.files) - set(NAMES))
      if unknown or 'images' not in archive.files:
        raise ValueError(f'it has the arrays {", ".join(archive.files) or "none"}')
      found = {name: archive[name] for name in archive.files}
  except UserError:
    raise
  except Exception as error:  # NumPy, zipfile and zlib raise many types for broken files.
    problem = getattr(error, 'strerror', None) or ' '.join(str(error).split())[:120] or type(error).__name__
    raise UserError(f'{path} cannot be read ({problem}); expected an .npz file with the array images, and optionally '
                    'labels, test_images and test_labels.') from error
  try:
    return split(**found, test_share=test_share)
  except UserError as error:
    raise UserError(f'{path}: {error}') from error


def split(images, labels=None, test_images=None, test_labels=None, test_share=0.1) -> dict[str, np.ndarray]:
  """Checks a user's arrays and splits them.

  Args:
    images, labels, test_images, test_labels: arrays as in the module's docstring.
    test_share: share of the images that becomes the test split if there are no `test_images`, from 0 to 1.

  Returns:
    Dict with `train_images` and `test_images`, [n, size, size, channels] uint8, and `train_labels` and `test_labels`,
    [n] int32, which are 0 without labels.

  Raises:
    UserError: an array has a wrong shape, type or range, a split is empty, or only one split has labels.
  """
  if test_images is not None and (labels is None) != (test_labels is None):
    raise UserError('only one of labels and test_labels is given; expected both, or none.')
  images, labels = to_bytes('images', images), _labels('labels', labels, images)
  if test_images is None:
    if test_labels is not None:
      raise UserError('there are test_labels and no test_images; expected both, or none.')
    if len(images) < 2:
      raise UserError(f'images has {len(images)} images; expected at least 2, one of them to test.')
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    count = min(max(round(test_share * len(images)), 1), len(images) - 1)
    test, train = np.sort(order[:count]), np.sort(order[count:])
    parts = images[train], labels[train], images[test], labels[test]
  else:
    test_images = to_bytes('test_images', test_images)
    if test_images.shape[1:] != images.shape[1:]:
      raise UserError(f'test_images has images of shape {test_images.shape[1:]}; expected {images.shape[1:]}, as '
                      'images has.')
    parts = images, labels, test_images, _labels('test_labels', test_labels, test_images)
  return dict(zip(('train_images', 'train_labels', 'test_images', 'test_labels'), parts, strict=True))


def to_bytes(name, images) -> np.ndarray:
  """Checks images and returns them as [n, size, size, channels] uint8.

  Args:
    name: for messages.
    images: [n, size, size, channels] or [n, size, size], uint8, or floats in [0, 1].

  Raises:
    UserError: a wrong shape, type or range.
  """
  try:
    images = np.asarray(images)
  except ValueError as error:
    raise UserError(f'{name} is no array ({error}); expected images of one size.') from error
  if images.ndim == 3:
    images = images[..., None]
  if images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] not in (1, 3) or not images.size:
    raise UserError(f'{name} has shape {images.shape}; expected [n, size, size, channels] with 1 or 3 channels, or '
                    '[n, size, size].')
  if images.dtype == np.uint8:
    return images
  if images.dtype.kind != 'f':
    raise UserError(f'{name} has type {images.dtype}; expected uint8, or floats from 0 to 1.')
  least, most = images.min(), images.max()
  if not (least >= 0 and most <= 1):  # also false for NaN
    raise UserError(f'{name} has values from {least:g} to {most:g}; expected floats from 0 to 1, or uint8.')
  return np.rint(images * 255).astype(np.uint8)


def _labels(name, labels, images):
  """Returns labels as [n] int32 after checking them; zeros if they are None."""
  if labels is None:
    return np.zeros(len(images), np.int32)
  try:
    labels = np.asarray(labels)
  except ValueError as error:
    raise UserError(f'{name} is no array ({error}); expected whole numbers, one per image.') from error
  if labels.shape != (len(images),) or labels.dtype.kind not in 'iu':
    raise UserError(f'{name} is {labels.dtype} of shape {labels.shape}; expected whole numbers of shape '
                    f'({len(images)},), one per image.')
  if labels.min() < 0 or labels.max() >= 1 << 20:
    raise UserError(f'{name} has values from {labels.min()} to {labels.max()}; expected classes from 0 on.')
  return labels.astype(np.int32)
