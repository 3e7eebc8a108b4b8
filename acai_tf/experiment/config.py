"""Experiments as frozen dataclasses, with recipes and a JSON round trip."""

import dataclasses
import json
import math
from typing import Annotated, Literal

from acai_tf.experiment.errors import UserError
from acai_tf.experiment.fields import config_dataclass
from acai_tf.experiment.overrides import make_complete

Count = Annotated[int, '[1, inf)']
Whole = Annotated[int, '[0, inf)']
Positive = Annotated[float, '(0, inf)']
Share = Annotated[float, '[0, 1)']
Seed = Annotated[int, '[0, 4294967295]']

MOST_EVALUATIONS = 10_000_000  # of a training: their steps are listed

PAPER_SAMPLES = 1 << 24  # training images behind every figure of the ACAI paper (section 4)


@config_dataclass('network')
class Network:
  """The ACAI paper's convolutional network (section 4, appendix A)."""

  latent_width: Count = 4  # height and width of the latent
  latent: Count = 16  # channels of the latent
  depth: Count = 64  # channels of the first scale
  # After every hidden 3x3 convolution of encoder and decoder: 'none' (the paper), or 'instance', with scale and offset.
  normalization: Literal['none', 'instance'] = 'none'
  slope: Share = 0.2  # of LeakyReLU below 0

  def __post_init__(self):
    if self.normalization == 'instance' and self.latent_width < 2:
      raise ValueError('network.latent_width is 1, where instance normalisation, of one pixel, gives all images the '
                       'same code; expected 2 or more.')

  @property
  def dimension(self) -> int:
    """Latent dimension."""
    return self.latent_width**2 * self.latent

  def check(self, shape) -> None:
    """UserError unless the latent width fits images of `shape`, (height, width, channels)."""
    scales(shape[0], self.latent_width)

  def weights(self, shape) -> int:
    """Number of weights that encoder and decoder have at least, for images of `shape`."""
    *inner, last = (self.depth << scale for scale in range(scales(shape[0], self.latent_width) + 1))
    return 9 * (2 * sum(width**2 for width in inner) + (inner[-1] + self.latent) * last + self.latent * inner[-1])

  def inputs(self, shape) -> int:
    """Numbers in an image of `shape`."""
    return math.prod(shape)

  def activations(self, shape) -> int:
    """Activations that a step holds at least for an image of `shape`: those of the first scale."""
    return 3 * self.depth * shape[0] * shape[1]


@config_dataclass('network')
class TextNetwork:
  """ARAE's recurrent network: an LSTM encoder and an LSTM decoder (Zhao et al. 2018, section 5)."""

  embedding: Count = 300  # dimension of the word embeddings
  hidden: Count = 300  # units of the decoder's LSTM
  latent: Count = 300  # dimension of the latent, the encoder's last state
  # Initial weights: 'uniform' in +-0.1 (the paper), or 'wide', from which Adam learns faster (`networks.recurrent`).
  start: Literal['uniform', 'wide'] = 'uniform'

  @property
  def dimension(self) -> int:
    """Latent dimension."""
    return self.latent

  def check(self, shape) -> None:
    """Any latent fits sentences of any `shape`."""

  def weights(self, shape) -> int:
    """Number of weights that encoder and decoder have at least, for sentences of `shape`, (length, vocabulary)."""
    words = shape[1] * (2 * self.embedding + self.hidden)
    return words + 4 * (self.latent * (self.embedding + self.latent)
                        + self.hidden * (self.embedding + self.hidden + self.latent))

  def inputs(self, shape) -> int:
    """Word ids in a sentence of `shape`."""
    return shape[0]

  def activations(self, shape) -> int:
    """Activations that a step holds at least for a sentence of `shape`: the inputs of the gates."""
    return shape[0] * (2 * self.embedding + self.latent + self.hidden)


@config_dataclass('model')
class Annealing:
  """A regularizer whose weight falls late in the training, so that reconstruction has the last word."""

  anneal_from: Share = 0.5  # share of the training up to which the weight is constant
  anneal_over: Annotated[float, '(0, 1]'] = 0.125  # share of the training over which it then falls geometrically
  anneal_to: Annotated[float, '[0, 1]'] = 1.0  # factor of the weight at the end; 1: it does not fall


