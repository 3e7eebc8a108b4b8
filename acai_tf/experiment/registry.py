"""The files are the registry: every module of a package is an entry under its file's name.

`base.py`, files that end in `_base.py`, and files with an underscore in front are no entries. To import a model loads
TensorFlow, which takes seconds; the names of all models and what they are made for are known without that, from the
files' places: models of sentences lie in `acai_tf/models/sentences`, models of images in `acai_tf/models`.
"""

import functools
import importlib
import pathlib
import types

from acai_tf.experiment.errors import UserError, unknown

MODELS, SENTENCE_MODELS = 'acai_tf.models', 'acai_tf.models.sentences'


def names(package, kind=None) -> tuple[str, ...]:
  """Sorted names of the entries in `package` ('acai_tf.models', 'acai_tf.data', 'zoo').

  With a `kind` ('images', 'sentences'), only entries of that kind.
  """
  found = _files(package)
  if package == MODELS:
    found = tuple(sorted(found + _files(SENTENCE_MODELS)))
  return tuple(name for name in found if kind_of(package, name) == kind) if kind else found


def kind_of(package, name) -> str:
  """'images' or 'sentences': what a data set holds (`Config.KIND`; images where it has none) or a model is made for.

  Raises:
    UserError: no such entry.
  """
  check(package, name)
  if package == MODELS:
    return 'sentences' if name in _files(SENTENCE_MODELS) else 'images'
  return getattr(load(package, name).Config, 'KIND', 'images')


def load(package, name) -> types.ModuleType:
  """Imports and returns the module of entry `name`; UserError with a suggestion if there is none."""
  check(package, name)
  folder = SENTENCE_MODELS if package == MODELS and name in _files(SENTENCE_MODELS) else package
  return importlib.import_module(f'{folder}.{name}')


def check(package, name) -> None:
  """UserError with a suggestion unless `package` has the entry."""
  known = names(package)
  if name not in known:
    what = {MODELS: 'model', 'acai_tf.data': 'data set'}.get(package, f'entry of {package}')
    raise UserError(unknown(what, name, known))


def _files(package):
  return _stems(*importlib.import_module(package).__path__)


@functools.cache
def _stems(*folders):
  """Names of the files in folders that are entries; folders are read once in a process."""
  stems = {path.stem for folder in folders for path in pathlib.Path(folder).glob('*.py')}
  return tuple(sorted(
      name for name in stems if name != 'base' and not name.endswith('_base') and not name.startswith('_')))
