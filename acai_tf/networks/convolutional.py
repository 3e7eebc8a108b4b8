"""The convolutional networks that all image models share (ACAI paper, appendix A)."""

import contextlib
import contextvars
import dataclasses
from collections.abc import Iterator

import keras
import tensorflow as tf

from acai_tf.experiment import machine
from acai_tf.experiment.config import scales
from acai_tf.networks import dense

SLOPE = 0.2  # negative slope of LeakyReLU, on which the initializer depends too; Keras's default is 0.3


def initializer(seed) -> keras.initializers.Initializer:
  """Kernel initializer of convolutions: normal with standard deviation 1 / sqrt(fan_in (1 + 0.2^2)).

  fan_in is kernel height x kernel width x input channels. Unlike He's initializer it has no factor 2.
  """
  return keras.initializers.VarianceScaling(1 / (1 + SLOPE**2), 'fan_in', 'untruncated_normal', seed=seed)


_custom_gradients = contextvars.ContextVar('custom_gradients', default=True)


@contextlib.contextmanager
def without_custom_gradients() -> Iterator[None]:
  """A context in which layers are traced without their custom gradients.

  An exported module would contain the graphs of these gradients, which are half of its size. Outputs are the same.
  """
  token = _custom_gradients.set(False)
  try:
    yield
  finally:
    _custom_gradients.reset(token)


@tf.custom_gradient
def convolve_small(images, kernel) -> tuple:
  """A 3x3 convolution of small feature maps with a custom gradient.

  The gradient of the kernel is nine matrix products, one per kernel position. oneDNN's gradient takes several times as
  long for small maps with many channels (benchmarks/kernel_gradient.py).

  Args:
    images: [n, height, width, channels].
    kernel: [3, 3, channels, filters].

  Returns:
    [n, height, width, filters].
  """
  height, width = images.shape[1:3]

  def gradient(upstream):
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])  # [n, height + 2, width + 2, channels]
    flat = tf.reshape(upstream, [-1, kernel.shape[3]])  # [n height width, filters]
    products = [  # 9 x [channels, filters]
        tf.matmul(tf.reshape(padded[:, i:i + height, j:j + width], [-1, kernel.shape[2]]), flat, transpose_a=True)
        for i in range(3) for j in range(3)]
    return (tf.nn.conv2d_transpose(upstream, kernel, tf.shape(images), 1),
            tf.reshape(tf.stack(products), kernel.shape))

  return tf.nn.conv2d(images, kernel, 1, 'SAME'), gradient


class Conv2D(keras.layers.Conv2D):
  """Keras's Conv2D with a faster gradient on CPUs. Results are equal up to rounding."""

  def convolution_op(self, inputs, kernel) -> tuple:
    height, width, channels = inputs.shape[1:]
    small = self.kernel_size == (3, 3) and height * width < channels
    if small and _custom_gradients.get() and not tf.config.list_logical_devices('GPU'):
      return convolve_small(tf.convert_to_tensor(inputs), tf.convert_to_tensor(kernel))
    return super().convolution_op(inputs, kernel)


class SpectralConv2D(Conv2D):
  """A convolution with spectral normalization (Miyato et al. 2018, eq. 8).

  The kernel, reshaped to a matrix, is divided by its largest singular value. This value is estimated by power
  iteration: call `iterate` once per step. Gradients flow through the division.
  """

  def build(self, input_shape) -> None:
    super().build(input_shape)
    self.direction = self.add_weight(
        name='direction', shape=(self.filters,), trainable=False, aggregation='only_first_replica',
        initializer=keras.initializers.RandomNormal(seed=self.kernel_initializer.seed))

  def _vectors(self, kernel):
    matrix = tf.reshape(kernel, [-1, self.filters])  # [height width channels, filters]
    left = tf.math.l2_normalize(tf.linalg.matvec(matrix, self.direction))  # [height width channels]
    return matrix, tf.stop_gradient(left)

  def iterate(self) -> None:
    """Runs one power iteration."""
    matrix, left = self._vectors(self.kernel)
    self.direction.assign(tf.math.l2_normalize(tf.linalg.matvec(matrix, left, transpose_a=True)))

  def convolution_op(self, inputs, kernel) -> tuple:
    matrix, left = self._vectors(kernel)
    right = tf.math.l2_normalize(tf.convert_to_tensor(self.direction))
    return super().convolution_op(inputs, kernel / tf.tensordot(left, tf.linalg.matvec(matrix, right), 1))

  # Keras's convolutions save only kernel and bias. The base layer saves all weights.
  save_own_variables = keras.layers.Layer.save_own_variables
  load_own_variables = keras.layers.Layer.load_own_variables


def leaky_relu(inputs, slope) -> tf.Tensor:
  """LeakyReLU whose gradient is computed from the outputs, which have the signs of the inputs; any shape.

  The backward pass then does not need the outputs of the convolution before, so TensorFlow can fuse convolution, bias
  and LeakyReLU into one operation.
  """
  @tf.custom_gradient
  def function(inputs):
    outputs = tf.nn.leaky_relu(inputs, slope)

    def gradient(upstream):
      return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=outputs, alpha=slope)

    return outputs, gradient

  return function(inputs)


class LeakyReLU(keras.layers.LeakyReLU):
  """Keras's LeakyReLU with a faster gradient. Results are equal up to rounding."""

  def call(self, inputs) -> tf.Tensor:
    if not _custom_gradients.get():
      return super().call(inputs)
    return leaky_relu(tf.convert_to_tensor(inputs), self.negative_slope)


