"""ACAI's step against NumPy in float64, written from the paper's equations, and its players."""

import keras
import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from absl.testing import parameterized
from devices import without_graphs

from acai_tf.data import lines
from acai_tf.experiment import config
from acai_tf.models import aae, acai, acai_invariant, aeai, autoencoder, lrae, lsgan_ae, miae, midrae

TINY, SHAPE, BATCH = config.Network(latent_width=2, latent=2, depth=2), (8, 8, 1), 4


def tiny(module=acai, classes=3, optimizer=None, **settings):
  model = module.Model(module.Config(**settings), TINY, SHAPE, classes, seed=3)
  model.compile(optimizer)
  return model


def batch(seed=0):
  generator = np.random.default_rng(seed)
  images = generator.uniform(-1, 1, [BATCH, *SHAPE]).astype(np.float32)
  return tf.constant(images), tf.constant(generator.integers(3, size=BATCH), tf.int32)


# The networks once more, in NumPy and float64: 8x8 images, two scales.


def leaky(x):
  return np.where(x > 0, x, 0.2 * x)


def convolve(x, kernel, bias):
  size, pad = x.shape[1], kernel.shape[0] // 2
  padded = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
  return bias + sum(
      padded[:, i:i + size, j:j + size] @ kernel[i, j] for i in range(len(kernel)) for j in range(len(kernel)))


