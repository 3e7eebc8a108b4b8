"""Parts of the models after ACAI against closed forms, double sums, Jacobians and finite differences.

objectives_test tests the losses of midrae, amr and aeai; those of gaia and irvae are tested here.
"""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from acai_tf import losses
from acai_tf.experiment import config
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.models import aae, aeai, amr, gaia, irvae, lsgan_ae, midrae, vae
from acai_tf.networks import convolutional

TINY, SHAPE, BATCH = config.Network(latent_width=2, latent=3, depth=2), (8, 8, 1), 6


def images(count=BATCH, seed=0):
  return tf.constant(np.random.default_rng(seed).uniform(-1, 1, [count, *SHAPE]), tf.float32)


def make(kind, rate=1e-3, **settings):
  model = kind.Model(kind.Config(**settings), TINY, SHAPE, 0, seed=2)
  for variable in model.trainable_variables:
    if len(variable.shape) == 4:
      variable.assign(2 * variable)  # New networks' codes, images and answers hardly differ.
  model.compile(lambda player: keras.optimizers.SGD(rate))
  return model


class DiscrepancyTest(tf.test.TestCase):

  def test_against_the_double_sum(self):
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=[5, 3]) * 4, generator.normal(size=[7, 3])

    def kernel(a, b):
      return sum(np.exp(-np.sum((a - b)**2) / (2 * s * s)) for s in (2, 5, 10, 20, 40, 80))

    total = 0
    for i in range(5):
      total += sum(kernel(first[i], first[j]) for j in range(5) if j != i) / (5 * 4)
      total -= 2 * sum(kernel(first[i], second[j]) for j in range(7)) / (5 * 7)
    for i in range(7):
      total += sum(kernel(second[i], second[j]) for j in range(7) if j != i) / (7 * 6)
    found = losses.squared_mmd(tf.constant(first, tf.float32), tf.constant(second, tf.float32))
    self.assertAllClose(found, total, rtol=1e-4)

  def test_it_is_small_for_one_distribution_and_large_for_two(self):
    a, b = (tf.random.stateless_normal([500, 4], [0, seed]) for seed in (1, 2))
    self.assertLess(abs(float(losses.squared_mmd(a, b))), 0.01)
    self.assertGreater(float(losses.squared_mmd(a, b + 10)), 1)


