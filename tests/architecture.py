"""Reads what files import, for architecture_test."""

import ast
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
OURS = ('acai_tf', 'zoo', 'export')
# Whoever imports one of these needs the rooms whose modules they find by name.
REGISTRIES, FOUND = {'acai_tf.experiment.registry', 'acai_tf.experiment.resolve'}, {'data', 'models'}
# Where the import's name is not the distribution's.
DISTRIBUTIONS = {'absl': 'absl_py', 'PIL': 'pillow', 'sklearn': 'scikit_learn', 'skimage': 'scikit_image'}


def modules_imported(path):
  """Every module that a file imports, also inside functions; `from a import b` gives a.b where that is a module."""
  for node in ast.walk(ast.parse((ROOT / path).read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      for alias in node.names:
        submodule = f'{node.module}.{alias.name}'
        yield submodule if file_of(submodule) else node.module


def file_of(module):
  """'acai_tf.losses' -> 'acai_tf/losses.py'; None where it is no module of ours."""
  stem = module.replace('.', '/')
  return next((f for f in (f'{stem}.py', f'{stem}/__init__.py') if (ROOT / f).exists()), None)


def imports_of(files, owner):
  """(libraries, distributions) that files import; `owner`: file -> library. Python's own modules are left out."""
  libraries, distributions = set(), set()
  for module in (module for file in files for module in modules_imported(file)):
    top = module.split('.')[0]
    if top in OURS:
      libraries.add(owner[file_of(module)])
    elif top not in sys.stdlib_module_names and not (ROOT / 'tests' / f'{top}.py').exists():
      distributions.add(DISTRIBUTIONS.get(top, top))
  return libraries, distributions
