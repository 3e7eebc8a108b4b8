"""The networks that all models share (ACAI paper, appendix A)."""

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator

import keras
import tensorflow as tf

from acai_tf.experiment import machine
from acai_tf.experiment.config import scales
from acai_tf.networks import dense

SLOPE = 0.2  # of LeakyReLU, in the start of the weights too; Keras's default is 0.3


def initializer(seed) -> keras.initializers.Initializer:
  """Of convolutions: N(0, 1 / sqrt(fan_in (1 + 0.2^2))), fan_in = kernel height x width x channels; no factor 2."""
  return keras.initializers.VarianceScaling(1 / (1 + SLOPE**2), 'fan_in', 'untruncated_normal', seed=seed)


_plain = contextvars.ContextVar('plain', default=False)


@contextlib.contextmanager
def plain() -> Iterator[None]:
  """A context in which convolutions are traced without gradients of their own, which a module would carry along: half
  its graph, for the same values."""
  token = _plain.set(True)
  try:
    yield
  finally:
    _plain.reset(token)


@tf.custom_gradient
def convolve_small(images, kernel) -> tuple:
  """A 3x3 convolution of small maps, whose kernel's gradient is nine matrix products, one for each of its places.

  oneDNN's own gradient takes several times as long where maps are small and channels many
  (benchmarks/kernel_gradient.py).
  """
  height, width = images.shape[1:3]

  def gradient(upstream):
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
    flat = tf.reshape(upstream, [-1, kernel.shape[3]])
    places = [tf.matmul(tf.reshape(padded[:, i:i + height, j:j + width], [-1, kernel.shape[2]]), flat, transpose_a=True)
              for i in range(3) for j in range(3)]
    return (tf.nn.conv2d_transpose(upstream, kernel, tf.shape(images), 1),
            tf.reshape(tf.stack(places), kernel.shape))

  return tf.nn.conv2d(images, kernel, 1, 'SAME'), gradient


class Conv2D(keras.layers.Conv2D):
  """Keras's, with a faster gradient on a processor: the same to rounding."""

  def convolution_op(self, inputs, kernel) -> tuple:
    height, width, channels = inputs.shape[1:]
    small = self.kernel_size == (3, 3) and height * width < channels
    if small and not _plain.get() and not tf.config.list_logical_devices('GPU'):
      return convolve_small(tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel))
    return super().convolution_op(inputs, kernel)


class SpectralConv2D(Conv2D):
  """A convolution whose kernel, as a matrix, is divided by its largest singular value (Miyato et al. 2018, eq. 8).

  The value is estimated by power iteration: call `iterate` once a step. Gradients pass through the division.
  """

  def build(self, input_shape) -> None:
    super().build(input_shape)
    self.direction = self.add_weight(
        name='direction', shape=(self.filters,), trainable=False, aggregation='only_first_replica',
        initializer=keras.initializers.RandomNormal(seed=self.kernel_initializer.seed))

  def _vectors(self, kernel):
    matrix = tf.reshape(kernel, [-1, self.filters])
    left = tf.math.l2_normalize(tf.linalg.matvec(matrix, self.direction))
    return matrix, tf.stop_gradient(left)

  def iterate(self) -> None:
    """One power iteration."""
    matrix, left = self._vectors(self.kernel)
    self.direction.assign(tf.math.l2_normalize(tf.linalg.matvec(matrix, left, transpose_a=True)))

  def convolution_op(self, inputs, kernel) -> tuple:
    matrix, left = self._vectors(kernel)
    right = tf.math.l2_normalize(tf.convert_to_tensor(self.direction))
    return super().convolution_op(inputs, kernel / tf.tensordot(left, tf.linalg.matvec(matrix, right), 1))

  # Keras's convolutions save kernel and bias only; a plain layer saves all of its weights.
  save_own_variables = keras.layers.Layer.save_own_variables
  load_own_variables = keras.layers.Layer.load_own_variables


def leaky_relu(inputs, slope) -> tf.Tensor:
  """LeakyReLU of any shape, whose gradient takes the outputs, which have the inputs' signs.

  So nothing else needs what the convolution before gives, and TensorFlow makes the two, and the bias, one operation.
  """
  @tf.custom_gradient
  def function(inputs):
    outputs = tf.nn.leaky_relu(inputs, slope)

    def gradient(upstream):
      return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=outputs, alpha=slope)

    return outputs, gradient

  return function(inputs)


class LeakyReLU(keras.layers.LeakyReLU):
  """Keras's, with a faster gradient: the same to rounding."""

  def call(self, inputs) -> tf.Tensor:
    return super().call(inputs) if _plain.get() else leaky_relu(tf.convert_to_tensor(inputs), self.negative_slope)


