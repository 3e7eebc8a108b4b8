"""Result files: zoo/results/NAME.json holds every run of a definition, as `acai_tf.evaluate` recorded it."""

import dataclasses
import json
import math
import pathlib
import re
import statistics

from acai_tf import files
from acai_tf.evaluation import ranges
from acai_tf.experiment import config, strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.overrides import differences
from acai_tf.experiment.resolve import parse_experiment, resolve
from zoo import base

FOLDER = pathlib.Path(__file__).parent / 'results'

# What a record must hold, and what stands for what it may lack.
_REQUIRED = {'experiment': dict, 'samples': int, 'metrics': dict}
_OPTIONAL = {'weights': 'raw', 'medians': {}, 'curves': {}, 'history': [], 'train_seconds': None}
_SETTLED_ELSEWHERE = {'training.recipe', 'training.seed', 'training.samples', *config.FREE_KEYS}


def load(name, folder=FOLDER) -> list[dict]:
  """The runs of a definition, a list of records that `validated` has passed; [] where there are none.

  Raises:
    UserError: a file that is no result file, or in which a run stands twice.
  """
  path = pathlib.Path(folder) / f'{name}.json'
  try:
    values = strict_json.read(path) if path.exists() else {'runs': []}
  except (OSError, ValueError) as error:
    raise _broken(path, error) from error
  if not isinstance(values, dict) or not isinstance(values.get('runs'), list):
    raise _broken(path, "it is no object with a list 'runs'")
  if values.get('definition', name) != name:
    raise _broken(path, f"'definition' is {values['definition']!r}")
  found = [validated(record, f'{path}, run {i + 1}') for i, record in enumerate(values['runs'])]
  for i, record in enumerate(found):
    _refuse_others(record, name, f'{path}, run {i + 1}')
  if sum('kept' in record for record in found) > 1:
    raise _broken(path, "more than one run has 'kept'")
  _refuse_twins(found, path)
  return found


def validated(record, where) -> dict:
  """A record with all that it may lack filled in.

  Args:
    record: of any type, as JSON gave it.
    where: file and place, for the message.

  Raises:
    UserError: a key that is missing or of another type, or an experiment that this version cannot read.
  """
  if not isinstance(record, dict):
    raise _broken(where, f'it is {type(record).__name__}, no object')
  for key, kind in _REQUIRED.items():
    if not isinstance(record.get(key), kind) or isinstance(record[key], bool):
      raise _broken(where, f'{key!r} is {"missing" if key not in record else f"no {kind.__name__}"}')
  if record['samples'] < 1:
    raise _broken(where, f"'samples' is {record['samples']}")
  record = {**_OPTIONAL, **record}
  numbers = {
      'metrics': record['metrics'], 'medians': record['medians'], 'train_seconds': {'seconds': record['train_seconds']}}
  for key, values in numbers.items():
    if not isinstance(values, dict) or not all(map(_is_figure, values.values())):
      raise _broken(where, f'{key!r} holds something that is no number')
    _check_ranges(values, where)
  if record['weights'] not in ('average', 'raw'):
    raise _broken(where, f"'weights' is {record['weights']!r}, neither 'average' nor 'raw'")
  if not isinstance(record['history'], list) or not all(
      isinstance(row, dict) and type(row.get('samples')) is int and all(map(_is_figure, row.values()))
      for row in record['history']):
    raise _broken(where, "'history' is no list of evaluations with their samples")
  for row in record['history']:
    _check_ranges(row, where)
  if not isinstance(record['curves'], dict) or not all(
      isinstance(curve, list) and all(map(_is_figure, curve)) for curve in record['curves'].values()):
    raise _broken(where, "'curves' holds something that is no list of numbers")
  kept = record.get('kept')
  if 'kept' in record and not (isinstance(kept, dict) and re.fullmatch(r'\w+\.npz', str(kept.get('file'))) and
                               re.fullmatch('[0-9a-f]{64}', str(kept.get('sha256'))) and
                               type(kept.get('bytes')) is int and kept['bytes'] > 0):
    raise _broken(where, "'kept' names no file with its sha256 and bytes")
  experiment = record['experiment']
  for key in ('dataset', 'model', 'network', 'training'):
    if not isinstance(experiment.get(key), dict):
      raise _broken(where, f"'experiment.{key}' is no object")
  try:
    parse_experiment(experiment)
  except (KeyError, UserError) as error:
    raise _broken(where, f'its experiment is unknown here: {error}') from error
  return record


