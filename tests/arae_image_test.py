"""ARAE of binary images: its moves in their order and direction, noise, clipping, codes; losses: objectives_test."""

import functools

import keras
import numpy as np
import tensorflow as tf

from acai_tf import losses
from acai_tf.experiment import config
from acai_tf.models import arae_image

SHAPE, BATCH = (8, 8, 1), 16
SMALL = {'encoder': '24-12', 'code': 6, 'decoder': '12-24', 'generator': '9-8', 'critic': '7-5-4', 'z': 4,
         'critic_steps': 3, 'start': 0.4}


def images(seed=0):
  return tf.constant(np.random.default_rng(seed).choice([-1.0, 1.0], [BATCH, *SHAPE]), tf.float32)


def make(optimizer=None, classes=0, **settings):
  model = arae_image.Model(arae_image.Config(**{**SMALL, **settings}), config.Network(2, 2, 2), SHAPE, classes, seed=3)
  model.compile(optimizer or (lambda player: keras.optimizers.SGD(0.0)))
  return model


def values(variables):
  return [v.numpy() for v in variables]


def answers(model, codes):
  """Mean of the critic's answers in training mode."""
  return float(tf.reduce_mean(model.critic(tf.reshape(codes, [len(codes), -1]), training=True)))


def watch(optimizer, around):
  """From here on calls `around(update)` in place of each update, a function without arguments."""
  apply = optimizer.apply
  optimizer.apply = lambda grads, variables=None: around(lambda: apply(grads, variables))


def moves_of(model, data):
  """[(player, {player: whether it changed}, mean answer to the codes before, after)] of one step's updates."""
  seen = []

  def watched(player, update):
    before = {player: values(model.variables_of(player)) for player in model.players()}
    answer = [answers(model, model.encode(images(), training=True))]
    update()
    answer.append(answers(model, model.encode(images(), training=True)))
    changed = {player: any((old != new).any() for old, new in zip(
        before[player], values(model.variables_of(player)), strict=True)) for player in before}
    seen.append((player, changed, *answer))

  for player, optimizer in model.optimizers.items():
    watch(optimizer, functools.partial(watched, player))
  model.take_step(data)
  return seen