class ResynthesisTest(tf.test.TestCase):

  def test_mixtures_lie_between_and_masks_choose(self):
    codes = tf.constant(np.arange(BATCH)[:, None, None, None] * np.ones([1, 2, 2, 3]), tf.float32)
    for parts in (2, 3):
      mixed = make(amr, parts=parts).mix(codes).numpy()
      self.assertAllInRange(mixed, 0, BATCH - 1)
      self.assertAllClose(mixed, mixed[:, :1, :1, :1] * np.ones([1, 2, 2, 3]))  # one share an image
    masked = make(amr, mixing='bernoulli').mix(codes).numpy()
    self.assertAllEqual(masked, np.round(masked))
    self.assertAllEqual(masked, masked[:, :1, :1] * np.ones([1, 2, 2, 1]))  # constant over space
    for bad in ({'mixing': 'cutmix'}, {'mixing': 'bernoulli', 'parts': 3}, {'generator_every': 0}):
      with self.assertRaises(ValueError):
        make(amr, **bad)

  def test_two_shares_are_uniform(self):
    model = make(amr)
    codes = tf.concat([tf.ones([4000, 1, 1, 3]), tf.zeros([4000, 1, 1, 3])], 0)
    mixed = model.mix(codes).numpy()[:4000, 0, 0, 0]  # an image with a partner of 0 has its own share
    share = mixed[mixed < 1 - 1e-5]
    self.assertAllClose([share.mean(), share.var()], [1 / 2, 1 / 12], atol=0.02)

  def test_the_autoencoder_and_its_optimizer_skip_updates(self):
    model = amr.Model(amr.Config(generator_every=3), TINY, SHAPE, 0, seed=2)
    model.compile()
    seen = []
    for _ in range(4):
      model.take_step(images())
      adam = model.optimizers['autoencoder']
      seen.append(np.concatenate([v.numpy().ravel() for v in model.variables_of('autoencoder') + adam.variables]))
    self.assertAllEqual(seen[0], seen[1])
    self.assertAllEqual(seen[1], seen[2])
    self.assertNotAllClose(seen[2], seen[3], rtol=0, atol=1e-5)

  def test_spectral_norm_against_the_singular_value(self):
    layer = convolutional.SpectralConv2D(5, 3, kernel_initializer=keras.initializers.RandomNormal(seed=1))
    x = tf.constant(np.random.default_rng(0).normal(size=[2, 6, 6, 4]), tf.float32)
    layer(x)
    for _ in range(200):
      layer.iterate()
    kernel = layer.kernel.numpy()
    largest = np.linalg.svd(kernel.reshape(-1, 5), compute_uv=False)[0]
    self.assertAllClose(layer(x), tf.nn.conv2d(x, kernel / largest, 1, 'VALID'), atol=1e-4)

  def test_instance_norm_in_encoder_and_decoder_only(self):
    network = config.Network(2, 3, 2, 'instance')
    model = amr.Model(amr.Config(), network, SHAPE)

    def normalizations(body):
      return sum(isinstance(layer, keras.layers.GroupNormalization) for layer in body.layers)

    self.assertEqual([normalizations(b) for b in (model.encoder, model.decoder, model.critic.body)], [5, 5, 0])

  def test_the_authors_networks(self):
    """Instance norm with scale and offset against NumPy, its start, the slope, and no spectral norm of the 1x1."""
    made = resolve('mnist', 'amr')
    self.assertEqual((made.network.depth, made.network.slope, made.training.samples), (16, 0.01, 120_000_000))
    model = amr.Model(made.model, made.network, (32, 32, 1))
    convolution, norm, activation = model.decoder.layers[:3]
    scales = np.concatenate([layer.gamma.numpy() for body in (model.encoder, model.decoder) for layer in body.layers
                             if isinstance(layer, keras.layers.GroupNormalization)])
    self.assertAllClose([scales.mean(), scales.std()], [0, 1.04**-0.5], atol=0.1)
    norm.gamma.assign(tf.range(norm.gamma.shape[0], dtype=tf.float32))
    norm.beta.assign(-norm.gamma)
    before = convolution(tf.random.stateless_normal([3, 4, 4, 16], [0, 1])).numpy()
    scaled = (before - before.mean((1, 2), keepdims=True)) / np.sqrt(before.var((1, 2), keepdims=True) + 1e-5)
    wanted = scaled * norm.gamma.numpy() + norm.beta.numpy()
    self.assertAllClose(activation(norm(before)), np.where(wanted > 0, wanted, 0.01 * wanted), atol=1e-4)
    for body in (model.encoder, model.critic.body):
      self.assertEqual({layer.negative_slope for layer in body.layers if isinstance(layer, keras.layers.LeakyReLU)},
                       {0.01})
    first, *others = (layer for layer in model.critic.body.layers if isinstance(layer, keras.layers.Conv2D))
    self.assertEqual((type(first), {*map(type, others)}), (convolutional.Conv2D, {convolutional.SpectralConv2D}))


