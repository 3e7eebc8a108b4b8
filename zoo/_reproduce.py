"""Trains and evaluates the runs of a definition that have no result yet, and adds them to the result files."""

import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys

from acai_tf import files
from acai_tf.experiment import config, strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.overrides import parse_overrides
from acai_tf.experiment.run import Run
from acai_tf.training import build
from acai_tf.training.signals import stop_signals
from acai_tf.zoo import _records, _weights


def experiment_of(definition, seed, recipe, samples=None, settings=()):
  """Resolves the `config.Experiment` of one run of a definition.

  Args:
    definition: `base.Definition`.
    seed: seed of the run.
    recipe: name of a recipe.
    samples: number of training samples; None: as in the recipe.
    settings: texts 'SECTION.KEY=VALUE', the settings that an ablation changes.

  Raises:
    UserError: a setting is unknown or belongs to another definition.
  """
  overrides = parse_overrides(settings)
  for key in ('seed', 'samples'):
    if key in overrides['training']:
      raise UserError(f'--set training.{key}: expected --{key}{"s N, the number of seeds" if key == "seed" else " N"}.')
  overrides['training'] |= {'seed': seed, **({'samples': samples} if samples else {})}
  experiment = definition.resolve(recipe, overrides)
  _records.check_definition(experiment, definition.name, 'it')
  return experiment


def run_of(name, experiment, settings, runs_dir) -> Run:
  """The `Run` of a definition's training, below `runs_dir`; for the other arguments see `reproduce`."""
  training, changed = experiment.training, ''.join('_' + re.sub(r'[^\w.=-]', '-', text) for text in sorted(settings))
  return Run(pathlib.Path(runs_dir) / f'{name}_{training.recipe}_{training.samples}{changed}_s{training.seed}')


def reproduce(definition, experiment, settings, runs_dir, results, weights, data_flags=(), evaluate_flags=(),
              call=None, lock=None) -> int:
  """Reproduces one run of a definition: trains or resumes it, evaluates it, records the result, stores the weights.

  Args:
    definition: `base.Definition`.
    experiment: result of `experiment_of`.
    settings: the settings given to `experiment_of`.
    runs_dir: folder of the run folders.
    results: folder of the result files.
    weights: folder of the archives.
    data_flags: data flags, passed on to the programs.
    evaluate_flags: flags of acai_tf.evaluate.
    call: function (command, what) -> exit status that runs a program. By default it shares standard output.
    lock: context manager (a lock) for writing result files while several runs are reproduced in parallel.

  Returns:
    The exit status of the program that failed, or 0.
  """
  training, call, lock = experiment.training, call or _call, lock or contextlib.nullcontext()
  name, what = definition.name, f'{definition.name}, seed {training.seed}'
  run = run_of(name, experiment, settings, runs_dir)
  if recorded(experiment, _records.load(name, results)):
    say(f'{what}: already has a result')
  else:
    say(f'{what}: {training.recipe}, {training.samples:,} samples, in {run}')
    if not build.takes_official_files(experiment.dataset_name):
      data_flags = [flag for flag in data_flags if not flag.startswith('--manual_dir')]
    train = ['acai_tf.train', '--zoo', name, '--recipe', training.recipe, '--samples', str(training.samples),
             '--seed', str(training.seed), '--run_dir', str(run), *(f'--set={text}' for text in settings), *data_flags]
    evaluate = ['acai_tf.evaluate', '--run', str(run), *data_flags, *evaluate_flags]
    for command in (train, evaluate):
      if status := call(command, what):
        return status
    with lock:
      gather(run, definition, results)
  if lacks_weights(name, experiment, run, _records.load(name, results)):
    if reason := _weights.refusal(definition.dataset):
      say(f'{what}: the weights are not stored, since {reason}')
      return 0
    with lock:
      return call(['acai_tf.zoo', 'keep', name, '--run', str(run), '--results', str(results), '--weights', str(weights),
                   *data_flags], what)
  return 0


