"""Result files: zoo/results/NAME.json holds every run of a definition, as `acai_tf.evaluate` recorded it."""

import dataclasses
import functools
import json
import math
import pathlib
import re
import statistics
import typing

from acai_tf import files
from acai_tf.evaluation import ranges
from acai_tf.experiment import config, strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.overrides import differences
from acai_tf.experiment.resolve import parse_experiment, resolve
from zoo import base

FOLDER = pathlib.Path(__file__).parent / 'results'

# What a result file has of every run, in this order; the rest are facts.
_REQUIRED = ('weights', 'medians', 'curves', 'history', 'train_seconds', 'experiment', 'samples', 'metrics')
_SETTLED_ELSEWHERE = {'training.recipe', 'training.seed', 'training.samples', *config.FREE_KEYS}


class Identity(typing.NamedTuple):
  """A definition's runs that agree in it are the same run, measured again.

  `settings` is all of the experiment that changes weights or figures, as JSON text. How a run is measured (restarts
  of k-means, say) is no part of it: the newer measurement takes the older one's place.
  """

  recipe: str
  samples: int
  settings: str
  seed: int


@dataclasses.dataclass(frozen=True)
class Kept:
  """A definition's archive of weights: its file in zoo/weights, with sum and size, and how its numbers are stored."""

  file: str
  sha256: str
  bytes: int
  dtype: str
  float16_changes: dict[str, float | None]  # metric -> relative change in half precision; None: beyond measure

  @property
  def version(self) -> int:
    """The first 8 hexadecimal digits of the sum, as a number.

    It follows from the bytes, so that no other weights can go by it, and nobody has to count. It is a whole number,
    because TensorFlow Serving's versions are.
    """
    return int(self.sha256[:8], 16)


@dataclasses.dataclass(frozen=True)
class Record:
  """A run of a definition with its figures; `parse` reads it, `to_dict` is what a result file has."""

  weights: str  # that were measured: 'average' or 'raw'
  medians: dict[str, float | None]  # metric -> median of the last 20 evaluations
  curves: dict[str, list]
  history: list[dict]  # evaluations during training, with their `samples`
  train_seconds: float | None
  experiment: config.Experiment
  samples: int  # that it was trained on
  metrics: dict[str, float | None]  # at the end of training
  facts: dict = dataclasses.field(default_factory=dict)  # how, by which program and where it was measured
  kept: Kept | None = None  # the archive, where it is of this run
  filed: dict | None = None  # the experiment as its file has it: older ones lack later keys

  @functools.cached_property
  def identity(self) -> Identity:
    """Which run it is."""
    return identity_of(self.experiment, self.samples)

  @property
  def seed(self) -> int:
    """The training's."""
    return self.experiment.training.seed

  def to_dict(self) -> dict:
    """JSON values: the fields, the facts among them."""
    values = {name: getattr(self, name) for name in _REQUIRED}
    values['experiment'] = self.filed or self.experiment.to_dict()
    return {**values, **self.facts, **({'kept': dataclasses.asdict(self.kept)} if self.kept else {})}


def identity_of(experiment, samples) -> Identity:
  """The `Identity` of an experiment's run after `samples`."""
  values = experiment.to_dict()
  for key in _SETTLED_ELSEWHERE:
    section, _, name = key.partition('.')
    del values[section][name]
  training = experiment.training
  return Identity(training.recipe, samples, json.dumps(values, sort_keys=True), training.seed)