class InterpolationPenaltyTest(tf.test.TestCase):

  def test_velocity_against_finite_differences(self):
    model, codes = make(aeai), 3 * tf.random.stateless_normal([BATCH, 2, 2, 3], [0, 1])
    direction = tf.reverse(codes, [0]) - codes
    _, velocity = model.decode_with_velocity(codes, direction)
    h = 3e-4
    difference = (model.decode(codes + h * direction) - model.decode(codes - h * direction)) / (2 * h)
    self.assertGreater(np.abs(velocity).max(), 0.05, 'the test tests less than it says')
    error = np.abs(velocity - difference)
    # The rest crosses a LeakyReLU's kink between the two points.
    self.assertLess(np.quantile(error, 0.8), 1e-3 * np.abs(velocity).max())
    self.assertGreater(np.corrcoef(np.ravel(velocity), np.ravel(difference))[0, 1], 0.999)

  def test_the_penalty_s_gradient_against_finite_differences(self):
    model, codes = make(aeai), 3 * tf.random.stateless_normal([BATCH, 2, 2, 3], [0, 1])
    direction = tf.reverse(codes, [0]) - codes
    kernel = model.decoder.layers[-1].kernel

    def penalty():
      return losses.mean_square(model.decode_with_velocity(codes, direction)[1])

    with tf.GradientTape() as tape:
      value = penalty()
    gradient = tape.gradient(value, kernel.value).numpy()
    step = gradient / np.linalg.norm(gradient) * 1e-2
    start = kernel.numpy()
    kernel.assign(start + step)
    above = penalty()
    kernel.assign(start - step)
    self.assertAllClose((above - penalty()) / 2, np.sum(gradient * step), rtol=1e-2)

  def test_the_critic_is_updated_every_so_many_steps_on_data_and_then_on_mixtures(self):
    model = aeai.Model(aeai.Config(critic_every=3), TINY, SHAPE, 0, seed=2)
    model.compile(lambda player: keras.optimizers.SGD(0.1))
    before = [v.numpy() for v in model.variables_of('critic')]
    for _ in range(2):
      model.take_step(images())
      self.assertAllEqual(before[0], model.variables_of('critic')[0])
    # The third update by hand: a step on data, and one from there on mixtures.
    x, critic = images(), model.variables_of('critic')
    codes, alpha = model.encode(x), model.uniform(BATCH)
    mixed = model.decode((1 - alpha) * codes + alpha * codes[::-1])
    start = [v.numpy() for v in critic]
    for given, real in ((x, True), (mixed, False)):
      with tf.GradientTape() as tape:
        loss = losses.real_or_fake(model.critic(given), real)
      for variable, gradient in zip(critic, tape.gradient(loss, [v.value for v in critic]), strict=True):
        variable.assign_sub(0.1 * gradient)
    wanted = [v.numpy() for v in critic]
    for variable, value in zip(critic, start, strict=True):
      variable.assign(value)
    model.take_step(x)
    for variable, value in zip(critic, wanted, strict=True):
      self.assertAllClose(variable, value, atol=1e-6)
    self.assertGreater(np.abs(wanted[-1] - start[-1]).max(), 1e-4)


