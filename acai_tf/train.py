"""Program: trains a model on a data set, evaluates it and reports. `python -m acai_tf.train --dataset lines`."""

import contextlib
import dataclasses
import pathlib
import signal
import time

from absl import flags

from acai_tf import evaluate, measure, program, registry, runs
from acai_tf.config import UserError

flags.DEFINE_string('dataset', None, 'Data set: ' + ', '.join(registry.names('acai_tf.data')))
flags.DEFINE_string('zoo', None, 'A definition (python -m zoo list) instead of data set, model and network')
flags.DEFINE_string('model', 'acai', 'Model: ' + ', '.join(registry.names('acai_tf.models')))
flags.DEFINE_integer('latent_width', None, 'Height and width of the code', lower_bound=1)
flags.DEFINE_integer('latent', None, 'Channels of the code', lower_bound=1)
flags.DEFINE_integer('depth', None, 'Channels of the first scale', lower_bound=1)
flags.DEFINE_enum('recipe', 'paper', ['paper', 'fast'], "The paper's hyperparameters, or this project's quick ones")
flags.DEFINE_integer('samples', None, 'Training images in all', lower_bound=1)
flags.DEFINE_integer('batch', None, 'Images a step', lower_bound=1)
flags.DEFINE_integer('seed', 0, 'Of weights, data order and noise', lower_bound=0)
flags.DEFINE_string('run_dir', None, 'Run folder; the same command resumes it [runs/NAME]')
flags.DEFINE_enum('strategy', 'auto', ['auto', 'one_device', 'mirrored'], 'Devices; auto uses every GPU')
flags.DEFINE_enum('precision', None, ['auto', 'float32', 'mixed_bfloat16'],
                  'Of the layers; auto: bfloat16 where the device computes in it')
flags.DEFINE_multi_string('set', [], 'Any key: dataset.KEY=VALUE, model., network., training. (repeatable)')
program.define_data_flags(flags.FLAGS)

GROUPS = {
    'What': ['dataset', 'model', 'zoo', 'recipe', 'run_dir'],
    'Network (default: the data set\'s own)': ['latent_width', 'latent', 'depth'],
    'Training (default: the recipe\'s)': ['samples', 'batch', 'seed', 'precision', 'strategy', 'set'],
    'Data': ['data_dir', 'manual_dir'],
}


def experiment_of(arguments):
  """Flags -> `config.Experiment`; UserError names the flag that is wrong."""
  from acai_tf import config
  from zoo import base as zoo

  if arguments.zoo and (arguments.dataset or arguments['model'].present):
    raise UserError('--zoo names data set and model; leave out --dataset and --model.')
  if not arguments.dataset and not arguments.zoo:
    raise UserError(f'--dataset is missing; expected one of {", ".join(registry.names("acai_tf.data"))}.')
  overrides = config.parse_overrides(arguments.set)
  for section, keys in (('network', ('latent_width', 'latent', 'depth')),
                        ('training', ('samples', 'batch', 'seed', 'precision'))):
    for key in keys:
      value = getattr(arguments, key)
      if value is not None and not (key in overrides[section] and not arguments[key].present):
        overrides[section][key] = value
  if not arguments.zoo:
    return runs.resolve(arguments.dataset, arguments.model, arguments.recipe, overrides)
  defined = zoo.definition(arguments.zoo)
  merged = {section: {**defined.overrides.get(section, {}), **values} for section, values in overrides.items()}
  return runs.resolve(defined.dataset, defined.model, arguments.recipe, merged)


def default_run_dir(experiment):
  """runs/<data set>_<model>_d<numbers in a code>_<recipe>_s<seed>."""
  return (f'runs/{experiment.dataset_name}_{experiment.model_name}_d{evaluate.latent_dimension(experiment)}_'
          f'{experiment.training.recipe}_s{experiment.training.seed}')


@contextlib.contextmanager
def stop_signals():
  """Gives a list that fills with the first SIGINT or SIGTERM; a second one ends the program at once."""
  received = []

  def receive(number, _):
    received.append(number)
    signal.signal(number, signal.SIG_DFL)

  before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    yield received
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


