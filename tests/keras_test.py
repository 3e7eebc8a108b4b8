"""Models as Keras's users know them: saved and loaded whole or by weights, and trained with its callbacks."""

import importlib
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from devices import without_graphs

from acai_tf import vocabulary
from acai_tf.experiment import config
from acai_tf.experiment.errors import UserError
from acai_tf.models import acai, autoencoder, vqvae
from acai_tf.models.sentences import text_autoencoder
from acai_tf.training.optimizer import optimizer

NETWORK, SHAPE = config.Network(latent_width=2, latent=2, depth=2), (8, 8, 1)


def make(average=0.0):
  model = acai.Model(acai.Config(partners=2), NETWORK, SHAPE, 3, seed=1)
  model.compile(optimizer(config.Training(average=average, schedule='linear', batch=4, samples=64, beta_1=0.5)), 1.0)
  return model


def data():
  generator = np.random.default_rng(0)
  return generator.uniform(-1, 1, [8, *SHAPE]).astype(np.float32), generator.integers(3, size=8)


def fit(model, epochs=1, callbacks=()):
  return model.fit(*data(), batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks),
                   validation_data=data())


class KerasTest(tf.test.TestCase):

  def assert_same(self, one, two):
    for first, second in zip(one.variables, two.variables, strict=True):
      self.assertAllEqual(first, second)

  def test_a_saved_model_resumes_bit_exactly(self):
    without_graphs(self)
    model, path = make(average=0.9), f'{self.get_temp_dir()}/model.keras'
    fit(model)
    model.save(path)
    loaded = keras.models.load_model(path)
    self.assertEqual((loaded.config, loaded.network, loaded.name), (model.config, model.network, 'acai'))
    self.assertEqual(loaded.optimizers['critic'].beta_1, 0.5)
    self.assert_same(model, loaded)
    fit(model)
    fit(loaded)
    self.assert_same(model, loaded)
    for (_, one), (_, two) in zip(model.averages(), loaded.averages(), strict=True):
      self.assertAllEqual(one, two)

  @pytest.mark.slow
  def test_a_fresh_process_loads_it_once_the_models_file_is_imported(self):
    model, folder = make(), self.get_temp_dir()
    model.save(f'{folder}/model.keras')
    program = textwrap.dedent(f'''
        import keras, numpy
        import acai_tf.models.acai, acai_tf.training.optimizer
        model = keras.models.load_model('{folder}/model.keras')
        numpy.save('{folder}/images.npy', model.interpolate(*numpy.load('{folder}/pair.npy'), 0.3))
        ''')
    pair = np.stack([data()[0][:4], data()[0][4:]])
    np.save(f'{folder}/pair.npy', pair)
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    self.assertEqual(done.returncode, 0, done.stderr)
    self.assertAllClose(np.load(f'{folder}/images.npy'), model.interpolate(*pair, 0.3), atol=1e-6)

  def test_weights_alone(self):
    model, other, path = make(), make(), f'{self.get_temp_dir()}/of.weights.h5'
    for variable in model.variables:
      variable.assign(variable + tf.ones_like(variable))
    model.save_weights(path)
    other.load_weights(path)
    self.assert_same(model, other)

  def test_a_wrong_config_is_reported_by_key(self):
    told = make().get_config()
    self.assertEqual(acai.Model.from_config(told).get_config(), told)
    with self.assertRaisesRegex(UserError, "'lambda'; did you mean 'lambda_'"):
      acai.Model.from_config({**told, 'config': {**told['config'], 'lambda': 0.5}})
    with self.assertRaisesRegex(UserError, 'model.lambda_, model.gamma, model.partners missing'):
      acai.Model.from_config({**told, 'config': {}})
    with self.assertRaisesRegex(UserError, 'section network is missing'):
      acai.Model.from_config({key: value for key, value in told.items() if key != 'network'})

  def test_uncompiled_models_and_subclasses_can_be_saved(self):
    class Mine(acai.Model):
      """A user's own."""

    model, path = Mine(acai.Config(), NETWORK, SHAPE), f'{self.get_temp_dir()}/model.keras'
    model.save(path)
    loaded = keras.models.load_model(path, custom_objects={'Mine': Mine})
    self.assert_same(model, loaded)
    self.assertFalse(loaded.compiled)
    model.compile(clipnorm=2.0, run_eagerly=True)
    model.save(path)
    loaded = keras.models.load_model(path, custom_objects={'Mine': Mine})
    self.assertEqual((loaded.clipnorm, loaded.run_eagerly), (2.0, True))

  def test_data_that_does_not_fit_is_a_one_line_error(self):
    without_graphs(self)
    model, (images, labels) = autoencoder.Model(autoencoder.Config(), NETWORK, SHAPE, 3), data()
    model.compile()
    batches = tf.data.Dataset.from_tensors
    for given, message in (
        ((images * 255, labels), r'images go from -2.*expected finite numbers in \[-1, 1\]'),
        ((np.where(images > 0, np.nan, images),), 'images go from nan'),
        ((np.uint8(images * 100 + 100),), 'images are uint8; expected floats'),
        ((images[:, :4],), r'images have shape \(8, 4, 8, 1\); expected \[n, 8, 8, 1\]'), ((images[:0],), 'nothing'),
        ((images, labels + 3), 'labels go from 3 to 5; expected 0 to 2'), ((images, labels - 1), 'labels go from -1'),
        ((images, labels[:4]), 'there are 8 images and 4 labels'), ((images, labels + 0.5), 'labels are float64'),
        ((images, np.eye(3)[labels]), 'labels are float64'), ((images, labels[:, None]), 'labels have shape'),
        ((batches(images[:, :4]),), 'images have shape'), ((batches((images, labels + 0.5)),), 'labels are float64'),
        ((batches((images, labels, np.ones(8))),), 'sample_weight'), (({'x': images}, labels), 'x is a dict'),
        (((images, labels),), 'x is a tuple'), (([images],), 'x is a list'), ((None,), 'x is a NoneType'),
        ((images, list(labels)), 'labels are a list'), ((images, labels, 1.5), 'batch_size is 1.5'),
        ((images.astype('datetime64[s]'),), 'images are datetime64'),
        ((images, labels.astype('datetime64[s]')), 'labels are datetime64'),
        ((batches({'x': images}),), 'a batch holds a dict'), ((tf.sparse.from_dense(images),), 'x is a SparseTensor')):
      with self.assertRaisesRegex(ValueError, f'^[^\n]*{message}[^\n]*$'):
        model.fit(*given, verbose=0)
    for name in ('evaluate', 'predict', 'train_on_batch', 'test_on_batch'):
      with self.assertRaisesRegex(ValueError, 'images go from'):
        getattr(model, name)(images * 255)
    for more, message in (({'sample_weight': np.ones(8)}, 'sample_weight'), ({'class_weight': {0: 2.0}}, 'weigh'),
                          ({'validation_data': (images * 9, labels)}, 'images go from'),
                          ({'validation_data': (images, labels + 3)}, 'labels go from')):
      with self.assertRaisesRegex(ValueError, message):
        model.fit(images, labels, verbose=0, **more)
    self.assertEqual(int(model.step), 0)
    model.fit(images, np.uint8(labels), verbose=0)
    model.fit(batches((images, np.eye(3, dtype=np.int32)[labels])), verbose=0)
    self.assertEqual(int(model.step), 2)
    for arguments, message in (({'loss': 'mse'}, 'loss'), ({'metrics': ['mae']}, 'metrics'), ({'clipnorm': -1}, 'clip'),
                               ({'optimizer': 'adam'}, 'expected a function')):
      with self.assertRaisesRegex(ValueError, message):
        model.compile(**arguments)

  def test_a_label_out_of_range_in_a_source_of_batches_is_a_one_line_error(self):
    model, (images, labels) = autoencoder.Model(autoencoder.Config(), NETWORK, SHAPE, 3), data()
    model.compile()
    for shift, message in ((3, 'a label is [345]; expected classes from 0 to 2'), (-3, 'a label is -[123]')):
      with self.assertRaisesRegex(ValueError, f'^{message}[^\n]*$'):
        model.fit(tf.data.Dataset.from_tensors((images, labels + shift)), verbose=0)

  def test_methods_refuse_other_shapes_and_types(self):
    images, _ = data()
    for name in ('acai', 'vae', 'vqvae', 'arae_image'):
      module = importlib.import_module(f'acai_tf.models.{name}')
      model = module.Model(module.Config(), NETWORK, SHAPE)
      for call in (model.encode, model.represent, model):
        for wrong in (images[:, :4], np.zeros([2, 28, 28, 1], np.float32), images[0], np.uint8(images)):
          with self.assertRaisesRegex(ValueError, r'^images [^\n]*; expected [^\n]*$'):
            call(wrong)
      for wrong in (np.zeros([2, 3, 3, 2], np.float32), np.zeros([2, 8], np.float32)):
        with self.assertRaisesRegex(ValueError, 'expected'):
          model.decode(wrong)
      with self.assertRaisesRegex(ValueError, 'there are 8 images_a and 4 images_b'):
        model.interpolate(images, images[:4], 0.5)
      with self.assertRaisesRegex(ValueError, 'alpha is of type string'):
        model.interpolate(images, images, 'half')
      with self.assertRaisesRegex(ValueError, 'alpha is a NoneType; expected'):
        model.interpolate(images, images, None)
    for count, seed, message in ((-3, 0, 'count is -3'), (2.5, 0, 'count is 2.5; expected an int'), (1e3, 0, 'count'),
                                 (10**400, 0, 'count is too large'), (10**12, 0, '256,000.0 GB .* lower count'),
                                 (2, 0.5, 'seed is 0.5'), (2, 1 << 70, 'seed is too large')):
      with self.assertRaisesRegex(ValueError, message):
        model.sample(count, seed)
    self.assertAllEqual(model.sample(np.int64(2), tf.constant(1)), model.sample(2, 1))

  def test_arguments_that_are_not_arrays_of_numbers_are_refused_in_one_line(self):
    images, _ = data()
    model = make()
    for wrong in ({'x': images}, None, 'x', images[:0], tf.sparse.from_dense(images), images.astype('datetime64[s]')):
      for call in (model.encode, model.decode, model.represent, lambda x: model.interpolate(x, x, 0.5)):
        with self.assertRaisesRegex(ValueError, r'^[^\n]*expected[^\n]*$'):
          call(wrong)

  def test_a_constructor_refuses_arguments_of_other_models(self):
    network = config.TextNetwork(4, 4, 4)
    for arguments, message in (
        ((text_autoencoder.Config(), NETWORK, SHAPE), r'config of acai is \S+text_autoencoder.Config; '),
        ((None, NETWORK, SHAPE), 'config of acai is'), ((acai.Config(), network, SHAPE), 'network of acai is'),
        ((acai.Config(), NETWORK, (8, 8)), r'shape of acai is \(8, 8\)'),
        ((acai.Config(), NETWORK, (8, 8, 0.5)), 'shape of acai is'),
        ((acai.Config(), config.Network(depth=10**7), SHAPE), 'GB of memory are needed')):
      with self.assertRaisesRegex(ValueError, message):
        acai.Model(*arguments)
    with self.assertRaisesRegex(ValueError, "GB of memory are needed, .* lower the model's sizes"):
      vqvae.Model(vqvae.Config(codes=10**15), NETWORK, SHAPE)
    with self.assertRaisesRegex(ValueError, 'made of no words'):
      vocabulary.Vocabulary([], 4)

  def test_ids_of_sentences_are_checked(self):
    model = text_autoencoder.Model(text_autoencoder.Config(), config.TextNetwork(4, 4, 4), (5, 13))
    model.compile()
    for ids, message in ((np.zeros([4, 7], int), 'ids of sentences have shape'), (np.zeros([4, 5]), 'are float'),
                         (np.full([4, 5], 13), 'ids go from 13 to 13; expected 0 to 12')):
      with self.assertRaisesRegex(ValueError, message):
        model.fit(ids, verbose=0)
    for texts in (['a cat'], np.array(['a cat'])):
      with self.assertRaisesRegex(ValueError, 'ids of sentences .represent takes strings. are string; expected ints'):
        model.encode(texts)
    with self.assertRaisesRegex(ValueError, 'codes have shape'):
      model.decode(np.zeros([2, 7], np.float32))

  def test_callbacks(self):
    without_graphs(self)
    folder = self.get_temp_dir()
    callbacks = [
        keras.callbacks.ModelCheckpoint(f'{folder}/{{epoch}}.keras'),
        keras.callbacks.ModelCheckpoint(f'{folder}/best.weights.h5', 'val_recon_mse', save_best_only=True,
                                        save_weights_only=True, mode='min'),
        keras.callbacks.TensorBoard(f'{folder}/events'),
        keras.callbacks.EarlyStopping('val_recon_mse', patience=1, mode='max', restore_best_weights=True)]
    model = make()
    history = fit(model, 4, callbacks).history
    errors = history['val_recon_mse']
    self.assertLess(errors[1], errors[0])  # so that it stops after the second epoch and takes the first's weights
    self.assertLen(errors, 2)
    self.assert_same(keras.models.load_model(f'{folder}/1.keras'), model)
    best = make()
    best.load_weights(f'{folder}/best.weights.h5')
    self.assert_same(keras.models.load_model(f'{folder}/2.keras'), best)
    self.assertNotEmpty(tf.io.gfile.glob(f'{folder}/events/*/events*'))


if __name__ == '__main__':
  tf.test.main()
