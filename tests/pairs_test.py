"""Every model trains on every data set: 256 samples each, through the program's own function, on mocked TFDS data.

The test takes each model and each data set at least once; `ALL_PAIRS=1` takes all pairs, which needs half an hour.
"""

import os
import pathlib
import unittest.mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized
from PIL import Image

from acai_tf import registry, runs, train
from acai_tf.data import _tfds

MODELS, DATASETS = registry.names('acai_tf.models'), registry.names('acai_tf.data')
ALL = bool(os.environ.get('ALL_PAIRS'))
SOME = [(MODELS[i % len(MODELS)], DATASETS[i % len(DATASETS)]) for i in range(max(len(MODELS), len(DATASETS)))]
PAIRS = [(model, data) for model in MODELS for data in DATASETS] if ALL else SOME


class PairsTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*((f'{model}_on_{data}', model, data) for model, data in PAIRS))
  def test_it_trains(self, model, data):
    settings = {}
    if data == 'folder':
      settings['path'] = self.get_temp_dir() + '/pictures'
      for i in range(40):
        path = pathlib.Path(settings['path']) / f'class{i % 2}' / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full([20, 24, 3], 5 * i, np.uint8)).save(path)
    # The data set's own network in the full test; a narrow one, quicker to build and step, otherwise.
    network, samples = ({}, 256) if ALL else ({'depth': 2}, 32)
    experiment = runs.resolve(data, model, 'paper', {
        'dataset': settings, 'network': network, 'training': {'samples': samples, 'batch': 64 if ALL else 16}})
    folder = pathlib.Path(self.get_temp_dir()) / f'{model}_{data}'
    with (tfds.testing.mock_data(num_examples=20),
          unittest.mock.patch.object(_tfds, '_unknown_host', return_value=None)):
      self.assertEqual(train.train(experiment, folder, 'one_device', str(folder / 'data')), 0)
    self.assertTrue((folder / runs.METRICS).exists())
    self.assertTrue((folder / 'interpolation.png').exists())


if __name__ == '__main__':
  tf.test.main()
