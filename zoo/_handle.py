"""Modules by name: made once of a definition's archive, in the user's cache, for `hub.load`."""

import functools
import hashlib
import json
import pathlib
import shutil

from acai_tf.experiment import run_folder, strict_json
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
  target = _mirror.cache() / 'modules' / _code() / name / str(_mirror.version(record['kept']))
  if not intact(target):
    with _mirror.writable(), _mirror.alone(target.with_suffix('.lock')):
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
  """Makes a module beside its place and moves it there whole; what a killed process left beside it is cleared away."""
  from export import module

  scratch = target.with_suffix('.part')
  shutil.rmtree(scratch, ignore_errors=True)
  experiment, model, samples = _weights.load(name, 'float32', results, folder)
  module.save(model, scratch)
  run_folder.write(scratch / run_folder.CARD, json.dumps(module.card(model, experiment, samples), indent=2) + '\n')
  run_folder.write(scratch / SUMS, json.dumps(_sums(scratch), indent=1) + '\n')
  shutil.rmtree(target, ignore_errors=True)
  scratch.rename(target)


def _sums(folder):
  """Dict: path below a folder -> sha256, but of the file that has them."""
  files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob('*')) if path.is_file()}
  return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items() if name != SUMS}


@functools.cache
def _code():
  """12 digits of the sum of all the code that a module can depend on."""
  digest, root = hashlib.sha256(), pathlib.Path(__file__).parents[1]
  for path in sorted([*(root / 'acai_tf').rglob('*.py'), *(root / 'export').rglob('*.py')]):
    digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
  return digest.hexdigest()[:12]
