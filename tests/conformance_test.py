"""What every model of the registry must do; a new file in acai_tf/models is tested without an edit here."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
from absl.testing import parameterized

from acai_tf.experiment import config, registry
from acai_tf.export import module
from acai_tf.training.checkpoints import Checkpoints

TINY, SHAPE, BATCH = config.Network(latent_width=2, latent=4, depth=2), (8, 8, 1), 6
NAMES = registry.names('acai_tf.models', 'images')
EXPORTED = 'vae', 'vqvae'  # Their callables are of every kind but the critic, which export_test has.
# What the paper's networks do not give: codes of another shape, players whose weights start from N(0, 0.02^2), and
# outputs without a bias, since none of the model's losses sees one.
CODES, NORMAL, UNBIASED = {'arae_image': (1, 1, 100)}, {'arae_image': ('generator', 'critic')}, {'arae_image': 1}
# All ten rounds of a step take long, and so does it until an autoencoder has moved that does so in few steps.
SETTINGS = {'arae_image': {'critic_steps': 2}, 'amr': {'generator_every': 1}}


def make(name, seed=0, precision='float32', optimizer=None):
  kind = registry.load('acai_tf.models', name)
  model = kind.Model(kind.Config(**SETTINGS.get(name, {})), TINY, SHAPE, 3, seed, precision)
  model.compile(optimizer)
  return model


made_once = functools.cache(lambda name: [(model := make(name)), [v.numpy() for v in model.variables]])


def fresh(name, optimizer=None):
  """As `make` gives it: the one model of that name, put back to its start. Tests take turns with it."""
  model, start = made_once(name)
  for variable, value in zip(model.variables, start, strict=True):
    variable.assign(value)
  model.compile(optimizer)
  return model


def batch(seed=0):
  generator = np.random.default_rng(seed)
  images = np.sin(generator.uniform(0, 3, [BATCH, 1, 1, 1]) * np.arange(8)[:, None, None]) * np.ones([1, 1, 8, 1])
  return tf.constant(images, tf.float32), tf.constant(generator.integers(3, size=BATCH), tf.int32)


def state(model):
  return [v.numpy() for v in model.variables] + [
      v.numpy() for player in sorted(model.optimizers) for v in model.optimizers[player].variables]


def assert_schedules_fit(test, model):
  """Keras's schedules count updates: each player's must be as long as its updates in a training of so many steps."""
  training = config.Training(samples=int(model.step), batch=1, warmup=int(model.step))
  for player, optimizer in model.optimizers.items():
    own = model.training_of(player, training)
    test.assertEqual((own.steps, own.warmup), (int(optimizer.iterations),) * 2, player)


each = parameterized.named_parameters(*((name, name) for name in NAMES))


class ConformanceTest(parameterized.TestCase, tf.test.TestCase):

  @each
  @pytest.mark.each_model
  def test_interface(self, name):
    images, _ = batch()
    model = fresh(name)
    self.assertEqual(model.name, name)
    codes = model.encode(images)
    self.assertEqual(codes.shape, (BATCH, *CODES.get(name, (2, 2, 4))))
    self.assertEqual(model.encode_sample(images, 0).shape, codes.shape)
    self.assertEqual(model.decode(codes).shape, images.shape)
    self.assertEqual(model(images).shape, images.shape)
    self.assertEqual(model.represent(images).shape, (BATCH, model.classifier.kernel.shape[0]))
    self.assertEqual({t.dtype for t in (codes, model.decode(codes), model.represent(images))}, {tf.float32})
    mixed = model.interpolate(images, images[::-1], np.linspace(0, 1, BATCH, dtype=np.float32))
    self.assertAllClose(mixed[0], model(images)[0], atol=1e-5)
    self.assertAllClose(mixed[-1], model(images)[0], atol=1e-5)
    for offered in model.callables():
      if offered.output == 'alpha':  # one number an image, as the gallery shows it
        self.assertEqual(offered.function(images).shape, (BATCH,))
    again = model.interpolate(images, images[::-1], np.linspace(0, 1, BATCH, dtype=np.float32), 'reencoded')
    self.assertAllClose(again, model(tf.clip_by_value(mixed, -1, 1)), atol=1e-5)
    if model.gaussian_prior:
      self.assertTrue(model.has_prior)
      codes_a, codes_b = codes[:1], codes[1:2]
      middle = model.decode((codes_a + codes_b) / np.sqrt(2))  # the sum of two samples has twice the variance
      self.assertAllClose(model.interpolate(images[:1], images[1:2], 0.5, 'gaussian'), middle, atol=1e-5)
      ends = model.interpolate(images[:2], images[2:4], [0.0, 1.0], 'gaussian')
      self.assertAllClose(ends, tf.concat([model(images[:1]), model(images[3:4])], axis=0), atol=1e-5)
    else:
      with self.assertRaisesRegex(ValueError, f"^path 'gaussian': {name} has no prior[^\n]*'linear', 'spherical'"):
        model.interpolate(images, images, 0.5, 'gaussian')
    if model.can_keep_class:
      end = model.with_class_of(codes, codes[::-1])
      logits = model.classifier(model.represent(images))
      for alpha, latents in ((0.0, codes), (0.25, 0.75 * codes + 0.25 * end), (1.0, end)):
        self.assertAllClose(model.classifier(model.features(latents)), logits, atol=1e-4)
        moved = model.interpolate(images, images[::-1], alpha, 'same_class')
        self.assertAllClose(moved, model.decode(latents), atol=1e-5)
    else:
      with self.assertRaisesRegex(ValueError, f"^path 'same_class': {name} has no classifier that reads its latents"):
        model.interpolate(images, images, 0.5, 'same_class')
    if model.has_prior:
      self.assertEqual(model.sample(3).shape, (3, *SHAPE))
      self.assertAllEqual(model.sample(3, seed=1), model.sample(3, seed=1))
      self.assertNotAllClose(model.sample(3, seed=1), model.sample(3, seed=2), atol=0)  # an untrained one's are near 0
    else:
      with self.assertRaisesRegex(ValueError, f'{name} has no prior'):
        model.sample(3)

  @each
  @pytest.mark.each_model
  def test_convolutions_start_as_in_the_paper_and_dense_layers_as_in_glorot(self, name):
    kind = registry.load('acai_tf.models', name)
    model = kind.Model(kind.Config(), config.Network(4, 16, 8), (16, 16, 3), 10)
    kernels = [v for v in model.trainable_variables if v.name == 'kernel']
    # Batch norm's beta stands for the bias before it.
    offsets = [v.numpy() for v in model.trainable_variables if v.name in ('bias', 'beta')]
    self.assertAllEqual(np.concatenate(offsets), np.zeros(
        sum(v.shape[-1] for v in kernels) - UNBIASED.get(name, 0)))
    normal = {id(v) for player in NORMAL.get(name, ()) for v in model.variables_of(player)}
    for i, kernel in enumerate(kernels):
      values, (*space, inputs, units) = kernel.numpy(), kernel.shape
      if id(kernel) in normal:
        limit, deviation = np.inf, 0.02
      elif space:
        limit, deviation = np.inf, 1 / np.sqrt(np.prod(space) * inputs * 1.04)
      else:
        limit = np.sqrt(6 / (inputs + units))
        deviation = limit / np.sqrt(3)
      self.assertAllInRange(values, -limit, limit)
      self.assertAllClose(values.std(), deviation, rtol=5 / np.sqrt(2 * values.size), msg=kernel.path)
      for other in kernels[:i]:
        self.assertFalse(other.shape == kernel.shape and np.array_equal(other, kernel), kernel.path)

  @each
  def test_players_own_every_trainable_variable_once(self, name):
    model = fresh(name)
    owned = [id(v) for player in model.players() for v in model.variables_of(player)]
    self.assertCountEqual(owned, {id(v) for v in model.trainable_variables})

  @each
  @pytest.mark.each_model
  def test_each_player_moves_all_of_its_variables_and_no_others(self, name):
    for mover in fresh(name).players():
      with self.subTest(mover):
        model = fresh(name, lambda player, mover=mover: keras.optimizers.SGD(float(player == mover)))
        if name == 'arae_image':
          model.clip_critic()  # what its step would begin with
        before = {player: [v.numpy() for v in model.variables_of(player)] for player in model.players()}
        model.take_step(batch())
        for player, values in before.items():
          for old, new in zip(values, model.variables_of(player), strict=True):
            self.assertEqual(bool((old != new.numpy()).any()), player == mover, f'{player}: {new.path}')
    assert_schedules_fit(self, model)

  @parameterized.parameters(('amr', {'generator_every': 2}), ('aeai', {'critic_every': 2}))
  def test_schedules_of_players_that_skip_steps(self, name, settings):
    model = registry.load('acai_tf.models', name).Model(
        registry.load('acai_tf.models', name).Config(**settings), TINY, SHAPE, 3, 0, 'float32')
    model.compile()
    for _ in range(4):
      model.take_step(batch())
    assert_schedules_fit(self, model)

  @each
  @pytest.mark.each_model
  def test_loss_falls_on_a_fixed_batch(self, name):
    history = self.losses(name, 6)
    self.assertLess(np.mean(history[-2:]), history[0])

  @each
  @pytest.mark.slow
  def test_loss_falls_in_a_graph(self, name):
    history = self.losses(name, 100, lambda step: tf.function(step, autograph=False))
    self.assertLess(np.mean(history[-10:]), 0.95 * np.mean(history[:5]))

  def losses(self, name, count, function=lambda step: step):
    """Of that many steps. Adversaries stay as they are: against one that learns, a loss need not fall."""
    model, data = fresh(name, lambda player: keras.optimizers.Adam(5e-3 * (player == 'autoencoder'))), batch()
    step = function(model.take_step)
    logs = [step(data) for _ in range(count)]
    return [float(row.get('recon_mse', row.get('recon_mae')) + row.get('fool_loss', 0)) for row in logs]

  @each
  @pytest.mark.each_model
  def test_steps_are_functions_of_seed_and_step_and_resume_bit_for_bit(self, name):
    whole, resumed = fresh(name), make(name)
    for one, two in zip(state(whole), state(resumed), strict=True):
      self.assertAllEqual(one, two)
    self.assertNotAllClose(whole.encoder.variables[0], make(name, seed=1).encoder.variables[0])
    folder = f'{self.get_temp_dir()}/{name}'
    whole.take_step(batch(0))
    Checkpoints(whole, folder, 1).save()
    whole.save(f'{folder}.keras')
    whole.take_step(batch(1))
    self.assertEqual(Checkpoints(resumed, folder, 1).restore(), 1)
    for again in (resumed, keras.models.load_model(f'{folder}.keras')):
      again.take_step(batch(1))
      for one, two in zip(state(whole), state(again), strict=True):
        self.assertAllEqual(one, two)

  @each
  @pytest.mark.each_model
  def test_bfloat16_steps_are_finite_and_near(self, name):
    logs = [model.take_step(batch()) for model in (fresh(name), make(name, precision='mixed_bfloat16'))]
    for key, value in logs[0].items():
      if 'loss' in key or 'recon' in key:
        self.assertAllClose(logs[1][key], value, rtol=0.1, atol=0.02, msg=key)

  @parameterized.parameters(*EXPORTED)
  def test_it_exports_and_reloads(self, name):
    self.assert_exports(name)

  @parameterized.named_parameters(*((name, name) for name in NAMES if name not in EXPORTED))
  @pytest.mark.slow
  def test_the_others_export_and_reload(self, name):
    self.assert_exports(name)

  def assert_exports(self, name):
    images = np.random.default_rng(0).uniform(size=[3, *SHAPE]).astype(np.float32)
    model, folder = fresh(name), f'{self.get_temp_dir()}/{name}'
    module.save(model, folder)
    loaded = hub.load(folder)
    inside = 2 * images - 1
    self.assertAllClose(loaded(images), model.represent(inside), atol=1e-5)
    self.assertAllClose(loaded.encoder(images), model.encode(inside), atol=1e-5)
    mixed = loaded.interpolator({'images_a': images, 'images_b': images[::-1].copy(), 'alpha': [0.0, 0.5, 1.0]})
    expected = model.interpolate(inside, inside[::-1], [0.0, 0.5, 1.0])
    self.assertAllClose(mixed, (expected + 1) / 2, atol=1e-5)
    again = loaded.interpolator_reencoded({'images_a': images, 'images_b': images[::-1].copy(), 'alpha': 0.3})
    self.assertAllClose(again, (model.interpolate(inside, inside[::-1], 0.3, 'reencoded') + 1) / 2, atol=1e-5)
    self.assertEqual(hasattr(loaded, 'interpolator_same_class'), model.can_keep_class)
    if model.can_keep_class:
      moved = loaded.interpolator_same_class({'images_a': images, 'images_b': images[::-1].copy(), 'alpha': 0.7})
      expected = model.interpolate(inside, inside[::-1], 0.7, 'same_class')
      self.assertAllClose(moved, (expected + 1) / 2, atol=1e-5)
    self.assertEqual(hasattr(loaded, 'interpolator_gaussian'), model.gaussian_prior)
    if model.gaussian_prior:
      ends = {'images_a': images, 'images_b': images[::-1].copy()}
      kept = loaded.interpolator_gaussian({**ends, 'alpha': [0.0, 0.3, 1.0]})
      expected = model.interpolate(inside, inside[::-1], [0.0, 0.3, 1.0], 'gaussian')
      self.assertAllClose(kept, (expected + 1) / 2, atol=1e-5)
      served = loaded.signatures['interpolate_gaussian'](
          images_a=tf.constant(images), images_b=tf.constant(ends['images_b']), alpha=tf.constant([0.0, 0.3, 1.0]))
      self.assertAllClose(served['images'], kept, atol=1e-6)


if __name__ == '__main__':
  tf.test.main()