def _is_figure(value):
  return value is None or type(value) is float or type(value) is int and abs(value) < 1 << 63


def _check_ranges(values, where):
  for name, value in values.items():
    low, high = ranges.range_of(name)
    if value is not None and not low <= value <= high:
      raise _broken(where, f'{name} is {value:.6g}, outside [{low:g}, {high:g}]')


def _refuse_others(record, name, where):
  """UserError where a record is of other data or another model, or is a run of another definition of both."""
  misfit = _misfit(record, name)
  if misfit and misfit[0] in ('dataset_name', 'model_name'):
    check_definition(record, name, where)
  if misfit:
    own = base.definition(name)
    for other in base.definitions(own.dataset, own.model):
      if not _misfit(record, other):
        raise _broken(where, f'it is a run of {other}')


def check_definition(record, name, where) -> None:
  """UserError unless a record's experiment is of a definition's data, model, and latent dimension.

  Other settings are an ablation's, and are allowed.
  """
  if misfit := _misfit(record, name):
    key, has, wants = misfit
    raise UserError(f'{where} has {key} {has}; expected {wants}, as the definition {name} says.')


def _misfit(record, name):
  """(key, value, the definition's value) of the first setting by which a record is not of a definition; or None."""
  definition, experiment = base.definition(name), record['experiment']
  wanted = [('dataset_name', experiment.get('dataset_name'), definition.dataset),
            ('model_name', experiment.get('model_name'), definition.model)]
  if all(has == wants for _, has, wants in wanted):
    wanted = [row for row in changes(record, name)
              if row[0].startswith('dataset.') or row[0] in ('network.latent_width', 'network.latent')]
  return next((row for row in wanted if row[1] != row[2]), None)


def load_all(dataset=None, folder=FOLDER) -> dict:
  """Dict: name of a definition -> its runs, of a data set or of all; definitions without runs are left out."""
  return {name: found for name in base.definitions(dataset) if (found := load(name, folder))}


def identity(record) -> tuple:
  """(recipe, samples, settings, seed): a definition's runs that agree in it are the same run, measured again.

  `settings` is all of the experiment that changes weights or figures, as JSON text. How a run is measured (restarts
  of k-means, say) is no part of it: the newer measurement takes the older one's place.
  """
  experiment = parse_experiment(record['experiment'])
  values = experiment.to_dict()
  for key in _SETTLED_ELSEWHERE:
    section, _, name = key.partition('.')
    del values[section][name]
  training = experiment.training
  return training.recipe, record['samples'], json.dumps(values, sort_keys=True), training.seed


def add(name, record, folder=FOLDER) -> None:
  """Puts a record among the definition's runs, in place of the same run's.

  Raises:
    UserError: a record that `validated` refuses, or whose figures another run has to the last digit.
  """
  record = validated(record, f'a run of {name}')
  found = [run for run in load(name, folder) if identity(run) != identity(record)] + [record]
  _refuse_twins(found, name)
  _write(name, found, folder)


def set_kept(name, record, kept, folder=FOLDER) -> None:
  """Says that the definition's archive of weights, whose facts `kept` holds, is of `record`'s run and no other's."""
  found = [{key: value for key, value in run.items() if key != 'kept'} for run in load(name, folder)]
  for run in found:
    if identity(run) == identity(record):
      run['kept'] = kept
  _write(name, found, folder)


def _write(name, found, folder):
  text = json.dumps({'definition': name, 'runs': sorted(found, key=identity)}, indent=1) + '\n'
  files.write(pathlib.Path(folder) / f'{name}.json', text)


def groups(found) -> dict:
  """Dict: (recipe, samples, settings) -> runs that differ in their seeds only, most samples first."""
  grouped = {}
  for run in sorted(found, key=lambda run: (-run['samples'], identity(run))):
    grouped.setdefault(identity(run)[:3], []).append(run)
  return grouped


