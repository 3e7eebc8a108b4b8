"""Trains and evaluates a model: `acai train --dataset lines`."""

import dataclasses

from absl import flags

from acai_tf import cli
from acai_tf.experiment import config, registry
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.overrides import parse_overrides
from acai_tf.experiment.resolve import resolve
from acai_tf.experiment.run import Run
from acai_tf.training import build, callback
from acai_tf.zoo import base as zoo

flags.DEFINE_string('dataset', None, 'Data set: ' + ', '.join(registry.names('acai_tf.data')))
flags.DEFINE_string('zoo', None, 'Definition (acai zoo list), instead of --dataset and --model')
flags.DEFINE_string('model', None, f'Images [acai]: {", ".join(registry.names("acai_tf.models", "images"))}; '
                    f'sentences [arae]: {", ".join(registry.names("acai_tf.models", "sentences"))}')
flags.DEFINE_integer('latent_width', None, 'Height and width of the latent', lower_bound=1)
flags.DEFINE_integer('latent', None, 'Channels of the latent; for sentences the latent dimension', lower_bound=1)
flags.DEFINE_integer('depth', None, 'Channels of the first convolution block', lower_bound=1)
flags.DEFINE_enum('recipe', 'paper', ['paper', 'fast'], "Hyperparameters of the paper, or this project's fast ones")
flags.DEFINE_integer('samples', None, 'Number of training samples, over all devices', lower_bound=1)
flags.DEFINE_integer('batch', None, 'Global batch size, shared by all devices; learning rates refer to it',
                     lower_bound=1)
flags.DEFINE_float('learning_rate', None, 'Learning rate of all networks whose model sets no other one',
                   lower_bound=0.0)
flags.DEFINE_integer('seed', 0, 'Seed of weights, data order and noise', lower_bound=0)
flags.DEFINE_string('run_dir', None, 'Run folder; the same command resumes training [runs/NAME]')
flags.DEFINE_enum('strategy', 'auto', ['auto', 'one_device', 'mirrored', 'multi_worker', 'tpu'],
                  'Devices; auto: the hosts of TF_CONFIG, a TPU, or all GPUs')
flags.DEFINE_enum('precision', None, ['auto', 'float32', 'mixed_bfloat16'],
                  'Precision of the layers; auto: bfloat16 if the device computes in it')
flags.DEFINE_bool('deterministic', False, 'Use only deterministic operations, also on a GPU (slower)')
flags.DEFINE_enum('xla', 'auto', ['auto', 'on', 'off'],
                  'Compile with XLA; auto: on an accelerator, unless --deterministic')
flags.DEFINE_multi_string('callback', [], 'package.module:Class of a callback for an experiment tracker (repeatable)')
flags.DEFINE_multi_string('set', [], 'Set any key: dataset.KEY=VALUE, model., network., training. (repeatable)')
cli.define_data_flags(flags.FLAGS)

GROUPS = {
    'What to train': ['dataset', 'model', 'zoo', 'recipe', 'run_dir'],
    'Network (default: the data set\'s own)': ['latent_width', 'latent', 'depth'],
    'Training (default: the recipe\'s)': ['samples', 'batch', 'learning_rate', 'seed', 'precision', 'strategy', 'xla',
                                         'deterministic', 'set', 'callback'],
    'Data': ['data_dir', 'manual_dir'],
}
# Settings without a flag of their own, which an unknown flag may mean.
SETTINGS = {field.name: f'training.{field.name}' for field in dataclasses.fields(config.Training)}


def experiment_of(arguments) -> config.Experiment:
  """Returns the experiment that the flags define; raises a UserError that names a wrong flag."""
  if arguments.zoo and (arguments.dataset or arguments['model'].present):
    raise UserError('--zoo sets the data set and the model; omit --dataset and --model.')
  if not arguments.dataset and not arguments.zoo:
    raise UserError(f'--dataset is missing; expected one of {", ".join(registry.names("acai_tf.data"))}.')
  overrides = parse_overrides(arguments.set)
  for section, keys in (('network', ('latent_width', 'latent', 'depth')),
                        ('training', ('samples', 'batch', 'learning_rate', 'seed', 'precision'))):
    for key in keys:
      value = getattr(arguments, key)
      if key in overrides[section] and arguments[key].present:
        raise UserError(f'--{key} and --set {section}.{key} are the same setting; expected one of the two.')
      if value is not None and key not in overrides[section]:
        overrides[section][key] = value
  if arguments.zoo:
    definition = zoo.definition(arguments.zoo)
    _refuse_network(definition.model, overrides['network'])
    return definition.resolve(arguments.recipe, overrides)
  usual = {'images': 'acai', 'sentences': 'arae'}[registry.kind_of('acai_tf.data', arguments.dataset)]
  model = arguments.model or usual
  _refuse_network(model, overrides['network'])
  return resolve(arguments.dataset, model, arguments.recipe, overrides)


def _refuse_network(model, keys):
  """Raises a UserError if keys of `network` are set for a model that does not use them."""
  if keys and model in registry.names('acai_tf.models'):  # `resolve` reports unknown models.
    model_config = registry.load('acai_tf.models', model).Config
    if getattr(model_config, 'OWN_NETWORKS', False):
      raise UserError(f'network.{next(iter(keys))} does not apply to {model}; '
                      f'expected model.KEY instead, of {", ".join(model_config.__dataclass_fields__)}.')


def default_run_dir(experiment) -> str:
  """Returns runs/<data set>_<model>_d<latent dimension>_<recipe>_s<seed>."""
  return (f'runs/{experiment.dataset_name}_{experiment.model_name}_d{experiment.latent_dimension}_'
          f'{experiment.training.recipe}_s{experiment.training.seed}')


def main() -> int:
  """Runs the program; returns its exit status."""
  arguments = flags.FLAGS
  cli.start_tensorflow(arguments.xla == 'on')
  experiment = experiment_of(arguments)
  build.check_manual_dir(experiment.dataset_name, arguments.manual_dir)
  run = Run(arguments.run_dir or default_run_dir(experiment))
  experiment = run.check(experiment)
  from acai_tf.training import session
  from acai_tf.training.cluster import Cluster

  callbacks = [callback.load(name) for name in arguments.callback]
  xla = arguments.xla
  if arguments.deterministic:
    cli.make_deterministic()
    xla = 'off' if xla == 'auto' else xla  # XLA chooses kernels by timing them, so that results may differ.
  cluster = Cluster(arguments.strategy, xla)
  return session.train(cluster.agreed(experiment), run, cluster, arguments.data_dir, arguments.manual_dir,
                       zoo.published_for(experiment), callbacks)


def program() -> None:
  """Parses the flags, runs the program and exits."""
  cli.run(main, 'acai train --dataset NAME: trains or resumes a model, and evaluates it.', GROUPS, settings=SETTINGS)


if __name__ == '__main__':
  program()
