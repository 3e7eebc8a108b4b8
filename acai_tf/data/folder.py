"""The user's own pictures: a folder of PNG, JPEG and WebP files, with one subfolder per class if there are classes.

If the folder has the subfolders `train` and `test`, these are the splits. Otherwise a share of the files, chosen by a
hash of their names, is the test split.
"""

import dataclasses
import os
import pathlib
from concurrent import futures
from typing import Annotated, Literal

import numpy as np

from acai_tf import files as files_lib
from acai_tf.data import base, image_base
from acai_tf.experiment import machine
from acai_tf.experiment.config import Network
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.fields import config_dataclass

NETWORK = Network(latent_width=4, latent=16, depth=64)
SOURCE = 'pictures of the user who trained the model', "the user's own"
OFFICIAL_FILES = False
ENDINGS = ('.png', '.jpg', '.jpeg', '.webp')
READER = 'white behind what is transparent, 16 bits to 8'  # describes `read_square`; part of the cache's key
CHUNK, NAMED = 1024, 4  # files read at a time; broken files listed in a message
FEW = 5  # broken files that are skipped in a folder of any size


@config_dataclass('dataset')
class Config:
  """Settings of the data set; `path` is required."""

  path: str = ''  # the folder
  size: Annotated[int, '[2, inf)'] = 32  # height and width in pixels, after resizing and a central crop
  channels: Literal[1, 3] = 3  # 1: greyscale
  test_share: Annotated[float, '(0, 1)'] = 0.1  # share of the pictures in the test split
  # Share of the files that may be unreadable. Unless it is 0, up to FEW files may be.
  broken_share: Annotated[float, '[0, 1]'] = 0.01
  labels: Annotated[int, '[-1, inf)'] = -1  # number of class subfolders; -1: as many as there are


def shape(config) -> tuple:
  """Returns (height, width, channels) of the images."""
  return config.size, config.size, config.channels


def classes(config) -> int:
  """Returns the number of class subfolders; 0 if there are fewer than two, since there is then nothing to classify."""
  return config.labels if config.labels > 1 else 0


def resolve(config) -> Config:
  """Returns the configuration with the absolute path of the folder and the number of its classes.

  Raises:
    UserError: there is no such folder, it has no pictures, or it has pictures both in itself and in subfolders.
  """
  if not config.path:
    raise UserError('dataset.path is missing; expected a folder of pictures: --set dataset.path=DIR.')
  config = dataclasses.replace(config, path=os.path.abspath(os.path.expanduser(config.path)))
  count = len(_files(config)[1])
  if config.labels not in (-1, count):
    raise UserError(f'dataset.labels is {config.labels}, and {config.path} has {count} class subfolders; expected that '
                    'number, or leave it out.')
  return dataclasses.replace(config, labels=count)


def load(config, data_dir, manual_dir=None) -> image_base.ArrayDataset:
  """Returns the data set, which is cached in `data_dir`; prints the names of files that cannot be read.

  Raises:
    UserError: as in `resolve`; more files than `broken_share` allows cannot be read; a split has no pictures.
  """
  del manual_dir
  files, names = _files(config)
  machine.require_memory({'dataset.size': min(len(files), CHUNK) * config.channels * config.size**2})
  if len(names) != config.labels:
    raise UserError(f'{config.path} has {len(names)} class subfolders; expected {config.labels}, as configured.')
  identity = [READER, str(config)]
  identity += [f'{path} {(stat := path.stat()).st_size} {stat.st_mtime_ns}' for path, _, _ in files]
  key = files_lib.digest([os.fsencode('\n'.join(identity))])[:16]
  arrays = base.cached_arrays(pathlib.Path(data_dir) / 'acai_tf' / f'folder_{key}',
                              lambda append: _read(files, config, append))
  return image_base.checked(arrays, shape(config), classes(config), ordered=True)


