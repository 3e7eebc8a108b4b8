"""Archives of weights: every model's round trip, stable bytes, half precision, damage, and the zoo's archives."""

import dataclasses
import json
import math
import pathlib
import tempfile
import unittest.mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from acai_tf.experiment import config, registry
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.models import autoencoder
from acai_tf.training import build, weights
from acai_tf.zoo import _records, _weights

SMALL = {'network': {'depth': 2, 'latent': 3}, 'training': {'samples': 64, 'batch': 16}}


def experiment_of(model='acai', seed=0):
  more = {'model': {'codebook': 8, 'codes': 2, 'units': 4}} if model == 'vqvae' else {}
  return resolve('lines', model, 'paper', {**SMALL, 'training': {**SMALL['training'], 'seed': seed}, **more})


def trained(experiment):
  """A model of which every weight differs from its initial value."""
  model, generator = build.create(experiment), np.random.default_rng(0)
  for variable in model.variables:
    if variable.dtype == 'float32':
      variable.assign(variable + generator.uniform(0.01, 0.02, variable.shape))
  model.step.assign(2)
  return model


class ArchiveTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.path = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / 'a.npz'

  def write(self, model, experiment, half=False, values=None):
    arrays = {key: variable.numpy() for key, variable in weights.variables(model).items()}
    if half:
      arrays = {key: array.astype(np.float16) for key, array in arrays.items()}
    return weights.write(self.path, arrays, {
        'experiment': values or experiment.to_dict(), 'samples': 32, 'weights': 'raw'})

  @parameterized.named_parameters(*((name, name) for name in registry.names('acai_tf.models', 'images')))
  @pytest.mark.each_model
  def test_every_model_is_restored(self, name):
    experiment = experiment_of(name)
    model = trained(experiment)
    kept = set(map(id, weights.variables(model).values()))
    for player in model.players():
      self.assertContainsSubset(map(id, model.variables_of(player)), kept)
    left = [v.path.split('/')[-1] for layer in model.layers for v in layer.variables if id(v) not in kept]
    self.assertCountEqual(left, ['sums', 'counts'] if name == 'vqvae' else [])
    self.write(model, experiment)
    again_experiment, again, about = weights.load(self.path)
    self.assertEqual((again_experiment, about['samples']), (experiment, 32))
    self.assertEqual(int(again.step.numpy()), 2)
    images = tf.constant(np.random.default_rng(1).uniform(-1, 1, [3, *model.image_shape]), tf.float32)
    codes = model.encode(images)
    for function in (lambda m: m(images), lambda m: m.encode(images), lambda m: m.classifier(m.represent(images)),
                     *(lambda m, i=i: m.callables()[i].function(codes if 'codes' in m.callables()[i].inputs else images)
                       for i, offered in enumerate(model.callables()) if offered.name in ('critic', 'discriminator'))):
      self.assertAllEqual(function(model), function(again))

  def test_equal_weights_give_equal_bytes(self):
    experiment = experiment_of()
    first = self.write(build.create(experiment), experiment)
    keys = list(weights.variables(build.create(experiment)))  # Keras's layer names have a counter; the keys have none.
    self.path = self.path.with_name('b.npz')
    with unittest.mock.patch('time.time', return_value=1.7e9):
      second = self.write(build.create(experiment), experiment)
    self.assertEqual({**first, 'file': 'b.npz'}, second)
    self.assertIn('encoder/0/kernel', keys)
    self.assertIn('critic/0/0/bias', keys)
    other = self.write(build.create(experiment_of(seed=1)), experiment)
    self.assertNotEqual(other['sha256'], second['sha256'])
    self.assertEqual(other['bytes'], self.path.stat().st_size)

  def test_numpy_alone_reads_it(self):
    experiment = experiment_of()
    model = build.create(experiment)
    self.write(model, experiment)
    with np.load(self.path, allow_pickle=False) as archive:
      self.assertAllEqual(archive['encoder/0/kernel'], model.encoder.layers[0].kernel)
      self.assertEqual(json.loads(archive['about.json'].tobytes())['experiment'], experiment.to_dict())

  def test_scalars_and_layouts_are_restored(self):
    for value in (np.bool_(True), np.array(2.0, np.float32), np.zeros([3, 2], np.float16).T):
      weights.write(self.path, {'a': value}, {'experiment': {}, 'samples': 1})
      again = weights.read(self.path)[0]['a']
      self.assertEqual((again.shape, again.dtype), (value.shape, value.dtype))
      self.assertAllEqual(again, value)

  def test_an_unknown_precision_is_refused(self):
    experiment = experiment_of()
    self.write(build.create(experiment), experiment)
    self.assertEqual(weights.load(self.path, 'mixed_bfloat16')[1].get_config()['precision'], 'mixed_bfloat16')
    with self.assertRaisesRegex(UserError, "training.precision 'float8'; did you mean 'float32'"):
      weights.load(self.path, 'float8')

  def test_half_precision(self):
    experiment = experiment_of()
    model = trained(experiment)
    self.write(model, experiment, half=True)
    again = weights.load(self.path)[1]
    self.assertEqual(again.encoder.layers[0].kernel.dtype, 'float32')
    self.assertAllEqual(again.encoder.layers[0].kernel, np.float32(np.float16(model.encoder.layers[0].kernel)))

  def test_half_precision_only_where_no_metric_changes(self):
    model = build.create(experiment_of())
    kernel = model.encoder.layers[0].kernel
    exact = kernel.numpy()
    for figures, dtype, changes in (
        (((1.0, 1.009),), 'float16', [0.009]), (((1.0, 1.011),), 'float32', [0.011]),
        (((1.0, 1.0), (5.0, 4.0)), 'float32', [0, 0.2]), (((0.0, 0.1),), 'float32', [None]),
        (((None, None),), 'float16', [0.0]), (((1.0, math.nan),), 'float32', [None]), (((3, 1),), 'float16', []),
        (((1.0, 1.04, 0.1),), 'float16', [0.04]), (((1.0, 1.06, 0.1),), 'float32', [0.06]),
        (((1.0, None, 0.1),), 'float32', [None])):
      seen = []

      def measure(figures=figures, seen=seen):
        seen.append(kernel.numpy())
        return {f'metric {i}': row[len(seen) - 1] for i, row in enumerate(figures)} | {
            f'metric {i}_ci95': row[2] * len(seen) for i, row in enumerate(figures) if row[2:]}

      arrays, chosen = weights.compact(model, measure)
      self.assertEqual(chosen['dtype'], dtype)
      self.assertEqual({array.dtype for array in arrays.values()}, {np.dtype(dtype)})
      found = list(chosen['float16_changes'].values())
      self.assertEqual([change is None for change in found], [change is None for change in changes])
      self.assertAllClose([change or 0.0 for change in found], [change or 0.0 for change in changes])
      self.assertAllEqual(seen[0], exact)
      self.assertAllEqual(seen[1], np.float32(np.float16(exact)))
      self.assertAllEqual(kernel, exact)  # the model is as before
    kernel.assign(np.full_like(exact, 1e6))  # more than half precision has
    arrays, chosen = weights.compact(model, lambda: self.fail('nothing to measure'))
    self.assertEqual((arrays['encoder/0/kernel'].dtype, chosen['float16_changes']), (np.float32, {}))

  def test_weights_that_do_not_fit_change_nothing(self):
    model = build.create(experiment_of())
    arrays = {key: variable.numpy() + 1 for key, variable in weights.variables(model).items()}
    before = model.encoder.layers[0].kernel.numpy()
    first = 'encoder/0/kernel'
    for change, message in (
        ({first: None}, f'lacks 1 weights, {first} first'),
        ({'more': np.zeros(1)}, 'has, beside them, 1 weights, more first'),
        ({first: arrays[first][..., :1]}, f'{first} has shape'),
        ({first: arrays[first].astype(int)}, f'{first} is int64'),
        ({first: arrays[first] * np.nan}, f'{first} has values that are not finite')):
      wrong = {key: array for key, array in {**arrays, **change}.items() if array is not None}
      with self.assertRaisesRegex(UserError, f'^x.npz does not fit acai: [^\n]*{message}[^\n]*$'):
        weights.assign(model, wrong, 'x.npz')
    self.assertAllEqual(model.encoder.layers[0].kernel, before)

  def test_damaged_files_are_reported_in_one_line(self):
    experiment = experiment_of()
    self.write(build.create(experiment), experiment)
    whole = self.path.read_bytes()
    middle = len(whole) // 2
    for data in (b'', b'PK', whole[:middle], whole[:-30], whole[:middle] + b'?' + whole[middle + 1:], b'{}' * 50):
      self.path.write_bytes(data)
      with self.assertRaisesRegex(UserError, r'^\S+a.npz cannot be read \([^\n]*\.$'):
        weights.read(self.path)
    with self.assertRaisesRegex(UserError, 'cannot be read'):
      weights.read(self.path.with_name('none.npz'))
    for samples in (-1, 10**30, True, 1.5):
      weights.write(self.path, {}, {'experiment': {}, 'samples': samples})
      with self.assertRaisesRegex(UserError, 'has no experiment and samples'):
        weights.read(self.path)

  def test_nothing_is_unpickled_or_inflated(self):
    experiment = experiment_of()
    self.write(build.create(experiment), experiment)
    with np.load(self.path) as archive:
      whole = dict(archive)
    self.assertIn('critic/0/0/bias', weights.read(self.path)[0])
    for arrays, save, message in (({**whole, 'a': np.array([{}], object)}, np.savez, 'Object arrays cannot be loaded'),
                                  (whole, np.savez_compressed, 'is compressed'),
                                  ({'a': np.zeros(9)}, np.savez, 'about.json')):
      with self.subTest(message):
        save(self.path, **arrays)
        with self.assertRaisesRegex(UserError, f'cannot be read .*{message}'):
          weights.read(self.path)

  def test_an_experiment_of_another_version_is_reported(self):
    experiment = experiment_of()
    values = experiment.to_dict()
    values['model']['zeta'] = 1
    self.write(build.create(experiment), experiment, values=values)
    with self.assertRaisesRegex(UserError, "cannot read its experiment .unknown key of model 'zeta'"):
      weights.load(self.path)

  def test_layers_that_weights_cannot_find_are_refused(self):
    class Hidden(autoencoder.Model):

      def create_networks(self, size, precision):
        self.more = [keras.layers.Dense(2)]
        self.more[0].build((None, 3))

    model = Hidden(autoencoder.Config(), config.Network(latent_width=2, latent=3, depth=2), (8, 8, 1))
    with self.assertRaisesRegex(ValueError, 'dense.*are not reachable'):
      weights.variables(model)


class KeptTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
    self.results, self.archives = self.folder / 'results', self.folder / 'weights'
    self.experiment = resolve('lines', 'autoencoder', 'fast', {
        'dataset': {'size': 8, 'test_images': 32}, 'network': {'depth': 2},
        'training': {'samples': 32, 'batch': 16, 'precision': 'float32'}})
    self.enterContext(unittest.mock.patch.object(_records, 'changes', return_value=[]))  # A small network is one.
    self.model = trained(self.experiment)
    self.enterContext(unittest.mock.patch.object(build, 'load_model', side_effect=lambda run: (
        self.experiment, self.model, 2)))

  def file(self, experiment=None, **metrics):
    experiment = experiment or self.experiment
    record = _records.Record(
        experiment=experiment, samples=experiment.training.samples, weights='raw', metrics=metrics, medians={},
        curves={}, history=[], train_seconds=None)
    _records.add('lines_autoencoder', record, self.results)
    return record

  def keep(self):
    return _weights.keep('lines_autoencoder', 'run', self.results, self.archives)

  def load(self, **more):
    return _weights.load('lines_autoencoder', results=self.results, folder=self.archives, **more)

  def test_kept_weights_are_loaded_after_their_checksum_is_compared(self):
    self.file(mean_distance=1.0)
    with self.assertRaisesRegex(UserError, 'no pretrained weights of lines_autoencoder'):
      self.load()
    kept = self.keep()
    path = self.archives / 'lines_autoencoder.npz'
    self.assertEqual(dataclasses.asdict(kept), {'file': path.name, **weights.facts(path), 'dtype': kept.dtype,
                                                'float16_changes': kept.float16_changes})
    self.assertEqual(_records.load('lines_autoencoder', self.results)[0].kept, kept)
    self.assertEqual(self.keep(), kept)  # the same bytes again
    experiment, model, samples = self.load()
    self.assertEqual((experiment, samples), (self.experiment, 32))
    images = tf.zeros([1, 8, 8, 1])
    self.assertAllClose(model(images), self.model(images), atol=1e-3)
    self.assertEqual(self.load(precision='mixed_bfloat16')[1].encoder.layers[0].compute_dtype, 'bfloat16')
    whole = path.read_bytes()
    for data, message in ((whole[:-1] + b'?', 'has sha256'), (whole + b'?', r'has \d+ bytes')):
      path.write_bytes(data)
      with self.assertRaisesRegex(UserError, f'{path.name} {message}'):
        self.load()

  def test_an_archive_of_another_run_than_its_record(self):
    self.file(mean_distance=1.0)
    kept = self.keep()
    longer = dataclasses.replace(self.experiment, training=dataclasses.replace(self.experiment.training, samples=64))
    _records.set_kept('lines_autoencoder', self.file(longer, mean_distance=2.0), kept, self.results)
    self.assertLen([run for run in _records.load('lines_autoencoder', self.results) if run.kept], 1)
    with self.assertRaisesRegex(UserError, 'is of another run than its record'):
      self.load()
    with self.assertRaisesRegex(UserError, 'of 32 samples, seed 0, is not the run .* the one of 64 samples, seed 0'):
      self.keep()

  def test_weights_that_do_not_reproduce_the_record(self):
    with self.assertRaisesRegex(UserError, 'is not the run that lines_autoencoder reports, which is none'):
      self.keep()
    self.file(recon_mse=7.0)
    with self.assertRaisesRegex(UserError, 'expected 7, as in its record'):
      self.keep()
    self.assertFalse(self.archives.exists())


if __name__ == '__main__':
  tf.test.main()
