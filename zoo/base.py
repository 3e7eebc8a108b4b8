"""Definitions of the zoo and published figures."""

import dataclasses
import fnmatch

from acai_tf.experiment import config, registry
from acai_tf.experiment.errors import UserError, unknown
from acai_tf.experiment.overrides import differences
from acai_tf.experiment.resolve import resolve

PAPER = 'ACAI paper'
QIAN = 'Qian et al. 2019'

# In the order of the columns in tables 1 to 3 of the ACAI paper, and in the tables of Qian et al.
PAPER_MODELS = ('autoencoder', 'dropout', 'denoising', 'vae', 'aae', 'vqvae', 'acai')
QIAN_MODELS = ('miae', 'lrae', 'midrae')

# Names of models as the papers write them, where it is not the file's name in words.
TITLES = {'aae': 'AAE', 'acai': 'ACAI', 'acai_invariant': 'pose-invariant ACAI', 'aeai': 'AEAI', 'amr': 'AMR',
          'arae': 'ARAE', 'arae_acai': 'ARAE with ACAI', 'arae_image': 'ARAE',
          'arae_transfer': 'ARAE for style transfer', 'gaia': 'GAIA', 'irvae': 'IRVAE',
          'lrae': 'LR-AE', 'lsgan_ae': 'LSGAN-AE', 'miae': 'MI-AE', 'midrae': 'MIDR-AE', 'text_aae': 'AAE',
          'text_autoencoder': 'autoencoder', 'text_daae': 'DAAE', 'vae': 'VAE', 'vqvae': 'VQ-VAE'}

# Default latent dimension of models that have it as their own setting, `code`, instead of the network's.
OWN_DIMENSIONS = {'arae_image': 100}


@dataclasses.dataclass(frozen=True)
class Published:
  """One published figure, in the unit of `metrics.json`."""

  metric: str
  value: float
  spread: float | None  # the published +-
  source: str  # paper and table
  confirmed: bool = False  # whether it was checked against a second source
  comparable: bool = True  # False if the model beside it has other settings than the paper's


@dataclasses.dataclass(frozen=True)
class Definition:
  """A model on a data set with a latent dimension, as `--zoo NAME` trains it. `overrides` are those of `resolve`."""

  name: str
  dataset: str
  model: str
  row: str
  overrides: dict

  @property
  def network(self) -> config.Network | config.TextNetwork:
    """Its `config.Network`, before a recipe of the model changes it."""
    return dataclasses.replace(registry.load('acai_tf.data', self.dataset).NETWORK, **self.overrides['network'])

  @property
  def latent_dimension(self) -> int:
    """Dimension of the latent."""
    own = self.overrides['model'].get('code', OWN_DIMENSIONS.get(self.model))
    return own or self.network.dimension

  def resolve(self, recipe='paper', overrides=None) -> config.Experiment:
    """Returns its experiment with a recipe; `overrides` (`resolve`) take precedence over those of the definition."""
    return resolve(self.dataset, self.model, recipe, {
        section: {**self.overrides.get(section, {}), **(overrides or {}).get(section, {})}
        for section in ('dataset', 'model', 'network', 'training')})


def definitions(dataset=None, model=None) -> dict:
  """Dict: name -> Definition, for all data sets and models or only for those given.

  Raises:
    UserError: the data set or model is unknown.
  """
  by_name = {}
  if model:
    registry.check('acai_tf.models', model)
  for data_name in [dataset] if dataset else registry.names('acai_tf.data'):
    module = _module(data_name)
    models = registry.names('acai_tf.models', registry.kind_of('acai_tf.data', data_name))
    for model_name in models if model is None else {model} & {*models}:
      for row, network in getattr(module, 'ROWS', {'': {}}).items():
        overrides = {'network': dict(network), 'model': {}}
        if network and model_name in OWN_DIMENSIONS:
          overrides['model']['code'] = dataclasses.replace(
              registry.load('acai_tf.data', data_name).NETWORK, **network).dimension  # as for the other models
        for section, values in getattr(module, 'EXCEPTIONS', {}).get((model_name, row), {}).items():
          overrides[section] |= values
        name = '_'.join(part for part in (data_name, model_name, row) if part)
        by_name[name] = Definition(name, data_name, model_name, row, overrides)
  return by_name