def encode(x, w):
  x = convolve(x, *w[0:2])
  for i in (2, 6):
    x = leaky(convolve(leaky(convolve(x, *w[i:i + 2])), *w[i + 2:i + 4]))
    x = (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4
  return convolve(leaky(convolve(x, *w[10:12])), *w[12:14])


def decode(z, w):
  for i in (0, 4):
    z = leaky(convolve(leaky(convolve(z, *w[i:i + 2])), *w[i + 2:i + 4]))
    z = z.repeat(2, axis=1).repeat(2, axis=2)
  return convolve(leaky(convolve(z, *w[8:10])), *w[10:12])


def numpy_losses(x, alpha, encoder, decoder, critic):
  """(L_fg, L_d) of equations 2 and 1, lambda 0.5 and gamma 0.2; `alpha`: [images, partners]."""
  z = encode(x, encoder)
  reconstruction = decode(z, decoder)
  answers = np.empty_like(alpha)
  for i, k in np.ndindex(*alpha.shape):
    other = z[(len(x) - 1 - i + 2 * k) % len(x)]
    mixed = decode((alpha[i, k] * z[i] + (1 - alpha[i, k]) * other)[None], decoder)
    answers[i, k] = encode(mixed, critic).mean()
  real = encode(0.2 * x + 0.8 * reconstruction, critic).mean(axis=(1, 2, 3))
  return (np.mean((x - reconstruction)**2) + 0.5 * np.mean(answers**2),
          np.mean((answers - alpha)**2) + np.mean(real**2))


class InvariantTest(tf.test.TestCase):

  def test_the_encoder_sees_images_as_scipy_distorts_them(self):
    model = tiny(acai_invariant)
    shape = (6, 8, 3)  # not square, so that x and y cannot be exchanged
    images = np.random.default_rng(1).uniform(-1, 1, [BATCH, *shape])
    draws = 2 * model.uniform(BATCH, (5,), salt=1).numpy().astype(np.float64) - 1
    center = (np.array(shape[:2]) - 1) / 2
    expected = np.empty_like(images)
    for made, image, (angle, scale, shear, right, down) in zip(expected, images, draws, strict=True):
      angle, shear = np.radians(15) * angle, 0.2 * shear
      # In (y, x): output pixel p shows the input at matrix (p - center) + center + shift.
      matrix = (1 + 0.12 * scale) * np.array(
          [[np.cos(angle), np.sin(angle)], [shear - np.sin(angle), np.cos(angle)]])
      shift = 0.08 * np.array([shape[0] * down, shape[1] * right])
      for channel in range(3):
        made[..., channel] = scipy.ndimage.affine_transform(
            image[..., channel], matrix, center - matrix @ center + shift, order=1, mode='nearest')
    self.assertAllClose(model.augment(tf.constant(images, tf.float32)), expected, atol=1e-5)
    self.assertGreater(np.abs(expected - images).max(axis=(1, 2, 3)).min(), 0.1)

  def test_without_distortion_it_is_acai(self):
    zero = dict.fromkeys(('rotation', 'scale', 'shear', 'shift'), 0.0)
    losses = [made.take_step(batch()) for made in (tiny(acai_invariant, lambda_=0.5, **zero), tiny())]
    self.assertAllClose(*losses, rtol=1e-6)


class StepTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters(1, 2)
  def test_losses_and_gradients_equal_numpy(self, partners):
    model = tiny(optimizer=lambda player: keras.optimizers.SGD(1.0), partners=partners)
    players = {'encoder': model.encoder, 'decoder': model.decoder, 'critic': model.critic}
    generator = np.random.default_rng(5)
    for net in players.values():
      for variable in net.trainable_variables:  # Far from LeakyReLU's kinks, where a difference quotient means little.
        variable.assign(generator.normal(0, 0.35, variable.shape))
    before = {name: [v.numpy().astype(np.float64) for v in net.trainable_variables] for name, net in players.items()}
    images, labels = batch()
    x = images.numpy().astype(np.float64)
    alpha = 0.5 * model.uniform(BATCH, (partners,)).numpy().astype(np.float64)
    logs = model.take_step((images, labels))

    autoencoder_loss, critic_loss = numpy_losses(x, alpha, **before)
    self.assertAllClose(logs['recon_mse'] + 0.5 * logs['fool_loss'], autoencoder_loss, rtol=1e-5)
    self.assertAllClose(logs['critic_loss'], critic_loss, rtol=1e-5)
    checked = 0
    for name, net in players.items():
      which = 1 if name == 'critic' else 0
      for i, variable in enumerate(net.trainable_variables):
        gradient = before[name][i] - variable.numpy()  # SGD at rate 1 moves by minus the gradient.
        for index in generator.choice(gradient.size, min(2, gradient.size), replace=False):
          place = np.unravel_index(index, gradient.shape)
          sides = []
          for sign in (1, -1):
            moved = {key: [w.copy() for w in weights] for key, weights in before.items()}
            moved[name][i][place] += sign * 1e-6
            sides.append(numpy_losses(x, alpha, **moved)[which])
          self.assertAllClose(gradient[place], (sides[0] - sides[1]) / 2e-6, rtol=2e-3, atol=2e-6,
                              msg=f'{name} variable {i} {place}')
          checked += 1
    self.assertGreater(checked, 60)

  def test_alpha_is_uniform_below_a_half_and_new_each_step(self):
    model = tiny()
    draws = []
    for _ in range(40):
      draws.append(0.5 * model.uniform(64).numpy().ravel())
      model.step.assign_add(1)
    draws = np.array(draws)
    self.assertBetween(draws.min(), 0, 0.01)
    self.assertBetween(draws.max(), 0.49, 0.5)
    self.assertAllClose(draws.mean(), 0.25, atol=0.01)
    self.assertEqual(len(np.unique(draws[:, 0])), 40)


class PlayersTest(tf.test.TestCase):

  def test_gradients_are_taken_before_any_player_moves(self):
    """A critic that takes a huge step must not show in the autoencoder's."""
    moved = []
    for rate in (0.0, 100.0):
      model = tiny(optimizer=lambda player, rate=rate: keras.optimizers.SGD(rate if player == 'critic' else 1.0))
      model.take_step(batch())
      moved.append([v.numpy() for v in model.variables_of('autoencoder')])
    for first, second in zip(*moved, strict=True):
      self.assertAllEqual(first, second)

  @pytest.mark.slow
  def test_the_critic_learns_alpha_on_a_frozen_autoencoder(self):
    model = acai.Model(acai.Config(), config.Network(2, 8, 4), (16, 16, 1), 0, seed=0)
    model.compile(lambda player: keras.optimizers.Adam(5e-3 if player == 'critic' else 0.0))
    # A frozen autoencoder whose interpolations are cross-fades: the critic has to see how far they are faded.
    model.encode = lambda images, training=False: images
    model.decode = lambda codes, training=False: codes
    model.features = lambda codes: codes
    variables = [v.numpy() for v in model.variables_of('autoencoder')]
    data = lines.load(lines.Config(size=16, test_images=1))
    step = tf.function(lambda images: model.take_step(images), autograph=False)
    history = [float(step(tf.constant(data.batch(0, i, 32, slice(None))[0]))['critic_loss']) for i in range(300)]
    # Always answering the mean of alpha for mixed and 0 for real images would leave its variance, 1/48.
    self.assertLess(np.mean(history[-20:]), 0.5 / 48)
    for old, new in zip(variables, model.variables_of('autoencoder'), strict=True):
      self.assertAllEqual(old, new.numpy())


class AnnealingTest(parameterized.TestCase, tf.test.TestCase):

  def test_the_factor_by_hand(self):
    model = acai.Model(acai.Config(anneal_from=0.5, anneal_over=0.25, anneal_to=0.01), TINY, SHAPE)
    model.compile(steps=64)
    factors = []
    for step in (0, 32, 36, 40, 48, 63):  # shares 0, 1/2, 9/16, 5/8, 3/4, 63/64: a fall from 1/2 to 3/4
      model.step.assign(step)
      factors.append(float(model.annealing()))
    self.assertAllClose(factors, [1, 1, 10**-0.5, 0.1, 0.01, 0.01], rtol=1e-5)

  def test_to_zero_and_not_at_all(self):
    model = acai.Model(acai.Config(anneal_to=0.0), TINY, SHAPE)
    model.compile()
    with self.assertRaisesRegex(ValueError, 'share of the training; expected compile.*steps=N'):
      model.annealing()
    model.compile(steps=64)
    for step, factor in ((32, 1), (33, 0), (63, 0)):
      model.step.assign(step)
      self.assertEqual(float(model.annealing()), factor)
    self.assertEqual(acai.Model(acai.Config(), TINY, SHAPE).annealing(), 1)

  @parameterized.named_parameters(
      ('acai', acai, {'lambda_': 0.5}), ('miae', miae, {'lambda_': 0.5}), ('lrae', lrae, {'lambda_': 0.5}),
      ('lsgan_ae', lsgan_ae, {'weight': 0.5}), ('aae', aae, {'adversarial': 0.5}),
      ('midrae', midrae, {'lambda_': 0.5, 'advnoise': 0.4, 'advfake': 0.3}),
      ('aeai', aeai, {'adversarial': 0.5, 'cycle': 0.4, 'smoothness': 0.3}))
  def test_an_annealed_weight_is_a_smaller_weight(self, module, weights):
    late = {'adversarial_from': 0} if hasattr(module.Config(), 'adversarial_from') else {}
    model = module.Model(module.Config(**late), TINY, SHAPE, 3, seed=3)
    model.compile(lambda player: keras.optimizers.SGD(0.1), steps=64)
    for player in model.players().keys() - {'autoencoder', 'classifier'}:
      for variable in model.variables_of(player):  # The outputs of a new critic hardly differ between images.
        variable.assign(5 * variable)
    model.step.assign(60)  # in the last sixteenth of the training, where the weight is smallest
    start = [v.numpy() for v in model.variables]

    def weights_after_a_step(**settings):
      for variable, value in zip(model.variables, start, strict=True):
        variable.assign(value)
      model.config = module.Config(**settings, **late)
      model.take_step(batch())
      return np.concatenate([v.numpy().ravel() for v in model.variables_of('autoencoder')])

    annealed = weights_after_a_step(**weights, anneal_to=0.1)
    smaller = weights_after_a_step(**{key: 0.1 * value for key, value in weights.items()})
    self.assertAllClose(annealed, smaller, rtol=1e-4, atol=1e-5)
    self.assertNotAllClose(annealed, weights_after_a_step(**weights), rtol=1e-3, atol=1e-4)


class InterfaceTest(tf.test.TestCase):

  def test_fit_works_for_library_users(self):
    images, labels = batch()
    model = tiny()
    history = model.fit(images, labels, batch_size=2, epochs=2, verbose=0).history
    self.assertLen(history['recon_mse'], 2)
    self.assertIn('accuracy', history)
    self.assertEqual(int(model.step), 4)

  def test_fit_takes_images_with_and_without_labels(self):
    images, labels = batch()
    model = tiny(autoencoder)
    self.assertNotIn('accuracy', model.fit(images, batch_size=2, verbose=0).history)
    self.assertIn('accuracy', model.fit(images, labels, batch_size=2, verbose=0).history)
    without_graphs(self)
    self.assertNotIn('accuracy', tiny(autoencoder, classes=0).fit(images, batch_size=2, verbose=0).history)

  def test_fit_and_evaluate_report_means_over_all_images(self):
    without_graphs(self)
    model = tiny(autoencoder, optimizer=lambda player: keras.optimizers.SGD(0.0))
    images, labels = batch()
    images = tf.concat([images[:3], tf.fill([1, *SHAPE], -1.0)], 0)  # The last batch is one blank image.
    labels = tf.concat([tf.argmax(model.classifier(model.represent(images[:3])), 1, tf.int32), [5]], 0)
    errors = np.mean((images.numpy() - model(images).numpy())**2, axis=(1, 2, 3))
    self.assertGreater(abs(errors[3] - errors.mean()), 0.1)
    state = [id(v) for v in model.variables]
    for _ in range(2):
      found = model.evaluate(images, labels % 3, batch_size=3, verbose=0, return_dict=True)
      self.assertAllClose(found['recon_mse'], errors.mean(), rtol=1e-5)
      history = model.fit(images, labels % 3, batch_size=3, epochs=2, shuffle=False, verbose=0,
                          validation_data=(images, labels % 3)).history
      self.assertAllClose(history['recon_mse'], [errors.mean()] * 2, rtol=1e-5)
      self.assertAllClose(history['val_recon_mse'], [errors.mean()] * 2, rtol=1e-5)
      self.assertAllClose(history['accuracy'], [found['accuracy']] * 2)
      blank = model.evaluate(images[3:], labels[3:] % 3, verbose=0, return_dict=True)  # Nothing is left of the others.
      self.assertAllClose(blank['recon_mse'], errors[3], rtol=1e-5)
    self.assertGreaterEqual(found['accuracy'], 0.75)
    self.assertEqual([id(v) for v in model.variables], state)
    self.assertEqual(model.count_params(), tiny(autoencoder).count_params())

  def test_interpolate_runs_from_a_to_b(self):
    model = tiny()
    first, second = batch(0)[0], batch(1)[0]
    for path in ('linear', 'spherical', 'geodesic'):
      ends = model.interpolate(tf.tile(first[:1], [2, 1, 1, 1]), tf.tile(second[:1], [2, 1, 1, 1]), [0.0, 1.0], path)
      self.assertAllClose(ends, tf.concat([model(first[:1]), model(second[:1])], axis=0), atol=1e-5)
    middle = model.decode((model.encode(first) + model.encode(second)) / 2)
    self.assertAllClose(model.interpolate(first, second, [0.5] * BATCH), middle, atol=1e-5)
    with self.assertRaisesRegex(ValueError, 'expected one of'):
      model.interpolate(first, second, 0.5, 'cubic')

  def test_alpha_may_have_any_type_but_must_be_in_range(self):
    model = tiny()
    first, second = batch(0)[0], batch(1)[0]
    for path in ('linear', 'spherical'):
      expected = model.interpolate(first, second, [0.25] * BATCH, path)
      for alpha in (0.25, np.float64(0.25), np.full(BATCH, 0.25), tf.constant(0.25), tf.fill([BATCH], 0.25)):
        self.assertAllClose(model.interpolate(first, second, alpha, path), expected, atol=1e-6)
      for alpha, message in ((1.5, 'from 1.5 to 1.5; expected numbers in'), (float('nan'), 'in .0, 1.'),
                             ([0.0, 0.5, -0.1, 1.0], 'from -0.1 to 1'), ([0.1] * (BATCH + 1), 'one for each pair'),
                             ([[0.1]] * BATCH, 'one for each pair')):
        with self.assertRaisesRegex(ValueError, message):
          model.interpolate(first, second, alpha, path)

  def test_mistakes_are_reported(self):
    with self.assertRaisesRegex(ValueError, 'expected square'):
      acai.Model(acai.Config(), TINY, (8, 16, 1))
    shared = keras.optimizers.Adam()
    with self.assertRaisesRegex(ValueError, 'optimiser of its own'):
      tiny(optimizer=lambda player: shared)

  def test_gradients_are_clipped_by_player(self):
    model = tiny(optimizer=lambda player: keras.optimizers.SGD(1.0))
    model.clipnorm = 1e-3
    before = {player: [v.numpy() for v in model.variables_of(player)] for player in model.players()}
    model.take_step(batch())
    for player, values in before.items():
      moved = [old - new.numpy() for old, new in zip(values, model.variables_of(player), strict=True)]
      self.assertAllClose(np.sqrt(sum(np.sum(m**2) for m in moved)), 1e-3, rtol=2e-2)


if __name__ == '__main__':
  tf.test.main()
