"""Networks on latent codes: generators, critics and classifiers (ARAE, Zhao et al. 2018)."""

from collections.abc import Iterator, Sequence

import keras

SLOPE = 0.2  # negative slope of LeakyReLU
MOMENTUM, EPSILON = 0.9, 1e-5  # of batch norm: the defaults of the authors' framework


def normal(seed: int) -> keras.initializers.Initializer:
  """The authors' initializer of all weights, N(0, 0.02^2)."""
  return keras.initializers.RandomNormal(stddev=0.02, seed=seed)


def _linear(units, seed, small):
  return keras.layers.Dense(units, kernel_initializer=normal(seed) if small else keras.initializers.GlorotUniform(seed),
                            dtype='float32')


def batch_norm(seeds: Iterator[int], small: bool) -> keras.layers.BatchNormalization:
  """Batch norm over the global batch.

  Args:
    seeds: distinct integers, for the weights.
    small: whether scales (gamma) are initialized from N(0, 0.02^2), as the authors do, instead of 1.
  """
  return keras.layers.BatchNormalization(
      momentum=MOMENTUM, epsilon=EPSILON, synchronized=True, dtype='float32',
      gamma_initializer=normal(next(seeds)) if small else 'ones')


def generator(noise: int, units: Sequence[int], code: int, seeds: Iterator[int]) -> keras.Model:
  """The paper's generator, [n, noise] -> [n, code].

  It has (linear, batch norm, ReLU) for each of `units` and a linear output. Its codes are not normalized.

  Args:
    noise, code: dimensions of the input and of the latents.
    units: widths of the hidden layers.
    seeds: distinct integers, for the weights.
  """
  layers = [keras.Input([noise])]
  for width in units:
    layers += [_linear(width, next(seeds), True), batch_norm(seeds, True), keras.layers.ReLU()]
  return keras.Sequential([*layers, _linear(code, next(seeds), True)], name='generator')


def residual_generator(noise: int, units: Sequence[int], code: int, seeds: Iterator[int]) -> keras.Model:
  """A residual generator, [n, noise] -> [n, code] of norm 1.

  It has a linear layer, a residual block (batch norm, ReLU, linear) for each of `units`, which must all be equal, and a
  linear output, which is divided by its norm. Arguments as in `generator`.
  """
  inputs = keras.Input([noise])
  x = _linear(units[0], next(seeds), False)(inputs)
  for width in units:
    x = x + _linear(width, next(seeds), False)(keras.layers.ReLU()(batch_norm(seeds, False)(x)))
  return keras.Model(inputs, keras.layers.UnitNormalization()(_linear(code, next(seeds), False)(x)), name='generator')


def critic(code: int, units: Sequence[int], seeds: Iterator[int], batch_normalized: bool) -> keras.Model:
  """A critic of codes, [n, code] -> [n, 1]: (linear, LeakyReLU) for each of `units` and a linear output.

  Args:
    code: latent dimension.
    units: widths of the hidden layers.
    seeds: distinct integers, for the weights.
    batch_normalized: whether it is the paper's critic, with batch norm before all but the first LeakyReLU and weights
      from N(0, 0.02^2). Without it, codes are multiplied by sqrt(code), so that codes of norm 1 have unit scale.
  """
  layers = [keras.Input([code])] if batch_normalized else [keras.Input([code]), keras.layers.Rescaling(code**0.5)]
  for i, width in enumerate(units):
    layers.append(_linear(width, next(seeds), batch_normalized))
    if i and batch_normalized:
      layers.append(batch_norm(seeds, True))
    layers.append(keras.layers.LeakyReLU(negative_slope=SLOPE))
  return keras.Sequential([*layers, _linear(1, next(seeds), batch_normalized)], name='critic')


def classifier(code: int, units: int, seeds: Iterator[int], small: bool) -> keras.Model:
  """A binary classifier of codes, [n, code] -> [n, 1] logits: linear, ReLU, linear, batch norm, ReLU, linear.

  Args:
    code: latent dimension.
    units: width of both hidden layers.
    seeds: distinct integers, for the weights.
    small: whether weights and batch norm's scales are initialized from N(0, 0.02^2), as in the paper. Otherwise the
      initialization is Glorot's, and codes are multiplied by sqrt(code), so that codes of norm 1 have unit scale.
  """
  scaled = [] if small else [keras.layers.Rescaling(code**0.5)]
  return keras.Sequential([
      keras.Input([code]), *scaled, _linear(units, next(seeds), small), keras.layers.ReLU(),
      _linear(units, next(seeds), small), batch_norm(seeds, small), keras.layers.ReLU(),
      _linear(1, next(seeds), small)], name='classifier')
