"""The run folder of a training: experiment.json, history.jsonl, origins.jsonl, checkpoints/, metrics.json, lock."""

import contextlib
import json
import os
import pathlib
import statistics
from collections.abc import Iterator

from acai_tf import files
from acai_tf.experiment import config, machine, strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.overrides import differences
from acai_tf.experiment.resolve import parse_experiment

EXPERIMENT, HISTORY, PROVENANCE = 'experiment.json', 'history.jsonl', 'origins.jsonl'
METRICS, CHECKPOINTS, LOCK = 'metrics.json', 'checkpoints', 'lock'
WEIGHTS = ('average', 'raw')  # EMA of the weights, and raw weights; a checkpoint may have both
DATA, INDEX = '.data-00000-of-00001', '.index'  # suffixes of the two files of a TensorFlow checkpoint, step-N


class Run:
  """The run folder of a training, which may not exist yet. `str` gives its path.

  TensorBoard's event files, and the pictures and latents of the evaluation, are also in the folder.

  Attributes:
    folder: path of the folder.
    checkpoints: path of the folder of checkpoints.
    metrics: path of the results of the evaluation.
  """

  def __init__(self, folder):
    self.folder = pathlib.Path(folder)
    self.checkpoints, self.metrics = self.folder / CHECKPOINTS, self.folder / METRICS

  def __str__(self):
    return str(self.folder)

  def experiment(self) -> config.Experiment:
    """Returns the run's experiment; raises a UserError if this is not a run folder or its file is broken."""
    path = self.folder / EXPERIMENT
    try:
      return parse_experiment(strict_json.read(path))
    except FileNotFoundError as error:
      raise UserError(f'{self} is not a run folder: {path} is missing; '
                      'expected a folder made by acai_tf.train.') from error
    except UserError as error:
      raise UserError(f'{path}: {error}') from error
    except (ValueError, KeyError, OSError) as error:
      raise UserError(f'{path} cannot be read ({error}); expected the file that acai_tf.train wrote.') from error

  def check(self, experiment: config.Experiment) -> config.Experiment:
    """Checks that `experiment` can start or resume in this folder, and returns it.

    If its precision is 'auto', the returned experiment has the precision of the existing run. In a new run, it has the
    fastest one of this machine.

    Raises:
      UserError: the folder has another experiment, unreadable files, or more training than `experiment` asks for.
    """
    self.history()
    self.provenance()
    if self.is_claimed():
      own = self.experiment()
      experiment = experiment.with_precision(own.training.precision)
      if keys := conflicts(own.to_dict(), experiment.to_dict()):
        raise UserError(f'{self} was made with another configuration: {keys}. '
                        'Use the same flags to resume, or another --run_dir.')
    experiment = experiment.with_precision(machine.fastest_precision())
    steps, training = self.steps(), experiment.training
    if steps and steps[-1] > training.steps:
      done = steps[-1] * training.batch
      raise UserError(f'{self} is already trained for {done:,} samples, more than {training.samples:,}; expected '
                      f'--samples {done} or more, or another --run_dir.')
    return experiment

  def is_claimed(self) -> bool:
    """Returns whether a training has begun in the folder, so that it belongs to an experiment."""
    return (self.folder / EXPERIMENT).exists()

  def claim(self, experiment) -> None:
    """Writes the experiment to the folder; call `check` first. Raises a UserError if it cannot be written."""
    with self._writing():
      files.write(self.folder / EXPERIMENT, experiment.to_json())

  @contextlib.contextmanager
  def locked(self) -> Iterator[None]:
    """A context manager that locks the folder, so that no other process trains in it; creates it if necessary.

    Raises:
      UserError: another process is training in it, or it cannot be written.
    """
    with contextlib.ExitStack() as stack:
      with self._writing():
        try:
          problem = stack.enter_context(files.locked(self.folder / LOCK, wait=False))
        except BlockingIOError as error:
          raise UserError(f'another program is training in {self}; expected a folder of its own (--run_dir), or wait '
                          'until it ends.') from error
      if problem:
        print(f'{self} cannot be locked ({problem}): make sure that no other program trains in it.')
      yield

  @contextlib.contextmanager
  def _writing(self):
    try:
      yield
    except OSError as error:
      raise UserError(f'run folder {self} cannot be written: {error.strerror or error}; '
                      'expected a writable folder with free space (--run_dir).') from error

  def steps(self) -> list[int]:
    """Returns the sorted steps of the latest checkpoints."""
    return checkpoint_steps(self.checkpoints / 'last')

  def history(self, until=None) -> list[dict]:
    """Returns the evaluations during training up to `until` samples, one dict each; UserError for a broken file."""
    rows = self._read_lines(HISTORY)
    for row in rows:
      wrong = [key for key, value in row.items()
               if not (type(value) in (int, float) or (value is None and key != 'seconds'))]
      if wrong or row.get('seconds', 0) < 0:
        what = f'{", ".join(wrong) or "seconds"} at {row["samples"]:,} samples is not a valid number'
        raise _unreadable(self.folder / HISTORY, what)
    return [row for row in rows if until is None or row['samples'] <= until]

  def write_history(self, rows) -> None:
    """Replaces the history."""
    self._write_lines(HISTORY, rows)

  def check_nothing_lost(self, samples) -> None:
    """Raises a UserError if the history has more training than the latest checkpoint, which has `samples`."""
    rows = self.history()
    if rows and rows[-1]['samples'] > samples:
      raise UserError(
          f'{self.folder / HISTORY} has {rows[-1]["samples"]:,} samples of training, but the latest complete '
          f'checkpoint in {CHECKPOINTS}/last has {samples:,}; expected as many. Restore the lost files, or delete the '
          f'lines of {HISTORY} after {samples:,} samples to resume from there.')

  def measured(self, samples) -> dict | None:
    """Returns the metrics of `metrics.json` if the model was measured after `samples` samples; otherwise None."""
    try:
      results = strict_json.read(self.metrics)
    except (OSError, ValueError):
      return None
    return results.get('metrics') if isinstance(results, dict) and results.get('samples') == samples else None

  def provenance(self) -> list[dict]:
    """Returns the code and machines that trained the run: rows of `machine.provenance`, with their first `samples`.

    Raises:
      UserError: the file is broken.
    """
    return self._read_lines(PROVENANCE)

  def add_provenance(self, samples, row) -> None:
    """Records that the code and machine of `row` (`machine.provenance`) train from `samples` on; drops later rows."""
    rows = [old for old in self.provenance() if old['samples'] < samples]
    if not rows or {**rows[-1], 'samples': samples} != {**row, 'samples': samples}:
      self._write_lines(PROVENANCE, [*rows, {'samples': samples, **row}])

  def _read_lines(self, name):
    path, before = self.folder / name, -1
    try:
      rows = [strict_json.loads(line) for line in strict_json.read_text(path).splitlines()] if path.exists() else []
    except (ValueError, OSError) as error:
      raise _unreadable(path, getattr(error, 'strerror', None) or error) from error
    for i, row in enumerate(rows):
      samples = row.get('samples') if isinstance(row, dict) else None
      if not strict_json.is_count(samples) or samples <= before:
        raise _unreadable(path, f"line {i + 1} is not an object with 'samples', a count above {before}")
      before = samples
    return rows

  def _write_lines(self, name, rows):
    files.write(self.folder / name, ''.join(json.dumps(row) + '\n' for row in rows))


