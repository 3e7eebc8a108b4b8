"""Linear layers and perceptrons, their start, and the seeds of all layers."""

from collections.abc import Iterator

import keras
import numpy as np

MOMENTUM = 0.99  # of batch norm's moving moments: a player may see one batch in many passes of a step


def seeds(seed, player) -> Iterator[int]:
  """Endless distinct integers for the layers of one player: equal seeds would give equal layers equal weights."""
  generator = np.random.default_rng([seed, *player.encode()])
  while True:
    yield int(generator.integers(2**31))


def linear(units, seed, name=None) -> keras.layers.Dense:
  """A linear layer as the original starts it: Glorot uniform, U(+-sqrt(6 / (inputs + units))), biases 0."""
  return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed), name=name)


def perceptron(widths, outputs, player, seed=0, slope=0.0, deviation=None, plain=0, bias=True,
               precision='float32') -> list:
  """Layers of a multilayer perceptron: linear, batch norm and LeakyReLU for each of `widths`, then linear in float32.

  Batch norm takes its moments over all replicas. What stands before it has no bias, which it would take away.

  Args:
    widths: ints, of the hidden layers.
    outputs: width of the last.
    player: name, for the seeds.
    seed: of the weights.
    slope: of the LeakyReLU; 0 is ReLU.
    deviation: kernels and batch norm's scales start from N(0, deviation^2); None: kernels as `linear`'s, scales at 1.
    plain: how many of the first hidden layers have a bias instead of batch norm.
    bias: whether the last layer has one.
    precision: a Keras dtype policy, of all but the last layer.

  Returns:
    List of layers.
  """
  numbers, layers = seeds(seed, player), []

  def start(otherwise):
    return keras.initializers.RandomNormal(0.0, deviation, next(numbers)) if deviation else otherwise

  def linear_layer(units, use_bias, dtype):
    initializer = start(None) or keras.initializers.GlorotUniform(next(numbers))
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=initializer, dtype=dtype)

  for i, units in enumerate(widths):
    layers.append(linear_layer(units, i < plain, precision))
    if i >= plain:
      layers.append(keras.layers.BatchNormalization(
          momentum=MOMENTUM, epsilon=1e-5, gamma_initializer=start('ones'), synchronized=True, dtype=precision))
    layers.append(keras.layers.LeakyReLU(negative_slope=slope, dtype=precision))
  return [*layers, linear_layer(outputs, bias, 'float32')]


def classifier(classes, seed=0) -> keras.layers.Dense:
  """The paper's single-layer classifier: [n, d] features -> [n, classes] logits."""
  return linear(classes, next(seeds(seed, 'classifier')), 'classifier')