class UpSampling2D(keras.layers.UpSampling2D):
  """Keras's nearest-neighbour upsampling with static shapes. Results are bit-identical.

  Keras computes shapes in the graph. LiteRT's converter then loses the number of channels and rejects the next
  convolution.
  """

  def call(self, images) -> tf.Tensor:
    height, width, channels = images.shape[1:]
    rows, columns = self.size
    images = tf.tile(tf.expand_dims(images, 2), [1, 1, rows, 1, 1])  # [n, height, rows, width, channels]
    images = tf.reshape(images, [-1, height * rows, width, channels])
    images = tf.tile(tf.expand_dims(images, 3), [1, 1, 1, columns, 1])  # [n, height rows, width, columns, channels]
    return tf.reshape(images, [-1, height * rows, width * columns, channels])


class _Layers:
  """Builds the list of layers of a network, with their seeds and precision."""

  def __init__(self, seed, player, precision, network, spectral=False):
    self.seeds, self.precision, self.layers = dense.seeds(seed, player), precision, []
    self.network, self.spectral = network, spectral
    if spectral:
      self.precision = 'float32'  # bfloat16 has only three digits, too few for the power iteration

  def convolution(self, channels, kernel=3, activate=True, dtype=None) -> None:
    dtype = dtype or self.precision
    kind = SpectralConv2D if self.spectral and kernel > 1 else Conv2D
    self.layers.append(
        kind(channels, kernel, padding='same', kernel_initializer=initializer(next(self.seeds)), dtype=dtype))
    if activate:
      if self.network.normalization == 'instance':
        # The AMR authors' program initializes the scales like the kernel of a convolution with fan_in 1.
        gamma = keras.initializers.RandomNormal(stddev=(1 + SLOPE**2)**-0.5, seed=next(self.seeds))
        self.layers.append(keras.layers.GroupNormalization(-1, epsilon=1e-5, gamma_initializer=gamma, dtype=dtype))
      self.layers.append(LeakyReLU(negative_slope=self.network.slope, dtype=dtype))

  def add(self, kind, *args) -> None:
    self.layers.append(kind(*args, dtype=self.precision))


def encoder(size, network, seed=0, precision='float32', player='encoder', spectral=False) -> keras.Sequential:
  """The encoder: [n, size, size, channels] images -> [n, latent_width, latent_width, latent] float32 codes.

  Each scale has two 3x3 convolutions and average pooling. The output is linear.

  Args:
    size: height and width of the images.
    network: `config.Network`.
    seed: seed of the weights.
    precision: Keras dtype policy of all but the last layer.
    player: name of the network, which is part of the seed.
    spectral: whether 3x3 convolutions are spectrally normalized, in float32.
  """
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
  """The decoder: [n, latent_width, latent_width, latent] codes -> [n, size, size, channels] float32 images.

  Each scale has two 3x3 convolutions and nearest-neighbour upsampling. The output is linear. Arguments as in `encoder`.
  """
  layers = _Layers(seed, player, precision, network)
  for scale in reversed(range(scales(size, network.latent_width))):
    layers.convolution(network.depth << scale)
    layers.convolution(network.depth << scale)
    layers.add(UpSampling2D, 2)
  layers.convolution(network.depth)
  layers.convolution(channels, activate=False, dtype='float32')
  return keras.Sequential(layers.layers, name=player)


def critic_map(size, network, seed=0, precision='float32', name='critic', spectral=False) -> keras.Sequential:
  """A critic with the encoder's architecture, without normalization; outputs have the shape of codes."""
  return encoder(size, dataclasses.replace(network, normalization='none'), seed, precision, name, spectral)


def map_batches(network, *batches) -> list:
  """Applies `network` to each batch.

  On a CPU with several cores, it makes one call per batch, since these calls run in parallel. Otherwise it makes a
  single call with all batches, which has fewer small operations. On its kind of device, each choice makes a training
  step of ACAI faster by up to a third (docs/speed.md). Results are equal up to rounding.

  Args:
    network: function [n, ...] -> [n, ...] that treats rows independently.
    *batches: tensors that differ in n only.

  Returns:
    List of outputs, one per batch.
  """
  if len(machine.cores()) > 1 and not tf.config.list_logical_devices('GPU'):
    return [network(batch) for batch in batches]
  return tf.split(network(tf.concat(batches, 0)), [batch.shape[0] or tf.shape(batch)[0] for batch in batches])


class Critic(keras.Model):
  """A critic of images, [n, size, size, channels] -> [n] float32: the mean of `critic_map` over all but the batch axis.

  Args:
    size, network, seed, precision: as in `encoder`.
    spectral: whether 3x3 convolutions are spectrally normalized; then call `iterate` once per step.
  """

  def __init__(self, size, network, seed=0, precision='float32', spectral=False):
    super().__init__(name='critic')
    self.body = critic_map(size, network, seed, precision, 'critic_body', spectral)

  def build(self, input_shape) -> None:
    """Creates the weights, which Keras would otherwise do by tracing the network.

    Args:
      input_shape: (n or None, size, size, channels).
    """
    self.body.build(input_shape)
    self.built = True

  def iterate(self) -> None:
    """Runs one power iteration of each spectrally normalized convolution."""
    for layer in self.body.layers:
      if isinstance(layer, SpectralConv2D):
        layer.iterate()

  def call(self, images) -> tf.Tensor:
    return tf.reduce_mean(self.body(images), axis=[1, 2, 3])
