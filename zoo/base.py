"""Definitions and published figures."""

import dataclasses

from acai_tf.experiment import config, registry
from acai_tf.experiment.errors import UserError, unknown

PAPER = 'ACAI paper'
QIAN = 'Qian et al. 2019'

# The order of the columns in tables 1 to 3 of the ACAI paper, and in Qian et al.'s.
PAPER_MODELS = ('autoencoder', 'dropout', 'denoising', 'vae', 'aae', 'vqvae', 'acai')
QIAN_MODELS = ('miae', 'lrae', 'midrae')

# Models whose latent dimension is a setting of their own, `code`, not the network's: what it is by default.
OWN_DIMENSIONS = {'arae_image': 100}


@dataclasses.dataclass(frozen=True)
class Published:
  """One published figure, in the unit in which `metrics.json` has it; `spread` is what stands behind its +-, or None.

  `source`: paper and table. `confirmed`: a second source agrees; otherwise the figure comes from one secondary source
  or from memory.
  """

  metric: str
  value: float
  spread: float | None
  source: str
  confirmed: bool = False


@dataclasses.dataclass(frozen=True)
class Definition:
  """A model on a data set with a code size: what `--zoo NAME` trains; `overrides` as `resolve` takes them."""

  name: str
  dataset: str
  model: str
  row: str
  overrides: dict

  @property
  def network(self) -> config.Network | config.TextNetwork:
    """Its `config.Network`, before what a recipe of the model sets."""
    return dataclasses.replace(registry.load('acai_tf.data', self.dataset).NETWORK, **self.overrides['network'])

  @property
  def latent_dimension(self) -> int:
    """Numbers in a code."""
    own = self.overrides['model'].get('code', OWN_DIMENSIONS.get(self.model))
    return own or self.network.dimension


def definitions(dataset=None, model=None) -> dict:
  """Dict: name -> Definition, of all data sets and models or of those named.

  Raises:
    UserError: an unknown data set or model.
  """
  found = {}
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
              registry.load('acai_tf.data', data_name).NETWORK, **network).dimension  # as its other models
        for section, values in getattr(module, 'EXCEPTIONS', {}).get((model_name, row), {}).items():
          overrides[section] |= values
        name = '_'.join(part for part in (data_name, model_name, row) if part)
        found[name] = Definition(name, data_name, model_name, row, overrides)
  return found


def definition(name) -> Definition:
  """The Definition of that name; UserError with a suggestion if there is none."""
  if not isinstance(name, str):
    raise UserError(f'the name of a definition is a {type(name).__name__}; expected text: see python -m zoo list.')
  for dataset in registry.names('acai_tf.data'):
    if name.startswith(f'{dataset}_') and name in (known := definitions(dataset)):
      return known[name]
  raise UserError(unknown('definition', name, definitions()).split(' Known: ')[0] + ' python -m zoo list shows all.')


def published(dataset, model, latent_dimension) -> dict:
  """Dict: metric -> Published for a model on a data set with codes of `latent_dimension` numbers; empty if none."""
  rows = getattr(_module(dataset), 'PUBLISHED', {}).get((model, latent_dimension), ())
  return {row.metric: row for row in rows}


def published_for(experiment) -> dict:
  """`published` of a `config.Experiment`; empty unless its data, code and width are those of a definition.

  Figures of 32 x 32 images say nothing of 64 x 64 ones, and the same count of numbers may be another code. Settings
  named test_* choose only what is measured.
  """
  usual = dataclasses.asdict(registry.load('acai_tf.data', experiment.dataset_name).Config())
  if any(value != usual[key] for key, value in dataclasses.asdict(experiment.dataset).items()
         if not key.startswith('test_')):
    return {}
  for definition in definitions(experiment.dataset_name, experiment.model_name).values():
    if all(value == getattr(experiment.network, key) for key, value in dataclasses.asdict(definition.network).items()
           if key not in ('normalization', 'slope')):
      return published(definition.dataset, definition.model, definition.latent_dimension)
  return {}


def percentages(metric, source, models, table) -> dict:
  """{(model, dimension): [Published]} of one table in per cent.

  Args:
    metric: its name.
    source: paper and table.
    models: the columns.
    table: dict: dimension -> one (value, spread) or value for each model; None where there is no figure.
  """
  found = {}
  for dimension, row in table.items():
    for model, cell in zip(models, row, strict=True):
      if cell is not None:
        value, spread = cell if isinstance(cell, tuple) else (cell, None)
        found[model, dimension] = [Published(metric, value / 100, spread and spread / 100, source)]
  return found


def together(*tables) -> dict:
  """Joins `percentages`' dicts."""
  joined = {}
  for table in tables:
    for key, rows in table.items():
      joined[key] = joined.get(key, []) + rows
  return joined


def _module(dataset):
  if dataset in registry.names('zoo'):
    return registry.load('zoo', dataset)
  registry.check('acai_tf.data', dataset)
  return None