def say(text) -> None:
  """Prints a line with a single write, so that lines of several threads do not mix."""
  sys.stdout.write(f'{text}\n')
  sys.stdout.flush()


def identities(experiment) -> set:
  """Set of `_records.Identity` of the runs of this experiment. With precision 'auto' there are two of them."""
  samples = experiment.training.steps * experiment.training.batch
  return {_records.identity_of(experiment.with_precision(precision), samples)
          for precision in config.PRECISIONS}


def recorded(experiment, records) -> bool:
  """Whether one of `records` is a result of this experiment."""
  return not identities(experiment).isdisjoint(record.identity for record in records)


def lacks_weights(name, experiment, run, records) -> bool:
  """Whether `run` has the result that definition `name` reports, of `records`, but its weights are not stored."""
  record = _records.reported(records, name)
  return bool(record and record.identity in identities(experiment) and not record.kept and run.folder.exists())


def environment() -> dict[str, str]:
  """The environment of a program that uses this copy of acai_tf."""
  paths = str(pathlib.Path(__file__).parents[2]), os.environ.get('PYTHONPATH')
  return {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, paths))}


def _call(command, what):
  """Runs one of our programs and returns its exit status. Prints a message if the status is not 0.

  SIGINT and SIGTERM are passed on to the program, whose training then saves. This waits for it and returns 130 or 143.
  """
  with stop_signals() as received:
    process = subprocess.Popen([sys.executable, '-m', *command], env=environment())
    told, status = False, None
    while status is None:
      if received and not told:
        process.send_signal(received[0])
        told = True
      with contextlib.suppress(subprocess.TimeoutExpired):
        status = process.wait(timeout=0.5)
  if received:
    print(f'{what}: stopped by signal {received[0]:d}. To resume it, run the same acai zoo reproduce command again.',
          file=sys.stderr)
    return 128 + received[0]
  if status:
    print(f'{what}: `python -m {" ".join(command)}` ended with status {status}; the same command resumes from its '
          'last checkpoint', file=sys.stderr)
  return status


def gather(run: Run, definition, results) -> None:
  """Adds a run's metrics.json to the result file, and its picture if it is the reported run (`_records.reported`).

  Raises:
    UserError: the run belongs to another definition, or has not been evaluated.
  """
  try:
    values = strict_json.read(run.metrics)
  except (OSError, ValueError) as error:
    raise UserError(f'{run.metrics} cannot be read ({error}); expected a run that acai_tf.evaluate has measured.'
                    ) from error
  record = _records.parse(values, run.metrics)
  _records.check_definition(record.experiment, definition.name, run.metrics)
  check_measured(record, run)
  keep = ('samples', 'seconds', 'recon_mse', 'probe_accuracy', 'mean_distance', 'smoothness_published',
          'recon_nll', 'reverse_perplexity', 'transfer_accuracy')
  record = dataclasses.replace(
      record, history=[{key: row[key] for key in keep if key in row} for row in run.history()])
  known = _records.with_record(_records.load(definition.name, results), record)
  reported = _records.reported(known, definition.name)
  if reported and record.identity == reported.identity:
    for name in ('interpolation.png', 'paths.png'):  # for images, for sentences
      if (run.folder / name).exists():
        with files.replacing(pathlib.Path(results) / f'{definition.name}.png') as made:
          shutil.copyfile(run.folder / name, made)
  _records.add(definition.name, record, results)  # last: a run with a result is not gathered again


def check_measured(record, where) -> None:
  """Raises UserError unless a record is of the finished training and of the weights that are reported."""
  training = record.experiment.training
  whole = training.steps * training.batch
  if record.samples != whole:
    raise UserError(f'{where} was measured after {record.samples:,} of {whole:,} samples; expected all of '
                    'them. Continue its training, and measure its last checkpoint.')
  weights = 'average' if training.average else 'raw'
  if record.weights != weights:
    raise UserError(f'{where} was measured with {record.weights} weights; expected {weights}, which are '
                    'reported. Measure it again: acai evaluate --run DIR.')
