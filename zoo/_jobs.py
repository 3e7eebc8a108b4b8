"""Runs several trainings in parallel: plans them, assigns CPU cores or GPUs, and shows their progress."""

import collections
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

from rich import box, console, live, text
from rich import table as rich_table

from acai_tf import cli
from acai_tf.experiment import config, machine
from acai_tf.training.signals import stop_signals
from acai_tf.zoo import _records, _reproduce, _weights, base

PROGRESS = re.compile(r'([\d,]+) / [\d,]+ samples, (\d+) samples/s, (\S+) left')  # printed by training.progress
QUIET_SECONDS = 60  # between two progress lines of a job, if the output is not a terminal


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of a definition that is to be reproduced."""

  definition: base.Definition
  experiment: config.Experiment
  trained: int  # samples that its run folder has been trained on so far
  seconds: float | None  # remaining training time, predicted from earlier records; None without such records

  @property
  def name(self) -> str:
    """'lines_acai, seed 0'."""
    return f'{self.definition.name}, seed {self.experiment.training.seed}'

  @property
  def samples(self) -> int:
    """Number of samples left to train."""
    return max(self.experiment.training.samples - self.trained, 0)


def plan(asked, settings, runs_dir, results) -> list[Job]:
  """Returns the jobs among `asked` that have no result yet, or whose weights are not stored, longest first.

  Args:
    asked: list of (definition, experiment).
    settings: as for `_reproduce.experiment_of`.
    runs_dir: folder of the run folders.
    results: folder of the result files.
  """
  recorded = _records.load_all(folder=results)
  speeds = _speeds(recorded)
  jobs = []
  for definition, experiment in asked:
    name, records = definition.name, recorded.get(definition.name, [])
    run = _reproduce.run_of(name, experiment, settings, runs_dir)
    if _reproduce.recorded(experiment, records) and (
        _weights.refusal(definition.dataset) or not _reproduce.lacks_weights(name, experiment, run, records)):
      continue
    steps = run.steps()
    trained = steps[-1] * experiment.training.batch if steps else 0
    speed = next((speeds[key] for key in _keys(name, experiment) if key in speeds), None)
    job = Job(definition, experiment, trained, None)
    jobs.append(dataclasses.replace(job, seconds=job.samples / speed if speed else None))
  return sorted(jobs, key=lambda job: (-(job.seconds or 0), -job.samples, job.name))


def _keys(name, experiment):
  """Yields keys that are equal for trainings of about the same speed, the most specific key first."""
  recipe = experiment.training.recipe
  yield recipe, name
  yield recipe, experiment.dataset_name, experiment.model_name
  yield recipe, experiment.kind, experiment.model_name
  yield recipe, experiment.kind


def _speeds(results):
  """Dict: key of `_keys` -> median samples per second of the recorded trainings."""
  speeds_by_key = collections.defaultdict(list)
  for name, records in results.items():
    for record in records:
      if record.train_seconds:
        for key in _keys(name, record.experiment):
          speeds_by_key[key].append(record.samples / record.train_seconds)
  return {key: statistics.median(speeds) for key, speeds in speeds_by_key.items()}


def makespan(jobs, count) -> float | None:
  """Seconds that `count` workers need if they take the jobs in order; None if a job's time is unknown."""
  ends = [0.0] * count
  for job in jobs:
    if job.seconds is None:
      return None
    ends[ends.index(min(ends))] += job.seconds
  return max(ends)


def hours(seconds) -> str:
  """Formats seconds as '1:05 h'; None as 'unknown'."""
  return 'unknown' if seconds is None else f'{int(seconds) // 3600}:{int(seconds) % 3600 // 60:02d} h'


def table(jobs, count) -> str:
  """Text of a plan: each job with its samples and estimated time, and the total time with `count` workers."""
  grid = rich_table.Table(box=box.SIMPLE_HEAD)
  for heading in ('training', 'recipe', 'samples', 'trained', 'left'):
    grid.add_column(heading, justify='left' if heading in ('training', 'recipe') else 'right')
  for job in jobs:
    training = job.experiment.training
    grid.add_row(job.name, training.recipe, f'{training.samples:,}', f'{job.trained:,}', hours(job.seconds))
  total = makespan(jobs, count)
  return f'{cli.text_of(grid)}\nmissing trainings: {len(jobs)}. ' + (
      'How long they take is unknown, since no result of such a model has a speed.' if total is None else
      f'Run {count} at a time, they take about {hours(total)} at the recorded speeds, without the evaluations.')


