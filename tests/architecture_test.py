"""Who imports whom, BUILD against the real imports, and docstrings."""

import ast
import graphlib

import architecture
import tensorflow as tf
from architecture import ROOT

# The arrows (docs/layout.md): what each room may import of ours. Programs of zoo and export use cli, too.
GROUND = {'experiment', 'losses', 'interpolation', 'replicas', 'vocabulary'}
ROOMS = GROUND | {'cli', 'networks', 'data', 'models', 'metrics', 'evaluation', 'training'}
ARROWS = {
    'acai_tf': set(),  # loads api, zoo and export when they are used
    'acai': {'acai_tf', 'experiment'},  # loads the program that is asked for
    'files': set(),  # which all may import
    'experiment': set(),
    'losses': set(),
    'interpolation': set(),
    'replicas': set(),
    'metrics': {'interpolation'},
    'cli': {'experiment'},
    'vocabulary': set(),
    'networks': {'experiment', 'vocabulary'},
    'data': {'experiment', 'replicas', 'vocabulary'},
    'models': {'networks', *GROUND},
    'safety': {'experiment'},
    'evaluation': {'metrics', 'data', 'networks', 'interpolation', 'experiment', 'cli', 'safety'},
    'training': {'models', 'data', 'experiment', 'evaluation'},
    'zoo': {'experiment', 'training', 'evaluation', 'metrics', 'export', 'cli'},
    'export': {'experiment', 'training', 'cli', 'safety'},
    'api': {'experiment', 'training', 'data', 'models'},
    'evaluate': ROOMS | {'zoo'},
    'train': ROOMS | {'zoo'},
}


def build_rules():
  """BUILD evaluated with stand-ins for Bazel's functions: list of (kind, attributes)."""
  rules = []

  def rule(kind):
    return lambda **attributes: rules.append((kind, attributes))

  def glob(patterns):
    return sorted(str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern))

  scope = {'load': lambda *_: None, 'package': lambda **_: None, 'glob': glob,
           'py_library': rule('py_library'), 'py_test': rule('py_test')}
  exec((ROOT / 'BUILD').read_text(), scope)
  return rules


def sources(*folders):
  """Paths of all Python files below folders, from the root."""
  return sorted(str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob('*.py'))


class BuildTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.rules = build_rules()
    self.libraries = {a['name']: a for kind, a in self.rules if kind == 'py_library'}
    self.owner = {file: name for name, a in self.libraries.items() for file in a['srcs']}

  def test_every_source_is_in_exactly_one_library(self):
    listed = [file for a in self.libraries.values() for file in a['srcs']]
    self.assertCountEqual(listed, sources(*architecture.FOLDERS))

  def test_every_test_file_is_a_test(self):
    tests = [file for kind, a in self.rules if kind == 'py_test' for file in a['srcs'] if file.endswith('_test.py')]
    self.assertCountEqual(tests, [file for file in sources('tests') if file.endswith('_test.py')])

  def test_tests_list_the_helpers_that_they_import(self):
    for file, srcs in ((file, a['srcs']) for kind, a in self.rules if kind == 'py_test' for file in a['srcs']):
      helpers = {f'tests/{module}.py' for module in architecture.modules_imported(file)} & set(sources('tests'))
      self.assertContainsSubset(helpers, srcs)

  def test_deps_equal_the_imports_and_what_is_found_by_name(self):
    for kind, attributes in self.rules:
      name = attributes['name']
      own, distributions = architecture.imports_of(attributes['srcs'], self.owner)
      if any(file.startswith('acai_tf/') for file in attributes['srcs']):
        own.add('acai_tf')  # The package's __init__.py.
      if any(architecture.REGISTRIES & set(architecture.modules_imported(file)) for file in attributes['srcs']):
        own |= architecture.FOUND & ARROWS.get(name, ROOMS)  # zoo and export, who may import neither, have training's
      expected = {f':{library}' for library in own - {name}} | {f'@pip//{d}' for d in distributions}
      self.assertCountEqual(attributes['deps'], expected, f'{kind} {name}')

  def test_every_distribution_is_required_and_locked(self):
    setup, lock = ((ROOT / file).read_text().lower().replace('-', '_') for file in ('setup.py', 'requirements.txt'))
    names = {dep.removeprefix('@pip//') for _, a in self.rules for dep in a['deps'] if dep.startswith('@pip//')}
    for name in names:
      self.assertRegex(setup, rf"'{name}[><=]", f'setup.py does not require {name}')
      self.assertRegex(lock, rf'(?m)^{name}==', f'requirements.txt does not lock {name}')

  def test_arrows(self):
    self.assertCountEqual(self.libraries, ARROWS)
    for name, attributes in self.libraries.items():
      own, _ = architecture.imports_of(attributes['srcs'], self.owner)
      self.assertEmpty(own - {name, 'files'} - ARROWS[name], f'{name} imports what it may not')


class FilesTest(tf.test.TestCase):

  def test_no_circle_of_imports(self):
    graph = {path: {file for module in architecture.modules_imported(path) if (file := architecture.file_of(module))}
             for path in sources(*architecture.FOLDERS)}
    graphlib.TopologicalSorter(graph).prepare()  # Raises a CycleError that names the files of a circle.

  def test_functions_import_only_what_is_slow_or_optional(self):
    for path in sources(*architecture.FOLDERS):
      for module in architecture.modules_of_functions(path):
        self.assertTrue(architecture.is_slow(module) or module.split('.')[0] in architecture.OPTIONAL,
                        f'{path} imports {module} inside a function; expected it at the top')


class DocumentationTest(tf.test.TestCase):

  def test_public_functions_and_classes_have_docstrings(self):
    for path in sources(*architecture.FOLDERS):
      tree = ast.parse((ROOT / path).read_text())
      self.assertTrue(ast.get_docstring(tree), path)
      for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith('_'):
          self.assertTrue(ast.get_docstring(node), f'{path}: {node.name}')


if __name__ == '__main__':
  tf.test.main()
