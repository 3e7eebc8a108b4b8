"""Reads what files import, for architecture_test."""

import ast
import functools
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
OURS = 'acai_tf'
FOLDERS = ('acai_tf', 'acai_tf/zoo', 'acai_tf/export')  # the last two are links
# Whoever imports one of these needs the rooms whose modules they find by name.
REGISTRIES, FOUND = {'acai_tf.experiment.registry', 'acai_tf.experiment.resolve'}, {'data', 'models'}
# Packages that take a second to import, or are of an extra and may be missing: functions import them, and files of ours
# that import one of them at the top.
SLOW = {'keras', 'matplotlib', 'scipy', 'sklearn', 'tensorflow', 'tensorflow_datasets', 'tensorflow_hub'}
OPTIONAL = {'ai_edge_litert', 'huggingface_hub', 'kagglehub', 'onnxruntime', 'tf2onnx'}
# Where the import's name is not the distribution's.
DISTRIBUTIONS = {'absl': 'absl_py', 'PIL': 'pillow', 'sklearn': 'scikit_learn', 'skimage': 'scikit_image'}


def modules_imported(path):
  """Every module that a file imports, also inside functions."""
  return _imported(ast.walk(ast.parse((ROOT / path).read_text())))


def modules_of_functions(path):
  """The modules that a file imports inside functions."""
  for outer in ast.walk(ast.parse((ROOT / path).read_text())):
    if isinstance(outer, ast.FunctionDef):
      yield from _imported(ast.walk(outer))


@functools.cache
def is_slow(module):
  """Whether a module is slow to import: it is in `SLOW`, or it is a file of ours that imports such a one at its top."""
  file = file_of(module)
  return module.split('.')[0] in SLOW or bool(
      file and any(map(is_slow, _imported(ast.parse((ROOT / file).read_text()).body))))


def _imported(nodes):
  """The modules that the import statements among syntax nodes name; `from a import b` gives a.b if it is a module."""
  for node in nodes:
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
    if top == OURS:
      libraries.add(owner[file_of(module)])
    elif top not in sys.stdlib_module_names and not (ROOT / 'tests' / f'{top}.py').exists():
      distributions.add(DISTRIBUTIONS.get(top, top))
  return libraries, distributions