def _files(config):
  """Returns ([(path, 'train' or 'test', label)], names of the classes)."""
  root = pathlib.Path(config.path)
  if not root.is_dir():
    raise UserError(f'dataset.path={config.path} is not a folder; expected one with {", ".join(ENDINGS)} files.')
  split = all((root / name).is_dir() for name in ('train', 'test'))
  roots = {'train': root / 'train', 'test': root / 'test'} if split else {'': root}
  beside = [path for path in root.iterdir() if path.suffix.lower() in ENDINGS] if split else []
  if beside:
    raise UserError(f'{root} has pictures beside train and test, such as {_printable(beside[0].name)}; expected all of '
                    'them in train and test.')
  pictures = [(path, name, path.relative_to(top).parts[:-1])
              for name, top in roots.items() for path in sorted(_below(top)) if path.suffix.lower() in ENDINGS]
  for path, _, _ in pictures:
    if not path.is_file():  # for example a dangling symlink
      raise UserError(f'{_printable(path)} is not a file; expected pictures in files: remove it.')
  names = sorted({parts[0] for _, _, parts in pictures if parts})
  if not pictures or (names and not all(parts for _, _, parts in pictures)):
    what = 'pictures both in it and in subfolders' if pictures else f'no {", ".join(ENDINGS)} files'
    raise UserError(f'{root} has {what}; expected pictures in it, or all of them in one subfolder per class.')
  return [(path, name or _split(path.relative_to(root), config.test_share), names.index(parts[0]) if parts else 0)
          for path, name, parts in pictures], names


def _below(folder, linked=True):
  """Yields the paths of all files and folders below a folder.

  If `linked`, symlinks to folders directly in `folder` are followed, so that the folder of a class may be elsewhere.

  Raises:
    UserError: a symlink to a folder in any other place. It could form a cycle.
  """
  for place, folders, names in os.walk(folder):
    yield from (pathlib.Path(place) / name for name in folders + names)
    for path in (pathlib.Path(place) / name for name in folders):
      if path.is_symlink():
        if not (linked and place == str(folder)):
          raise UserError(f'{_printable(path)} is a link to a folder; expected links in place of class folders only: '
                          'remove it, or replace it by the folder.')
        yield from _below(path, linked=False)


def _printable(path):
  """Returns a printable path, also for file names that are not UTF-8."""
  return os.fsencode(path).decode(errors='replace')


def _split(path, test_share):
  share = int(files_lib.digest([os.fsencode(path.as_posix())])[:16], 16) / 2**64
  return 'test' if share < test_share else 'train'


def _read(files, config, append):
  for split in ('train', 'test'):
    if not any(file[1] == split for file in files):
      raise UserError(f'{config.path} gives no {split} pictures; expected more files, or another dataset.test_share.')
  broken = []

  def read(file):
    try:
      return image_base.read_square(file[0], config.size, config.channels)
    except Exception as error:  # For broken files, Pillow raises OSError, ValueError, SyntaxError and others.
      broken.append(f'{_printable(file[0])} ({" ".join(str(error).split())[:80]})')
      return None

  with futures.ThreadPoolExecutor(len(machine.cores())) as pool:
    for split in ('train', 'test'):
      chosen = [file for file in files if file[1] == split]
      for start in range(0, len(chosen), CHUNK):
        chunk = chosen[start:start + CHUNK]
        images = [(image, file[2]) for image, file in zip(pool.map(read, chunk), chunk, strict=True)
                  if image is not None]
        append(f'{split}_images', np.array([i for i, _ in images], np.uint8).reshape(-1, *shape(config)))
        append(f'{split}_labels', np.array([label for _, label in images], np.int32))
  named = '; '.join(sorted(broken)[:NAMED]) + (f'; and {len(broken) - NAMED} more' if len(broken) > NAMED else '')
  allowed = max(int(config.broken_share * len(files)), FEW) if config.broken_share else 0
  if len(broken) > allowed:
    raise UserError(f'{len(broken)} of {len(files)} pictures cannot be read; expected no more than {allowed}, by '
                    f'dataset.broken_share={config.broken_share:g}: {named}; repair or remove them, or raise the '
                    'share.')
  if broken:
    print(f'skipped {len(broken)} of {len(files)} pictures that cannot be read: {named}')