class UpSampling2D(keras.layers.UpSampling2D):
  """Keras's of the nearest pixel, the same to the bit, with shapes that do not go through the graph.

  Keras computes them there, where LiteRT's converter loses the number of channels and refuses the next convolution.
  """

  def call(self, images) -> tf.Tensor:
    height, width, channels = images.shape[1:]
    rows, columns = self.size
    images = tf.tile(tf.expand_dims(images, 2), [1, 1, rows, 1, 1])
    images = tf.reshape(images, [-1, height * rows, width, channels])
    images = tf.tile(tf.expand_dims(images, 3), [1, 1, 1, columns, 1])
    return tf.reshape(images, [-1, height * rows, width * columns, channels])


class _Layers:
  """Collects one network's layers with their seeds and precision."""

  def __init__(self, seed, player, precision, network, spectral=False):
    self.seeds, self.precision, self.layers = dense.seeds(seed, player), precision, []
    self.network, self.spectral = network, spectral
    if spectral:
      self.precision = 'float32'  # bfloat16's three digits are too few for the power iteration

  def convolution(self, channels, kernel=3, activate=True, dtype=None) -> None:
    dtype = dtype or self.precision
    kind = SpectralConv2D if self.spectral and kernel > 1 else Conv2D
    self.layers.append(
        kind(channels, kernel, padding='same', kernel_initializer=initializer(next(self.seeds)), dtype=dtype))
    if activate:
      if self.network.normalization == 'instance':
        # The scales' start is that of a convolution of one input, which is what AMR's authors' program gives them.
        start = keras.initializers.RandomNormal(stddev=(1 + SLOPE**2)**-0.5, seed=next(self.seeds))
        self.layers.append(keras.layers.GroupNormalization(-1, epsilon=1e-5, gamma_initializer=start, dtype=dtype))
      self.layers.append(LeakyReLU(negative_slope=self.network.slope, dtype=dtype))

  def add(self, kind, *args) -> None:
    self.layers.append(kind(*args, dtype=self.precision))


def encoder(size, network, seed=0, precision='float32', player='encoder', spectral=False) -> keras.Sequential:
  """[n, size, size, channels] images -> [n, latent_width, latent_width, latent] float32 codes, linear at the end."""
  layers = _Layers(seed, player, precision, network, spectral)
  depth, count = network.depth, scales(size, network.latent_width)
  layers.convolution(depth, kernel=1, activate=False)
  for scale in range(count):
    layers.convolution(depth << scale)
    layers.convolution(depth << scale)
    layers.add(keras.layers.AveragePooling2D, 2)
  layers.convolution(depth << count)
  layers.convolution(network.latent, activate=False, dtype='float32')
  return keras.Sequential(layers.layers, name=player)


def decoder(size, channels, network, seed=0, precision='float32', player='decoder') -> keras.Sequential:
  """[n, latent_width, latent_width, latent] codes -> [n, size, size, channels] float32 images, linear at the end."""
  layers = _Layers(seed, player, precision, network)
  for scale in reversed(range(scales(size, network.latent_width))):
    layers.convolution(network.depth << scale)
    layers.convolution(network.depth << scale)
    layers.add(UpSampling2D, 2)
  layers.convolution(network.depth)
  layers.convolution(channels, activate=False, dtype='float32')
  return keras.Sequential(layers.layers, name=player)


def critic_map(size, network, seed=0, precision='float32', name='critic', spectral=False) -> keras.Sequential:
  """The encoder's architecture without normalisation and with weights of its own: an answer in the code's shape."""
  return encoder(size, dataclasses.replace(network, normalization='none'), seed, precision, name, spectral)


def map_batches(network, *batches) -> list:
  """What `network` gives of each batch; the same to rounding either way.

  Where cores would be idle, that is by calls which run side by side, else by one call of all, which has fewer small
  operations. Each, in its place, makes a step of ACAI up to a third faster (docs/speed.md).

  Args:
    network: function of an [n, ...] tensor -> an [n, ...] one, row by row.
    *batches: tensors of any n, alike in all else.

  Returns:
    List of what it gives of each, in their order.
  """
  if len(machine.cores()) > 1 and not tf.config.list_logical_devices('GPU'):
    return [network(batch) for batch in batches]
  return tf.split(network(tf.concat(batches, 0)), [batch.shape[0] or tf.shape(batch)[0] for batch in batches])


class Critic(keras.Model):
  """The mean of a `critic_map` over height, width and channels: [n, size, size, channels] images -> [n] float32.

  `spectral`: whether its 3x3 convolutions are spectrally normalised; then call `iterate` once a step.
  """

  def __init__(self, size, network, seed=0, precision='float32', name='critic', spectral=False):
    super().__init__(name=name)
    self.body = critic_map(size, network, seed, precision, name + '_body', spectral)

  def build(self, input_shape) -> None:
    """Creates the weights for images of `input_shape`, (n or None, size, size, channels).

    Without it Keras would trace the network to find its weights.
    """
    self.body.build(input_shape)
    self.built = True

  def iterate(self) -> None:
    """One power iteration of every spectrally normalised convolution."""
    for layer in self.body.layers:
      if isinstance(layer, SpectralConv2D):
        layer.iterate()

  def call(self, images) -> tf.Tensor:
    return tf.reduce_mean(self.body(images), axis=[1, 2, 3])
