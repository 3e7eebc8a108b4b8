"""Modules by name: made once of a definition's archive, in the user's cache, for `hub.load`."""

import functools
import json
import pathlib
import shutil

from acai_tf import files
from acai_tf.experiment import module_card, strict_json
from zoo import _mirror, _records, _weights

SUMS = 'sums.json'  # in a module: path -> sha256 of every other file of it


def handle(name, results=_records.FOLDER, folder=_weights.FOLDER) -> str:
  """The folder of a definition's module, in float32; for arguments see `_weights.load`.

  It is CACHE/modules/CODE/NAME/VERSION, CODE being of the program that makes modules: another one's are not taken.
  A folder whose files are not as they were made is made anew.

  Raises:
    UserError: an unknown definition, no weights, another file than the one on record, a cache that cannot be written.
  """
  record, _ = _weights.kept(name, results, folder)
  target = _mirror.cache() / 'modules' / _code() / name / str(record.kept.version)
  if not intact(target):
    with _mirror.writable(), files.locked(target.with_suffix('.lock')):
      if not intact(target):  # Nobody else has made it meanwhile.
        _make(name, target, results, folder)
  return str(target)


def intact(folder) -> bool:
  """Whether a module has every file that it was made with, byte by byte, and no other."""
  try:
    recorded = strict_json.read(folder / SUMS)
    return recorded == _sums(folder)
  except (OSError, ValueError):
    return False


def _make(name, target, results, folder):
  """Makes a module beside its place and moves it there whole."""
  from export import module

  experiment, model, samples = _weights.load(name, 'float32', results, folder)
  with files.replacing(target) as made:
    module.save(model, made)
    files.write(made / module_card.FILE, json.dumps(module.card(model, experiment, samples), indent=2) + '\n')
    files.write(made / SUMS, json.dumps(_sums(made), indent=1) + '\n')
    shutil.rmtree(target, ignore_errors=True)


def _sums(folder):
  """Dict: path below a folder -> sha256, but of the file that has them."""
  names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob('*')) if path.is_file()}
  return {name: files.digest_of(path) for name, path in names.items() if name != SUMS}


@functools.cache
def _code():
  """12 digits of the sum of all the code that a module can depend on."""
  root = pathlib.Path(__file__).parents[1]
  paths = sorted([*(root / 'acai_tf').rglob('*.py'), *(root / 'export').rglob('*.py')])
  return files.digest(path.relative_to(root).as_posix().encode() + path.read_bytes() for path in paths)[:12]
