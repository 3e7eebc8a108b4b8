"""Networks, interpolation and losses against figures computed by hand."""

import unittest.mock

import keras
import numpy as np
import tensorflow as tf

from acai_tf import interpolation, losses
from acai_tf.experiment import config, machine
from acai_tf.experiment.errors import UserError
from acai_tf.networks import convolutional, dense

LINES, MNIST32, SVHN256 = config.Network(2, 16, 16), config.Network(4, 2, 16), config.Network(4, 16, 64)


def encoder_parameters(size, channels, network):
  """Counted by the protocol's list of layers."""
  count, width = config.scales(size, network.latent_width), network.depth
  total = channels * width + width
  for scale in range(count):
    for _ in range(2):
      total += 9 * width * (network.depth << scale) + (network.depth << scale)
      width = network.depth << scale
  top = network.depth << count
  return total + 9 * width * top + top + 9 * top * network.latent + network.latent


class NetworksTest(tf.test.TestCase):

  def test_shapes_and_parameters(self):
    for size, channels, network in ((32, 1, LINES), (32, 1, MNIST32), (32, 3, SVHN256),
                                    (64, 3, config.Network(4, 3, 8))):
      encoder = convolutional.encoder(size, network)
      codes = encoder(tf.zeros([2, size, size, channels]))
      self.assertEqual(codes.shape, (2, network.latent_width, network.latent_width, network.latent))
      self.assertEqual(encoder.count_params(), encoder_parameters(size, channels, network))
      images = convolutional.decoder(size, channels, network)(codes)
      self.assertEqual(images.shape, (2, size, size, channels))

  def test_initialiser(self):
    kernel = convolutional.initializer(0)([3, 3, 64, 256]).numpy()
    self.assertAllClose(kernel.std(), 1 / np.sqrt(9 * 64 * 1.04), rtol=0.01)
    self.assertGreater(np.abs(kernel).max() / kernel.std(), 3.5)  # Not truncated at two standard deviations.

  def test_a_small_convolution_and_its_gradients_equal_sums_over_places(self):
    generator = np.random.default_rng(0)
    images, kernel, upstream = (generator.normal(size=shape) for shape in ((3, 4, 2, 9), (3, 3, 9, 5), (3, 4, 2, 5)))
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected, by_images, by_kernel = np.zeros(upstream.shape), np.zeros(padded.shape), np.zeros(kernel.shape)
    for i, j in np.ndindex(3, 3):
      seen = padded[:, i:i + 4, j:j + 2]
      expected += seen @ kernel[i, j]
      by_kernel[i, j] = np.einsum('nhwc,nhwd->cd', seen, upstream)
      by_images[:, i:i + 4, j:j + 2] += upstream @ kernel[i, j].T
    layer = convolutional.Conv2D(5, 3, padding='same', use_bias=False)
    layer.build(images.shape)
    layer.kernel.assign(kernel)
    with unittest.mock.patch.object(convolutional, 'convolve_small', wraps=convolutional.convolve_small) as small:
      with tf.GradientTape() as tape:
        inputs = tf.constant(images, tf.float32)
        tape.watch(inputs)
        outputs = layer(inputs)
      self.assertEqual(small.call_count, 1)
      layer(tf.zeros([1, 4, 4, 9]))  # as many pixels as channels or more: Keras's own
      self.assertEqual(small.call_count, 1)
    self.assertAllClose(outputs, expected, rtol=1e-5, atol=1e-5)
    found = tape.gradient(outputs, [inputs, layer.kernel.value], tf.constant(upstream, tf.float32))
    self.assertAllClose(found[0], by_images[:, 1:-1, 1:-1], rtol=1e-5, atol=1e-5)
    self.assertAllClose(found[1], by_kernel, rtol=1e-5, atol=1e-5)

  def test_leaky_relu_and_its_first_and_second_gradients(self):
    inputs, upstream = tf.constant([-2.0, -0.0, 0.0, 1e-30, 3.0]), tf.constant([1.0, 2.0, 3.0, 4.0, 5.0])
    layer = convolutional.LeakyReLU(negative_slope=0.2)
    with tf.GradientTape() as outer:
      outer.watch([inputs, upstream])
      with tf.GradientTape() as inner:
        inner.watch(inputs)
        outputs = layer(inputs)
      gradient = inner.gradient(outputs, inputs, upstream)
    self.assertAllClose(outputs, [-0.4, 0, 0, 1e-30, 3])
    self.assertAllClose(gradient, [0.2, 0.4, 0.6, 4, 5])
    by_inputs, by_upstream = outer.gradient(gradient, [inputs, upstream], unconnected_gradients='zero')
    self.assertAllEqual(by_inputs, np.zeros(5))
    self.assertAllClose(by_upstream, [0.2, 0.2, 0.2, 1, 1])

  def test_batches_side_by_side_or_in_one_call_give_the_same(self):
    critic = convolutional.Critic(8, config.Network(4, 2, 2))
    first, second = (tf.random.stateless_normal([n, 8, 8, 1], [n, 0]) for n in (3, 5))
    critic(first)
    for cores, calls in (({0}, 1), ({0, 1}, 2)):
      network = unittest.mock.Mock(side_effect=critic)
      with unittest.mock.patch.object(machine, 'cores', return_value=cores):
        found = convolutional.map_batches(network, first, second)
      self.assertEqual(network.call_count, calls)
      for batch, answers in zip((first, second), found, strict=True):
        self.assertAllClose(answers, critic(batch), atol=1e-6)

  def test_upsampling_is_keras_s_to_the_bit_and_so_is_its_gradient(self):
    generator = np.random.default_rng(0)
    images, upstream = (tf.constant(generator.normal(size=shape), tf.float32) for shape in ((3, 4, 2, 5), (3, 8, 4, 5)))
    found = []
    for kind in (convolutional.UpSampling2D, keras.layers.UpSampling2D):
      with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = kind(2)(images)
      found.append((outputs.numpy(), tape.gradient(outputs, images, upstream).numpy()))
    for ours, theirs in zip(*found, strict=True):
      self.assertAllEqual(ours, theirs)
    self.assertAllEqual(found[0][0][:, 1::2, 1::2], images)

  def test_dense_layers_are_glorot_uniform(self):
    layer = dense.linear(300, seed=1)
    layer.build((None, 500))
    limit = np.sqrt(6 / (500 + 300))
    self.assertAllInRange(layer.kernel, -limit, limit)
    self.assertAllClose(layer.kernel.numpy().std(), limit / np.sqrt(3), rtol=0.01)
    self.assertAllEqual(layer.bias, np.zeros(300))

  def test_no_two_layers_start_alike_and_the_seed_decides(self):
    first, again, other = (convolutional.encoder(32, LINES, seed) for seed in (0, 0, 1))
    for encoder in (first, again, other):
      encoder(tf.zeros([1, 32, 32, 1]))
    kernels = [w.numpy() for w in first.trainable_variables if len(w.shape) == 4]
    for i, kernel in enumerate(kernels):
      self.assertFalse(any(kernel.shape == k.shape and np.array_equal(kernel, k) for k in kernels[:i]))
    self.assertAllEqual(kernels[3], [w.numpy() for w in again.trainable_variables if len(w.shape) == 4][3])
    self.assertNotAllClose(kernels[3], [w.numpy() for w in other.trainable_variables if len(w.shape) == 4][3])

  def test_slope_and_linear_ends(self):
    layers = convolutional.encoder(32, LINES).layers
    self.assertAllClose([layer.negative_slope for layer in layers if 'leaky' in layer.name], [0.2] * 9)
    self.assertNotIn('leaky', layers[1].name)  # After the 1x1 convolution comes the next one.
    self.assertNotIn('leaky', layers[-1].name)
    self.assertNotIn('leaky', convolutional.decoder(32, 1, LINES).layers[-1].name)

  def test_the_critic_answers_one_number_an_image(self):
    critic = convolutional.Critic(32, LINES)
    images = tf.random.stateless_normal([3, 32, 32, 1], [1, 2])
    self.assertAllClose(critic(images), tf.reduce_mean(critic.body(images), [1, 2, 3]))
    self.assertEqual(critic(images).shape, (3,))

  def test_bfloat16_keeps_codes_images_and_weights_in_float32(self):
    for network, inputs in ((convolutional.encoder(32, LINES, 0, 'mixed_bfloat16'), tf.zeros([1, 32, 32, 1])),
                            (convolutional.decoder(32, 1, LINES, 0, 'mixed_bfloat16'), tf.zeros([1, 2, 2, 16]))):
      self.assertEqual(network(inputs).dtype, tf.float32)
      self.assertEqual({v.dtype for v in network.variables}, {'float32'})
      self.assertEqual(network.layers[0].compute_dtype, 'bfloat16')

  def test_a_width_that_does_not_fit(self):
    with self.assertRaisesRegex(UserError, r'latent width 5 .*: 16, 8, 4, 2, 1; nearest sizes.*: 20 and 40'):
      config.scales(32, 5)
    self.assertEqual(config.scales(96, 3), 5)


