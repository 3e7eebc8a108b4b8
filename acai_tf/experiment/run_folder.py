"""Run folders: experiment.json, history.jsonl, origins.jsonl, checkpoints/, TensorBoard's events, the evaluation's."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator

from acai_tf import files
from acai_tf.experiment import config, strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.overrides import differences
from acai_tf.experiment.resolve import parse_experiment

EXPERIMENT, HISTORY, ORIGINS = 'experiment.json', 'history.jsonl', 'origins.jsonl'
METRICS, CHECKPOINTS, LOCK = 'metrics.json', 'checkpoints', 'lock'
WEIGHTS = ('average', 'raw')  # a checkpoint may hold both
DATA, INDEX = '.data-00000-of-00001', '.index'  # TensorFlow's two files of a checkpoint, behind step-N
CARD = 'training.json'  # beside an exported module: its experiment and how far it was trained


def load_experiment(run_dir) -> config.Experiment:
  """Reads a run's experiment; UserError where the folder is no run or its file is broken."""
  path = pathlib.Path(run_dir) / EXPERIMENT
  try:
    return parse_experiment(strict_json.read(path))
  except FileNotFoundError as error:
    raise UserError(f'{run_dir} is no run folder: {path} is missing; '
                    'expected a folder made by acai_tf.train.') from error
  except UserError as error:
    raise UserError(f'{path}: {error}') from error
  except (ValueError, KeyError, OSError) as error:
    raise UserError(f'{path} cannot be read ({error}); expected the file that acai_tf.train wrote.') from error


def load_card(module) -> tuple | None:
  """What `python -m export` tells of a module beside it: (experiment, samples); None where there is no such file.

  Raises:
    UserError: it is broken, or of an experiment that this version does not know.
  """
  path = pathlib.Path(module) / CARD
  try:
    card = strict_json.read(path)
    if not isinstance(card, dict) or not _is_count(card.get('samples')):
      raise ValueError("it is no object with 'samples', a count")
    return parse_experiment(card.get('experiment')), card['samples']
  except FileNotFoundError:
    return None
  except UserError as error:
    raise UserError(f'{path}: {error}') from error
  except (ValueError, KeyError, OSError) as error:
    raise UserError(f'{path} cannot be read ({error}); expected the file that python -m export wrote.') from error


def check(run_dir, experiment) -> None:
  """UserError unless `run_dir` is new, or holds this experiment, files that can be read, and no more training of it."""
  run_dir = pathlib.Path(run_dir)
  read_history(run_dir)
  read_origins(run_dir)
  if (run_dir / EXPERIMENT).exists():
    keys = conflicts(load_experiment(run_dir).to_dict(), experiment.to_dict())
    if keys:
      raise UserError(f'{run_dir} was made with another configuration: {keys}. '
                      'Use the same flags to resume, or another --run_dir.')
  found, training = checkpoint_steps(run_dir / CHECKPOINTS / 'last'), experiment.training
  if found and found[-1] > training.steps:
    done = found[-1] * training.batch
    raise UserError(f'{run_dir} is trained for {done:,} samples already, more than {training.samples:,}; expected '
                    f'--samples {done} or more, or another --run_dir.')


def claim(run_dir, experiment) -> None:
  """Makes `run_dir` this experiment's folder, or checks that it already is.

  Raises:
    UserError: as `check`, or a folder that cannot be written.
  """
  check(run_dir, experiment)
  with _writing(run_dir):
    pathlib.Path(run_dir).mkdir(parents=True, exist_ok=True)
    files.write(pathlib.Path(run_dir) / EXPERIMENT, experiment.to_json())


@contextlib.contextmanager
def locked(run_dir) -> Iterator[None]:
  """A context in which this process alone trains in a run folder, which is made where it is not there; a process that
  dies leaves no lock behind.

  Raises:
    UserError: another process does, or the folder cannot be written.
  """
  with contextlib.ExitStack() as stack:
    with _writing(run_dir):
      try:
        problem = stack.enter_context(files.locked(pathlib.Path(run_dir) / LOCK, wait=False))
      except BlockingIOError as error:
        raise UserError(f'another program is training in {run_dir}; expected a folder of its own (--run_dir), or wait '
                        'until it ends.') from error
    if problem:
      print(f'{run_dir} cannot be locked ({problem}): see to it that no other program trains in it.')
    yield


