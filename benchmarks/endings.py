"""Tests that trainings end without hanging: `python benchmarks/endings.py --each 100`.

Each process runs the training program on a tiny model. At a random step the training is ended in one of four ways: by
SIGTERM, by SIGINT, by a NaN loss (a weight is set to NaN), or by an exception in an evaluation. Each batch is delayed
by a random time of up to SLOWEST seconds. So when the training ends, Python is drawing a batch or drawn batches are
waiting; an iterator over Python functions can hang in both cases. The processes are forked from this one, which has
imported TensorFlow but not used it, and exit as any Python process does.

The output has a line for each process, and a row for each way to end: the number of processes, the seconds from the
cause to the exit, the CPU seconds, how many took longer than LONG, and how many had to be killed after PATIENCE.
"""

import collections
import functools
import os
import pathlib
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time

from absl import app, flags

from acai_tf import cli, files, train

FLAGS = flags.FLAGS
flags.DEFINE_integer('each', 100, 'Processes for each way to end', 1)
flags.DEFINE_list('kinds', ['TERM', 'INT', 'divergence', 'exception'], 'Ways to end')

SLOWEST, LONG, PATIENCE = 0.2, 10, 60  # seconds
STATUS = {'TERM': 143, 'INT': 130, 'divergence': 2, 'exception': 1}
TRAINING = ['--dataset=lines', '--model=autoencoder', '--recipe=fast', '--latent_width=2', '--latent=2', '--depth=2',
            '--batch=8', '--precision=float32', '--samples=8192', '--set=dataset.size=8',
            '--set=dataset.test_images=64', '--set=training.final_evaluations=0']


def slow(batch, seed):
  """Delays a data set's `batch` by up to SLOWEST seconds, depending on (seed, step)."""
  @functools.wraps(batch)
  def drawn(self, data_seed, step, *rest):
    time.sleep(random.Random(seed * 10_000 + step).uniform(0, SLOWEST))
    return batch(self, data_seed, step, *rest)

  return drawn


def spoiled(kind, step, cause, events):
  """Wraps `Session.events` so that the training ends at `step`. The file `cause` gets the CPU seconds until then."""
  @functools.wraps(events)
  def seen(self, now, logs):
    events(self, now, logs)
    if now == step:
      files.write(cause, str(time.process_time()))
      if kind in ('TERM', 'INT'):
        signal.raise_signal(signal.Signals[f'SIG{kind}'])
      elif kind == 'divergence':
        weight = self.model.trainable_variables[0]
        weight.assign(float('nan') * weight)
      else:
        self.evaluate(now)

  return seen


def broken(*_):
  """An evaluation that raises an exception."""
  raise ZeroDivisionError('an evaluation failed, as intended by this script')


def run_program(kind, number, folder):
  """Runs the training program in a child process, with a prepared end."""
  from acai_tf.data import lines
  from acai_tf.training import session

  step = 1 + random.Random(number).randrange(12)
  lines.Lines.batch = slow(lines.Lines.batch, number)
  session.Session.events = spoiled(kind, step, folder / 'cause', session.Session.events)
  if kind == 'exception':
    session.Session.evaluate = broken
  sys.argv = ['train', *TRAINING, f'--run_dir={folder}/run']
  cli.run(train.main, '', {})


def ending(kind, number, folder) -> tuple:
  """Runs one child: (exit status, or None if it had to be killed; seconds and CPU seconds from the cause to the end).

  In the child, this function does not return.
  """
  sys.stdout.flush()
  child = os.fork()
  if not child:
    for stream in (1, 2):
      os.dup2(os.open(folder / 'output', os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    run_program(kind, number, folder)
  cause, began = folder / 'cause', time.time()
  while True:
    done, status, used = os.wait4(child, os.WNOHANG)
    seconds = time.time() - (cause.stat().st_mtime if cause.exists() else began)
    if not done and seconds > PATIENCE:
      os.kill(child, signal.SIGKILL)
      done, _, used = os.wait4(child, 0)
      status = None
    if done:
      before = float(cause.read_text()) if cause.exists() else 0.0
      return (None if status is None else os.waitstatus_to_exitcode(status), seconds,
              used.ru_utime + used.ru_stime - before)
    time.sleep(0.02)


def main(_):
  """Runs all processes and prints a row for each way to end."""
  cli.set_environment()
  signal.signal(signal.SIGINT, signal.default_int_handler)  # Background jobs of a shell ignore SIGINT.
  with cli.silent():
    import keras  # noqa: F401 - so that the children need not import it
    import tensorflow  # noqa: F401
  outcomes: dict = collections.defaultdict(list)
  scratch = pathlib.Path(tempfile.mkdtemp())  # Not a context manager: the children would delete the folder.
  for number in range(FLAGS.each):
    for kind in FLAGS.kinds:
      folder = scratch / f'{number}{kind}'
      folder.mkdir()
      status, seconds, used = ending(kind, number, folder)
      if status not in (None, STATUS[kind]) or not (folder / 'cause').exists():
        raise SystemExit(f'{kind} {number} ended with {status}; expected {STATUS[kind]}:\n'
                         f'{(folder / "output").read_text()[-1500:]}')
      outcomes[kind].append((status, seconds, used))
      print(f'  {kind} {number}: exit status {status}, {seconds:.1f} s, {used:.1f} s of CPU time', flush=True)
      shutil.rmtree(folder)
  shutil.rmtree(scratch)
  print('ended by      endings   seconds, median    max      CPU seconds   longer than 10 s   hung')
  for kind, rows in outcomes.items():
    seconds = [taken for _, taken, _ in rows]
    print(f'{kind:<13} {len(rows):7} {statistics.median(seconds):17.1f} {max(seconds):6.1f} '
          f'{statistics.median(used for *_, used in rows):16.1f} {sum(taken > LONG for taken in seconds):18} '
          f'{sum(status is None for status, *_ in rows):6}', flush=True)
  if any(status is None for rows in outcomes.values() for status, *_ in rows):
    raise SystemExit(f'some did not end within {PATIENCE} s.')


if __name__ == '__main__':
  app.run(main)
