"""Linear layers, their start, and the seeds of all layers."""

import keras
import numpy as np


def seeds(seed, player):
  """Endless distinct integers for the layers of one player: equal seeds would give equal layers equal weights."""
  generator = np.random.default_rng([seed, *player.encode()])
  while True:
    yield int(generator.integers(2**31))


def linear(units, seed, name=None):
  """A linear layer as the original starts it: Glorot uniform, U(+-sqrt(6 / (inputs + units))), biases 0."""
  return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed), name=name)


def classifier(classes, seed=0):
  """The paper's single-layer classifier: [n, d] features -> [n, classes] logits."""
  return linear(classes, next(seeds(seed, 'classifier')), 'classifier')
