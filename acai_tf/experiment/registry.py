"""The files are the registry: every module of a package is an entry under its file's name."""

import ast
import functools
import importlib
import importlib.util
import pathlib
import sys
import types
import typing

from acai_tf.experiment import fields
from acai_tf.experiment.errors import UserError, unknown


def names(package, kind=None) -> tuple[str, ...]:
  """Sorted names of the entries in `package` ('acai_tf.models', 'acai_tf.data', 'zoo'), without `base` and `_*`.

  With a `kind` ('images', 'sentences'), only entries of that kind. Folders are read once in a process.
  """
  found = _entries(*importlib.import_module(package).__path__)
  return tuple(name for name in found if kind == kind_of(package, name)) if kind else found


@functools.cache
def _entries(*folders):
  stems = {path.stem for folder in folders for path in pathlib.Path(folder).glob('*.py')}
  return tuple(sorted(name for name in stems if name != 'base' and not name.startswith('_')))


def kind_of(package, name) -> str:
  """'images' or 'sentences': what a data set holds or a model is made for (`Config.KIND`; images where it has none)."""
  return getattr(config_class(package, name), 'KIND', 'images')


def load(package, name) -> types.ModuleType:
  """Imports and returns the module of entry `name`; UserError with a suggestion if there is none."""
  check(package, name)
  return importlib.import_module(f'{package}.{name}')


def config_class(package, name) -> typing.Any:
  """The entry's `Config`, without TensorFlow, which data sets import where they need it only, and models at their top:
  a model's file is read up to its Config as long as it is not imported.

  So a model's Config may use what stands before it and does without other imports than of the standard library and of
  `acai_tf.experiment`, and another model's Config (`class Config(arae.Config)`). Importing the file later gives the
  same class (`fields.declared`).

  Raises:
    UserError: no such entry, or its file has no Config.
  """
  check(package, name)
  module = f'{package}.{name}'
  if package != 'acai_tf.models':
    importlib.import_module(module)
  imported = hasattr(sys.modules.get(module), 'Config')
  if not imported and module not in fields.READ:
    fields.READ[module] = _read_config(package, module)
  found = sys.modules[module].Config if imported else fields.READ[module]
  if not hasattr(found, 'SECTION'):
    raise UserError(f'{module}: Config is a plain class; expected one made by acai_tf.experiment.fields.declared.')
  return found


def _read_config(package, module):
  source = pathlib.Path(importlib.util.find_spec(module).origin)
  nodes = ast.parse(source.read_text(), str(source)).body
  last = next((k for k, node in enumerate(nodes) if isinstance(node, ast.ClassDef) and node.name == 'Config'), None)
  if last is None:
    raise UserError(f'{source} defines no class Config; every model and data set does.')
  scope = {'__name__': module}
  for base in filter(lambda name: name.endswith('.Config'), map(ast.unparse, nodes[last].bases)):
    entry = base.removesuffix('.Config')
    scope[entry] = types.SimpleNamespace(Config=config_class(package, entry))
  for node in nodes[:last + 1]:
    if not _heavy(node):
      try:  # The project's own file, which load() would run whole.
        exec(compile(ast.Module([node], []), str(source), 'exec'), scope)
      except NameError as error:  # It needs what is not imported here.
        if node is nodes[last]:
          raise UserError(f'{source}: Config needs {error.name!r}, which needs more than the standard library and '
                          'acai_tf.experiment; expected values that do without.') from error
  return scope['Config']


def _heavy(node):
  """Whether a statement imports what may load TensorFlow."""
  if not isinstance(node, (ast.Import, ast.ImportFrom)):
    return False
  named = [node.module or ''] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
  return not all(name.partition('.')[0] in sys.stdlib_module_names or name.startswith('acai_tf.experiment')
                 for name in named)


def check(package, name) -> None:
  """UserError with a suggestion unless `package` has the entry."""
  known = names(package)
  if name not in known:
    what = {'acai_tf.models': 'model', 'acai_tf.data': 'data set'}.get(package, f'entry of {package}')
    raise UserError(unknown(what, name, known))