class InterpolationTest(tf.test.TestCase):

  def test_slerp_on_the_unit_circle(self):
    first, second = tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]])
    for alpha in (0.0, 0.25, 1.0):
      angle = alpha * np.pi / 2
      self.assertAllClose(interpolation.slerp(first, second, alpha), [[np.cos(angle), np.sin(angle)]], atol=1e-6)

  def test_slerp_falls_back_where_codes_are_parallel(self):
    code = tf.constant([[1.0, 2.0], [0.0, 0.0], [1.0, 0.0]])
    other = tf.constant([[2.0, 4.0], [1.0, 1.0], [-1.0, 0.0]])
    self.assertAllClose(interpolation.slerp(code, other, 0.25), interpolation.lerp(code, other, 0.25))

  def test_slerp_has_gradients_where_codes_are_equal(self):
    first, alpha = tf.constant([[0.6, 0.8], [1.0, 0.0], [0.0, 0.0]]), tf.constant([0.25, 0.5, 0.5])
    second = tf.constant([[0.6, 0.8], [-1.0, 0.0], [1.0, 0.0]])
    with tf.GradientTape() as tape:
      tape.watch([first, second])
      path = interpolation.slerp(first, second, alpha)
    one, other = tape.gradient(path, [first, second])
    self.assertAllClose(one, (1 - alpha.numpy())[:, None] * np.ones([3, 2]))
    self.assertAllClose(other, alpha.numpy()[:, None] * np.ones([3, 2]))

  def test_gaussian_paths_against_numpy_and_with_exact_ends(self):
    first, second = np.random.default_rng(0).normal(size=[2, 5, 2, 2, 3]).astype(np.float32)
    for alpha in (0.0, 0.1, 0.5, 1.0):
      expected = ((1 - alpha) * first + alpha * second) / np.sqrt((1 - alpha)**2 + alpha**2)
      self.assertAllClose(interpolation.between(first, second, tf.constant(alpha), 'gaussian'), expected, rtol=1e-6)
    for alpha, end in ((0.0, first), (1.0, second)):
      self.assertAllEqual(interpolation.between(first, second, tf.constant(alpha), 'gaussian'), end)
    alphas = np.linspace(0, 1, 5, dtype=np.float32)
    for kind in interpolation.PATHS:
      self.assertAllClose(
          interpolation.between(first, second, alphas, kind),
          np.stack([interpolation.path(first[i:i + 1], second[i:i + 1], 5, kind)[0, i] for i in range(5)]), rtol=1e-5)

  def test_gaussian_paths_keep_the_distribution(self):
    generator = np.random.default_rng(0)
    matrix = np.array([[1.0, 0.0], [0.8, 0.6]])  # a correlation of 0.8, and variances of 1
    first, second = (generator.normal(size=[100_000, 2]) @ matrix.T for _ in range(2))
    for kind, scale in (('gaussian', 1.0), ('linear', 0.5)):
      points = interpolation.between(first, second, tf.constant(0.5, tf.float64), kind).numpy()
      self.assertAllClose(points.mean(axis=0), [0, 0], atol=0.02)  # 6 standard errors
      self.assertAllClose(np.cov(points, rowvar=False), scale * matrix @ matrix.T, atol=0.03)

  def test_the_nearest_point_with_the_same_logits(self):
    generator = np.random.default_rng(0)
    first, second, kernel = (generator.normal(size=size) for size in ((4, 5), (4, 5), (5, 3)))
    found = interpolation.with_logits_of(first, second, kernel).numpy()
    self.assertAllClose(found @ kernel, first @ kernel, atol=1e-9)
    weights, *_ = np.linalg.lstsq(kernel, (second - found).T)  # Nearest: the rest is a combination of the columns.
    self.assertAllClose((kernel @ weights).T, second - found, atol=1e-9)
    self.assertNotAllClose(found, first, atol=0.1)
    for classes in (5, 7):  # as many logits as dimensions: nothing can move
      self.assertAllClose(interpolation.with_logits_of(first, second, generator.normal(size=[5, classes])), first)

  def test_paths_hold_both_ends(self):
    first, second = tf.random.stateless_normal([2, 3, 2, 2, 4], [0, 1])
    for kind in interpolation.PATHS:
      points = interpolation.path(first, second, 5, kind)
      self.assertEqual(points.shape, (3, 5, 2, 2, 4))
      self.assertAllClose(points[:, 0], first, atol=1e-5)
      self.assertAllClose(points[:, -1], second, atol=1e-5)
    with self.assertRaisesRegex(ValueError, 'expected one of'):
      interpolation.path(first, second, 5, 'circular')

  def test_the_geodesics_of_a_linear_decoder_are_straight(self):
    first, second = tf.random.stateless_normal([2, 3, 4], [0, 1])
    matrix = tf.random.stateless_normal([4, 9], [0, 2])
    found = interpolation.geodesic(lambda codes: codes @ matrix, first, second, points=6, steps=20)
    self.assertAllClose(found, interpolation.path(first, second, 6), atol=1e-4)
    self.assertAllClose(interpolation.geodesic(lambda codes: 0 * codes, first, second, 6, 3)[:, 2:4],
                        interpolation.path(first, second, 6)[:, 2:4])
    with self.assertRaisesRegex(ValueError, 'at least 3'):
      interpolation.geodesic(lambda codes: codes, first, second, points=2)

  def test_geodesics_on_a_sphere_are_great_circles(self):
    def decode(codes):  # [n, 1, 2] latitude and longitude
      latitude, longitude = codes[:, 0, 0], codes[:, 0, 1]
      return tf.stack([tf.cos(latitude) * tf.cos(longitude), tf.cos(latitude) * tf.sin(longitude),
                       tf.sin(latitude)], axis=1)

    first = tf.constant([[[0.8, 0.0]], [[0.0, 0.0]], [[-0.5, 0.3]], [[0.6, 1.0]]])
    second = tf.constant([[[0.8, 2.0]], [[0.0, 1.5]], [[1.0, 2.0]], [[0.6, 1.0]]])  # a parallel, the equator, any, none
    points = interpolation.geodesic(decode, first, second)
    images = decode(tf.reshape(interpolation.refined(points, 16), [-1, 1, 2])).numpy().reshape(4, -1, 3)
    lengths = np.linalg.norm(np.diff(images, axis=1), axis=2).sum(axis=1)
    ends = images[:, 0], images[:, -1]
    self.assertAllClose(lengths, np.arccos(np.clip(np.sum(ends[0] * ends[1], axis=1), -1, 1)), rtol=2e-3, atol=1e-3)
    self.assertLess(lengths[0], 0.9 * 2 * np.cos(0.8))  # shorter than the parallel, the straight path's image
    for path, normal in zip(images[::2], np.cross(*ends)[::2], strict=True):
      self.assertAllClose(path @ normal, np.zeros(len(path)), atol=0.02)
    steps = np.linalg.norm(np.diff(images[:, ::16], axis=1), axis=2)
    self.assertAllClose(steps, np.repeat(steps.mean(axis=1, keepdims=True), 15, axis=1), rtol=0.05, atol=1e-3)
    self.assertAllClose(points[:, 0], first)
    self.assertAllClose(points[:, -1], second, atol=1e-5)

  def test_places_along_paths(self):
    points = tf.random.stateless_normal([2, 4, 3], [0, 1])
    for alpha in ([0.0, 0.2], [0.5, 1 / 3], [0.9, 1.0]):
      expected = [[np.interp(a, np.linspace(0, 1, 4), column) for column in path.T]
                  for a, path in zip(alpha, points.numpy(), strict=True)]
      self.assertAllClose(interpolation.along(points, tf.constant(alpha)), expected, atol=1e-5)
    self.assertAllClose(interpolation.along(points, tf.constant([1.0])), points[:, -1])
    expected = np.stack([interpolation.along(points, tf.constant([a / 9])) for a in range(10)], axis=1)
    self.assertAllClose(interpolation.refined(points, 3), expected, atol=1e-5)


class LossesTest(tf.test.TestCase):

  def test_values_by_hand(self):
    self.assertAllClose(losses.mean_squared_error(tf.constant([1.0, 2.0]), tf.constant([0.0, 4.0])), 2.5)
    self.assertAllClose(losses.mean_square(tf.constant([1.0, -3.0])), 5.0)
    loss, accuracy = losses.classification(tf.constant([0, 1]), tf.constant([[0.0, 0.0], [1.0, 0.0]]))
    self.assertAllClose(loss, (np.log(2) + np.log(1 + np.e)) / 2)
    self.assertAllClose(accuracy, 0.5)

  def test_shapes_that_would_broadcast_are_refused(self):
    with self.assertRaises(ValueError):
      losses.mean_squared_error(tf.zeros([3, 1]), tf.zeros([3]))


if __name__ == '__main__':
  tf.test.main()
