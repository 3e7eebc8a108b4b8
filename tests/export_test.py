"""The reusable SavedModel: TF-Hub's interface, its callables against the live model, and fine-tuning."""

import pathlib
import shutil
import tempfile

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from acai_tf.evaluation import subject
from acai_tf.experiment import config, run_folder
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.models import acai, autoencoder
from acai_tf.training import build
from acai_tf.training.checkpoints import Checkpoints
from export import __main__ as program
from export import module

NETWORK, SHAPE = config.Network(latent_width=2, latent=3, depth=2), (8, 8, 1)


def create(kind):
  return kind.Model(kind.Config(), NETWORK, SHAPE, classes=3, seed=1)


def images(count, seed=0):
  return np.random.default_rng(seed).uniform(size=[count, *SHAPE]).astype(np.float32)


class ModuleTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.model, cls.folder = create(acai), tempfile.mkdtemp()
    cls.addClassCleanup(shutil.rmtree, cls.folder)
    module.save(cls.model, cls.folder)

  def test_callables_equal_the_live_model_at_any_batch_size(self):
    model, loaded = self.model, hub.load(self.folder)
    for count in (1, 5):
      first, second = images(count), images(count, 1)
      codes = model.encode(2 * first - 1)
      self.assertAllClose(loaded.encoder(first), codes, atol=1e-6)
      self.assertAllClose(loaded(first), tf.reshape(codes, [count, -1]), atol=1e-6)
      self.assertAllClose(loaded.decoder(codes), (model.decode(codes) + 1) / 2, atol=1e-6)
      self.assertAllClose(loaded.critic(first), model.critic(2 * first - 1), atol=1e-6)
      for alpha, expected in ((0.0, model(2 * first - 1)), (1.0, model(2 * second - 1))):
        mixed = loaded.interpolator({'images_a': first, 'images_b': second, 'alpha': np.full([count], alpha, 'f')})
        self.assertAllClose(mixed, (expected + 1) / 2, atol=1e-5)

  def test_reusable_interface(self):
    model, loaded = self.model, hub.load(self.folder)
    owners = {'encoder': [model.encoder], 'decoder': [model.decoder], 'critic': [model.critic],
              'interpolator': [model.encoder, model.decoder]}
    for part, layers in [(loaded, [model.encoder])] + [(getattr(loaded, name), owners[name]) for name in owners]:
      self.assertLen(part.trainable_variables, sum(len(layer.trainable_variables) for layer in layers))
      self.assertLen(part.variables, len(part.trainable_variables))
      self.assertEmpty(part.regularization_losses)
      self.assertTrue(callable(part))
    self.assertAllClose(loaded(images(2), training=True), loaded(images(2), training=False))
    self.assertCountEqual(loaded.signatures, ['serving_default', 'encode', 'decode', 'interpolate', 'critic'])
    self.assertAllClose(loaded.classifier(images(2)), model.classifier(model.represent(2 * images(2) - 1)), atol=1e-6)
    features = loaded.signatures['serving_default'](images=tf.constant(images(2)))['features']
    self.assertAllClose(features, loaded(images(2)))
    answer = loaded.signatures['interpolate'](
        images_a=tf.constant(images(2)), images_b=tf.constant(images(2, 1)), alpha=tf.constant([0.2, 0.4]))
    self.assertEqual(answer['images'].shape, (2, *SHAPE))

  def test_fine_tuning_moves_the_weights(self):
    loaded = hub.load(self.folder)
    before = [v.numpy() for v in loaded.trainable_variables]
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(tf.square(loaded(images(4), training=True)))
    for variable, gradient in zip(loaded.trainable_variables,
                                  tape.gradient(loss, loaded.trainable_variables), strict=True):
      variable.assign_sub(gradient)
    for old, new in zip(before, loaded.trainable_variables, strict=True):
      self.assertTrue((old != new.numpy()).any())
    self.assertLess(tf.reduce_mean(tf.square(loaded(images(4)))), loss)

  def test_a_model_without_critic_has_none(self):
    module.save(create(autoencoder), self.get_temp_dir())
    loaded = hub.load(self.get_temp_dir())
    self.assertFalse(hasattr(loaded, 'critic'))
    self.assertNotIn('critic', loaded.signatures)

  def test_it_holds_weights_once_and_no_optimiser(self):
    data = next(pathlib.Path(self.folder).glob('variables/*.data*')).stat().st_size
    owned = sum(layer.count_params() for layer in (self.model.encoder, self.model.decoder, self.model.critic))
    self.assertLess(data, 4 * owned + 20_000)

  def test_a_module_of_another_type_is_not_measured(self):
    functions, shape = subject.of_module(self.folder)
    self.assertEqual((shape, functions.encode(images(2)).dtype), (SHAPE, np.float32))
    other, folder = tf.train.Checkpoint(), tempfile.mkdtemp(dir=self.get_temp_dir())
    spec = tf.TensorSpec([None, *SHAPE], tf.float32, 'images')
    codes = tf.TensorSpec([None, 3], tf.float32, 'codes')
    other.encoder = tf.function(lambda images: images[:, 0, :3, 0], input_signature=[spec])
    other.decoder = tf.function(lambda codes: tf.cast(codes, tf.float64), input_signature=[codes])
    other.interpolator = other.encoder
    encode = tf.function(lambda images: {'codes': other.encoder(images)}, input_signature=[spec])
    decode = tf.function(lambda codes: {'images': other.decoder(codes)}, input_signature=[codes])
    tf.saved_model.save(other, folder, signatures={'encode': encode, 'decode': decode})
    with self.assertRaisesRegex(UserError, 'decode gives images of type float64, not float32'):
      subject.of_module(folder)

  def test_a_run_in_bfloat16_gives_a_module_in_float32(self):
    made = resolve('lines', 'autoencoder', 'fast', {
        'dataset': {'size': 8}, 'network': {'latent_width': 2, 'latent': 2, 'depth': 2},
        'training': {'precision': 'mixed_bfloat16'}})
    run, model = self.get_temp_dir() + '/run', build.create(made)
    self.assertEqual(model.encoder.layers[0].compute_dtype, 'bfloat16')
    model.step.assign(1)
    run_folder.claim(run, made)
    Checkpoints(model, f'{run}/{run_folder.CHECKPOINTS}', 1, made).save()
    self.assertIn('agree', program.export(run, run + '_module'))
    loaded, x = hub.load(run + '_module'), images(3)
    exact = build.load_model(run, precision='float32')[1]
    self.assertAllClose(loaded.encoder(x), exact.encode(2 * x - 1), atol=1e-6)
    self.assertNotAllClose(model.encode(2 * x - 1), exact.encode(2 * x - 1), atol=1e-6)  # which bfloat16 differs from

  def test_a_module_that_differs_fails_its_check(self):
    other = create(acai)  # The same seed, so the same weights.
    self.assertIn('6 outputs', program.compare(other, self.folder))
    other.decoder.trainable_variables[-1].assign_add([1e-3])
    with self.assertRaisesRegex(UserError, 'decoder of the reloaded module differs by 0.0005'):
      program.compare(other, self.folder)


if __name__ == '__main__':
  tf.test.main()