class MovesTest(tf.test.TestCase):

  def test_order_count_and_who_moves(self):
    for steps in (1, 4):
      model = make(lambda player: keras.optimizers.SGD(0.1), classes=3, critic_steps=steps)
      seen = moves_of(model, (images(), tf.range(BATCH) % 3))
      self.assertEqual([mover for mover, *_ in seen], [
          'autoencoder', 'classifier', *steps * ['critic', 'autoencoder'], 'generator'])
      for mover, changed, *_ in seen:
        self.assertEqual(changed, {player: player == mover for player in model.players()})
      self.assertEqual(int(model.step), 1)

  def test_the_critic_s_moves_are_ten_by_default(self):
    self.assertEqual(arae_image.Config().critic_steps, 10)

  def test_directions(self):
    rates = {'autoencoder': 1e-2, 'critic': 1e-2, 'generator': 1e-2}
    for mover, rate in rates.items():
      model = make(lambda player, mover=mover, rate=rate: keras.optimizers.SGD(rate * (player == mover)),
                   clip=10.0, grad_lambda=1.0, noise_r=0.0)
      z = [model.normal(BATCH, [4], salt=1 + k) for k in range(4)]
      fakes = [answers(model, model.generator(noise, training=True)) for noise in z]
      real = answers(model, model.encode(images(), training=True))
      seen = moves_of(model, images())
      if mover == 'autoencoder':  # the encoder lowers the answers to its codes
        for _, _, before, after in seen[2::2]:
          self.assertLess(after, before)
      elif mover == 'critic':  # the critic raises those to codes over those to the generator's
        new = answers(model, model.encode(images(), training=True)) - np.mean(
            [answers(model, model.generator(noise, training=True)) for noise in z[:3]])
        self.assertGreater(new, real - np.mean(fakes[:3]))
      else:  # the generator raises those to its own
        self.assertGreater(answers(model, model.generator(z[3], training=True)), fakes[3])

  def test_grad_lambda_scales_the_encoder_s_move_and_the_decoder_s_gradient_is_0(self):
    moved = []
    for weight in (0.0, 0.2, 0.4):
      model = make(lambda player: keras.optimizers.SGD(5.0 * (player == 'autoencoder')), grad_lambda=weight,
                   critic_steps=1, noise_r=0.0)
      watch(model.optimizers['autoencoder'], self.all_but_the_first())
      before = values(model.encoder.trainable_variables), values(model.decoder.trainable_variables)
      model.take_step(images())
      self.assertAllEqual(np.concatenate([v.ravel() for v in before[1]]),
                          np.concatenate([v.numpy().ravel() for v in model.decoder.trainable_variables]))
      moved.append(model.encoder.layers[1].kernel.numpy() - before[0][0])
    self.assertAllEqual(moved[0], np.zeros_like(moved[0]))
    self.assertGreater(np.abs(moved[1]).max(), 1e-5)
    self.assertAllClose(moved[2], 2 * moved[1], rtol=1e-2, atol=1e-7)

  def all_but_the_first(self):
    seen = []

    def later(update):
      seen.append(1)
      if len(seen) > 1:
        update()

    return later

  def test_one_adam_carries_the_decoder_on_in_the_encoder_s_moves(self):
    model = make(lambda player: keras.optimizers.Adam(1e-3), critic_steps=2)
    kernels = []

    def watched(update):
      update()
      kernels.append(model.decoder.layers[1].kernel.numpy())

    watch(model.optimizers['autoencoder'], watched)
    model.take_step(images())
    first, second = kernels[1] - kernels[0], kernels[2] - kernels[1]
    m, v = 0.1, 0.001  # of a gradient of 1 at Adam's first move; its next gradients are 0
    for step, moved in ((2, first), (3, second)):
      m, v = 0.9 * m, 0.999 * v
      expected = 1e-3 * m / (1 - 0.9**step) / np.sqrt(v / (1 - 0.999**step))
      self.assertAllClose(np.median(np.abs(moved[moved != 0])), expected, rtol=1e-2)
    self.assertEqual(int(model.optimizers['autoencoder'].iterations), 3)


class NoiseTest(tf.test.TestCase):

  def test_it_reaches_the_decoder_alone(self):
    logs = [make(noise_r=noise).take_step(images()) for noise in (0.0, 1e6)]
    self.assertNotAllClose(logs[0]['recon_loss'], logs[1]['recon_loss'], rtol=1e-2)
    for name in ('critic_loss', 'fool_loss', 'generator_loss', 'wasserstein', 'code_std', 'code_mean_norm'):
      self.assertAllEqual(logs[0][name], logs[1][name])

  def test_it_decays(self):
    model = make(noise_r=0.5, anneal=0.9, epoch=10)
    for step, factor in ((0, 1), (9, 1), (10, 0.9), (35, 0.729)):
      model.step.assign(step)
      self.assertAllClose(model.noise_deviation(), 0.5 * factor)


class CriticTest(tf.test.TestCase):

  def test_all_its_parameters_are_clipped_before_each_of_its_moves_only(self):
    model = make(lambda player: keras.optimizers.SGD(5.0 * (player == 'critic')), clip=0.05)
    variables = model.variables_of('critic')
    self.assertCountEqual({v.name for v in variables}, {'kernel', 'bias', 'gamma', 'beta'})
    for variable in variables:
      variable.assign(variable + 0.2)
    clip, seen = model.clip_critic, []

    def clipped():
      before = values(variables)
      clip()
      seen.append((before, values(variables)))

    model.clip_critic = clipped
    model.take_step(images())
    self.assertLen(seen, 3)
    for before, after in seen:
      self.assertGreater(max(np.abs(v).max() for v in before), 0.05)  # the move before was not clipped
      for old, new in zip(before, after, strict=True):
        self.assertAllClose(new, np.clip(old, -0.05, 0.05), rtol=1e-6)
    self.assertGreater(max(np.abs(v).max() for v in values(variables)), 0.05)

  def test_it_is_trained_at_its_own_rate(self):
    training = config.Training(average=0.9, beta_2=0.8)
    model = make(critic_learning_rate=0.003)
    own = model.training_of('critic', training)
    self.assertEqual((own.learning_rate, own.beta_1, own.beta_2, own.average), (0.003, 0.9, 0.8, 0.9))
    for player in ('autoencoder', 'generator'):
      own = model.training_of(player, training)
      self.assertEqual((own.learning_rate, own.beta_2), (training.learning_rate, 0.8))