class Worker(threading.Thread):
  """A thread that reproduces one job after the other on its own CPU cores and, if there are GPUs, on its own GPU.

  Args:
    number: index of the worker, from 0 on.
    count: number of workers.
    take: function () -> the next Job, or None.
    reproduce: function (job, call) -> exit status; `call` runs a program.
    done: function (job, status), called after each job.
    logs: folder of the jobs' log files.
  """

  def __init__(self, number, count, take, reproduce, done, logs):
    super().__init__(daemon=True)
    cores, gpus = sorted(machine.cores()), visible_gpus()
    self.cores = set(cores[number::count]) or {cores[number % len(cores)]}
    self.environment = {'CUDA_VISIBLE_DEVICES': gpus[number % len(gpus)]} if gpus else {}
    self.take, self.reproduce, self.done, self.logs = take, reproduce, done, pathlib.Path(logs)
    self.job, self.progress, self.process, self.stopped = None, '', None, False

  def run(self) -> None:
    if hasattr(os, 'sched_setaffinity'):
      os.sched_setaffinity(0, self.cores)  # Processes that this thread starts inherit it.
    while not self.stopped and (job := self.take()):
      self.job, self.progress = job, 'starting'
      try:
        status = self.reproduce(job, self.call)
      except Exception as error:  # One failed job must not end the others.
        self.progress, status = f'{type(error).__name__}: {error}', 1
        self.write(f'{self.progress}\n')
      self.done(job, 128 + signal.SIGTERM if status and self.stopped else status)
      self.job = None

  def call(self, command, what) -> int:
    """Runs one of our programs, writes its output to the job's log and returns its exit status."""
    del what
    if self.stopped:
      return 128 + signal.SIGTERM
    self.progress = {'acai_tf.train': 'starting', 'acai_tf.evaluate': 'evaluating',
                     'acai_tf.zoo': 'storing the weights'}.get(command[0], command[0])
    self.process = subprocess.Popen(
        [sys.executable, '-m', *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
        start_new_session=True,  # Ctrl-C then reaches it only through `stop`.
        env={**_reproduce.environment(), **self.environment})
    if self.stopped:  # `stop` may have come before the program had started.
      self.process.terminate()
    with self.process:
      for line in self.process.stdout:
        self.write(line)
        if progress := PROGRESS.search(line):
          done, speed, left = progress.groups()
          self.progress = f'{done} of {self.job.experiment.training.samples:,} samples, {speed}/s, {left} left'
    return self.process.returncode

  def write(self, text) -> None:
    """Appends text to the job's log. An error, such as a full disk, is ignored: it must not stop the job."""
    with contextlib.suppress(OSError), log_of(self.logs, self.job).open('a') as file:
      file.write(text)

  def stop(self) -> None:
    """Tells the running program to save and end, and takes no more jobs."""
    self.stopped = True
    if self.process and self.process.poll() is None:
      self.process.terminate()


def log_of(folder, job) -> pathlib.Path:
  """Path of a job's log file."""
  return pathlib.Path(folder) / f'{job.definition.name}_s{job.experiment.training.seed}.log'


def visible_gpus() -> list[str]:
  """Numbers or names of the GPUs in CUDA_VISIBLE_DEVICES, or of all that nvidia-smi lists if it is not set."""
  allowed = os.environ.get('CUDA_VISIBLE_DEVICES')
  if allowed is not None:
    return [name.strip() for name in allowed.split(',') if name.strip() not in ('', '-1')]
  if not shutil.which('nvidia-smi'):
    return []
  listed = subprocess.run(['nvidia-smi', '--query-gpu=index', '--format=csv,noheader'], capture_output=True, text=True,
                          check=False)
  return listed.stdout.split() if listed.returncode == 0 else []


@contextlib.contextmanager
def _board() -> Iterator[Callable]:
  """Gives a function (workers) that shows their progress.

  On a terminal, each worker has a line that is updated in place. Elsewhere, a line per job is printed now and then.
  """
  screen = console.Console()
  if screen.is_terminal:
    with live.Live(console=screen, refresh_per_second=2) as shown:
      yield lambda workers: shown.update(text.Text('\n'.join(
          f'{job.name}: {worker.progress}' for worker in workers if (job := worker.job))))
    return
  due: dict[str, float] = {}

  def show(workers):
    for worker in workers:
      job = worker.job  # read once: its thread may end the job at any time
      if job and time.monotonic() >= due.get(job.name, 0.0):
        _reproduce.say(f'{job.name}: {worker.progress}')
        due[job.name] = time.monotonic() + QUIET_SECONDS

  yield show


def work(jobs, count, reproduce, logs) -> int:
  """Reproduces jobs in order, `count` in parallel. Prints their progress, the failed jobs and those left.

  SIGTERM or Ctrl-C makes all of them save and end; the same command resumes them. A failed job does not stop the
  others.

  Args:
    jobs: list of `Job`.
    count: number of workers, at least 1.
    reproduce: function (job, call) -> exit status.
    logs: folder of the jobs' logs.

  Returns:
    0; 1 if a job failed or is left; 130 or 143 if a signal ended the work.
  """
  waiting, statuses = collections.deque(jobs), {}
  pathlib.Path(logs).mkdir(parents=True, exist_ok=True)

  def take():
    try:
      return waiting.popleft()
    except IndexError:
      return None

  def done(job, status):
    statuses[job.name] = status
    if status not in (128 + signal.SIGINT, 128 + signal.SIGTERM):
      _reproduce.say(f'{job.name}: ' + ('done' if not status else
                                        f'FAILED with status {status}, see {log_of(logs, job)}'))

  workers = [Worker(number, count, take, reproduce, done, logs) for number in range(min(count, len(jobs)))]
  with stop_signals() as received, _board() as show:
    for worker in workers:
      worker.start()
    announced = False
    while any(worker.is_alive() for worker in workers):
      if received and not announced:
        announced = True
        _reproduce.say('stopping: each training saves a checkpoint')
        for worker in workers:
          worker.stop()
      show(workers)
      time.sleep(0.5)
  ended = {128 + signal.SIGINT, 128 + signal.SIGTERM}
  failed = [job for job in jobs if statuses.get(job.name, 0) not in {0, *ended}]
  left = [job for job in jobs if statuses.get(job.name) in {None, *ended}]
  print(f'{len(jobs) - len(failed) - len(left)} done, {len(failed)} failed, {len(left)} left')
  for job in failed:
    print(f'failed: {job.name}, see {log_of(logs, job)}')
  if left:
    print(f'left: {"; ".join(job.name for job in left)}. The same command resumes them; --plan prints how long that '
          'takes.')
  return 128 + received[0] if received else 1 if failed or left else 0