def depends_on_length(model, training) -> bool:
  """Whether a training's steps depend on how many there will be: by a learning rate that falls, or by phases of a model
  that are shares of the training.

  Args:
    model, training: the two sections of an experiment as dicts.
  """
  return bool(training['schedule'] != 'constant' or model.get('alone') or model.get('ramp')
              or model.get('anneal_to', 1.0) != 1.0)


NETWORKS = {'images': Network, 'sentences': TextNetwork}  # by the kind of data (`Config.KIND`; images have none)


@config_dataclass('training')
class Training:
  """How a model is trained; the defaults are the `paper` recipe.

  Counts (`samples`, `warmup`, `*_every`) are images or sentences that the autoencoder sees, not steps.
  """

  recipe: Literal['paper', 'fast'] = 'paper'  # of `RECIPES`, where values come from that are not set by themselves
  samples: Annotated[int, '[1, 1e15]'] = PAPER_SAMPLES  # length of the training
  batch: Count = 64  # global batch, shared by all devices; the learning rates do not depend on how many there are
  seed: Seed = 0  # of weights, data order and noise
  learning_rate: Positive = 1e-4  # of players that have no rate of their own
  classifier_learning_rate: Positive = 1e-4  # of the online classifier
  beta_1: Share = 0.9  # Adam's
  beta_2: Share = 0.999  # Adam's
  epsilon: Positive = 1e-8  # Adam's
  optimizer: Literal['adam', 'sgd'] = 'adam'  # 'sgd' ignores the betas
  # 'constant'; 'cosine' decay to `floor` times the rate at the end; 'linear' decay to that over the last half.
  schedule: Literal['constant', 'cosine', 'linear'] = 'constant'
  floor: Share = 0.0  # factor of the learning rate at the end of a schedule
  warmup: Whole = 0  # samples over which the rate grows linearly from 0; with 'linear' there is no warmup
  clipnorm: Annotated[float, '[0, inf)'] = 0.0  # bound on the global norm of each player's gradient; 0: none
  average: Share = 0.0  # decay per step of the EMA of the weights, which is evaluated and exported; 0: no EMA
  # Keras dtype policy; 'auto': mixed_bfloat16 where the device computes in it, else float32.
  precision: Literal['float32', 'mixed_bfloat16', 'mixed_float16', 'auto'] = 'float32'
  evaluate_every: Whole = 1 << 16  # samples between evaluations; 0: none
  final_evaluations: Whole = 20  # in the last part of the training, 1/256 of it apart (the paper: the median of 20)
  checkpoint_every: Whole = 1 << 16  # samples between checkpoints; 0: at the end only
  keep: Count = 3  # how many of the last checkpoints are kept

  def __post_init__(self):
    if self.warmup > self.samples:
      raise ValueError(f'training.warmup is {self.warmup}; expected at most training.samples, {self.samples}, since '
                       'the rate would never get to its value.')
    if self.evaluate_every and self.samples > MOST_EVALUATIONS * self.evaluate_every:
      raise ValueError(f'training.samples is {self.samples} and training.evaluate_every {self.evaluate_every}; '
                       f'expected at most {MOST_EVALUATIONS:,} evaluations: evaluate less often.')

  @property
  def steps(self) -> int:
    """Steps of `batch` images; the last, incomplete one is rounded up."""
    return math.ceil(self.samples / self.batch)

  def every(self, samples) -> range:
    """The steps after each `samples` images, as a range; none if it is 0."""
    interval = max(1, samples // self.batch)
    return range(interval, self.steps + 1, interval) if samples else range(0)

  @property
  def final_steps(self) -> list[int]:
    """The steps of the final evaluations, the last step among them."""
    return sorted({self.steps - self.steps * k // FINAL_PARTS for k in range(min(self.final_evaluations, FINAL_PARTS))})

  @property
  def evaluation_steps(self) -> list[int]:
    """All steps at which the model is evaluated, the last one among them; none if `evaluate_every` is 0."""
    return sorted({*self.every(self.evaluate_every), *self.final_steps, self.steps}) if self.evaluate_every else []


FINAL_PARTS = 256  # the paper evaluates every 2^16 of 2^24 samples

# What each recipe sets beside Training's defaults, which are the paper's (section 4.2).
RECIPES = {
    'paper': {},
    'fast': {
        'samples': 1 << 18,
        'batch': 16,
        'learning_rate': 3e-4,
        'classifier_learning_rate': 1e-3,
        'beta_2': 0.95,
        'average': 0.998,
        'precision': 'auto',
        'evaluate_every': 1 << 14,
        'checkpoint_every': 1 << 14,
    },
}

# Keys that change neither weights nor data order, so that a run may be resumed with other values.
FREE_KEYS = ('training.evaluate_every', 'training.final_evaluations', 'training.checkpoint_every', 'training.keep')

# What experiments were trained with whose files are older than these keys.
DEFAULTS_OF_OLDER_FILES = {
    'training.average': 0.0,
    'training.optimizer': 'adam',
    'training.floor': 0.0,
    'training.final_evaluations': 0,
    'dataset.drawing': 'first',
    'model.partners': 1,
    'model.sample_noise': 0.0,
    'model.error': 'absolute',
    'model.by_class': False,
    'model.anneal_from': 0.5,
    'model.anneal_over': 0.125,
    'model.anneal_to': 1.0,
    'network.slope': 0.2,
}


@dataclasses.dataclass(frozen=True)
class Experiment:
  """One training, whole: `dataset` and `model` are the Config objects of the named files."""

  dataset_name: str
  model_name: str
  dataset: object
  model: object
  network: Network | TextNetwork
  training: Training

  @property
  def kind(self) -> str:
    """'images' or 'sentences'."""
    return next(kind for kind, network in NETWORKS.items() if isinstance(self.network, network))

  @property
  def latent_dimension(self) -> int:
    """Latent dimension."""
    return latent_dimension(self.network, self.model)

  def to_dict(self) -> dict:
    """Nested dict of JSON values."""
    return dataclasses.asdict(self)

  def to_json(self) -> str:
    """The experiment as indented JSON text."""
    return json.dumps(self.to_dict(), indent=2) + '\n'

  @classmethod
  def from_dict(cls, values, dataset_config, model_config) -> 'Experiment':
    """Rebuilds the experiment from `to_dict`'s result. Nothing is filled in but `DEFAULTS_OF_OLDER_FILES`.

    Args:
      values: the nested dict.
      dataset_config: the data set's Config class.
      model_config: the model's Config class.

    Raises:
      UserError: a key that is unknown or missing, or a bad value.
    """
    parts = {'dataset': dataset_config, 'model': model_config,
             'network': NETWORKS[getattr(dataset_config, 'KIND', 'images')], 'training': Training}
    built = {}
    for key, part in parts.items():
      given = values.get(key)
      if isinstance(given, dict):
        older = {field.name: DEFAULTS_OF_OLDER_FILES[f'{key}.{field.name}'] for field in dataclasses.fields(part)
                 if f'{key}.{field.name}' in DEFAULTS_OF_OLDER_FILES}
        given = {**older, **given}
      built[key] = make_complete(part, given, key)
    return cls(dataset_name=values['dataset_name'], model_name=values['model_name'], **built)


def latent_dimension(network, model) -> int:
  """Latent dimension: the network's, unless the model's Config has one of its own, `code`."""
  return getattr(model, 'code', network.dimension)


def scales(size, latent_width) -> int:
  """How many halvings lead from `size` pixels to `latent_width`.

  Raises:
    UserError: there is no whole number of them; the message names the widths that fit.
  """
  fitting = [size >> k for k in range(1, size.bit_length()) if size % (1 << k) == 0]
  if latent_width not in fitting:
    powers = [latent_width << k for k in range(1, 12)]
    near = sorted(sorted(powers, key=lambda fit: abs(fit - size))[:2])
    raise UserError(f'latent width {latent_width} does not fit images of size {size}; widths that fit it: '
                    f'{", ".join(map(str, fitting)) or "none"}; nearest sizes that fit width {latent_width}: '
                    f'{near[0]} and {near[1]}.')
  return fitting.index(latent_width) + 1
