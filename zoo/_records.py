"""Result files. zoo/results/NAME.json has a record of every run of a definition, written by `_reproduce.gather`."""

import contextlib
import dataclasses
import functools
import json
import math
import pathlib
import re
import statistics
import typing
from collections.abc import Iterator

from acai_tf import files
from acai_tf.evaluation import ranges
from acai_tf.experiment import config, strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.overrides import differences
from acai_tf.experiment.resolve import parse_experiment, recipe_of
from acai_tf.zoo import base

FOLDER = pathlib.Path(__file__).parent / 'results'

# Keys of every run in a result file, in this order. All other keys are facts.
_REQUIRED = ('weights', 'medians', 'curves', 'history', 'train_seconds', 'experiment', 'samples', 'metrics')
_NOT_IN_SETTINGS = {'training.recipe', 'training.seed', 'training.samples', *config.FREE_KEYS}


class Identity(typing.NamedTuple):
  """Identifies a run. Two records of a definition with the same identity are measurements of the same run.

  `settings` is the part of the experiment that changes weights or figures, as JSON. How a run is measured (for example
  the restarts of k-means) is not part of it: a newer measurement replaces the older one.
  """

  recipe: str
  samples: int
  settings: str
  seed: int


@dataclasses.dataclass(frozen=True)
class Kept:
  """The archive with a definition's pretrained weights: file name in zoo/weights, checksum, size and dtype."""

  file: str
  sha256: str
  bytes: int
  dtype: str
  float16_changes: dict[str, float | None]  # metric -> relative change in half precision; None: undefined

  @property
  def version(self) -> int:
    """The first 8 hexadecimal digits of the checksum, as a number.

    It is derived from the bytes, so that nobody has to count versions and other weights have another version. It is an
    integer, because TensorFlow Serving's versions are.
    """
    return int(self.sha256[:8], 16)


@dataclasses.dataclass(frozen=True)
class Record:
  """A run of a definition with its metrics. `parse` reads it from JSON values, `to_dict` converts it back."""

  weights: str  # which weights were measured: 'average' (EMA) or 'raw'
  medians: dict[str, float | None]  # metric -> median of the last 20 evaluations
  curves: dict[str, list]
  history: list[dict]  # evaluations during training, with their `samples`
  train_seconds: float | None
  experiment: config.Experiment
  samples: int  # number of training samples
  metrics: dict[str, float | None]  # at the end of training
  facts: dict = dataclasses.field(default_factory=dict)  # how, where and by which version it was measured
  kept: Kept | None = None  # the archive, if its weights are of this run
  filed: dict | None = None  # the experiment as read from the file; older files lack newer keys

  @functools.cached_property
  def identity(self) -> Identity:
    """The `Identity` of the run."""
    return identity_of(self.experiment, self.samples)

  @property
  def seed(self) -> int:
    """Seed of the training."""
    return self.experiment.training.seed

  def to_dict(self) -> dict:
    """Converts the record to JSON values, with the facts beside the other fields."""
    values = {name: getattr(self, name) for name in _REQUIRED}
    values['experiment'] = self.filed or self.experiment.to_dict()
    return {**values, **self.facts, **({'kept': dataclasses.asdict(self.kept)} if self.kept else {})}


def identity_of(experiment, samples) -> Identity:
  """The `Identity` of an experiment's run after `samples` training samples."""
  values = experiment.to_dict()
  for key in _NOT_IN_SETTINGS:
    section, _, name = key.partition('.')
    values[section].pop(name, None)
  training = experiment.training
  return Identity(training.recipe, samples, json.dumps(values, sort_keys=True), training.seed)


def load(name, folder=FOLDER) -> list[Record]:
  """Loads the runs of a definition; [] if there are none.

  Raises:
    UserError: the file is not a result file, or contains a run twice.
  """
  path = pathlib.Path(folder) / f'{name}.json'
  records = [parse(record, f'{path}, run {i + 1}') for i, record in enumerate(_runs(path, name))]
  for i, record in enumerate(records):
    _refuse_others(record, name, f'{path}, run {i + 1}')
  if sum(record.kept is not None for record in records) > 1:
    raise _broken(path, "more than one run has 'kept'")
  _refuse_duplicates(records, path)
  return records


