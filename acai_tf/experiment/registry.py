"""The files are the registry: every module of a package is an entry under its file's name."""

import ast
import dataclasses
import functools
import importlib
import importlib.util
import pathlib
import types

from acai_tf.experiment.errors import UserError, unknown


def names(package, kind=None) -> tuple[str, ...]:
  """Sorted names of the entries in `package` ('acai_tf.models', 'acai_tf.data', 'zoo'), without `base` and `_*`.

  With a `kind` ('images', 'sentences'), only entries of that kind.
  """
  folders = importlib.import_module(package).__path__
  stems = {path.stem for folder in folders for path in pathlib.Path(folder).glob('*.py')}
  found = tuple(sorted(name for name in stems if name != 'base' and not name.startswith('_')))
  return tuple(name for name in found if kind == kind_of(package, name)) if kind else found


def kind_of(package, name) -> str:
  """'images' or 'sentences': what a data set holds or a model is made for (`Config.KIND`; images where it has none)."""
  return getattr(config_class(package, name), 'KIND', 'images')


def load(package, name) -> types.ModuleType:
  """Imports and returns the module of entry `name`; UserError with a suggestion if there is none."""
  check(package, name)
  return importlib.import_module(f'{package}.{name}')


@functools.cache
def config_class(package, name):
  """The entry's `Config` dataclass, read from its source: neither the module nor TensorFlow is imported.

  A Config may therefore use dataclasses and the standard types only, and another entry's Config (`arae.Config`).
  """
  check(package, name)
  source = pathlib.Path(importlib.util.find_spec(f'{package}.{name}').origin)
  tree = ast.parse(source.read_text(), str(source))
  tree.body = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == 'Config']
  if not tree.body:
    raise UserError(f'{source} defines no class Config; every model and data set does.')
  scope = {'dataclasses': dataclasses, '__name__': f'{package}.{name}'}
  for base in tree.body[0].bases:
    entry = ast.unparse(base).removesuffix('.Config')
    scope[entry] = types.SimpleNamespace(Config=config_class(package, entry))
  exec(compile(tree, str(source), 'exec'), scope)  # The project's own file, which load() would run whole.
  return scope['Config']


def check(package, name) -> None:
  """UserError with a suggestion unless `package` has the entry."""
  known = names(package)
  if name not in known:
    what = {'acai_tf.models': 'model', 'acai_tf.data': 'data set'}.get(package, f'entry of {package}')
    raise UserError(unknown(what, name, known))
