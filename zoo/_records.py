"""Result files: zoo/results/NAME.json holds every run of a definition, as `acai_tf.evaluate` recorded it."""

import json
import os
import pathlib

import numpy as np

from acai_tf.config import UserError
from zoo import base

FOLDER = pathlib.Path(__file__).parent / 'results'


def load(name, folder=FOLDER):
  """The runs of a definition, a list of records; [] where there are none.

  Raises:
    UserError: a file that cannot be read.
  """
  path = pathlib.Path(folder) / f'{name}.json'
  try:
    return json.loads(path.read_text())['runs'] if path.exists() else []
  except (OSError, ValueError, KeyError, TypeError) as error:
    raise UserError(f'{path} cannot be read ({error}); expected what python -m zoo reproduce wrote.') from error


def load_all(dataset=None, folder=FOLDER):
  """Dict: name of a definition -> its runs, of a data set or of all; definitions without runs are left out."""
  return {name: runs for name in base.definitions(dataset) if (runs := load(name, folder))}


def identity(record):
  """(recipe, samples, seed): a definition's runs that agree in it are the same run."""
  training = record['experiment']['training']
  return training['recipe'], record['samples'], training['seed']


def add(name, record, folder=FOLDER):
  """Puts a record among the definition's runs, in place of one with the same recipe, samples and seed."""
  path = pathlib.Path(folder) / f'{name}.json'
  runs = [run for run in load(name, folder) if identity(run) != identity(record)] + [record]
  runs.sort(key=identity)
  path.parent.mkdir(parents=True, exist_ok=True)
  scratch = path.with_suffix(f'.{os.getpid()}.part')
  scratch.write_text(json.dumps({'definition': name, 'runs': runs}, indent=1) + '\n')
  scratch.replace(path)


def groups(runs):
  """Dict: (recipe, samples) -> runs of several seeds, most samples first."""
  found = {}
  for run in sorted(runs, key=lambda run: (-run['samples'], identity(run))):
    found.setdefault(identity(run)[:2], []).append(run)
  return found


def mean(runs, metric):
  """(mean, half the 95 % interval of the mean by Student's t) over seeds; None for what is not there.

  A single seed has no interval.
  """
  import scipy.stats

  values = [run['metrics'][metric] for run in runs if run['metrics'].get(metric) is not None]
  if not values:
    return None, None
  if len(values) == 1:
    return values[0], None
  spread = np.std(values, ddof=1) / np.sqrt(len(values))
  return float(np.mean(values)), float(scipy.stats.t.ppf(0.975, len(values) - 1) * spread)