def _runs(path, name):
  """The runs in a result file as JSON values; [] if there is no file."""
  try:
    values = strict_json.read(path) if path.exists() else {'runs': []}
  except (OSError, ValueError) as error:
    raise _broken(path, error) from error
  if not isinstance(values, dict) or not isinstance(values.get('runs'), list):
    raise _broken(path, "it is not an object with a list 'runs'")
  if values.get('definition', name) != name:
    raise _broken(path, f"'definition' is {values['definition']!r}")
  return values['runs']


@dataclasses.dataclass(frozen=True)
class Pretrained:
  """What is known of pretrained weights without an import of their model."""

  samples: int  # number of training samples
  metrics: dict[str, float | None]
  kept: Kept


def pretrained(folder=FOLDER) -> dict[str, Pretrained]:
  """Dict: name of each definition with pretrained weights -> `Pretrained`.

  Unlike `load`, it does not import the models, and TensorFlow with them.

  Raises:
    UserError: a file is not a result file.
  """
  found = {}
  for name in base.definitions():
    path = pathlib.Path(folder) / f'{name}.json'
    for run in _runs(path, name):
      if not isinstance(run, dict) or not {'samples', 'metrics'} <= run.keys():
        raise _broken(path, "a run has no 'samples' and 'metrics'")
      if 'kept' in run:
        found[name] = Pretrained(run['samples'], run['metrics'], _parse_kept(run['kept'], path))
  return found


def parse(values, where) -> Record:
  """Parses a record from a result file, or from the metrics.json of a run, which has no history.

  Args:
    values: a value of any type, from JSON.
    where: file and place, for error messages.

  Raises:
    UserError: a key is missing or has another type, or this version cannot read the experiment.
  """
  if not isinstance(values, dict):
    raise _broken(where, f'it is {type(values).__name__}, not an object')
  facts = {'history': [], **values}
  for name in _REQUIRED:
    if name not in facts:
      raise _broken(where, f'{name!r} is missing')
  parts = {name: facts.pop(name) for name in _REQUIRED}
  for key, kind in (('experiment', dict), ('samples', int), ('metrics', dict)):
    if not isinstance(parts[key], kind) or isinstance(parts[key], bool):
      raise _broken(where, f'{key!r} is not of type {kind.__name__}')
  if parts['samples'] < 1:
    raise _broken(where, f"'samples' is {parts['samples']}")
  numbers = {
      'metrics': parts['metrics'], 'medians': parts['medians'], 'train_seconds': {'seconds': parts['train_seconds']}}
  for key, figures in numbers.items():
    if not isinstance(figures, dict) or not all(map(_is_figure, figures.values())):
      raise _broken(where, f'{key!r} has a value that is not a number')
    _check_ranges(figures, where)
  if parts['weights'] not in ('average', 'raw'):
    raise _broken(where, f"'weights' is {parts['weights']!r}, neither 'average' nor 'raw'")
  if not isinstance(parts['history'], list) or not all(
      isinstance(row, dict) and type(row.get('samples')) is int and all(map(_is_figure, row.values()))
      for row in parts['history']):
    raise _broken(where, "'history' is not a list of evaluations with their samples")
  for row in parts['history']:
    _check_ranges(row, where)
  if not isinstance(parts['curves'], dict) or not all(
      isinstance(curve, list) and all(map(_is_figure, curve)) for curve in parts['curves'].values()):
    raise _broken(where, "'curves' has a value that is not a list of numbers")
  for key in ('dataset', 'model', 'network', 'training'):
    if not isinstance(parts['experiment'].get(key), dict):
      raise _broken(where, f"'experiment.{key}' is not an object")
  try:
    experiment = parse_experiment(parts['experiment'])
  except (KeyError, UserError) as error:
    raise _broken(where, f'this version cannot read its experiment: {error}') from error
  kept = _parse_kept(facts.pop('kept'), where) if 'kept' in facts else None
  return Record(**{**parts, 'experiment': experiment}, facts=facts, kept=kept, filed=parts['experiment'])


def _parse_kept(values, where):
  if not (isinstance(values, dict) and values.keys() == {field.name for field in dataclasses.fields(Kept)} and
          re.fullmatch(r'\w+\.npz', str(values['file'])) and re.fullmatch('[0-9a-f]{64}', str(values['sha256'])) and
          type(values['bytes']) is int and values['bytes'] > 0 and values['dtype'] in ('float16', 'float32') and
          isinstance(values['float16_changes'], dict) and all(map(_is_figure, values['float16_changes'].values()))):
    raise _broken(where, "'kept' is not a file name with sha256, bytes and dtype")
  return Kept(**values)