def definition(name) -> Definition:
  """Returns the Definition of that name. Raises UserError with a suggestion if there is none."""
  if not isinstance(name, str):
    raise UserError(f'the name of a definition is a {type(name).__name__}; expected text: see acai zoo list.')
  for dataset in registry.names('acai_tf.data'):
    if name.startswith(f'{dataset}_') and name in (known := definitions(dataset)):
      return known[name]
  raise UserError(unknown('definition', name, definitions()).split(' Known: ')[0] + ' acai zoo list shows all.')


def is_pattern(text) -> bool:
  """Whether a text has characters that `fnmatch` treats specially, so that it is no name."""
  return bool(set(text) & set('*?['))


def matching(patterns) -> dict:
  """Returns the definitions that match names or patterns ('lines_*'): dict name -> Definition.

  Raises:
    UserError: a name or pattern matches no definition.
  """
  known, found = definitions(), {}
  for pattern in patterns:
    names = [name for name in known if fnmatch.fnmatch(name, pattern)]
    if not names and is_pattern(pattern):
      raise UserError(f'no definition matches {pattern!r}; expected a pattern of their names: acai zoo list shows all.')
    names = names or [definition(pattern).name]
    found.update({name: known[name] for name in names})
  return found


def title(model) -> str:
  """A model's name as the papers write it, such as 'VQ-VAE' for 'vqvae'; by default the words of its name."""
  return TITLES.get(model, model.replace('_', ' '))


def rank(first, name) -> tuple[int, str]:
  """Sort key of names: those in `first`, in that order, then all others by name."""
  return first.index(name) if name in first else len(first), name


def published(dataset, model, latent_dimension) -> dict:
  """Dict: metric -> Published, for a model on a data set with this latent dimension; empty if there are none."""
  rows = getattr(_module(dataset), 'PUBLISHED', {}).get((model, latent_dimension), ())
  return {row.metric: row for row in rows}


def published_for(experiment) -> dict:
  """`published` figures for a `config.Experiment`; empty unless its data and network are those of a definition.

  Figures for 32 x 32 images do not apply to 64 x 64 images, and latents of the same dimension may differ in shape.
  Settings named test_* are ignored, because they only choose what is measured. If the model has `other_settings`, the
  figures are not `comparable`.
  """
  usual = dataclasses.asdict(registry.load('acai_tf.data', experiment.dataset_name).Config())
  if any(value != usual[key] for key, value in dataclasses.asdict(experiment.dataset).items()
         if not key.startswith('test_')):
    return {}
  for definition in definitions(experiment.dataset_name, experiment.model_name).values():
    if all(value == getattr(experiment.network, key) for key, value in dataclasses.asdict(definition.network).items()
           if key not in ('normalization', 'slope')):
      comparable = not other_settings(experiment, definition)
      figures = published(definition.dataset, definition.model, definition.latent_dimension)
      return {metric: dataclasses.replace(row, comparable=comparable) for metric, row in figures.items()}
  return {}


def other_settings(experiment, definition) -> list:
  """Lists the settings of model and network that differ from the paper's recipe: [(key, value, paper's value)].

  A model with other settings has another objective, so its figures are not compared with published ones. Settings
  that its Config lists in `ESTIMATION` are left out: they only change how the same objective is estimated.

  Args:
    experiment: `config.Experiment`.
    definition: `Definition` of which it is a run.
  """
  same = {f'model.{key}' for key in getattr(experiment.model, 'ESTIMATION', ())}
  return [difference for difference in differences(experiment.to_dict(), definition.resolve().to_dict())
          if difference[0].startswith(('model.', 'network.')) and difference[0] not in same]


def percentages(metric, source, models, table) -> dict:
  """Converts one table of percentages to {(model, dimension): [Published]}.

  Args:
    metric: name of the metric.
    source: paper and table.
    models: models of the columns.
    table: dict: dimension -> a value or (value, spread) for each model; None if there is no figure.
  """
  figures = {}
  for dimension, row in table.items():
    for model, cell in zip(models, row, strict=True):
      if cell is not None:
        value, spread = cell if isinstance(cell, tuple) else (cell, None)
        figures[model, dimension] = [Published(metric, value / 100, spread and spread / 100, source)]
  return figures


def merged(*tables) -> dict:
  """Merges the dicts of several `percentages`."""
  joined = {}
  for table in tables:
    for key, rows in table.items():
      joined[key] = joined.get(key, []) + rows
  return joined


def _module(dataset):
  if dataset in registry.names('acai_tf.zoo'):
    return registry.load('acai_tf.zoo', dataset)
  registry.check('acai_tf.data', dataset)
  return None
