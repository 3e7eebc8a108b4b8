"""Experiments as frozen dataclasses, with recipes and conversion to and from JSON."""

import dataclasses
import json
import math
from typing import Annotated, Literal

from acai_tf.experiment.errors import UserError
from acai_tf.experiment.fields import config_dataclass
from acai_tf.experiment.overrides import make_complete

PositiveInt = Annotated[int, '[1, inf)']
NonNegativeInt = Annotated[int, '[0, inf)']
PositiveFloat = Annotated[float, '(0, inf)']
Fraction = Annotated[float, '[0, 1)']
Seed = Annotated[int, '[0, 4294967295]']

MAX_EVALUATIONS = 10_000_000  # maximum per training, because their steps are held in a list

PAPER_SAMPLES = 1 << 24  # training images for every figure of the ACAI paper (section 4)


@config_dataclass('network')
class Network:
  """The ACAI paper's convolutional network (section 4, appendix A)."""

  latent_width: PositiveInt = 4  # height and width of the latent
  latent: PositiveInt = 16  # channels of the latent
  depth: PositiveInt = 64  # channels of the first scale; each halving of the images doubles them
  # Normalization after every hidden 3x3 convolution of encoder and decoder: 'none' (the paper), or 'instance', with
  # trainable scale and offset.
  normalization: Literal['none', 'instance'] = 'none'
  slope: Fraction = 0.2  # negative slope of LeakyReLU

  def __post_init__(self):
    if self.normalization == 'instance' and self.latent_width < 2:
      raise ValueError('network.latent_width is 1, where instance normalisation of one pixel gives all images the '
                       'same latent; expected 2 or more.')

  @property
  def dimension(self) -> int:
    """Latent dimension, height * width * channels of the latent."""
    return self.latent_width**2 * self.latent

  def check(self, shape) -> None:
    """Raises a UserError unless the latent width fits images of `shape`, (height, width, channels)."""
    scales(shape[0], self.latent_width)

  def min_parameters(self, shape) -> int:
    """Returns a lower bound on the number of weights of encoder and decoder for images of `shape`."""
    *inner, last = (self.depth << scale for scale in range(scales(shape[0], self.latent_width) + 1))
    return 9 * (2 * sum(width**2 for width in inner) + (inner[-1] + self.latent) * last + self.latent * inner[-1])

  def input_size(self, shape) -> int:
    """Returns the number of values in an image of `shape`."""
    return math.prod(shape)

  def min_activations(self, shape) -> int:
    """Returns a lower bound on the activations that a step stores per image of `shape`: those of the first scale."""
    return 3 * self.depth * shape[0] * shape[1]


@config_dataclass('network')
class TextNetwork:
  """ARAE's recurrent network: an LSTM encoder and an LSTM decoder (Zhao et al. 2018, section 5)."""

  embedding: PositiveInt = 300  # dimension of the word embeddings
  hidden: PositiveInt = 300  # units of the decoder's LSTM
  latent: PositiveInt = 300  # latent dimension; the latent is the last state of the encoder
  # Initial weights: 'uniform' in [-0.1, 0.1] (the paper), or 'wide', so that Adam learns faster (`networks.recurrent`).
  start: Literal['uniform', 'wide'] = 'uniform'

  @property
  def dimension(self) -> int:
    """Latent dimension."""
    return self.latent

  def check(self, shape) -> None:
    """Does nothing, since any latent dimension fits sentences of any `shape`."""

  def min_parameters(self, shape) -> int:
    """Returns a lower bound on the weights of encoder and decoder for sentences of `shape`, (length, ids)."""
    words = shape[1] * (2 * self.embedding + self.hidden)
    return words + 4 * (self.latent * (self.embedding + self.latent)
                        + self.hidden * (self.embedding + self.hidden + self.latent))

  def input_size(self, shape) -> int:
    """Returns the number of ids in a sentence of `shape`."""
    return shape[0]

  def min_activations(self, shape) -> int:
    """Returns a lower bound on the activations that a step stores per sentence of `shape`: inputs of the gates."""
    return shape[0] * (2 * self.embedding + self.latent + self.hidden)


