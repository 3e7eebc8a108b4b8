"""Resolves names and overrides to an experiment. It imports the model's file, which loads TensorFlow."""

import typing

from acai_tf.experiment import config, registry
from acai_tf.experiment.errors import UserError, unknown
from acai_tf.experiment.overrides import make, override


def resolve_dataset(name, overrides=None) -> typing.Any:
  """Returns the complete Config of a data set.

  Args:
    name: name of the data set.
    overrides: {key: value or text}.

  Raises:
    UserError: the name or a key is unknown, or a value is invalid.
  """
  data = registry.load('acai_tf.data', name)
  chosen = make(data.Config, overrides or {}, 'dataset')
  return data.resolve(chosen) if hasattr(data, 'resolve') else chosen


def resolve(dataset, model, recipe='paper', overrides=None) -> config.Experiment:
  """Returns the experiment that results from names, a recipe and overrides.

  Overrides take precedence over the model's recipe for the data set, which takes precedence over `config.RECIPES`.

  Args:
    dataset, model: names in the registry.
    recipe: name of a recipe, 'paper' or 'fast'.
    overrides: {'dataset' | 'model' | 'network' | 'training': {key: value or text}}.

  Raises:
    UserError: a name or key is unknown, a value is invalid, the model is for another kind of data, or the latent width
      does not fit the images.
  """
  overrides = overrides or {}
  kinds = [registry.kind_of('acai_tf.data', dataset), registry.kind_of('acai_tf.models', model)]
  if kinds[0] != kinds[1]:
    fitting = ', '.join(registry.names('acai_tf.models', kinds[0]))
    raise UserError(f'{model} is a model of {kinds[1]}, but {dataset} has {kinds[0]}; expected one of {fitting}.')
  dataset_config = resolve_dataset(dataset, overrides.get('dataset'))
  data = registry.load('acai_tf.data', dataset)
  model_class = registry.load('acai_tf.models', model).Config
  if 'recipe' in overrides.get('training', {}):
    raise UserError('training.recipe cannot be overridden, since it sets the other keys; choose it with --recipe.')
  if recipe not in config.RECIPES:
    raise UserError(unknown('recipe', recipe, config.RECIPES))
  values = recipe_of(model_class, recipe, dataset)
  model_config = make(model_class, {**values.get('model', {}), **overrides.get('model', {})}, 'model')
  network = override(data.NETWORK, {**values.get('network', {}), **overrides.get('network', {})}, 'network')
  network.check(data.shape(dataset_config))
  training = make(config.Training, {'recipe': recipe, **config.RECIPES[recipe]}, 'training')
  training = override(training, {**values.get('training', {}), **overrides.get('training', {})}, 'training')
  min_batch = getattr(model_config, 'MIN_BATCH', 1)
  if training.batch < min_batch:
    raise UserError(f'training.batch is {training.batch}; expected {min_batch} or more: {model} mixes or normalises '
                    'the examples of a batch.')
  multiple = getattr(model_config, 'batch_multiple', 1)
  if training.batch % multiple:
    raise UserError(f'training.batch is {training.batch}; expected a multiple of {multiple}: {model} has as many '
                    'sentences of each class in a batch.')
  return config.Experiment(dataset, model, dataset_config, model_config, network, training)


def recipe_of(model, recipe, dataset) -> dict:
  """Returns the values that a model's recipe sets on a data set, {'model' | 'network' | 'training': {key: value}}.

  Args:
    model: Config of the model, or its class. Its RECIPES, {recipe: {section: {key: value}}}, apply to all data sets.
      Its DATA_RECIPES, {data set: RECIPES}, apply to single data sets and take precedence.
    recipe, dataset: names.
  """
  general = getattr(model, 'RECIPES', {}).get(recipe, {})
  specific = getattr(model, 'DATA_RECIPES', {}).get(dataset, {}).get(recipe, {})
  return {section: {**general.get(section, {}), **specific.get(section, {})} for section in {**general, **specific}}


def paper_samples(experiment) -> int:
  """Returns the number of training samples in the paper of an experiment's model, for the experiment's data set."""
  values = recipe_of(experiment.model, 'paper', experiment.dataset_name)
  return values.get('training', {}).get('samples', config.PAPER_SAMPLES)


def parse_experiment(values) -> config.Experiment:
  """Rebuilds an experiment from the result of `Experiment.to_dict`.

  Raises:
    UserError: a key is unknown, missing or invalid; the message names it.
  """
  if not isinstance(values, dict):
    raise UserError('it is not a JSON object; expected an experiment.')
  for key in ('dataset_name', 'model_name'):
    if not isinstance(values.get(key), str):
      raise UserError(f'{key} is {values.get(key, "missing")}; expected a name.')
  data = registry.load('acai_tf.data', values['dataset_name'])
  experiment = config.Experiment.from_dict(
      values, data.Config, registry.load('acai_tf.models', values['model_name']).Config)
  experiment.network.check(data.shape(experiment.dataset))
  return experiment
