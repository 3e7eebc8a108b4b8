"""Trains and evaluates what is missing among a definition's results, and gathers it."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

from acai_tf import runs
from acai_tf.config import RECIPES, Training, UserError
from zoo import _records, base


def reproduce(definition, seed, recipe, samples, runs_dir, results, data_flags=(), evaluate_flags=()):
  """One run of a definition: trains it, or goes on where it stopped; evaluates it; files the result.

  Args:
    definition: `base.Definition`.
    seed: of the run.
    recipe: name of a recipe.
    samples: training images in all; None: the recipe's.
    runs_dir: where run folders lie.
    results: folder of result files.
    data_flags: flags of data, handed on to the programs.
    evaluate_flags: flags of acai_tf.evaluate.

  Returns:
    The exit status of the program that failed, or 0.
  """
  samples = samples or RECIPES[recipe].get('samples', Training().samples)
  batch = RECIPES[recipe].get('batch', Training().batch)
  whole = -(-samples // batch) * batch  # The last step is a whole one.
  if (recipe, whole, seed) in map(_records.identity, _records.load(definition.name, results)):
    print(f'{definition.name}, seed {seed}: there already')
    return 0
  run = pathlib.Path(runs_dir) / f'{definition.name}_{recipe}_{samples}_s{seed}'
  print(f'{definition.name}, seed {seed}: {recipe}, {samples:,} samples, in {run}', flush=True)
  train = ['acai_tf.train', '--zoo', definition.name, '--recipe', recipe, '--samples', str(samples),
           '--seed', str(seed), '--run_dir', str(run), *data_flags]
  evaluate = ['acai_tf.evaluate', '--run', str(run), '--metrics', 'all', *data_flags, *evaluate_flags]
  for command in (train, evaluate):
    process = subprocess.Popen([sys.executable, '-m', *command], env={
        **os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parents[1])})
    try:
      status = process.wait()
    except KeyboardInterrupt:  # The program has had the signal too; it is given the time to save.
      status = process.wait()
    if status:
      print(f'{definition.name}, seed {seed}: `python -m {" ".join(command)}` ended with status {status}; '
            'the same command goes on from its last checkpoint', file=sys.stderr)
      return status
  gather(run, definition, results)
  return 0


def gather(run, definition, results):
  """Files a run's metrics.json, and its picture where the definition has none of as many samples.

  Raises:
    UserError: a run of another definition, or one that has not been evaluated.
  """
  run = pathlib.Path(run)
  try:
    record = json.loads((run / runs.METRICS).read_text())
  except (OSError, ValueError) as error:
    raise UserError(f'{run / runs.METRICS} cannot be read ({error}); expected a run that acai_tf.evaluate has '
                    'measured.') from error
  check(record, definition)
  keep = ('samples', 'seconds', 'recon_mse', 'probe_accuracy', 'mean_distance', 'smoothness_published')
  record['history'] = [{key: row[key] for key in keep if key in row} for row in runs.read_history(run)]
  _records.add(definition.name, record, results)
  first = next(iter(_records.groups(_records.load(definition.name, results)).values()))[0]
  picture = pathlib.Path(results) / f'{definition.name}.png'
  if not picture.exists() or _records.identity(record) == _records.identity(first):
    shutil.copyfile(run / 'interpolation.png', picture)


def check(record, definition):
  """UserError unless a record's experiment is the definition's: same data, model and network."""
  from acai_tf import config

  experiment = record['experiment']
  expected = runs.resolve(definition.dataset, definition.model, experiment['training']['recipe'],
                          definition.overrides).to_dict()
  found = runs.parse_experiment(experiment).to_dict()
  free = {'samples', 'seed', 'evaluate_every', 'checkpoint_every', 'keep'}
  for key, has, wants in config.differences(found, expected):
    if key.split('.')[-1] not in free and not key.startswith('dataset.test'):
      raise UserError(f'a run of {definition.name} has {key} {has}; expected {wants}, as the definition says.')


def all_of(patterns):
  """Definitions by name or by pattern ('lines_*').

  Raises:
    UserError: a name that is unknown or a pattern that fits none.
  """
  import fnmatch

  found = {}
  for pattern in patterns:
    known = base.definitions()
    names = [name for name in known if fnmatch.fnmatch(name, pattern)] or [base.definition(pattern).name]
    found.update({name: known[name] for name in names})
  return found
