"""The folder of a training: experiment.json, history.jsonl, origins.jsonl, checkpoints/, metrics.json, a lock."""

import contextlib
import dataclasses
import json
import os
import pathlib
import statistics
from collections.abc import Iterator

from acai_tf import files
from acai_tf.experiment import config, strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.overrides import differences
from acai_tf.experiment.resolve import parse_experiment

EXPERIMENT, HISTORY, PROVENANCE = 'experiment.json', 'history.jsonl', 'origins.jsonl'
METRICS, CHECKPOINTS, LOCK = 'metrics.json', 'checkpoints', 'lock'
WEIGHTS = ('average', 'raw')  # a checkpoint may hold both
DATA, INDEX = '.data-00000-of-00001', '.index'  # TensorFlow's two files of a checkpoint, behind step-N


class Run:
  """The folder of a training, which need not be there yet; as text it is the folder's path.

  TensorBoard's events, the pictures and the codes of the evaluation lie in it, too.

  Attributes:
    folder: its path.
    checkpoints: path of the folder of checkpoints.
    metrics: path of the file that the evaluation writes.
  """

  def __init__(self, folder):
    self.folder = pathlib.Path(folder)
    self.checkpoints, self.metrics = self.folder / CHECKPOINTS, self.folder / METRICS

  def __str__(self):
    return str(self.folder)

  def experiment(self) -> config.Experiment:
    """The run's experiment; UserError where the folder is no run or its file is broken."""
    path = self.folder / EXPERIMENT
    try:
      return parse_experiment(strict_json.read(path))
    except FileNotFoundError as error:
      raise UserError(f'{self} is no run folder: {path} is missing; '
                      'expected a folder made by acai_tf.train.') from error
    except UserError as error:
      raise UserError(f'{path}: {error}') from error
    except (ValueError, KeyError, OSError) as error:
      raise UserError(f'{path} cannot be read ({error}); expected the file that acai_tf.train wrote.') from error

  def check(self, experiment: config.Experiment) -> config.Experiment:
    """The experiment, in the run's own precision where it asks for the one that suits.

    Raises:
      UserError: the run is of another experiment, has files that cannot be read, or has more training than is asked.
    """
    self.history()
    self.provenance()
    if (self.folder / EXPERIMENT).exists():
      own = self.experiment()
      experiment = with_precision(experiment, own.training.precision)
      if keys := conflicts(own.to_dict(), experiment.to_dict()):
        raise UserError(f'{self} was made with another configuration: {keys}. '
                        'Use the same flags to resume, or another --run_dir.')
    steps, training = self.steps(), experiment.training
    if steps and steps[-1] > training.steps:
      done = steps[-1] * training.batch
      raise UserError(f'{self} is trained for {done:,} samples already, more than {training.samples:,}; expected '
                      f'--samples {done} or more, or another --run_dir.')
    return experiment

  def claim(self, experiment) -> None:
    """Makes the folder this experiment's, after `check`; UserError where it cannot be written."""
    with self._writing():
      files.write(self.folder / EXPERIMENT, experiment.to_json())

  @contextlib.contextmanager
  def locked(self) -> Iterator[None]:
    """A context in which this process alone trains in the folder, which is made where it is not there.

    Raises:
      UserError: another process trains in it, or it cannot be written.
    """
    with contextlib.ExitStack() as stack:
      with self._writing():
        try:
          problem = stack.enter_context(files.locked(self.folder / LOCK, wait=False))
        except BlockingIOError as error:
          raise UserError(f'another program is training in {self}; expected a folder of its own (--run_dir), or wait '
                          'until it ends.') from error
      if problem:
        print(f'{self} cannot be locked ({problem}): see to it that no other program trains in it.')
      yield

  @contextlib.contextmanager
  def _writing(self):
    try:
      yield
    except OSError as error:
      raise UserError(f'run folder {self} cannot be written: {error.strerror or error}; '
                      'expected a writable place with free space (--run_dir).') from error

  def steps(self) -> list[int]:
    """The steps of the last checkpoints, sorted."""
    return checkpoint_steps(self.checkpoints / 'last')

  def history(self, until=None) -> list[dict]:
    """The evaluations made during training, one dict each, up to `until` samples; UserError for a broken file."""
    rows = self._read_lines(HISTORY)
    for row in rows:
      wrong = [key for key, value in row.items() if not (value is None or type(value) in (int, float))]
      if wrong or row.get('seconds', 0) < 0:
        what = f'{", ".join(wrong) or "seconds"} of {row["samples"]:,} samples is no figure'
        raise _unreadable(self.folder / HISTORY, what)
    return [row for row in rows if until is None or row['samples'] <= until]

  def write_history(self, rows) -> None:
    """Replaces the history."""
    self._write_lines(HISTORY, rows)

  def check_nothing_lost(self, samples) -> None:
    """UserError where the history tells of more training than the `samples` of the newest checkpoint."""
    rows = self.history()
    if rows and rows[-1]['samples'] > samples:
      raise UserError(
          f'{self.folder / HISTORY} tells of {rows[-1]["samples"]:,} samples of training, but the newest whole '
          f'checkpoint in {CHECKPOINTS}/last has {samples:,}; expected as many. Put the lost files back, or delete the '
          f'lines of {HISTORY} after {samples:,} samples to train on from there.')

  def provenance(self) -> list[dict]:
    """What trained the run: rows of `machine.provenance`, each with the `samples` from which on it did.

    Raises:
      UserError: a broken file.
    """
    return self._read_lines(PROVENANCE)

  def add_provenance(self, samples, row) -> None:
    """Notes that `row`, a `machine.provenance`, trains from `samples` on; rows of later samples are dropped."""
    rows = [old for old in self.provenance() if old['samples'] < samples]
    if not rows or {**rows[-1], 'samples': samples} != {**row, 'samples': samples}:
      self._write_lines(PROVENANCE, [*rows, {'samples': samples, **row}])

  def _read_lines(self, name):
    path, before = self.folder / name, -1
    try:
      rows = [strict_json.loads(line) for line in strict_json.text_of(path).splitlines()] if path.exists() else []
    except (ValueError, OSError) as error:
      raise _unreadable(path, error) from error
    for i, row in enumerate(rows):
      samples = row.get('samples') if isinstance(row, dict) else None
      if not strict_json.is_count(samples) or samples <= before:
        raise _unreadable(path, f"line {i + 1} is no object with 'samples', a count above {before}")
      before = samples
    return rows

  def _write_lines(self, name, rows):
    files.write(self.folder / name, ''.join(json.dumps(row) + '\n' for row in rows))


def _unreadable(path, why):
  return UserError(f'{path} cannot be read ({why}); expected the file that acai_tf.train wrote; delete it to go on '
                   'without what it tells of the past.')


def with_precision(experiment: config.Experiment, precision) -> config.Experiment:
  """The experiment, in that precision where it asks for the one that suits."""
  if experiment.training.precision != 'auto':
    return experiment
  return dataclasses.replace(experiment, training=dataclasses.replace(experiment.training, precision=precision))


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


def medians(history, training, names) -> dict:
  """The median of the final evaluations of a training, as the ACAI paper's tables 1 and 2 have it.

  Args:
    history: rows of `Run.history`.
    training: `config.Training`; its `final_steps` are the evaluations, which cover the last 20/256 as theirs do.
    names: of the metrics.

  Returns:
    Dict: metric -> median; {} where one of the evaluations is missing, or a figure of it undefined.
  """
  rows = {row['samples']: row for row in history}
  final = [rows.get(step * training.batch, {}) for step in training.final_steps]
  if training.final_evaluations < 2 or len(final) < training.final_evaluations:
    return {}
  values = {name: [row.get(name) for row in final] for name in names}
  return {name: statistics.median(column) for name, column in values.items() if None not in column}
