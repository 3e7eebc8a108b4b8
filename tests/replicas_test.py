"""Every model on two devices against one: weights, codebooks and logs, and what replicas share."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized
from devices import strategy, without_graphs

from acai_tf import replicas
from acai_tf.experiment import config, registry
from acai_tf.experiment.resolve import resolve
from acai_tf.training import build, loop

TINY, BATCH, STEPS = config.Network(latent_width=4, latent=3, depth=2), 8, 2  # one scale: graphs take most of the time
# Beyond the defaults, with which all terms count: what has a branch or a weight that is 0. arae_image's graph has each
# of its ten rounds, and takes minutes to make for two devices.
SETTINGS = {
    'acai': ({}, {'partners': 3}),
    'amr': ({'weight_decay': 0.5}, {'mixing': 'bernoulli', 'beta': 2.0, 'generator_every': 2}, {'parts': 3}),
    'arae_image': ({'critic_steps': 2},),
    'vqvae': ({'codebook': 64, 'restart': 0.9, 'decay': 0.9}, {'codebook': 64, 'bottleneck': 'conv'}),
}


# What only a graph can get wrong: mixtures across devices, a skipped update, a codebook beside the players. The
# autoencoder in a graph: loop_test.
GRAPHS = ('acai', SETTINGS['acai'][1]), ('amr', SETTINGS['amr'][1]), ('vqvae', SETTINGS['vqvae'][0])


def trained(name, settings, where):
  """(weights at the start, model after STEPS steps, [logs of a step])."""
  kind = registry.load('acai_tf.models', name)
  data = build.load_data(resolve('lines', name, overrides={'dataset': {'size': 8, 'test_images': 8}}))
  with strategy(where).scope():
    model = kind.Model(kind.Config(**settings), TINY, (8, 8, 1), 10, seed=1)
    for variable in model.trainable_variables:
      variable.assign(2 * variable)  # so that codes and answers differ from image to image
    # A large epsilon, since Adam turns rounding in gradients that are nearly 0 into whole steps.
    model.compile(lambda player: keras.optimizers.Adam(1e-3, epsilon=1e-3))
  start, seen = [v.numpy() for v in model.trainable_variables], []
  training = config.Training(batch=BATCH, samples=BATCH * STEPS)
  loop.Loop(model, strategy(where), data, training, 1).run(lambda step, logs: seen.append(logs), [])
  return start, model, seen


class DevicesTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*(
      (f'{name}_{i}' if i else name, name, settings) for name in registry.names('acai_tf.models', 'images')
      for i, settings in enumerate(SETTINGS.get(name, ({},)))))
  @pytest.mark.each_model
  def test_two_devices_equal_one(self, name, settings):
    without_graphs(self)
    self.assert_equal(name, settings)

  @parameterized.parameters(*GRAPHS)
  @pytest.mark.slow
  def test_two_devices_equal_one_in_a_graph(self, name, settings):
    self.assert_equal(name, settings)

  def assert_equal(self, name, settings):
    self.assertEqual(strategy('mirrored').num_replicas_in_sync, 2)
    start, one, alone = trained(name, settings, 'one_device')
    _, two, together = trained(name, settings, 'mirrored')
    moved = [np.abs(v.numpy() - old).max() for v, old in zip(one.trainable_variables, start, strict=True)]
    self.assertGreater(np.median(moved), 2e-5, 'the test tests less than it says')
    for first, second in zip(one.variables, two.variables, strict=True):
      for local in strategy('mirrored').experimental_local_results(second.value):
        self.assertAllClose(first, local, atol=1e-5, rtol=1e-5, msg=first.path)
    self.assertLen(together, STEPS)
    for first, second in zip(alone, together, strict=True):
      self.assertAllClose(first, second, atol=1e-5, rtol=1e-4)


class GatherTest(tf.test.TestCase):

  def test_rows_come_back_in_the_global_order_and_gradients_add_up(self):
    values = tf.constant(np.random.default_rng(0).normal(size=[12, 3]), tf.float32)

    def loss(rows):
      return tf.reduce_sum(tf.square(rows[1:] * rows[:-1]) * tf.range(1.0, 12)[:, None])

    with tf.GradientTape() as tape:
      tape.watch(values)
      expected = loss(values)
    expected_gradient = tape.gradient(expected, values)

    @tf.function
    def replica():
      with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        rows = replicas.gather(replicas.local_rows(values))
        value = loss(rows) / tf.distribute.get_replica_context().num_replicas_in_sync
      return rows, tf.convert_to_tensor(tape.gradient(value, values))

    for where in ('one_device', 'mirrored'):
      results = [strategy(where).experimental_local_results(r) for r in strategy(where).run(replica)]
      for rows in results[0]:
        self.assertAllEqual(rows, values)
      self.assertAllClose(sum(results[1]), expected_gradient, rtol=1e-5)

  def test_several_rows_of_an_image_stay_together(self):
    values = tf.range(24.0)[:, None]

    @tf.function
    def replica():
      local = tf.reshape(replicas.local_rows(tf.reshape(values, [8, 3])), [-1, 1])
      return replicas.gather(local, each=3)

    for rows in strategy('mirrored').experimental_local_results(strategy('mirrored').run(replica)):
      self.assertAllEqual(rows, values)


if __name__ == '__main__':
  tf.test.main()
