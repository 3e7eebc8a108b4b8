"""Linear layers and multilayer perceptrons, and the seeds of all layers."""

from collections.abc import Iterator

import keras
import numpy as np

MOMENTUM = 0.99  # of batch norm's moving moments; one step may pass the same batch through a network several times


def seeds(seed, player) -> Iterator[int]:
  """Yields distinct seeds for the layers of one player. With equal seeds, layers of one shape would have equal weights.

  Args:
    seed: seed of the model.
    player: name of the player, which is part of the seed.
  """
  generator = np.random.default_rng([seed, *player.encode()])
  while True:
    yield int(generator.integers(2**31))


def linear(units, seed, name=None) -> keras.layers.Dense:
  """A linear layer, initialized as by the ACAI authors: Glorot uniform, U(+-sqrt(6 / (inputs + units))), and bias 0."""
  return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed), name=name)


def perceptron(widths, outputs, player, seed=0, slope=0.0, deviation=None, without_norm=0, bias=True,
               precision='float32') -> list:
  """Creates the layers of a multilayer perceptron.

  There is a linear layer, batch norm and LeakyReLU for each of `widths`, and a linear float32 output. Batch norm is
  synchronized over replicas. Linear layers before batch norm have no bias, since batch norm would cancel it.

  Args:
    widths: widths of the hidden layers.
    outputs: width of the output.
    player: name of the network, which is part of the seed.
    seed: seed of the weights.
    slope: negative slope of LeakyReLU; 0 is ReLU.
    deviation: kernels and batch norm's scales are initialized from N(0, deviation^2). If None, kernels are initialized
      as in `linear`, and scales are 1.
    without_norm: number of hidden layers, counted from the first, that have a bias instead of batch norm.
    bias: whether the output layer has a bias.
    precision: Keras dtype policy of all but the output layer.

  Returns:
    List of layers.
  """
  layer_seeds, layers = seeds(seed, player), []

  def normal_or(default):
    return keras.initializers.RandomNormal(0.0, deviation, next(layer_seeds)) if deviation else default

  def linear_layer(units, use_bias, dtype):
    initializer = normal_or(None) or keras.initializers.GlorotUniform(next(layer_seeds))
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=initializer, dtype=dtype)

  for i, units in enumerate(widths):
    layers.append(linear_layer(units, i < without_norm, precision))
    if i >= without_norm:
      layers.append(keras.layers.BatchNormalization(
          momentum=MOMENTUM, epsilon=1e-5, gamma_initializer=normal_or('ones'), synchronized=True, dtype=precision))
    layers.append(keras.layers.LeakyReLU(negative_slope=slope, dtype=precision))
  return [*layers, linear_layer(outputs, bias, 'float32')]


def classifier(classes, seed=0) -> keras.layers.Dense:
  """The paper's single-layer classifier: [n, d] features -> [n, classes] logits."""
  return linear(classes, next(seeds(seed, 'classifier')), 'classifier')
