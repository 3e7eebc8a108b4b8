"""The package: its sdist, the wheel that is built from it, and programs that run from that wheel alone."""

import email
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import pytest
import tensorflow as tf
from packaging import requirements, utils

ROOT = pathlib.Path(__file__).parents[1]
LARGEST = 100e6  # bytes of the wheel; PyPI takes no more
BUILD = 'import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])'

NAMED = """
import os, pathlib
import numpy as np
import acai_tf
from acai_tf import zoo
model, images = zoo.load('lines_autoencoder'), np.zeros([1, 32, 32, 1], np.float32)
strip = [model.interpolate(images, -images, alpha) for alpha in np.linspace(0, 1, 9)]
print(np.shape(strip), len(zoo.names(pretrained=True)) > 30)
print(os.path.exists(acai_tf.zoo.handle('lines_autoencoder') + '/saved_model.pb'))
"""


def run(*arguments, cwd, **environment):
  """A fresh Python's (exit status, output)."""
  done = subprocess.run([sys.executable, *map(str, arguments)], cwd=cwd, env={**os.environ, **environment},
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
  return done.returncode, done.stdout


def must(*arguments, **more):
  """Output of a fresh Python that must succeed."""
  status, output = run(*arguments, **more)
  assert status == 0, output
  return output


@pytest.mark.slow
class PackageTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
    source, cls.site = cls.folder / 'source', cls.folder / 'site'
    for name in ('acai_tf', 'export', 'zoo'):  # acai_tf has links to the other two, which stay links.
      shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('LICENSE', 'README.md', 'pyproject.toml', 'setup.py'):
      shutil.copy(ROOT / name, source)
    must('-c', BUILD, 'build_sdist', cls.folder, cwd=source)
    cls.sdist, = cls.folder.glob('*.tar.gz')
    shutil.unpack_archive(cls.sdist, cls.folder)
    must('-c', BUILD, 'build_wheel', cls.folder, cwd=cls.folder / cls.sdist.name.removesuffix('.tar.gz'))
    cls.wheel, = cls.folder.glob('*.whl')
    must('-m', 'pip', 'install', '--quiet', '--no-index', '--no-deps', '--target', cls.site, cls.wheel, cwd=cls.folder)
    (cls.folder / 'elsewhere').mkdir()
    for name in ('zoo', 'export'):  # Files of the user's own, of the names that acai_tf has inside.
      (cls.folder / 'elsewhere' / f'{name}.py').write_text('raise SystemExit("the file of the user ran")\n')

  def program(self, *arguments):
    """A module run from the installed wheel: (exit status, output)."""
    return run('-m', *arguments, cwd=self.folder / 'elsewhere', PYTHONPATH=str(self.site))

  def test_metadata(self):
    with zipfile.ZipFile(self.wheel) as archive:
      name, = (name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
      wheel = archive.read(name).decode()
    with tarfile.open(self.sdist) as archive:
      sdist = archive.extractfile(f'{self.sdist.name.removesuffix(".tar.gz")}/PKG-INFO').read().decode()
    self.assertEqual(wheel, sdist)
    found = email.message_from_string(wheel)
    for key, value in (('Name', 'acai_tf'), ('Requires-Python', '<3.14,>=3.11'), ('License-Expression', 'Apache-2.0'),
                       ('License-File', 'LICENSE'), ('Description-Content-Type', 'text/markdown')):
      self.assertEqual(found[key], value)
    self.assertIn('test', found.get_all('Provides-Extra'))
    self.assertIn('tensorflow<2.22,>=2.21', found.get_all('Requires-Dist'))
    self.assertEqual(found.get_payload().strip(), (ROOT / 'README.md').read_text().strip())

  def test_ranges_begin_with_the_locked_versions(self):
    lock = dict(line.split('==') for line in (ROOT / 'requirements.txt').read_text().splitlines() if '==' in line)
    lock = {utils.canonicalize_name(name): version for name, version in lock.items()}
    with zipfile.ZipFile(self.wheel) as archive:
      name, = (name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
      metadata = email.message_from_bytes(archive.read(name))
    needed = [requirements.Requirement(text) for text in metadata.get_all('Requires-Dist')]
    self.assertGreater(len(needed), 15)
    for requirement in needed:
      locked = lock[utils.canonicalize_name(requirement.name)]
      lowest, = (limit.version for limit in requirement.specifier if limit.operator == '>=')
      self.assertIn(locked, requirement.specifier, requirement.name)
      self.assertStartsWith(locked, lowest, f'{requirement.name}: below {locked} nothing was tried')

  def test_the_wheel_has_programs_results_and_weights_and_nothing_else(self):
    expected = {'acai_tf/py.typed'}
    for folder in (ROOT / 'acai_tf', ROOT / 'acai_tf/zoo', ROOT / 'acai_tf/export'):
      expected |= {str(path.relative_to(ROOT)) for path in folder.rglob('*.py')}
    for name in ('examples', 'page', 'results', 'weights'):
      expected |= {f'acai_tf/zoo/{name}/{path.name}' for path in (ROOT / 'zoo' / name).iterdir()}
    with zipfile.ZipFile(self.wheel) as archive:
      self.assertCountEqual([name for name in archive.namelist() if '.dist-info/' not in name], expected)
    self.assertLess(self.wheel.stat().st_size, LARGEST)
    facts, = self.site.glob('*.dist-info')
    self.assertIn('acai = acai_tf.__main__:main', (facts / 'entry_points.txt').read_text())

  def test_programs_run_from_it(self):
    status, output = self.program('acai_tf', 'zoo', 'list')
    self.assertEqual(status, 0, output)
    self.assertIn('lines_acai', output)
    status, output = self.program('acai_tf', 'zoo', 'table', 'lines')
    self.assertEqual(status, 0, output)
    self.assertRegex(output, r'lines_acai +fast +EMA')  # a row with our figures, out of zoo/results
    status, output = self.program(
        'acai_tf.train', '--dataset', 'lines', '--model', 'autoencoder', '--samples', '16', '--batch', '8', '--depth',
        '2', '--run_dir', 'run', '--set', 'dataset.test_images=64', '--set', 'dataset.size=16')
    self.assertEqual(status, 0, output)
    self.assertTrue((self.folder / 'elsewhere/run/metrics.json').exists())

  def test_weights_by_name(self):
    (self.folder / 'elsewhere/named.py').write_text(NAMED)
    output = must('named.py', cwd=self.folder / 'elsewhere', PYTHONPATH=str(self.site),
                  ACAI_TF_CACHE=str(self.folder / 'cache'))
    self.assertEndsWith(output, '(9, 1, 32, 32, 1) True\nTrue\n')


if __name__ == '__main__':
  tf.test.main()
