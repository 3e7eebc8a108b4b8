"""A model and a data set of one new file each: they train, appear in the zoo and are tested, without an edit."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[1]

MODEL = '''"""A toy: absolute errors."""

from typing import Annotated

import tensorflow as tf

from acai_tf.experiment.fields import config_dataclass
from acai_tf import losses
from acai_tf.models import image_base


@config_dataclass('model')
class Config:
  """`power`: of the error."""

  power: Annotated[float, '(0, inf)'] = 1.0


class Model(image_base.Autoencoder):
  """L = mean |x - g(f(x))|^power."""

  def objective(self, images):
    codes = self.encode(images, training=True)
    error = abs(images - self.decode(codes, training=True)) + 1e-6
    loss = losses.mean_square(error ** (self.config.power / 2))
    return loss, self.features(codes), {'recon_mse': loss}
'''

DATA = '''"""A toy: grey squares."""

import numpy as np

from acai_tf.experiment.fields import config_dataclass
from acai_tf.experiment.config import Network
from acai_tf.data import image_base

NETWORK = Network(latent_width=4, latent=2, depth=2)


@config_dataclass('dataset')
class Config:
  """`count` of images."""

  count: int = 50


def shape(config):
  """Small."""
  return 16, 16, 1


def classes(config):
  """Dark and light."""
  return 2


def load(config, data_dir, manual_dir=None):
  """Returns them."""
  shades = np.linspace(0, 255, config.count).astype(np.uint8)
  images = shades[:, None, None, None] * np.ones([1, 16, 16, 1], np.uint8)
  labels = (shades > 127).astype(np.int32)
  return image_base.ArrayDataset({'train_images': images, 'train_labels': labels, 'test_images': images,
                            'test_labels': labels}, 2)
'''


WRITER = '''"""A toy: the plain autoencoder of sentences."""

import tensorflow as tf

from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import text_base


@config_dataclass('model')
class Config:
  """`noise` and its decay."""

  noise: float = 0.1
  noise_decay: float = 1.0
  noise_every: int = 1


class Model(text_base.TextAutoencoder):
  """L = -log p(x | f(x) + noise)."""

  def players(self):
    return {'autoencoder': [self.encoder, self.decoder]}

  def iteration(self, data):
    with tf.GradientTape(persistent=True) as tape:
      loss, _ = self.reconstruction(data[0], self.add_noise(self.encode(data[0])))
      self.minimize(tape, {'autoencoder': loss})
    return {'recon_loss': loss}
'''

COUNTING = '''"""A toy: sums."""

from acai_tf.experiment.fields import config_dataclass
from acai_tf.experiment.config import TextNetwork

NETWORK = TextNetwork(embedding=4, hidden=5, latent=6)


@config_dataclass('dataset')
class Config:
  """Nothing to set."""

  KIND = 'sentences'


def shape(config):
  """Three words and the end mark; 20 words and the four marks."""
  return 4, 24


def classes(config):
  """None."""
  return 0


def load(config, data_dir, manual_dir=None):
  """Returns them."""
  from acai_tf.data import text_base

  sums = [f'{i} plus {j}' for i in range(15) for j in range(15)]
  return text_base.SentenceDataset(text_base.build(sums, None, 20, 3))
'''


@pytest.mark.slow
class DropInTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.get_temp_dir()) / 'copy'
    for name in ('acai_tf', 'zoo', 'export', 'tests'):
      shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns('__pycache__', 'results'))
    (self.folder / 'acai_tf' / 'models' / 'toy_model.py').write_text(MODEL)
    (self.folder / 'acai_tf' / 'data' / 'toy_data.py').write_text(DATA)
    (self.folder / 'acai_tf' / 'models' / 'sentences' / 'toy_writer.py').write_text(WRITER)
    (self.folder / 'acai_tf' / 'data' / 'toy_sums.py').write_text(COUNTING)

  def run_python(self, *arguments):
    done = subprocess.run([sys.executable, *arguments], cwd=self.folder, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False,
                          env={**os.environ, 'PYTHONPATH': f'{self.folder}:{self.folder}/tests'})
    self.assertEqual(done.returncode, 0, done.stdout[-4000:])
    return done.stdout

  def test_it_is_listed_trained_and_tested(self):
    listed = self.run_python('-m', 'acai_tf.zoo', 'list', '--dataset', 'toy_data')
    self.assertIn('toy_data_toy_model', listed)
    self.assertIn('toy_data_acai', listed)
    self.assertIn('mnist_toy_model_d32', self.run_python('-m', 'acai_tf.zoo', 'list', '--model', 'toy_model'))
    trained = self.run_python('-m', 'acai_tf.train', '--zoo', 'toy_data_toy_model', '--samples', '256',
                              '--set', 'model.power=1.5', '--run_dir', 'run')
    self.assertRegex(trained, 'toy_data: 50 training and 50 test images, 16x16x1')
    self.assertRegex(trained, r'probe, % .* +\d+\.\d\d')
    tested = self.run_python('-m', 'unittest', '-k', 'toy', '-k', 'fits_its',
                             'conformance_test', 'objectives_test', 'zoo_test', 'datasets_test')
    # Nine of conformance, what it minimises, the data set's network, its definitions.
    self.assertRegex(tested, r'\nRan 1\d tests in')

  def test_so_are_a_model_and_a_set_of_sentences(self):
    self.assertIn('grammar_toy_writer', self.run_python('-m', 'acai_tf.zoo', 'list', '--model', 'toy_writer'))
    self.assertIn('toy_sums_arae', self.run_python('-m', 'acai_tf.zoo', 'list', '--dataset', 'toy_sums'))
    trained = self.run_python('-m', 'acai_tf.train', '--zoo', 'toy_sums_toy_writer', '--samples', '256',
                              '--set', 'model.noise=0.2', '--run_dir', 'run')
    self.assertRegex(trained, r'vocabulary of \d+ words; \d+ training, \d+ validation, \d+ test sentences')
    self.assertRegex(trained, r'words reconstructed, % .* +\d+\.\d\d')
    self.assertIn('\nRan 7 tests in', self.run_python('-m', 'unittest', '-k', 'toy_writer', 'text_models_test'))


if __name__ == '__main__':
  tf.test.main()
