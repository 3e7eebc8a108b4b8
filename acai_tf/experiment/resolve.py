"""Names and overrides -> an experiment. A model's file is imported for its Config, which loads TensorFlow."""

import typing

from acai_tf.experiment import config, registry
from acai_tf.experiment.errors import UserError, unknown
from acai_tf.experiment.overrides import make, override


def resolve_dataset(name, overrides=None) -> typing.Any:
  """A data set's name and {key: value or text} -> its Config, whole.

  Raises:
    UserError: an unknown name or key, or a bad value.
  """
  data = registry.load('acai_tf.data', name)
  chosen = make(data.Config, overrides or {}, 'dataset')
  return data.resolve(chosen) if hasattr(data, 'resolve') else chosen


def resolve(dataset, model, recipe='paper', overrides=None) -> config.Experiment:
  """Names and overrides -> `config.Experiment`.

  Args:
    dataset, model: names in the registries.
    recipe: name of `config.RECIPES`.
    overrides: {'dataset' | 'model' | 'network' | 'training': {key: value or text}}.

  Raises:
    UserError: unknown names or keys, bad values, a latent width that does not fit.
  """
  overrides = overrides or {}
  kinds = [registry.kind_of('acai_tf.data', dataset), registry.kind_of('acai_tf.models', model)]
  if kinds[0] != kinds[1]:
    fitting = ', '.join(registry.names('acai_tf.models', kinds[0]))
    raise UserError(f'{model} is a model of {kinds[1]}, and {dataset} has {kinds[0]}; expected one of {fitting}.')
  dataset_config = resolve_dataset(dataset, overrides.get('dataset'))
  data = registry.load('acai_tf.data', dataset)
  model_config = make(registry.load('acai_tf.models', model).Config, overrides.get('model', {}), 'model')
  if 'recipe' in overrides.get('training', {}):
    raise UserError('training.recipe names where the other keys come from; choose it with --recipe.')
  if recipe not in config.RECIPES:
    raise UserError(unknown('recipe', recipe, config.RECIPES))
  own = recipe_of(model_config, recipe, dataset)
  model_config = override(model_config, {**own.get('model', {}), **overrides.get('model', {})}, 'model')
  network = override(data.NETWORK, {**own.get('network', {}), **overrides.get('network', {})}, 'network')
  network.check(data.shape(dataset_config))
  training = make(config.Training, {'recipe': recipe, **config.RECIPES[recipe]}, 'training')
  training = override(training, {**own.get('training', {}), **overrides.get('training', {})}, 'training')
  least = getattr(model_config, 'LEAST_BATCH', 1)
  if training.batch < least:
    raise UserError(f'training.batch is {training.batch}; expected {least} or more: {model} mixes or normalises the '
                    f'examples of a batch.')
  return config.Experiment(dataset, model, dataset_config, model_config, network, training)


def recipe_of(model, recipe, dataset) -> dict:
  """What a model's recipe sets on a data set, {'model' | 'network' | 'training': {key: value}}.

  Args:
    model: a model's Config. Its RECIPES, {recipe: {section: {key: value}}}, hold for all data sets; its DATA_RECIPES,
      {data set: RECIPES}, for one of them, and override the former.
    recipe, dataset: names.
  """
  general = getattr(model, 'RECIPES', {}).get(recipe, {})
  specific = getattr(model, 'DATA_RECIPES', {}).get(dataset, {}).get(recipe, {})
  return {section: {**general.get(section, {}), **specific.get(section, {})} for section in {**general, **specific}}


def paper_samples(experiment) -> int:
  """The training examples that the paper of an experiment's model took on such data."""
  own = recipe_of(experiment.model, 'paper', experiment.dataset_name)
  return own.get('training', {}).get('samples', config.PAPER_SAMPLES)


def parse_experiment(values) -> config.Experiment:
  """`Experiment.to_dict`'s dict -> the experiment; UserError names a key that is unknown, missing or does not fit."""
  if not isinstance(values, dict):
    raise UserError('it is no object; expected an experiment.')
  for key in ('dataset_name', 'model_name'):
    if not isinstance(values.get(key), str):
      raise UserError(f'{key} is {values.get(key, "missing")}; expected a name.')
  data = registry.load('acai_tf.data', values['dataset_name'])
  found = config.Experiment.from_dict(
      values, data.Config, registry.load('acai_tf.models', values['model_name']).Config)
  found.network.check(data.shape(found.dataset))
  return found
