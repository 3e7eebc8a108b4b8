"""The networks that all models share (ACAI paper, appendix A)."""

import keras
import numpy as np
import tensorflow as tf

from acai_tf.config import scales

SLOPE = 0.2  # of every LeakyReLU; Keras's default is 0.3


def initializer(seed):
  """N(0, 1 / sqrt(fan_in (1 + 0.2^2))), fan_in = kernel height x width x input channels; no factor 2."""
  return keras.initializers.VarianceScaling(1 / (1 + SLOPE**2), 'fan_in', 'untruncated_normal', seed=seed)


def seeds(seed, player):
  """Endless distinct integers for the layers of one player: equal seeds would give equal layers equal weights."""
  generator = np.random.default_rng([seed, *player.encode()])
  while True:
    yield int(generator.integers(2**31))


class _Layers:
  """Collects one network's layers with their seeds and precision."""

  def __init__(self, seed, player, precision):
    self.seeds, self.precision, self.layers = seeds(seed, player), precision, []

  def convolution(self, channels, kernel=3, activate=True, dtype=None):
    dtype = dtype or self.precision
    self.layers.append(
        keras.layers.Conv2D(
            channels, kernel, padding='same', kernel_initializer=initializer(next(self.seeds)), dtype=dtype))
    if activate:
      self.layers.append(keras.layers.LeakyReLU(negative_slope=SLOPE, dtype=dtype))

  def add(self, kind, *args):
    self.layers.append(kind(*args, dtype=self.precision))


def encoder(size, network, seed=0, precision='float32', player='encoder'):
  """[n, size, size, channels] images -> [n, latent_width, latent_width, latent] float32 codes, linear at the end."""
  layers = _Layers(seed, player, precision)
  depth, count = network.depth, scales(size, network.latent_width)
  layers.convolution(depth, kernel=1, activate=False)
  for scale in range(count):
    layers.convolution(depth << scale)
    layers.convolution(depth << scale)
    layers.add(keras.layers.AveragePooling2D, 2)
  layers.convolution(depth << count)
  layers.convolution(network.latent, activate=False, dtype='float32')
  return keras.Sequential(layers.layers, name=player)


def decoder(size, channels, network, seed=0, precision='float32', player='decoder'):
  """[n, latent_width, latent_width, latent] codes -> [n, size, size, channels] float32 images, linear at the end."""
  layers = _Layers(seed, player, precision)
  for scale in reversed(range(scales(size, network.latent_width))):
    layers.convolution(network.depth << scale)
    layers.convolution(network.depth << scale)
    layers.add(keras.layers.UpSampling2D, 2)
  layers.convolution(network.depth)
  layers.convolution(channels, activate=False, dtype='float32')
  return keras.Sequential(layers.layers, name=player)


class Critic(keras.Model):
  """The encoder's architecture with weights of its own; its answer is the mean over height, width and channels.

  [n, size, size, channels] images -> [n] float32.
  """

  def __init__(self, size, network, seed=0, precision='float32', name='critic'):
    super().__init__(name=name)
    self.body = encoder(size, network, seed, precision, name + '_body')

  def call(self, images):
    return tf.reduce_mean(self.body(images), axis=[1, 2, 3])


def classifier(classes, seed=0):
  """The paper's single-layer classifier: [n, d] features -> [n, classes] logits."""
  init = keras.initializers.GlorotUniform(next(seeds(seed, 'classifier')))
  return keras.layers.Dense(classes, kernel_initializer=init, name='classifier')