def _is_figure(value):
  return value is None or type(value) is float or type(value) is int and abs(value) < 1 << 63


def _check_ranges(values, where):
  for name, value in values.items():
    low, high = ranges.range_of(name)
    if value is not None and not low - ranges.ROUNDING <= value <= high + ranges.ROUNDING:
      raise _broken(where, f'{name} is {value:.6g}, outside [{low:g}, {high:g}]')


def _refuse_others(record, name, where):
  """Raises UserError if a record has another data set or model, or belongs to another definition of the same two."""
  mismatch = _mismatch(record.experiment, name)
  if mismatch and mismatch[0] in ('dataset_name', 'model_name'):
    check_definition(record.experiment, name, where)
  if mismatch:
    own = base.definition(name)
    for other in base.definitions(own.dataset, own.model):
      if not _mismatch(record.experiment, other):
        raise _broken(where, f'it is a run of {other}')


def check_definition(experiment, name, where) -> None:
  """Raises UserError unless an experiment has the data set, model and latent dimension of a definition.

  All other settings may differ, as in an ablation. Settings of the data set named test_* may differ, too.
  """
  if mismatch := _mismatch(experiment, name):
    key, has, wants = mismatch
    raise UserError(f'{where} has {key} {has}; expected {wants}, as in the definition {name}.')


def _mismatch(experiment, name):
  """(key, value, the definition's value) of the first setting that rules out a definition; None if it fits."""
  definition = base.definition(name)
  wanted = [('dataset_name', experiment.dataset_name, definition.dataset),
            ('model_name', experiment.model_name, definition.model)]
  if all(has == wants for _, has, wants in wanted):
    wanted = [row for row in changes(experiment, name)
              if re.match(r'dataset\.(?!test_)|network\.latent', row[0])]
  return next((row for row in wanted if row[1] != row[2]), None)


def load_all(dataset=None, folder=FOLDER) -> dict[str, list[Record]]:
  """Dict: name of a definition -> its runs, for one or all data sets. Definitions without runs are left out."""
  return {name: runs for name in base.definitions(dataset) if (runs := load(name, folder))}


def add(name, record: Record, folder=FOLDER) -> None:
  """Adds a record to the definition's result file. It replaces an older record of the same run.

  Several processes may add records to one file.

  Raises:
    UserError: another run has exactly the same metrics and history, to the last digit.
  """
  with locked(folder):
    records = with_record(load(name, folder), record)
    _refuse_duplicates(records, name)
    _write(name, records, folder)


@contextlib.contextmanager
def locked(folder=FOLDER) -> Iterator[None]:
  """Holds a lock on a folder of result files, which is created if it does not exist. Locks must not be nested.

  It prints a warning if the file system does not support locks.
  """
  pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
  with files.locked(folder) as problem:
    if problem:
      print(f'{folder} cannot be locked ({problem}): do not write results with several programs at once.')
    yield


def with_record(records, record) -> list[Record]:
  """`records` and `record`, without an older record of the same run."""
  return [run for run in records if run.identity != record.identity] + [record]


def set_kept(name, record: Record, kept: Kept, folder=FOLDER) -> None:
  """Records that the definition's archive has the weights of `record`'s run, and of no other run.

  If several programs may write, call it, and write the archive, under `locked`.
  """
  _write(name, [dataclasses.replace(run, kept=kept if run.identity == record.identity else None)
                for run in load(name, folder)], folder)


def _write(name, records, folder):
  runs = [run.to_dict() for run in sorted(records, key=lambda run: run.identity)]
  files.write(pathlib.Path(folder) / f'{name}.json', json.dumps({'definition': name, 'runs': runs}, indent=1) + '\n')


def groups(runs) -> list[list[Record]]:
  """Groups runs that differ only in their seeds, most samples first.

  Where the recipe leaves the precision to the device ('auto'), runs in float32 and in bfloat16 are one group. If a
  seed was trained in both, they are two groups, the one with more seeds first.
  """
  pooled: dict = {}
  for run in sorted(runs, key=lambda run: (-run.samples, run.identity)):
    recipe, samples, settings, _ = run.identity
    values, precision = json.loads(settings), run.experiment.training.precision
    if precision in config.PRECISIONS and _recipe_precision(run.experiment) == 'auto':
      values['training'].pop('precision')
    by_precision = pooled.setdefault((recipe, samples, json.dumps(values)), {})
    by_precision.setdefault(precision, []).append(run)
  found = []
  for by_precision in pooled.values():
    together = [run for group in by_precision.values() for run in group]
    once = len({run.seed for run in together}) == len(together)
    found += [together] if once else sorted(by_precision.values(), key=len, reverse=True)
  return found