class Session:
  """One call of the program: what happens at the loop's evaluation and checkpoint steps."""

  def __init__(self, experiment, model, dataset, checkpoints, run_dir):
    import tensorflow as tf

    from acai_tf import functions, loop

    self.experiment, self.model, self.dataset, self.checkpoints = experiment, model, dataset, checkpoints
    self.run_dir, self.saved = pathlib.Path(run_dir), loop.step_of(model)
    self.history = runs.read_history(run_dir, self.saved * experiment.training.batch)
    runs.write_history(run_dir, self.history)
    if self.saved < experiment.training.steps:
      runs.add_origin(run_dir, self.saved * experiment.training.batch, runs.origin())
    self.writer = tf.summary.create_file_writer(str(run_dir))
    self.functions = functions.of_model(model)
    self.began, self.seconds = time.monotonic(), self.history[-1].get('seconds', 0.0) if self.history else 0.0
    self.next_scalars = 0.0

  def events(self, step, logs):
    """Writes the losses for TensorBoard, at most once a second."""
    import tensorflow as tf

    if time.monotonic() >= self.next_scalars or step == self.experiment.training.steps:
      self.next_scalars = time.monotonic() + 1
      with self.writer.as_default(step * self.experiment.training.batch):
        for name, value in logs.items():
          tf.summary.scalar('train/' + name, value)

  def evaluate(self, step):
    """Measures on the test set, writes scalars, strips and history, and keeps the best checkpoint.

    Measured are the averaged weights, where there are any. The history's `seconds` are those of the training alone.
    """
    import tensorflow as tf

    from acai_tf import figures

    self.seconds += time.monotonic() - self.began
    training = self.experiment.training
    samples = step * training.batch
    with self.model.averaged():
      metrics = measure.measure(self.functions, self.dataset, self.experiment.dataset_name,
                                measure.Settings(draw=(training.seed, step)), self.experiment.model_name).metrics
      strip = measure.strips(self.functions, *self.dataset.pairs(6, measure.PAIR_SEED))
    strip = figures.to_uint8(figures.tile(strip))
    with self.writer.as_default(samples):
      for name, value in metrics.items():
        if value is not None:
          tf.summary.scalar('test/' + name, value)
      tf.summary.image('interpolation', strip[None])
    best = all(better(metrics, row) for row in self.history)
    self.history.append({'samples': samples, 'seconds': round(self.seconds, 1), **metrics})
    if best:
      self.checkpoints.save(self.checkpoints.best)
    runs.write_history(self.run_dir, self.history)
    print(f'evaluated at {samples:,} samples: ' + ', '.join(f'{k} {evaluate.number(v)}' for k, v in metrics.items()),
          flush=True)
    self.began = time.monotonic()

  def save(self, step):
    """Saves a checkpoint, once a step."""
    if step != self.saved:
      self.checkpoints.save()
      self.saved = step


def better(first, second):
  """Whether one evaluation beats another: by mean distance on lines, else by the probe, else by reconstruction."""
  for name, sign in (('mean_distance', -1), ('probe_accuracy', 1), ('recon_mse', -1)):
    if name in first:
      return sign * first[name] > sign * second[name]
  return True


def settled(experiment, run_dir):
  """The experiment with its precision decided: the run's own, where there is a run, else what suits this device."""
  training = experiment.training
  if training.precision != 'auto':
    return experiment
  if (pathlib.Path(run_dir) / runs.EXPERIMENT).exists():
    precision = runs.load_experiment(run_dir).training.precision
  else:
    program.start_tensorflow()
    precision = program.fastest_precision()
  return dataclasses.replace(experiment, training=dataclasses.replace(training, precision=precision))


def train(experiment, run_dir, strategy_name='auto', data_dir=None, manual_dir=None):
  """Trains or resumes, then evaluates and reports; returns an exit status: 0, or 130 / 143 when a signal stopped it."""
  from acai_tf import loop

  training = experiment.training
  dataset = runs.load_data(experiment, data_dir, manual_dir)
  strategy = loop.strategy(strategy_name)
  runs.claim(run_dir, experiment)
  with strategy.scope():
    model = runs.create(experiment)
    checkpoints = loop.Checkpoints(model, pathlib.Path(run_dir) / runs.CHECKPOINTS, training.keep)
  start = checkpoints.restore()
  print(f'{experiment.model_name} on {experiment.dataset_name}: {model.count_params():,} parameters, recipe '
        f'{training.recipe}, {training.precision}, {strategy.num_replicas_in_sync} device(s); run folder {run_dir}')
  if start:
    print(f'resumed from step {start} ({start * training.batch:,} samples)')
  with stop_signals() as received:
    session = Session(experiment, model, dataset, checkpoints, run_dir)
    calls = [(training.evaluation_steps, session.evaluate), (training.every(training.checkpoint_every), session.save)]
    progress = loop.Progress(training.steps, training.batch)

    def events(step, logs):
      progress(step, logs)
      session.events(step, logs)

    try:
      step = loop.Loop(model, strategy, dataset, training).run(events, calls, lambda: bool(received))
    except loop.DivergedError as error:
      last = f'The last good checkpoint, step {session.saved}, is kept.' if session.saved else 'Nothing was saved yet.'
      raise UserError(f'{error} {last}') from error
    finally:
      progress.close()
    session.save(step)
    if step < training.steps:
      print(f'\nstopped by signal {received[0]} at step {step}; saved. The same command resumes it.', flush=True)
      return 128 + received[0]
  model.use_averages()
  evaluate.report(experiment, model, dataset, step * training.batch, run_dir)
  return 0


def main():
  """The program."""
  arguments = flags.FLAGS
  experiment = experiment_of(arguments)
  run_dir = arguments.run_dir or default_run_dir(experiment)
  experiment = settled(experiment, run_dir)
  runs.claim(run_dir, experiment)  # Before TensorFlow is loaded: a folder of another configuration is told at once.
  program.start_tensorflow()
  return train(experiment, run_dir, arguments.strategy, program.data_dir(arguments.data_dir), arguments.manual_dir)


if __name__ == '__main__':
  program.run(
      main, 'python -m acai_tf.train --dataset NAME: trains a model, resumes it, evaluates it and reports.', GROUPS)