def as_it_was(record, samples) -> list:
  """What a run was after `samples` images, from its history: [a record], or [] where the history does not say.

  With a rate that does not fall, a longer training is a shorter one gone on with, so that its evaluations on the way
  are the shorter one's. They took the quick groups.
  """
  experiment = parse_experiment(record['experiment']).to_dict()
  rows = [row for row in record['history'] if row['samples'] == samples < record['samples']]
  if config.depends_on_length(experiment['model'], experiment['training']) or not rows:
    return []
  metrics = {key: value for key, value in rows[-1].items() if key not in ('samples', 'seconds')}
  return [{**record, 'samples': samples, 'metrics': metrics, 'medians': {}, 'curves': {}, 'history': [],
           'train_seconds': rows[-1].get('seconds')}]


def changes(record, name) -> list:
  """[(key, value, the recipe's)]: what a record's experiment has otherwise than the definition with its recipe.

  Settings named test_*, which choose what is measured, are left out, as is all that `identity` holds by itself. A
  recipe whose precision is 'auto' has either.
  """
  definition, experiment = base.definition(name), parse_experiment(record['experiment'])
  own = resolve(definition.dataset, definition.model, experiment.training.recipe, definition.overrides)
  return [difference for difference in differences(experiment.to_dict(), own.to_dict())
          if difference[0] not in _SETTLED_ELSEWHERE and not difference[0].startswith('dataset.test_')
          and (difference[0], difference[2]) != ('training.precision', 'auto')]


def own(found, name) -> list:
  """The runs that were trained as the definition and its recipe say; the others belong to the table of ablations."""
  return [run for run in found if not changes(run, name)]


def longest(found, name) -> list:
  """List of groups (lists of runs): the definition's own trainings of most samples; [] where there is none."""
  grouped = list(groups(own(found, name)).values())
  return [runs_ for runs_ in grouped if runs_[0]['samples'] == grouped[0][0]['samples']]


def reported(found, name):
  """The definition's own run of most samples and lowest seed, whose picture and weights are kept; None without."""
  return min((run for runs_ in longest(found, name) for run in runs_),
             key=lambda run: identity(run)[3], default=None)


@dataclasses.dataclass(frozen=True)
class Summary:
  """A figure over seeds: `mean`; `deviation`, the population's, as papers print; `half` of the mean's 95 % interval by
  Student's t, None for one seed; `count` of finite values in `seeds` runs."""

  mean: float
  deviation: float
  half: float | None
  count: int
  seeds: int


def summary(found, metric, key='metrics') -> Summary | None:
  """`Summary` of a metric over runs of different seeds; None where no run has a finite value.

  Args:
    found: runs.
    metric: its name.
    key: 'metrics', at the end of training, or 'medians', of its last 20 evaluations.
  """
  import scipy.stats

  values = [run[key].get(metric) for run in found]
  values = [value for value in values if value is not None and math.isfinite(value)]
  if not values:
    return None
  half = None
  if len(values) > 1:
    half = float(scipy.stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values)**0.5)
  return Summary(statistics.fmean(values), statistics.pstdev(values), half, len(values), len(found))


def _refuse_twins(found, where):
  """UserError where a run stands twice, be it under two seeds: no two trainings agree in every digit."""
  for i, run in enumerate(found):
    for other in found[:i]:
      if identity(run) == identity(other):
        raise UserError(f'{where}: the run of {run["samples"]:,} samples, seed {identity(run)[3]}, stands twice; '
                        'expected it once. Delete one of the two.')
      if run['metrics'] and run['metrics'] == other['metrics']:
        raise UserError(f'{where}: the runs of seeds {identity(other)[3]} and {identity(run)[3]} have every figure in '
                        'common, so that one is a copy; expected trainings of their own. Delete one of the two.')


def _broken(where, problem):
  return UserError(f'{where} cannot be read ({problem}); expected what python -m zoo reproduce wrote. Restore it with '
                   'git, or delete it and reproduce it.')