@contextlib.contextmanager
def _writing(run_dir):
  try:
    yield
  except OSError as error:
    raise UserError(f'run folder {run_dir} cannot be written: {error.strerror or error}; '
                    'expected a writable place with free space (--run_dir).') from error


def conflicts(there, here) -> str:
  """Which keys of two experiments, dicts, may not differ in one training and do, as a text; '' if there are none."""
  free = set(config.FREE_KEYS)
  lasting = not any(config.depends_on_length(part['model'], part['training']) for part in (there, here))
  if lasting:
    free.add('training.samples')  # A longer training is the same one, gone on with.
  found = [(key, was, asked) for key, was, asked in differences(there, here) if key not in free]
  why = {'training.samples': ' (its schedule depends on the length, so that another length is another training)'}
  return '; '.join(f'{key} is {was} there and {asked} here{why.get(key, "")}' for key, was, asked in found)


def checkpoint_steps(folder) -> list[int]:
  """The steps of the checkpoints in a folder that have both their files, sorted; [] where there is no such folder."""
  try:
    names = set(os.listdir(folder))  # `glob` would pass over a folder that may not be read, as if it were empty.
  except (FileNotFoundError, NotADirectoryError):
    return []
  numbers = (name.removeprefix('step-').removesuffix(INDEX) for name in names if name.endswith(INDEX))
  return sorted(int(n) for n in numbers if n.isdecimal() and f'step-{n}{DATA}' in names)


def read_history(run_dir, until=None) -> list:
  """The evaluations made during training, one dict each, up to `until` samples; UserError for a broken file."""
  rows = _read_lines(run_dir, HISTORY)
  for row in rows:
    wrong = [key for key, value in row.items() if not (value is None or type(value) in (int, float))]
    if wrong or row.get('seconds', 0) < 0:
      what = f'{", ".join(wrong) or "seconds"} of {row["samples"]:,} samples is no figure'
      raise _unreadable(pathlib.Path(run_dir) / HISTORY, what)
  return [row for row in rows if until is None or row['samples'] <= until]


def write_history(run_dir, rows) -> None:
  """Replaces the history."""
  _write_lines(run_dir, HISTORY, rows)


def read_origins(run_dir) -> list:
  """What trained a run: rows of `origin`, each with the `samples` from which it did; [] for an older run.

  Raises:
    UserError: a broken file.
  """
  return _read_lines(run_dir, ORIGINS)


def add_origin(run_dir, samples, row) -> None:
  """Says that `row`, an `origin`, trains from `samples` on; what came to nothing after that is forgotten."""
  rows = [old for old in read_origins(run_dir) if old['samples'] < samples]
  if not rows or {**rows[-1], 'samples': samples} != {**row, 'samples': samples}:
    _write_lines(run_dir, ORIGINS, [*rows, {'samples': samples, **row}])


def _read_lines(run_dir, name):
  path = pathlib.Path(run_dir) / name
  try:
    rows = [strict_json.loads(line) for line in strict_json.text_of(path).splitlines()] if path.exists() else []
  except (ValueError, OSError) as error:
    raise _unreadable(path, error) from error
  before = -1
  for i, row in enumerate(rows):
    samples = row.get('samples') if isinstance(row, dict) else None
    if not _is_count(samples) or samples <= before:
      raise _unreadable(path, f"line {i + 1} is no object with 'samples', a count above {before}")
    before = samples
  return rows


def _is_count(value):
  return type(value) is int and value >= 0


def _unreadable(path, why):
  return UserError(f'{path} cannot be read ({why}); expected the file that acai_tf.train wrote; delete it to go on '
                   'without what it tells of the past.')


def _write_lines(run_dir, name, rows):
  files.write(pathlib.Path(run_dir) / name, ''.join(json.dumps(row) + '\n' for row in rows))


def medians(history, training, names) -> dict:
  """The median of the final evaluations of a training, as the ACAI paper's tables 1 and 2 have it.

  Args:
    history: rows of `read_history`.
    training: `config.Training`; its `final_steps` are the evaluations, which cover the last 20/256 as theirs do.
    names: of the metrics.

  Returns:
    Dict: metric -> median; {} where one of the evaluations is missing, or a figure of it undefined.
  """
  import statistics

  rows = {row['samples']: row for row in history}
  final = [rows.get(step * training.batch, {}) for step in training.final_steps]
  if training.final_evaluations < 2 or len(final) < training.final_evaluations:
    return {}
  values = {name: [row.get(name) for row in final] for name in names}
  return {name: statistics.median(column) for name, column in values.items() if None not in column}
