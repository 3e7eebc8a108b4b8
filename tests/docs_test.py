"""README and docs/: their Python runs, their commands have the flags that they name, their links lead somewhere."""

import ast
import contextlib
import copy
import fnmatch
import io
import os
import pathlib
import re
import shlex

import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from PIL import Image

from acai_tf import __main__ as program
from acai_tf import train
from acai_tf.evaluation.modality import MODALITIES
from acai_tf.experiment import registry
from acai_tf.experiment.resolve import resolve
from acai_tf.export import module
from acai_tf.training import build
from acai_tf.zoo import _readme, base

ROOT = pathlib.Path(__file__).parents[1]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in _readme.pages()}
FENCED = re.compile(r'^```(\w*)\n(.*?)^```$', re.M | re.S)
LINK = re.compile(r'\]\(([^)\s]+)\)')


def blocks(page, kind) -> list:
  """The fenced blocks of a page in that language."""
  return [text for language, text in FENCED.findall(page) if language == kind]


def commands() -> list:
  """(page, words) of every command that is shown, in a block or in the running text."""
  return [(name, python_words(shlex.split(text))) for name, page in PAGES.items()
          for text in re.findall(r'(?:^ *|`)((?:python|make|acai) [^\n`<]*)', page.replace('\\\n', ''), re.M)]


def python_words(words) -> list:
  """The command `acai NAME ...` as `python -m MODULE ...`; other commands as they are."""
  if words[0] == 'acai' and words[1] in program.COMMANDS:
    return ['python', '-m', program.COMMANDS[words[1]][0].removesuffix('.__main__'), *words[2:]]
  return words


def anchors(page) -> set:
  """The anchors of a page's headings, as MkDocs and GitHub make them."""
  headings = re.findall(r'^#+ (.*)$', re.sub(FENCED, '', page), re.M)
  return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def flags_of(name) -> set:
  """The flags that a program's source defines, `python -m NAME`'s or a script's."""
  files = [ROOT / name, ROOT / f'{name.replace(".", "/")}.py', ROOT / name.replace('.', '/') / '__main__.py']
  source = next(file for file in files if file.is_file()).read_text()
  shared = ('data_dir', 'manual_dir') if 'define_data_flags' in source else ()
  return {'help', *shared, *re.findall(r"DEFINE_\w+\(\s*'(\w+)'", source)}


def save_module(folder, dataset, model, overrides) -> None:
  """Writes a model as `acai export` does, untrained, and small to be quick."""
  experiment = resolve(dataset, model, 'fast', overrides)
  model = build.create(experiment)
  model.adapt(build.load_data(experiment))
  module.save(model, folder)


class DocsTest(tf.test.TestCase):

  @pytest.mark.slow
  def test_python_runs(self):
    folder = pathlib.Path(self.get_temp_dir())
    self.addCleanup(os.chdir, os.getcwd())
    os.chdir(folder)
    self.enterContext(contextlib.redirect_stdout(io.StringIO()))
    (folder / 'sentences.txt').write_text(''.join(f'{a} and {b} .\n' for a in range(9) for b in range(9)))
    save_module('demo/module', 'lines', 'acai', {'network': {'latent_width': 16, 'latent': 2, 'depth': 2}})
    save_module('demo-text/module', 'text', 'arae', {
        'dataset': {'path': 'sentences.txt', 'longest': 4}, 'network': {'embedding': 4, 'hidden': 5, 'latent': 6}})
    for name in ('first.png', 'second.png'):
      Image.fromarray(np.zeros([28, 28], np.uint8)).save(folder / name)
    ran = 0
    for name, page in PAGES.items():
      scope = {'__name__': 'page'}
      for i, text in enumerate(blocks(page, 'python')):
        with self.subTest(f'{name}, block {i + 1}'):
          exec(compile(text, f'{name}, block {i + 1}', 'exec'), scope)
        ran += 1
    self.assertGreater(ran, 5)

  def test_python_imports_what_exists(self):
    for name, page in PAGES.items():
      for i, text in enumerate(blocks(page, 'python')):
        with self.subTest(f'{name}, block {i + 1}'):
          for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
              exec(ast.unparse(node), {})

  def test_flags_exist(self):
    self.assertNotEmpty(commands())
    targets = re.findall(r'^([\w-]+):', (ROOT / 'Makefile').read_text(), re.M)
    for page, words in commands():
      with self.subTest(f'{page}: {" ".join(words)}'):
        if words[0] == 'make':
          self.assertIn(words[1], targets)
          continue
        if words[0] == 'acai':
          self.assertIn(words[1], ('COMMAND', '--help', '--version'))
          continue
        name = words[2] if words[1] == '-m' else words[1]
        for flag in re.findall(r'--(\w+)', ' '.join(words)):
          self.assertIn(flag, flags_of(name))

  def test_definitions_exist(self):
    known, patterns = base.definitions(), []
    for _, words in commands():
      patterns += [words[words.index('--zoo') + 1]] if '--zoo' in words else []
      if words[2:4] in (['acai_tf.zoo', 'show'], ['acai_tf.zoo', 'reproduce']):
        patterns += [word for word in words[4:] if '_' in word]
    self.assertNotEmpty(patterns)
    for pattern in set(patterns) - {'NAME'}:
      self.assertNotEmpty(fnmatch.filter(known, pattern), pattern)

  def test_trainings_can_be_asked_for(self):
    folder = pathlib.Path(self.get_temp_dir()) / 'asked'
    for name in ('PICTURES', 'FILES'):
      (folder / name).mkdir(parents=True)
    Image.fromarray(np.zeros([32, 32, 3], np.uint8)).save(folder / 'PICTURES/a.png')
    (folder / 'SENTENCES.txt').write_text('one two\n')
    self.addCleanup(os.chdir, os.getcwd())
    os.chdir(folder)
    asked = [words for _, words in commands() if words[1:3] == ['-m', 'acai_tf.train'] and len(words) > 4]
    self.assertNotEmpty(asked)
    for words in asked:
      with self.subTest(' '.join(words)):
        own = copy.deepcopy(flags.FLAGS)
        own(words[2:])
        train.experiment_of(own)

  def test_links_lead_somewhere(self):
    for name, page in PAGES.items():
      for link in LINK.findall(re.sub(FENCED, '', page)):
        with self.subTest(f'{name}: {link}'):
          if link.startswith('https://'):
            continue
          path, _, anchor = link.partition('#')
          target = (ROOT / name).parent / path if path else ROOT / name
          self.assertTrue(target.exists())
          if anchor:
            self.assertIn(anchor, anchors(target.read_text()))

  def test_tables_have_every_model_and_data_set(self):
    for package, files in (('acai_tf.models', ('docs/images.md', 'docs/text.md')), ('acai_tf.data', ('docs/data.md',))):
      rows = '\n'.join(line for file in files for line in PAGES[file].splitlines() if line.startswith('| `'))
      for name in registry.names(package):
        fields = registry.load(package, name).Config.__dataclass_fields__
        row = next((line for line in rows.splitlines() if f'`{name}`' in line.split(' | ')[0]), None)
        self.assertIsNotNone(row, name)
        if 'as `arae`' not in row:
          for key in set(fields) - {'labels'}:
            self.assertIn(f'`{key}`', row, name)

  def test_benchmarks_have_every_group_of_metrics(self):
    images, sentences = PAGES['docs/benchmarks.md'].split('\n## Sentences\n')
    for page, kind in ((images, 'images'), (sentences, 'sentences')):
      for group in MODALITIES[kind].groups:
        self.assertIn(f'\n| `{group}` |', page)


if __name__ == '__main__':
  tf.test.main()
