"""Experiments as frozen dataclasses: strict overrides with suggestions, and a JSON round trip."""

import dataclasses
import difflib
import json
import math


class UserError(ValueError):
  """A mistake that its user can mend: the message says what was wrong, what was expected and what to do."""


@dataclasses.dataclass(frozen=True)
class Network:
  """The paper's convolutional network (section 4, appendix A).

  `latent_width`: height and width of the code; `latent`: its channels; `depth`: channels of the first scale.
  `normalization`: 'none' (the paper's), or 'instance' after every hidden 3x3 convolution of encoder and decoder.
  """

  latent_width: int = 4
  latent: int = 16
  depth: int = 64
  normalization: str = 'none'

  def __post_init__(self):
    for key in ('latent_width', 'latent', 'depth'):
      _require(getattr(self, key) > 0, f'network.{key}', getattr(self, key), 'a number above 0')
    one_of('network.normalization', self.normalization, ('none', 'instance'))


@dataclasses.dataclass(frozen=True)
class Training:
  """How a model is trained; the defaults are the `paper` recipe.

  Counts (`samples`, `warmup`, `*_every`) are images, not steps. `precision` is a Keras dtype policy, or 'auto':
  bfloat16 where the device computes in it, else float32. `schedule` is 'constant' or 'cosine' (to `floor` times the
  rate at `samples`), after a linear `warmup`; `clipnorm` bounds the global norm of each player's gradient, 0 is off.
  `average` is the decay a step of the averaged weights that are evaluated and exported, 0 keeps none.
  `final_evaluations` are made in the last part of the training, 1/256 of it apart, as the paper's last ones are
  (protocol: the median of 20).
  """

  recipe: str = 'paper'
  samples: int = 1 << 24
  batch: int = 64
  seed: int = 0
  learning_rate: float = 1e-4
  classifier_learning_rate: float = 1e-4
  beta_1: float = 0.9
  beta_2: float = 0.999
  epsilon: float = 1e-8
  schedule: str = 'constant'
  floor: float = 0.0
  warmup: int = 0
  clipnorm: float = 0.0
  average: float = 0.0
  precision: str = 'float32'
  evaluate_every: int = 1 << 16
  final_evaluations: int = 20
  checkpoint_every: int = 1 << 16
  keep: int = 3

  def __post_init__(self):
    for key in ('samples', 'batch', 'learning_rate', 'classifier_learning_rate', 'epsilon', 'keep'):
      _require(getattr(self, key) > 0, f'training.{key}', getattr(self, key), 'a number above 0')
    for key in ('seed', 'warmup', 'clipnorm', 'evaluate_every', 'final_evaluations', 'checkpoint_every'):
      _require(getattr(self, key) >= 0, f'training.{key}', getattr(self, key), '0 or more')
    for key in ('beta_1', 'beta_2', 'average', 'floor'):
      _require(0 <= getattr(self, key) < 1, f'training.{key}', getattr(self, key), 'a number in [0, 1)')
    one_of('training.recipe', self.recipe, tuple(RECIPES))
    one_of('training.schedule', self.schedule, ('constant', 'cosine'))
    one_of('training.precision', self.precision, ('float32', 'mixed_bfloat16', 'auto'))

  @property
  def steps(self):
    """Steps of `batch` images; the last, incomplete one is rounded up."""
    return math.ceil(self.samples / self.batch)

  def every(self, samples):
    """The steps after each `samples` images, as a range; none if it is 0."""
    interval = max(1, samples // self.batch)
    return range(interval, self.steps + 1, interval) if samples else range(0)

  @property
  def final_steps(self):
    """The steps of the final evaluations, the last step among them."""
    return sorted({self.steps - self.steps * k // FINAL_PARTS for k in range(min(self.final_evaluations, FINAL_PARTS))})

  @property
  def evaluation_steps(self):
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

# Keys that experiments written before there were such keys lack, and what those were trained with.
BEFORE = {'training.average': 0.0, 'training.floor': 0.0, 'training.final_evaluations': 0, 'dataset.drawing': 'first'}


@dataclasses.dataclass(frozen=True)
class Experiment:
  """One training, whole: `dataset` and `model` are the Config objects of the named files."""

  dataset_name: str
  model_name: str
  dataset: object
  model: object
  network: Network
  training: Training

  def to_dict(self):
    """Nested dict of JSON values."""
    return dataclasses.asdict(self)

  def to_json(self):
    """The experiment as indented JSON text."""
    return json.dumps(self.to_dict(), indent=2) + '\n'

  @classmethod
  def from_dict(cls, values, dataset_config, model_config):
    """Rebuilds `to_dict`'s result; UserError names any key that is unknown or missing.

    Args:
      values: the nested dict.
      dataset_config: the data set's Config class.
      model_config: the model's Config class.
    """
    parts = {'dataset': dataset_config, 'model': model_config, 'network': Network, 'training': Training}
    built = {}
    for key, part in parts.items():
      names = [field.name for field in dataclasses.fields(part)]
      before = {name: BEFORE[f'{key}.{name}'] for name in names if f'{key}.{name}' in BEFORE}
      built[key] = make(part, {**before, **values.get(key, {})}, key)
    return cls(dataset_name=values['dataset_name'], model_name=values['model_name'], **built)


def scales(size, latent_width):
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


def make(kind, values, prefix):
  """Builds dataclass `kind` from a dict, strictly: every key must exist and have its field's type."""
  return override(kind(), values, prefix)


def override(instance, values, prefix):
  """Returns dataclass `instance` with `values` (dict: field -> value or text) set.

  Raises:
    UserError: an unknown key (the nearest is suggested), a value that is not of the field's type, or one out of range.
  """
  fields = {field.name: field for field in dataclasses.fields(instance)}
  parsed = {}
  for key, value in values.items():
    if key not in fields:
      raise UserError(unknown(f'key of {prefix}', key, fields))
    parsed[key] = _parse(f'{prefix}.{key}', value, type(getattr(instance, key)))
  try:
    return dataclasses.replace(instance, **parsed)
  except ValueError as error:
    raise UserError(str(error)) from error


def parse_overrides(texts):
  """['training.batch=32', ...] -> {'training': {'batch': '32'}, ...}; UserError on any other form."""
  sections = {'dataset': {}, 'model': {}, 'network': {}, 'training': {}}
  for text in texts:
    path, equals, value = text.partition('=')
    section, dot, key = path.partition('.')
    if not equals or not dot or not key:
      raise UserError(f'--set {text}: expected SECTION.KEY=VALUE, for example --set training.batch=32')
    if section not in sections:
      raise UserError(unknown('section', section, sections))
    sections[section][key] = value
  return sections


def differences(first, second, prefix=''):
  """Yields (dotted key, value in `first`, value in `second`) wherever two nested dicts differ."""
  for key in sorted(set(first) | set(second)):
    path, left, right = f'{prefix}{key}', first.get(key), second.get(key)
    if isinstance(left, dict) and isinstance(right, dict):
      yield from differences(left, right, path + '.')
    elif left != right:
      yield path, left, right


def unknown(what, name, known):
  """One line for an unknown name: the nearest known one, and all of them."""
  near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
  hint = f'; did you mean {near[0]!r}?' if near else '.'
  return f'unknown {what} {name!r}{hint} Known: {", ".join(map(str, known)) or "none"}.'


def one_of(what, value, allowed):
  """ValueError unless `value` is one of `allowed`."""
  if value not in allowed:
    raise ValueError(unknown(f'value of {what}', value, allowed))


def _require(holds, key, value, expected):
  if not holds:
    raise ValueError(f'{key} is {value}; expected {expected}.')


def _parse(key, value, kind):
  if kind is bool and str(value).lower() in ('true', 'false', '1', '0'):
    return str(value).lower() in ('true', '1')
  try:
    if kind is int and isinstance(value, str):
      base, power, exponent = value.partition('**')
      return int(base) ** int(exponent) if power else int(base)
    if kind is int and value == int(value):
      return int(value)
    if kind is float and math.isfinite(float(value)):
      return float(value)
    if kind is str and isinstance(value, str):
      return value
  except (TypeError, ValueError):
    pass
  raise UserError(f'{key}={value}: expected a value of type {kind.__name__}.')
