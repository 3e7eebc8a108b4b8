"""The optimiser: Adam and the EMA of the weights against NumPy, and who uses the averages (two devices: loop_test)."""

import functools

import keras
import numpy as np
import tensorflow as tf

from acai_tf.experiment.resolve import resolve
from acai_tf.experiment.run import Run
from acai_tf.training import build, cluster, loop
from acai_tf.training.checkpoints import Checkpoints
from acai_tf.training.optimizer import Adam
from acai_tf.training.session import Session


def experiment(**training):
  return resolve('lines', 'acai', 'fast', {
      'dataset': {'size': 8, 'test_images': 8}, 'network': {'latent_width': 2, 'latent': 2, 'depth': 2},
      'model': {'partners': 1},
      'training': {'batch': 8, 'samples': 40, 'precision': 'float32', 'learning_rate': 0.01, **training}})


@functools.cache
def trained(average):
  """(experiment, model after its 5 steps); tests leave the model as it is."""
  made = experiment(average=average)
  strategy = cluster.Cluster('one_device').strategy
  with strategy.scope():
    model = build.create(made)
  eager = tf.config.functions_run_eagerly()
  tf.config.run_functions_eagerly(True)
  loop.Loop(model, strategy, build.load_data(made), made.training).run(lambda *_: None, [])
  tf.config.run_functions_eagerly(eager)
  return made, model


class AdamTest(tf.test.TestCase):

  def test_weights_and_average_against_numpy_over_50_steps(self):
    rate, beta_1, beta_2, epsilon, decay = 0.03, 0.9, 0.95, 1e-8, 0.8
    weight = keras.Variable(np.array([1.0, -2.0, 0.5], np.float32))
    optimizer = Adam(rate, beta_1, beta_2, epsilon, use_ema=True, ema_momentum=decay)
    optimizer.build([weight])
    gradients = np.random.default_rng(0).normal(size=[50, 3])
    w, m, v, average = np.array([1.0, -2.0, 0.5]), np.zeros(3), np.zeros(3), np.zeros(3)
    for t, gradient in enumerate(gradients):
      optimizer.apply([tf.constant(gradient, tf.float32)], [weight])
      m, v = beta_1 * m + (1 - beta_1) * gradient, beta_2 * v + (1 - beta_2) * gradient**2
      w = w - rate * np.sqrt(1 - beta_2**(t + 1)) / (1 - beta_1**(t + 1)) * m / (np.sqrt(v) + epsilon)
      share = min(decay, (1 + t) / (10 + t)) if t else 0  # the first average is the first weight
      average = share * average + (1 - share) * w
      self.assertAllClose(weight, w, atol=1e-5)
      self.assertAllClose(optimizer._model_variables_moving_average[0], average, atol=1e-5)

  def test_without_averages_it_equals_adam_of_keras(self):
    weights = [keras.Variable(np.ones([4, 3], np.float32)) for _ in range(2)]
    optimizers = [kind(0.01, 0.9, 0.99, 1e-8) for kind in (Adam, keras.optimizers.Adam)]
    generator = np.random.default_rng(1)
    for _ in range(20):
      gradient = tf.constant(generator.normal(size=[4, 3]), tf.float32)
      for optimizer, weight in zip(optimizers, weights, strict=True):
        optimizer.apply([gradient], [weight])
    self.assertAllClose(*weights, atol=1e-6)

  def test_gradients_of_few_rows(self):
    table = keras.Variable(np.zeros([5, 2], np.float32))
    optimizer = Adam(0.1)
    optimizer.apply([tf.IndexedSlices(tf.ones([1, 2]), tf.constant([3]), tf.constant([5, 2]))], [table])
    self.assertAllClose(table[3], [-0.1, -0.1], atol=1e-5)
    self.assertAllClose(table[0], [0, 0])


class AveragesTest(tf.test.TestCase):

  def test_all_players_have_averages_and_the_weights_are_restored(self):
    _, model = trained(0.9)
    pairs = model.averages()
    self.assertCountEqual([id(v) for v, _ in pairs], [id(v) for v in model.trainable_variables])
    raw = [v.numpy() for v in model.trainable_variables]
    with model.averaged():
      for variable, average in pairs:
        self.assertAllEqual(variable, average)
      self.assertNotAllClose(model.trainable_variables[0], raw[0])
    for variable, value in zip(model.trainable_variables, raw, strict=True):
      self.assertAllEqual(variable, value)

  def test_none_without_the_setting(self):
    _, model = trained(0.0)
    self.assertEmpty(model.averages())
    raw = [v.numpy() for v in model.trainable_variables]
    model.use_averages()
    with model.averaged():
      for variable, value in zip(model.trainable_variables, raw, strict=True):
        self.assertAllEqual(variable, value)

  def test_a_run_loads_with_raw_or_averaged_weights(self):
    (made, model), folder = trained(0.9), self.get_temp_dir()
    Run(folder).claim(made)
    Checkpoints(model, Run(folder).checkpoints, 1).save()
    _, raw, step = build.load_model(Run(folder), weights='raw')
    _, average, _ = build.load_model(Run(folder))
    self.assertEqual(step, made.training.steps)
    for variable, same, other in zip(model.trainable_variables, raw.trainable_variables,
                                     average.trainable_variables, strict=True):
      self.assertAllEqual(variable, same)
      self.assertNotAllEqual(variable, other)
    for (_, wanted), variable in zip(model.averages(), average.variables_of('autoencoder'), strict=False):
      self.assertAllEqual(wanted, variable)

  def test_players_with_batch_norm_have_none(self):
    for data, model, settings, averaged in (
        ('binarized_mnist', 'arae_image', {}, {'classifier'}),
        ('grammar', 'arae', {}, {'autoencoder', 'critic'}),  # the residual generator alone has batch norm
        ('grammar', 'arae', {'networks': 'paper'}, {'autoencoder'}),
        ('grammar', 'text_autoencoder', {}, {'autoencoder'})):
      with self.subTest(f'{model} {settings}'):
        made = build.create(resolve(data, model, 'fast', {'model': settings, 'training': {'average': 0.9}}))
        with_averages = {id(variable) for variable, _ in made.averages()}
        self.assertEqual(averaged, {player for player in made.players()
                                    if id(made.variables_of(player)[0]) in with_averages})

  def test_evaluations_while_training_are_of_the_averages(self):
    (made, model), folder = trained(0.9), self.get_temp_dir()
    data = build.load_data(made)
    images, _ = data.test()
    raw = np.mean((images - model(images).numpy())**2)
    with model.averaged():
      average = np.mean((images - model(images).numpy())**2)
    session = Session(made, model, data, Checkpoints(model, Run(folder).checkpoints, 1), Run(folder), '')
    session.evaluate(made.training.steps)
    self.assertAllClose(Run(folder).history()[-1]['recon_mse'], average, rtol=1e-5)
    self.assertGreater(abs(raw - average), 1e-3 * average)
    self.assertAllClose(np.mean((images - model(images).numpy())**2), raw, rtol=1e-6)

  def test_averaging_changes_no_weight(self):
    for one, two in zip(trained(0.9)[1].trainable_variables, trained(0.0)[1].trainable_variables, strict=True):
      self.assertAllEqual(one, two)


if __name__ == '__main__':
  tf.test.main()
