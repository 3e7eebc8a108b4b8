"""Every model trains on every data set: 256 samples each, through the program's own function, on mocked TFDS data.

Networks are narrow; zoo_test steps every definition's own shapes. The test takes each data set once, with different
models, but for lines, which other tests train on; `ALL_PAIRS=1` takes all pairs, which needs a quarter of an hour.
"""

import os
import pathlib
import unittest.mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized
from devices import without_graphs
from PIL import Image

from acai_tf.data import _tfds
from acai_tf.experiment import registry
from acai_tf.experiment.resolve import resolve
from acai_tf.experiment.run import Run
from acai_tf.training import cluster, session

MODELS, DATASETS = registry.names('acai_tf.models', 'images'), registry.names('acai_tf.data', 'images')
ALL = bool(os.environ.get('ALL_PAIRS'))
SOME = [(MODELS[i % len(MODELS)], data) for i, data in enumerate(DATASETS) if data != 'lines']
PAIRS = [(model, data) for model in MODELS for data in DATASETS] if ALL else SOME


@pytest.mark.slow
class PairsTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*((f'{model}_on_{data}', model, data) for model, data in PAIRS))
  def test_it_trains(self, model, data):
    without_graphs(self)
    settings = {}
    if data == 'folder':
      settings['path'] = self.get_temp_dir() + '/pictures'
      for i in range(40):
        path = pathlib.Path(settings['path']) / f'class{i % 2}' / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full([20, 24, 3], 5 * i, np.uint8)).save(path)
    if data == 'arrays':
      settings['path'] = self.get_temp_dir() + '/arrays.npz'
      np.savez(settings['path'], images=np.random.default_rng(0).integers(256, size=[80, 32, 32, 3], dtype=np.uint8))
    experiment = resolve(data, model, 'paper', {
        'dataset': settings, 'network': {'depth': 2}, 'training': {'samples': 256, 'batch': 64}})
    folder = pathlib.Path(self.get_temp_dir()) / f'{model}_{data}'
    with (tfds.testing.mock_data(num_examples=20),
          unittest.mock.patch.object(_tfds, '_unknown_host', return_value=None)):
      self.assertEqual(session.train(experiment, Run(folder), cluster.Cluster('one_device'), str(folder / 'data')), 0)
    self.assertTrue(Run(folder).metrics.exists())
    self.assertTrue((folder / 'interpolation.png').exists())


if __name__ == '__main__':
  tf.test.main()