class CodesTest(tf.test.TestCase):

  def test_their_norm_is_1(self):
    model = make()
    for training in (False, True):
      codes = model.encode(images(), training)
      self.assertEqual(codes.shape, (BATCH, 1, 1, 6))
      self.assertAllClose(np.linalg.norm(codes, axis=3), np.ones([BATCH, 1, 1]))
    codes = codes.numpy().reshape(BATCH, 6)
    spread = model.code_spread(tf.constant(codes))
    self.assertAllClose(spread['code_mean_norm'], np.linalg.norm(codes.mean(0)))
    self.assertAllClose(spread['code_std'], np.sqrt(codes.var(0).sum()))
    self.assertAllClose(spread['code_std']**2 + spread['code_mean_norm']**2, 1)

  def test_images_are_a_softmax_s_and_the_loss_is_of_two_classes(self):
    model, x = make(), images()
    codes = model.encode(x)
    logits = model.decoder(codes).numpy()
    self.assertEqual(logits.shape, (BATCH, *SHAPE, 2))
    white = np.exp(logits[..., 1]) / np.exp(logits).sum(-1)
    self.assertAllClose(model.decode(codes), 2 * white - 1, atol=1e-6)
    self.assertAllClose(losses.two_classes(x, tf.constant(logits)), -np.log(np.where(x > 0, white, 1 - white)).mean())
    self.assertAllClose(losses.two_classes(0 * x, tf.constant(logits)), -np.log(white * (1 - white)).mean() / 2)
    with self.assertRaises(ValueError):
      losses.two_classes(x[..., 0], tf.constant(logits))

  def test_samples_are_the_generator_s_in_inference_mode(self):
    model = make()
    for layer in model.generator.layers:
      if isinstance(layer, keras.layers.BatchNormalization):
        layer.moving_mean.assign(layer.moving_mean + 0.3)
    codes = model.generator(tf.random.stateless_normal([5, 4], [7, 0]), training=False)
    self.assertAllClose(model.sample(5, 7), model.decode(tf.reshape(codes, [5, 1, 1, 6])))
    self.assertAllInRange(codes, -1, 1)

  def test_first_scales_of_batch_norms(self):
    model = arae_image.Model(arae_image.Config(), config.Network(2, 2, 2), SHAPE)
    scales = {player: np.concatenate([v.numpy() for v in model.variables_of(player) if v.name == 'gamma'])
              for player in model.players()}
    self.assertAllEqual(scales['autoencoder'], np.ones(800 + 400 + 400 + 800 + 1000))
    for player, count in (('generator', 64 + 100 + 150), ('critic', 60 + 20)):
      self.assertLen(scales[player], count)
      self.assertAllClose(scales[player].std(), 0.02, rtol=5 / np.sqrt(2 * count))
      self.assertLess(abs(scales[player].mean()), 5 * 0.02 / np.sqrt(count))

  def test_mistakes_are_named(self):
    for settings, message in (({'encoder': '40-x'}, "model.encoder is '40-x'"), ({'critic': '0'}, 'model.critic'),
                              ({'clip': 0.0}, 'model.clip is 0.0'), ({'critic_steps': 0}, 'model.critic_steps')):
      with self.assertRaisesRegex(ValueError, message):
        make(**settings)


if __name__ == '__main__':
  tf.test.main()