@config_dataclass('model')
class Annealing:
  """Annealing of a regularizer: its weight decays late in the training, which ends with mainly the reconstruction loss.

  With the default `anneal_to`, the weight is constant.
  """

  anneal_from: Fraction = 0.5  # fraction of the training after which the decay starts
  anneal_over: Annotated[float, '(0, 1]'] = 0.125  # fraction of the training over which the weight decays geometrically
  anneal_to: Annotated[float, '[0, 1]'] = 1.0  # factor of the weight after the decay; 1: no decay


def depends_on_length(model, training) -> bool:
  """Whether the steps of a training depend on its total length.

  They do if the learning rate follows a schedule, or if phases of the model are fractions of the training.

  Args:
    model, training: these two sections of an experiment, as dicts.
  """
  return bool(training['schedule'] != 'constant' or model.get('alone') or model.get('ramp')
              or model.get('anneal_to', 1.0) != 1.0)


NETWORKS = {'images': Network, 'sentences': TextNetwork}  # by the kind of data: `Config.KIND`, default 'images'


@config_dataclass('training')
class Training:
  """Settings of the training; the defaults are the `paper` recipe.

  Counts (`samples`, `warmup`, `*_every`) are numbers of images or sentences that the autoencoder sees, not of steps.
  """

  recipe: Literal['paper', 'fast'] = 'paper'  # key of `RECIPES`: the values of all keys that are not overridden
  samples: Annotated[int, '[1, 1e12]'] = PAPER_SAMPLES  # length of the training
  batch: PositiveInt = 64  # global batch size, shared by all devices; the learning rates refer to it
  seed: Seed = 0  # seed of weights, data order and noise
  learning_rate: PositiveFloat = 1e-4  # of all players whose model does not set another one
  classifier_learning_rate: PositiveFloat = 1e-4  # of the online classifier
  beta_1: Fraction = 0.9  # of Adam
  beta_2: Fraction = 0.999  # of Adam
  epsilon: PositiveFloat = 1e-8  # of Adam
  optimizer: Literal['adam', 'sgd'] = 'adam'  # 'sgd' ignores the betas
  # 'constant'; 'cosine': decay to `floor` times the rate at the end; 'linear': decay to the same over the second half.
  schedule: Literal['constant', 'cosine', 'linear'] = 'constant'
  floor: Fraction = 0.0  # factor of the learning rate at the end of a schedule
  warmup: NonNegativeInt = 0  # samples over which the rate grows linearly from 0
  clipnorm: Annotated[float, '[0, inf)'] = 0.0  # maximum global norm of each player's gradient; 0: no clipping
  average: Fraction = 0.0  # decay per step of the EMA of the weights, which is evaluated and exported; 0: no EMA
  # Keras dtype policy; 'auto': mixed_bfloat16 if the device computes in bfloat16, else float32.
  precision: Literal['float32', 'mixed_bfloat16', 'auto'] = 'float32'
  evaluate_every: NonNegativeInt = 1 << 16  # samples between evaluations; 0: no evaluations
  final_evaluations: NonNegativeInt = 20  # last evaluations, 1/256 of the training apart (paper: median of 20)
  checkpoint_every: NonNegativeInt = 1 << 16  # samples between checkpoints; 0: only at evaluations and at the end
  keep: PositiveInt = 3  # number of latest checkpoints to keep

  def __post_init__(self):
    if self.warmup > self.samples:
      raise ValueError(f'training.warmup is {self.warmup}; expected at most training.samples, {self.samples}, since '
                       'the rate would never reach its full value.')
    if self.evaluate_every and self.samples > MAX_EVALUATIONS * self.evaluate_every:
      raise ValueError(f'training.samples is {self.samples} and training.evaluate_every {self.evaluate_every}; '
                       f'expected at most {MAX_EVALUATIONS:,} evaluations: evaluate less often.')

  def of_player(self, updates, **changes) -> 'Training':
    """The training of a player with `updates` updates per step, so that its schedules end with the training.

    Keras's schedules count the updates of an optimizer, not the steps of the training. `updates` is below 1 for a
    player that is not updated in every step.
    """
    samples, warmup = (round(updates * count) for count in (self.samples, self.warmup))
    return dataclasses.replace(self, samples=max(1, samples), warmup=warmup, evaluate_every=0, **changes)

  @property
  def steps(self) -> int:
    """Number of steps, `samples` / `batch` rounded up."""
    return math.ceil(self.samples / self.batch)

  def every(self, samples) -> range:
    """Returns the steps that complete each interval of `samples` training samples; an empty range for 0."""
    interval = max(1, samples // self.batch)
    return range(interval, self.steps + 1, interval) if samples else range(0)

  @property
  def final_steps(self) -> list[int]:
    """Steps of the final evaluations, including the last step."""
    return sorted({self.steps - self.steps * k // FINAL_PARTS for k in range(min(self.final_evaluations, FINAL_PARTS))})

  @property
  def evaluation_steps(self) -> list[int]:
    """All steps at which the model is evaluated, including the last step; [] if `evaluate_every` is 0."""
    return sorted({*self.every(self.evaluate_every), *self.final_steps, self.steps}) if self.evaluate_every else []


FINAL_PARTS = 256  # the paper evaluates every 2^16 of 2^24 samples

# The values that each recipe overrides. The defaults of `Training` are those of the paper (section 4.2).
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

PRECISIONS = ('float32', 'mixed_bfloat16')  # what precision 'auto' becomes

# Keys that affect neither weights nor data order. A run may be resumed with other values of these.
# Moved data are recognized by their checksum.
FREE_KEYS = ('dataset.path', 'training.evaluate_every', 'training.final_evaluations', 'training.checkpoint_every',
             'training.keep')

# Values of keys that are missing in files of older versions: the behaviour before these keys existed.
DEFAULTS_OF_OLDER_FILES = {
    'training.optimizer': 'adam',
    'model.partners': 1,
    'model.by_class': False,
    'model.anneal_from': 0.5,
    'model.anneal_over': 0.125,
    'model.anneal_to': 1.0,
    'network.slope': 0.2,
}


@dataclasses.dataclass(frozen=True)
class Experiment:
  """The complete configuration of one training; `dataset` and `model` are the Config objects of the named files."""

  dataset_name: str
  model_name: str
  dataset: object
  model: object
  network: Network | TextNetwork
  training: Training

  @property
  def kind(self) -> str:
    """Kind of data, 'images' or 'sentences'."""
    return next(kind for kind, network in NETWORKS.items() if isinstance(self.network, network))

  @property
  def latent_dimension(self) -> int:
    """Latent dimension."""
    return latent_dimension(self.network, self.model)

  def with_precision(self, precision) -> 'Experiment':
    """Returns the experiment with its precision 'auto' replaced by `precision`; any other precision is kept."""
    if self.training.precision != 'auto':
      return self
    return dataclasses.replace(self, training=dataclasses.replace(self.training, precision=precision))

  def to_dict(self) -> dict:
    """Returns a nested dict of JSON values."""
    return dataclasses.asdict(self)

  def to_json(self) -> str:
    """Returns the experiment as indented JSON text."""
    return json.dumps(self.to_dict(), indent=2) + '\n'

  @classmethod
  def from_dict(cls, values, dataset_config, model_config) -> 'Experiment':
    """Rebuilds an experiment from the result of `to_dict`. Only `DEFAULTS_OF_OLDER_FILES` are filled in.

    Args:
      values: the nested dict.
      dataset_config: the data set's Config class.
      model_config: the model's Config class.

    Raises:
      UserError: a key is unknown or missing, or a value is invalid.
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
  """Returns the latent dimension: `code` of the model's Config if it has that, else that of the network."""
  return getattr(model, 'code', network.dimension)


def scales(size, latent_width) -> int:
  """Returns the number of halvings from `size` pixels to `latent_width`.

  Raises:
    UserError: halving `size` does not lead to `latent_width`. The message lists the widths that fit.
  """
  fitting = [size >> k for k in range(1, size.bit_length()) if size % (1 << k) == 0]
  if latent_width not in fitting:
    powers = [latent_width << k for k in range(1, 12)]
    near = sorted(sorted(powers, key=lambda fit: abs(fit - size))[:2])
    raise UserError(f'latent width {latent_width} does not fit images of size {size}; widths that fit it: '
                    f'{", ".join(map(str, fitting)) or "none"}; nearest sizes that fit width {latent_width}: '
                    f'{near[0]} and {near[1]}.')
  return fitting.index(latent_width) + 1