def _recipe_precision(experiment):
  """The precision that an experiment's recipe sets."""
  recipe = experiment.training.recipe
  values = recipe_of(experiment.model, recipe, experiment.dataset_name).get('training', {})
  return {**config.RECIPES[recipe], **values}.get('precision', config.Training.precision)


def shorter_training(record, samples) -> list[Record]:
  """Derives the record of a shorter training from a run's history: [record], or [] if that is not possible.

  With a constant learning rate, a longer training is the continuation of a shorter one. So its evaluations during
  training are those of the shorter training. They contain the quick groups of metrics only.
  """
  experiment = record.experiment.to_dict()
  rows = [row for row in record.history if row['samples'] == samples < record.samples]
  if config.depends_on_length(experiment['model'], experiment['training']) or not rows:
    return []
  metrics = {key: value for key, value in rows[-1].items() if key not in ('samples', 'seconds')}
  return [dataclasses.replace(record, samples=samples, metrics=metrics, medians={}, curves={}, history=[],
                              train_seconds=rows[-1].get('seconds'))]


def changes(experiment, name) -> list:
  """Lists the settings of an experiment that differ from its definition and recipe: [(key, value, recipe's value)].

  The other fields of `Identity` are left out. If the recipe's precision is 'auto', any precision is accepted.
  """
  recipe = base.definition(name).resolve(experiment.training.recipe).with_precision(experiment.training.precision)
  return [difference for difference in differences(experiment.to_dict(), recipe.to_dict())
          if difference[0] not in _NOT_IN_SETTINGS]


def of_recipe(runs, name) -> list:
  """The runs with the settings of the definition and its recipe. All others belong to the table of ablations."""
  return [run for run in runs if not changes(run.experiment, name)]


def longest(runs, name) -> list:
  """List of groups (lists of runs): the definition's own trainings with the most samples; [] if there are none."""
  grouped = groups(of_recipe(runs, name))
  return [group for group in grouped if group[0].samples == grouped[0][0].samples]


def reported(runs, name) -> Record | None:
  """The reported run: the definition's own run with the most samples and the lowest seed; None if there is none.

  Its picture and weights are those in zoo/results and zoo/weights.
  """
  return min((run for group in longest(runs, name) for run in group),
             key=lambda run: run.seed, default=None)


@dataclasses.dataclass(frozen=True)
class Summary:
  """A metric over runs of different seeds."""

  mean: float
  deviation: float  # population standard deviation, as papers print it
  half: float | None  # half-width of the 95 % confidence interval of the mean (Student's t); None for one seed
  count: int  # runs with a finite value
  seeds: int  # all runs


def summary(runs, metric, key='metrics') -> Summary | None:
  """Summarizes a metric over runs of different seeds; None if no run has a finite value.

  Args:
    runs: the runs.
    metric: name of the metric.
    key: 'metrics' (at the end of training) or 'medians' (of the last 20 evaluations).
  """
  import scipy.stats

  values = [getattr(run, key).get(metric) for run in runs]
  values = [value for value in values if value is not None and math.isfinite(value)]
  if not values:
    return None
  half = None
  if len(values) > 1:
    half = float(scipy.stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values)**0.5)
  return Summary(statistics.fmean(values), statistics.pstdev(values), half, len(values), len(runs))


def _refuse_duplicates(runs, where):
  """Raises UserError if a run occurs twice, also under two seeds: no two trainings agree in every digit."""
  for i, run in enumerate(runs):
    for other in runs[:i]:
      if run.identity == other.identity:
        raise UserError(f'{where}: the run of {run.samples:,} samples, seed {run.seed}, occurs twice; '
                        'expected it once. Delete one of the two.')
      if run.metrics and (run.metrics, run.history, run.train_seconds) == (
          other.metrics, other.history, other.train_seconds):
        raise UserError(f'{where}: the runs of seeds {other.seed} and {run.seed} have the same metrics and times, so '
                        'that one is a copy; expected separate trainings. Delete one of the two.')


def _broken(where, problem):
  return UserError(f'{where} cannot be read ({problem}); expected what acai zoo reproduce wrote. Restore it with '
                   'git, or delete it and reproduce it.')
