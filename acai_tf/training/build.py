"""Creates models and data sets from experiments and run folders."""

import dataclasses
import typing

from acai_tf.experiment import machine, registry
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.run import Run

if typing.TYPE_CHECKING:
  import keras


def create(experiment, precision=None) -> 'keras.Model':
  """The experiment's model, built and compiled, in a Keras dtype policy `precision`; default: the experiment's.

  Call it under the scope of the strategy.

  This sets the precision of float32 matrix products in the process: exact with recipe `paper`, TF32 (10 bits of
  mantissa) allowed with others.

  Raises:
    UserError: `precision` is not one of `config.Training`.
  """
  import tensorflow as tf

  from acai_tf.training.optimizer import optimizer

  tf.config.experimental.enable_tensor_float_32_execution(experiment.training.recipe != 'paper')
  if precision:
    try:
      training = dataclasses.replace(experiment.training, precision=precision)
    except ValueError as error:
      raise UserError(str(error)) from error
    experiment = dataclasses.replace(experiment, training=training)
  training = experiment.with_precision(machine.fastest_precision()).training
  data = registry.load('acai_tf.data', experiment.dataset_name)
  model = registry.load('acai_tf.models', experiment.model_name).Model(
      experiment.model, experiment.network, data.shape(experiment.dataset), data.classes(experiment.dataset),
      training.seed, training.precision)

  def optimizer_of(player):
    chosen = model.training_of(player, training)
    if model.has_batch_norm(player):
      chosen = dataclasses.replace(chosen, average=0.0)
    return optimizer(chosen)(player)

  model.compile(optimizer_of, clipnorm=training.clipnorm, steps=training.steps)
  return model


def require_memory(experiment, hosts=1) -> None:
  """Raises UserError if a lower bound on the memory that a training needs is more than the free memory.

  Args:
    experiment: `config.Experiment`.
    hosts: number of hosts that share each batch.
  """
  import tensorflow as tf

  training, network = experiment.training, experiment.network
  shape = registry.load('acai_tf.data', experiment.dataset_name).shape(experiment.dataset)
  copies = 2 if training.optimizer == 'sgd' else 4  # weights, gradients, and Adam's two moments
  example = network.input_size(shape)  # float32 numbers per example
  if not tf.config.list_physical_devices('GPU'):
    example += network.min_activations(shape) // 2  # half the size, since activations may be bfloat16
  machine.require_memory({'the sizes of network and data': 4 * network.min_parameters(shape) * copies,
                          'training.batch, or the size of the data': 4 * example * training.batch // hosts})


def takes_official_files(name) -> bool:
  """Whether a data set reads official files, which may be in `manual_dir`. Others are synthetic or name their files."""
  return getattr(registry.load('acai_tf.data', name), 'OFFICIAL_FILES', True)


def check_manual_dir(name, manual_dir) -> None:
  """Raises UserError if --manual_dir is given for a data set that does not use it."""
  if manual_dir and not takes_official_files(name):
    raise UserError(f'--manual_dir does not apply to data set {name}, which has no official files; leave it out.')


def load_data(experiment, data_dir=None, manual_dir=None) -> typing.Any:
  """Loads the experiment's data set, and prints its description."""
  return load_dataset(experiment.dataset_name, experiment.dataset, data_dir, manual_dir)


def load_dataset(name, config, data_dir=None, manual_dir=None) -> typing.Any:
  """Loads the data set of a name and a Config, and prints its description. `data_dir`: by default TFDS's folder."""
  dataset = registry.load('acai_tf.data', name).load(config, machine.data_dir(data_dir), manual_dir)
  print(f'{name}: {dataset.describe()}')
  return dataset


def load_model(run: Run, checkpoint='last', precision=None, weights='average') -> tuple:
  """Loads the model of a run from its checkpoint.

  Args:
    run: a `Run` of acai_tf.train.
    checkpoint: 'last' or 'best'.
    precision: a Keras dtype policy; default: the run's.
    weights: 'average' for the EMA of the weights, if the run has one, or 'raw'.

  Returns:
    (experiment, model, step).

  Raises:
    UserError: there is no run or no checkpoint, or it cannot be read.
  """
  experiment = run.experiment()
  from acai_tf.training.checkpoints import Checkpoints

  model = create(experiment, precision)
  checkpoints = Checkpoints(model, run.checkpoints, experiment.training.keep, experiment)
  step = checkpoints.restore(getattr(checkpoints, checkpoint))
  if not step:
    raise UserError(f'{run} has no {checkpoint} checkpoint; expected a run that has saved one. '
                    'Run acai_tf.train with its flags.')
  if weights == 'average':
    model.use_averages()
  return experiment, model, step