class InterpolativeTest(parameterized.TestCase, tf.test.TestCase):

  def test_latents_in_proportion_to_the_images_cost_nothing(self):
    model, x = make(gaia), images()
    self.assertAllClose(model.distance_loss(x, 3 * x), 0, atol=1e-9)
    self.assertGreater(model.distance_loss(x, x**3), 1e-4)

  def test_distances_against_the_double_sum(self):
    generator = np.random.default_rng(0)
    x, codes = generator.normal(size=[BATCH, *SHAPE]), generator.normal(size=[BATCH, 2, 2, 3])
    pairs = np.empty([2, BATCH, BATCH])
    for i in range(BATCH):
      for j in range(BATCH):
        pairs[:, i, j] = [np.sum((values[i] - values[j])**2) for values in (x, codes)]
    wanted = 0
    for i in range(BATCH):
      for j in range(BATCH):
        one, two = np.log(1 + pairs[0, i, j] / pairs[0].mean()), np.log(1 + pairs[1, i, j] / pairs[1].mean())
        wanted += (one - two)**2 / BATCH**2
    self.assertAllClose(make(gaia).distance_loss(*(tf.constant(v, tf.float32) for v in (x, codes))), wanted, rtol=1e-4)

  def test_steps_that_are_partly_undone_have_no_average(self):
    for recipe, average in (('paper', 0.0), ('fast', 0.998)):
      training = resolve('lines', 'gaia', recipe).training
      self.assertEqual((make(gaia, balance='bound').training_of('critic', training), training.average),
                       (training, average))
    self.assertEqual(make(gaia, balance='sigmoid').training_of('critic', config.Training()), config.Training())
    with self.assertRaisesRegex(UserError, r'training.average is 0.998; expected 0 with model.balance'):
      make(gaia, balance='sigmoid').training_of('critic', training)

  @parameterized.product(error=('absolute', 'squared'), balance=('sigmoid', 'bound'), far=(False, True))
  def test_losses_and_steps_from_the_outputs(self, error, balance, far):
    rate = 0.1
    model = make(gaia, rate, error=error, balance=balance, slope=3.0, sigma=0.7, cap=0.48, weight=0.4, direct=0.3)
    for variable in model.variables_of('critic'):  # With `make`'s factor of 2, 1.4 keeps the size of the outputs.
      if len(variable.shape) == 4:
        variable.assign(0.7 * variable)
    kernel = model.decoder.layers[-1].kernel
    kernel.assign((1.0 if far else 0.3) * kernel)  # Far mixtures have e_i > e_r, and p at its bound.
    model.step.assign(3)
    x, alpha = images(), 0.5 + 0.25 * model.normal(BATCH, (1, 1, 1))
    before = {player: [v.numpy() for v in model.variables_of(player)] for player in model.players()}
    power = 2 if error == 'squared' else 1
    with tf.GradientTape(persistent=True) as tape:
      codes = model.encode(x)
      decoded, mixed = model.decode(codes), model.decode(alpha * codes + (1 - alpha) * codes[::-1])
      outputs = [model.critic_decoder(model.critic_encoder(given)) for given in (x, decoded, mixed)]
      errors = [tf.reduce_mean(tf.abs(target / 2 - output / 2)**power)
                for target, output in zip((x, x, mixed, x), (*outputs, decoded), strict=True)]
      distance = model.distance_loss(x, codes)
    real, fake, between, direct = (float(e) for e in errors)

    def squash(t):
      return 1 / (1 + np.exp(-3 * t))

    if balance == 'sigmoid':
      fakes = (fake + between) / 2
      p, q, pace = min(squash(0.7 * between - real), 0.48), squash(between - fake), squash(real - fakes)
      self.assertEqual(p == 0.48, far)
      slope_p, slope_q = 3 * p * (1 - p) * (p < 0.48), 3 * q * (1 - q)  # derivatives of p and q
      fool, loss, paces = q * between + (1 - q) * fake, real - p * fakes, {'critic': pace, 'autoencoder': 1 - pace}
      by_error = {'critic': (1 + fakes * slope_p, -p / 2, -p / 2 - 0.7 * fakes * slope_p, 0),
                  'autoencoder': (0, 1 - q - (between - fake) * slope_q, q + (between - fake) * slope_q, 0.3)}
    else:
      self.assertEqual(between > real, far)
      fool, loss, paces = between + fake, real + fake - min(between, real), {'critic': 1, 'autoencoder': 1}
      by_error = {'critic': (0, 1, 0, 0) if far else (1, 1, -1, 0), 'autoencoder': (0, 1, 1, 0.3)}
    logs = model.take_step(x)
    wanted = {'fool_loss': fool, 'critic_loss': loss, 'distance_loss': distance, 'real_loss': real,
              'recon_mse': np.mean((x - decoded)**2)}
    for key, value in wanted.items():
      self.assertAllClose(logs[key], value, rtol=1e-4, msg=key)
    for player, pace in paces.items():
      variables, largest = model.variables_of(player), 0
      parts = [tape.gradient(e, [v.value for v in variables], unconnected_gradients='zero')
               for e in (*errors, distance)]
      factors = (*by_error[player], 0.4 * (player == 'autoencoder'))
      for old, variable, *gradients in zip(before[player], variables, *parts, strict=True):
        step = rate * pace * sum(f * g.numpy() for f, g in zip(factors, gradients, strict=True))
        self.assertAllInRange(step, -1, 1)
        self.assertAllClose(variable, old - step, rtol=1e-3, atol=1e-6, msg=variable.path)
        largest = max(largest, np.abs(step).max())
      self.assertGreater(largest, 1e-4, 'the test tests less than it says')


