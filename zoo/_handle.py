"""Exported models by name, for `hub.load`. They are exported once from the pretrained weights into the user's cache."""

import functools
import json
import pathlib
import shutil

from acai_tf import files
from acai_tf.experiment import module_card, strict_json
from acai_tf.zoo import _cache, _records, _weights

SUMS = 'sums.json'  # a file in the module: path -> sha256 of each of its other files


def handle(name, results=_records.FOLDER, folder=_weights.FOLDER) -> str:
  """Returns the folder of a definition's module in float32; for the arguments see `_weights.load`.

  The folder is CACHE/modules/CODE/NAME/VERSION. CODE identifies the source code that exports modules, so that modules
  of other versions are not used. If files of the folder are missing or changed, the model is exported again.

  Raises:
    UserError: the definition is unknown, it has no weights, the file does not match its checksum, or the cache cannot
      be written.
  """
  _, entry = _weights.record_of(name, results)
  target = _cache.folder() / 'modules' / _code() / name / str(entry.version)
  if not intact(target):
    with _cache.writable(), files.locked(target.with_suffix('.lock')):
      if not intact(target):  # Another process may have exported it meanwhile.
        _make(name, target, results, folder)
  return str(target)


def intact(folder) -> bool:
  """Whether a module has exactly the files that it was exported with, byte for byte."""
  try:
    recorded = strict_json.read(folder / SUMS)
    return recorded == _sums(folder)
  except (OSError, ValueError):
    return False


def _make(name, target, results, folder):
  """Exports a module beside its final place, then moves it there in one step."""
  from acai_tf.export import module

  experiment, model, samples = _weights.load(name, 'float32', results, folder)
  with files.replacing(target) as made:
    module.save(model, made)
    files.write(made / module_card.FILE, json.dumps(module.card(model, experiment, samples), indent=2) + '\n')
    files.write(made / SUMS, json.dumps(_sums(made), indent=1) + '\n')
    shutil.rmtree(target, ignore_errors=True)


def _sums(folder):
  """Dict: path below a folder -> sha256 of the file, except for the file of these sums."""
  names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob('*')) if path.is_file()}
  return {name: files.digest_of(path) for name, path in names.items() if name != SUMS}


@functools.cache
def _code():
  """First 12 digits of the digest of all source code that a module can depend on."""
  root, zoo = pathlib.Path(__file__).parents[1], pathlib.Path(__file__).parent
  found = {*root.rglob('*.py'), *(root / 'export').rglob('*.py')}  # In a checkout, export is a link.
  paths = sorted(path for path in found if zoo not in path.parents)
  return files.digest(path.relative_to(root).as_posix().encode() + path.read_bytes() for path in paths)[:12]