def load(name, folder=FOLDER) -> list[Record]:
  """The runs of a definition; [] where there are none.

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
  found = [parse(record, f'{path}, run {i + 1}') for i, record in enumerate(values['runs'])]
  for i, record in enumerate(found):
    _refuse_others(record, name, f'{path}, run {i + 1}')
  if sum(record.kept is not None for record in found) > 1:
    raise _broken(path, "more than one run has 'kept'")
  _refuse_twins(found, path)
  return found


def parse(values, where) -> Record:
  """A record of a result file, or of the metrics.json of a run, which has no history.

  Args:
    values: of any type, as JSON gave it.
    where: file and place, for the message.

  Raises:
    UserError: a key that is missing or of another type, or an experiment that this version cannot read.
  """
  if not isinstance(values, dict):
    raise _broken(where, f'it is {type(values).__name__}, no object')
  facts = {'history': [], **values}
  for name in _REQUIRED:
    if name not in facts:
      raise _broken(where, f'{name!r} is missing')
  parts = {name: facts.pop(name) for name in _REQUIRED}
  for key, kind in (('experiment', dict), ('samples', int), ('metrics', dict)):
    if not isinstance(parts[key], kind) or isinstance(parts[key], bool):
      raise _broken(where, f'{key!r} is no {kind.__name__}')
  if parts['samples'] < 1:
    raise _broken(where, f"'samples' is {parts['samples']}")
  numbers = {
      'metrics': parts['metrics'], 'medians': parts['medians'], 'train_seconds': {'seconds': parts['train_seconds']}}
  for key, figures in numbers.items():
    if not isinstance(figures, dict) or not all(map(_is_figure, figures.values())):
      raise _broken(where, f'{key!r} holds something that is no number')
    _check_ranges(figures, where)
  if parts['weights'] not in ('average', 'raw'):
    raise _broken(where, f"'weights' is {parts['weights']!r}, neither 'average' nor 'raw'")
  if not isinstance(parts['history'], list) or not all(
      isinstance(row, dict) and type(row.get('samples')) is int and all(map(_is_figure, row.values()))
      for row in parts['history']):
    raise _broken(where, "'history' is no list of evaluations with their samples")
  for row in parts['history']:
    _check_ranges(row, where)
  if not isinstance(parts['curves'], dict) or not all(
      isinstance(curve, list) and all(map(_is_figure, curve)) for curve in parts['curves'].values()):
    raise _broken(where, "'curves' holds something that is no list of numbers")
  for key in ('dataset', 'model', 'network', 'training'):
    if not isinstance(parts['experiment'].get(key), dict):
      raise _broken(where, f"'experiment.{key}' is no object")
  try:
    experiment = parse_experiment(parts['experiment'])
  except (KeyError, UserError) as error:
    raise _broken(where, f'its experiment is unknown here: {error}') from error
  kept = _parse_kept(facts.pop('kept'), where) if 'kept' in facts else None
  return Record(**{**parts, 'experiment': experiment}, facts=facts, kept=kept, filed=parts['experiment'])


def _parse_kept(values, where):
  if not (isinstance(values, dict) and values.keys() == {field.name for field in dataclasses.fields(Kept)} and
          re.fullmatch(r'\w+\.npz', str(values['file'])) and re.fullmatch('[0-9a-f]{64}', str(values['sha256'])) and
          type(values['bytes']) is int and values['bytes'] > 0 and values['dtype'] in ('float16', 'float32') and
          isinstance(values['float16_changes'], dict) and all(map(_is_figure, values['float16_changes'].values()))):
    raise _broken(where, "'kept' names no file with its sha256 and bytes")
  return Kept(**values)


def _is_figure(value):
  return value is None or type(value) is float or type(value) is int and abs(value) < 1 << 63


def _check_ranges(values, where):
  for name, value in values.items():
    low, high = ranges.range_of(name)
    if value is not None and not low <= value <= high:
      raise _broken(where, f'{name} is {value:.6g}, outside [{low:g}, {high:g}]')


def _refuse_others(record, name, where):
  """UserError where a record is of other data or another model, or is a run of another definition of both."""
  misfit = _misfit(record.experiment, name)
  if misfit and misfit[0] in ('dataset_name', 'model_name'):
    check_definition(record.experiment, name, where)
  if misfit:
    own = base.definition(name)
    for other in base.definitions(own.dataset, own.model):
      if not _misfit(record.experiment, other):
        raise _broken(where, f'it is a run of {other}')


def check_definition(experiment, name, where) -> None:
  """UserError unless an experiment is of a definition's data, model, and latent dimension.

  Other settings are an ablation's, and are allowed.
  """
  if misfit := _misfit(experiment, name):
    key, has, wants = misfit
    raise UserError(f'{where} has {key} {has}; expected {wants}, as the definition {name} says.')


def _misfit(experiment, name):
  """(key, value, the definition's value) of the first setting by which it is not of a definition; or None."""
  definition = base.definition(name)
  wanted = [('dataset_name', experiment.dataset_name, definition.dataset),
            ('model_name', experiment.model_name, definition.model)]
  if all(has == wants for _, has, wants in wanted):
    wanted = [row for row in changes(experiment, name)
              if row[0].startswith('dataset.') or row[0] in ('network.latent_width', 'network.latent')]
  return next((row for row in wanted if row[1] != row[2]), None)


def load_all(dataset=None, folder=FOLDER) -> dict[str, list[Record]]:
  """Dict: name of a definition -> its runs, of a data set or of all; definitions without runs are left out."""
  return {name: found for name in base.definitions(dataset) if (found := load(name, folder))}


def add(name, record: Record, folder=FOLDER) -> None:
  """Puts a record among the definition's runs, in place of the same run's.

  Raises:
    UserError: a record whose figures another run has to the last digit.
  """
  found = [run for run in load(name, folder) if run.identity != record.identity] + [record]
  _refuse_twins(found, name)
  _write(name, found, folder)


def set_kept(name, record: Record, kept: Kept, folder=FOLDER) -> None:
  """Says that the definition's archive of weights is of `record`'s run and no other's."""
  _write(name, [dataclasses.replace(run, kept=kept if run.identity == record.identity else None)
                for run in load(name, folder)], folder)


def _write(name, found, folder):
  runs = [run.to_dict() for run in sorted(found, key=lambda run: run.identity)]
  files.write(pathlib.Path(folder) / f'{name}.json', json.dumps({'definition': name, 'runs': runs}, indent=1) + '\n')


def groups(found) -> dict:
  """Dict: (recipe, samples, settings) -> runs that differ in their seeds only, most samples first."""
  grouped = {}
  for run in sorted(found, key=lambda run: (-run.samples, run.identity)):
    grouped.setdefault(run.identity[:3], []).append(run)
  return grouped


def as_it_was(record, samples) -> list[Record]:
  """What a run was after `samples` images, from its history: [a record], or [] where the history does not say.

  With a rate that does not fall, a longer training is a shorter one gone on with, so that its evaluations on the way
  are the shorter one's. They took the quick groups.
  """
  experiment = record.experiment.to_dict()
  rows = [row for row in record.history if row['samples'] == samples < record.samples]
  if config.depends_on_length(experiment['model'], experiment['training']) or not rows:
    return []
  metrics = {key: value for key, value in rows[-1].items() if key not in ('samples', 'seconds')}
  return [dataclasses.replace(record, samples=samples, metrics=metrics, medians={}, curves={}, history=[],
                              train_seconds=rows[-1].get('seconds'))]


def changes(experiment, name) -> list:
  """[(key, value, the recipe's)]: what an experiment has otherwise than the definition with its recipe.

  Settings named test_*, which choose what is measured, are left out, as is all that `Identity` holds by itself. A
  recipe whose precision is 'auto' has either.
  """
  definition = base.definition(name)
  own = resolve(definition.dataset, definition.model, experiment.training.recipe, definition.overrides)
  return [difference for difference in differences(experiment.to_dict(), own.to_dict())
          if difference[0] not in _SETTLED_ELSEWHERE and not difference[0].startswith('dataset.test_')
          and (difference[0], difference[2]) != ('training.precision', 'auto')]


def own(found, name) -> list:
  """The runs that were trained as the definition and its recipe say; the others belong to the table of ablations."""
  return [run for run in found if not changes(run.experiment, name)]


def longest(found, name) -> list:
  """List of groups (lists of runs): the definition's own trainings of most samples; [] where there is none."""
  grouped = list(groups(own(found, name)).values())
  return [runs_ for runs_ in grouped if runs_[0].samples == grouped[0][0].samples]


def reported(found, name) -> Record | None:
  """The definition's own run of most samples and lowest seed, whose picture and weights are kept; None without."""
  return min((run for runs_ in longest(found, name) for run in runs_),
             key=lambda run: run.seed, default=None)


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

  values = [getattr(run, key).get(metric) for run in found]
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
      if run.identity == other.identity:
        raise UserError(f'{where}: the run of {run.samples:,} samples, seed {run.seed}, stands twice; '
                        'expected it once. Delete one of the two.')
      if run.metrics and run.metrics == other.metrics:
        raise UserError(f'{where}: the runs of seeds {other.seed} and {run.seed} have every figure in '
                        'common, so that one is a copy; expected trainings of their own. Delete one of the two.')


def _broken(where, problem):
  return UserError(f'{where} cannot be read ({problem}); expected what python -m zoo reproduce wrote. Restore it with '
                   'git, or delete it and reproduce it.')
