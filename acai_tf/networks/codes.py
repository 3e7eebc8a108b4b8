"""Generators of codes and critics that judge codes (ARAE, Zhao et al. 2018)."""

from collections.abc import Iterator, Sequence

import keras

SLOPE = 0.2  # of leaky ReLUs
MOMENTUM, EPSILON = 0.9, 1e-5  # of batch norm, as the authors' framework has them


def normal(seed: int) -> keras.initializers.Initializer:
  """The authors' start of all weights, N(0, 0.02^2)."""
  return keras.initializers.RandomNormal(stddev=0.02, seed=seed)


def _linear(units, seed, small):
  return keras.layers.Dense(units, kernel_initializer=normal(seed) if small else keras.initializers.GlorotUniform(seed),
                            dtype='float32')


def batch_norm(seeds: Iterator[int], small: bool) -> keras.layers.BatchNormalization:
  """Batch norm over the global batch; `small`: its scales start from N(0, 0.02^2), as the authors' do, not at 1."""
  return keras.layers.BatchNormalization(
      momentum=MOMENTUM, epsilon=EPSILON, synchronized=True, dtype='float32',
      gamma_initializer=normal(next(seeds)) if small else 'ones')


def generator(noise: int, units: Sequence[int], code: int, seeds: Iterator[int]) -> keras.Model:
  """The paper's: [n, noise] -> (linear, batch norm, ReLU) for each of `units` -> linear, [n, code]; no norm of 1."""
  layers = [keras.Input([noise])]
  for width in units:
    layers += [_linear(width, next(seeds), True), batch_norm(seeds, True), keras.layers.ReLU()]
  return keras.Sequential([*layers, _linear(code, next(seeds), True)], name='generator')


def residual_generator(noise: int, units: Sequence[int], code: int, seeds: Iterator[int]) -> keras.Model:
  """[n, noise] -> linear to units[0] -> a residual block (batch norm, ReLU, linear) for each of `units`, all equal ->
  linear -> divided by its norm, [n, code]."""
  inputs = keras.Input([noise])
  x = _linear(units[0], next(seeds), False)(inputs)
  for width in units:
    x = x + _linear(width, next(seeds), False)(keras.layers.ReLU()(batch_norm(seeds, False)(x)))
  return keras.Model(inputs, keras.layers.UnitNormalization()(_linear(code, next(seeds), False)(x)), name='generator')


def critic(code: int, units: Sequence[int], seeds: Iterator[int], batch_normalized: bool) -> keras.Model:
  """[n, code] -> (linear, leaky ReLU) for each of `units` -> linear, [n, 1].

  `batch_normalized`: the paper's, with batch norm before all but the first leaky ReLU, and small weights. Without it
  the critic multiplies codes by sqrt(code), so that those of norm 1 have numbers of about 1.
  """
  layers = [keras.Input([code])] if batch_normalized else [keras.Input([code]), keras.layers.Rescaling(code**0.5)]
  for i, width in enumerate(units):
    layers.append(_linear(width, next(seeds), batch_normalized))
    if i and batch_normalized:
      layers.append(batch_norm(seeds, True))
    layers.append(keras.layers.LeakyReLU(negative_slope=SLOPE))
  return keras.Sequential([*layers, _linear(1, next(seeds), batch_normalized)], name='critic')


def classifier(code: int, units: int, seeds: Iterator[int], small: bool) -> keras.Model:
  """Of codes: linear, ReLU, linear, batch norm, ReLU, linear to a logit, [n, code] -> [n, 1].

  `small`: the paper's, whose weights and batch norm's scales start from N(0, 0.02^2). Otherwise the start is Glorot's,
  and codes are multiplied by sqrt(code), so that those of norm 1 have numbers of about 1.
  """
  scaled = [] if small else [keras.layers.Rescaling(code**0.5)]
  return keras.Sequential([
      keras.Input([code]), *scaled, _linear(units, next(seeds), small), keras.layers.ReLU(),
      _linear(units, next(seeds), small), batch_norm(seeds, small), keras.layers.ReLU(),
      _linear(1, next(seeds), small)], name='classifier')
