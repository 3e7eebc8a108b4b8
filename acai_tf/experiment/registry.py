"""The registry of models, data sets and definitions: every file of a package is an entry under the file's name.

`base.py`, files named `*_base.py` and files with a leading underscore are not entries. Importing a model loads
TensorFlow, which takes seconds. The names of models and the kind of their data are known without an import, from the
folder of the file: `acai_tf/models/sentences` has models of sentences, `acai_tf/models` models of images.
"""

import functools
import importlib
import pathlib
import types

from acai_tf.experiment.errors import UserError, unknown

MODELS, SENTENCE_MODELS = 'acai_tf.models', 'acai_tf.models.sentences'


def names(package, kind=None) -> tuple[str, ...]:
  """Returns the sorted names of the entries in `package` ('acai_tf.models', 'acai_tf.data' or 'acai_tf.zoo').

  If `kind` is given ('images' or 'sentences'), only entries for data of that kind are returned.
  """
  entries = _files(package)
  if package == MODELS:
    entries = tuple(sorted(entries + _files(SENTENCE_MODELS)))
  return tuple(name for name in entries if kind_of(package, name) == kind) if kind else entries


def kind_of(package, name) -> str:
  """Returns the kind of data of a data set or model, 'images' or 'sentences'.

  A data set states its kind as `Config.KIND`; the default is 'images'.

  Raises:
    UserError: there is no such entry.
  """
  check(package, name)
  if package == MODELS:
    return 'sentences' if name in _files(SENTENCE_MODELS) else 'images'
  return getattr(load(package, name).Config, 'KIND', 'images')


def load(package, name) -> types.ModuleType:
  """Imports and returns the module of entry `name`; raises a UserError with a suggestion if there is none."""
  check(package, name)
  folder = SENTENCE_MODELS if package == MODELS and name in _files(SENTENCE_MODELS) else package
  return importlib.import_module(f'{folder}.{name}')


def check(package, name) -> None:
  """Raises a UserError with a suggestion unless `package` has the entry."""
  known = names(package)
  if name not in known:
    what = {MODELS: 'model', 'acai_tf.data': 'data set'}.get(package, f'entry of {package}')
    raise UserError(unknown(what, name, known))


def _files(package):
  return _stems(*importlib.import_module(package).__path__)


@functools.cache
def _stems(*folders):
  """Returns the sorted names of the entries in folders. Each folder is read once per process."""
  stems = {path.stem for folder in folders for path in pathlib.Path(folder).glob('*.py')}
  return tuple(sorted(
      name for name in stems if name != 'base' and not name.endswith('_base') and not name.startswith('_')))