class IsometryTest(parameterized.TestCase, tf.test.TestCase):

  def of_linear(self, matrix, codes, direction):
    """F of the decoder z -> z @ matrix + 1, [d, pixels]."""
    model = make(irvae)
    model.decode = lambda codes, training: tf.reshape(model.features(codes) @ matrix + 1, [-1, *SHAPE])
    return float(model.relaxed_distortion(codes, direction))

  def test_a_linear_decoder_against_its_singular_values(self):
    generator, count = np.random.default_rng(0), 20_000
    left, right = (np.linalg.qr(generator.normal(size=size))[0] for size in ((12, 12), (64, 12)))
    values = np.linspace(0.5, 3, 12)
    matrix = tf.constant(left @ np.diag(values) @ right.T, tf.float32)
    codes, direction = (tf.random.stateless_normal([count, 2, 2, 3], [0, seed]) for seed in (1, 2))
    wanted = np.sum(values**4) / np.sum(values**2)**2
    self.assertAllClose(self.of_linear(matrix, codes, direction), wanted, rtol=0.02)
    self.assertAllClose(self.of_linear(7 * matrix, codes, direction), wanted, rtol=0.02)  # the scale does not matter
    self.assertGreater(wanted, 1.3 / 12)

  @parameterized.parameters(12, 5, 1)
  def test_an_isometry_of_so_many_dimensions_has_their_inverse(self, rank):
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 12)))[0].T
    matrix = tf.constant(3 * np.diag(np.arange(12) < rank) @ basis, tf.float32)
    direction = np.sign(np.random.default_rng(1).normal(size=[BATCH, 2, 2, 3]))  # v with v_i^2 = 1: no sampling error
    found = self.of_linear(matrix, tf.zeros([BATCH, 2, 2, 3]), tf.constant(direction, tf.float32))
    self.assertAllClose(found, 1 / rank, rtol=1e-5)

  def test_the_objective_against_jacobians(self):
    model, plain, x = make(irvae, lambda_=30.0, eta=0.3, beta=0.5), make(vae, beta=0.5), images()
    for ours, theirs in zip(model.variables, plain.variables, strict=True):
      theirs.assign(ours)
    mean, log_variance, _ = model.posterior(x)
    codes = model.to_code(mean + tf.exp(log_variance / 2) * model.normal(BATCH, (12,))).numpy()
    alpha = model.uniform(BATCH, salt=1).numpy() * 1.6 - 0.3
    points = tf.constant((1 - alpha) * codes[::-1] + alpha * codes)
    with tf.GradientTape() as tape:
      tape.watch(points)
      decoded = model.decode(points)
    jacobians = tape.batch_jacobian(decoded, points).numpy().reshape([BATCH, 64, 12])
    directions = model.normal(BATCH, (2, 2, 3), salt=2).numpy().reshape([BATCH, 12])
    metrics = [j.T @ j for j in jacobians]
    traces = np.mean([v @ h @ v for h, v in zip(metrics, directions, strict=True)])
    squares = np.mean([np.sum((h @ v)**2) for h, v in zip(metrics, directions, strict=True)])
    loss, _, logs = model.objective(x)
    self.assertAllClose(logs['distortion_loss'], squares / traces**2, rtol=1e-4)
    self.assertAllClose(loss - plain.objective(x)[0], 30 * squares / traces**2, rtol=1e-3)
    self.assertAllInRange(alpha, -0.3, 1.3)
    self.assertLess(alpha.min(), 0)

  def test_its_gradient_against_finite_differences(self):
    model = make(irvae)
    codes, direction = (2 * tf.random.stateless_normal([BATCH, 2, 2, 3], [0, seed]) for seed in (1, 2))
    kernel = model.decoder.layers[-1].kernel  # It moves no kink of a LeakyReLU.
    with tf.GradientTape() as tape:
      value = model.relaxed_distortion(codes, direction)
    gradient = tape.gradient(value, kernel.value).numpy()
    step, start, ends = gradient / np.linalg.norm(gradient) * 1e-2, kernel.numpy(), []
    for sign in (1, -1):
      kernel.assign(start + sign * step)
      ends.append(float(model.relaxed_distortion(codes, direction)))
    self.assertAllClose((ends[0] - ends[1]) / 2, np.sum(gradient * step), rtol=3e-2)


class SettingsTest(tf.test.TestCase):

  def test_refused_settings(self):
    for kind in (aae, aeai, amr, lsgan_ae, midrae):
      with self.assertRaisesRegex(ValueError, 'model.adversarial_from is -1'):
        make(kind, adversarial_from=-1)
    with self.assertRaisesRegex(ValueError, 'model.adversarial is -1'):
      make(aae, adversarial=-1)
    with self.assertRaisesRegex(ValueError, 'model.target'):
      make(midrae, target='prior')


if __name__ == '__main__':
  tf.test.main()