def _unreadable(path, why):
  return UserError(f'{path} cannot be read ({why}); expected the file that acai_tf.train wrote; delete it to continue '
                   'without its record of the past.')


def conflicts(there, here) -> str:
  """Describes the differences between two experiments (dicts) that do not allow one to resume the other; '' if none."""
  free = set(config.FREE_KEYS)
  extendable = not any(config.depends_on_length(part['model'], part['training']) for part in (there, here))
  if extendable:
    free.add('training.samples')  # A longer training then starts with the same steps.
  conflicting = [(key, was, asked) for key, was, asked in differences(there, here) if key not in free]
  why = {'training.samples': ' (its schedule depends on the length, so that another length is another training)'}
  return '; '.join(f'{key} is {was} there and {asked} here{why.get(key, "")}' for key, was, asked in conflicting)


def checkpoint_steps(folder) -> list[int]:
  """Returns the sorted steps of the complete checkpoints in a folder; [] if there is no such folder.

  A checkpoint is complete if both of its files exist.
  """
  try:
    names = set(os.listdir(folder))  # Not `glob`, which treats a folder without read permission as empty.
  except (FileNotFoundError, NotADirectoryError):
    return []
  numbers = (name.removeprefix('step-').removesuffix(INDEX) for name in names if name.endswith(INDEX))
  return sorted(int(n) for n in numbers if n.isdecimal() and f'step-{n}{DATA}' in names)


def medians(history, training, names) -> dict:
  """Returns the medians of metrics over the final evaluations of a training, as in tables 1 and 2 of the ACAI paper.

  Args:
    history: rows of `Run.history`.
    training: `config.Training`. Its `final_steps` cover the last 20/256 of the training, as in the paper.
    names: names of the metrics.

  Returns:
    Dict: metric -> median, without metrics that are undefined in one of the evaluations; {} if one is missing.
  """
  rows = {row['samples']: row for row in history}
  final = [rows.get(step * training.batch, {}) for step in training.final_steps]
  if training.final_evaluations < 2 or len(final) < training.final_evaluations:
    return {}
  values = {name: [row.get(name) for row in final] for name in names}
  return {name: statistics.median(column) for name, column in values.items() if None not in column}
