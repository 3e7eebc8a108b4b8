"""Reports the progress of a training."""

import bisect
import contextlib
import time
from collections.abc import Iterator, Sequence

from rich import console, progress


class Progress:
  """A progress bar with samples, rate, time left and losses. If the output is not a terminal: a line every 10 s.

  The rate counts training only. The time left includes the evaluations to come, at the mean time of those so far.

  Args:
    total: number of steps.
    batch: samples per step.
    evaluations: sorted steps of the evaluations.
    quiet_seconds: time between two lines.
  """

  def __init__(self, total, batch, evaluations: Sequence[int] = (), quiet_seconds=10):
    self.total, self.batch, self.evaluations, self.quiet_seconds = total, batch, evaluations, quiet_seconds
    self.first, self.began, self.next_line = None, None, None
    self.evaluated, self.evaluation_seconds = 0, 0.0
    self.bar = None
    if console.Console().is_terminal:
      self.bar = progress.Progress('{task.percentage:3.0f} %', progress.BarColumn(16), '{task.description}')
      self.task = self.bar.add_task('building the step', total=total)
      self.bar.start()

  def __call__(self, step, logs):
    now = time.monotonic()
    if self.first is None:  # The clock starts after the first call, which traces the graph.
      self.first, self.began, self.next_line = step, now, now + self.quiet_seconds
      self.evaluation_seconds, self.evaluated = 0.0, 0
      return
    if self.bar is None and now < self.next_line and step < self.total:
      return
    rate = (step - self.first) / max(now - self.began - self.evaluation_seconds, 1e-9)
    left = self.seconds_left(step, rate)
    losses = ', '.join(f'{name} {value:.4f}' for name, value in logs.items())
    text = (f'{step * self.batch:,} / {self.total * self.batch:,} samples, {rate * self.batch:.0f} samples/s, '
            f'{left // 60}:{left % 60:02d} left')
    if self.bar is None:
      print(f'{text}, {losses}', flush=True)
      self.next_line = now + self.quiet_seconds
    else:
      self.bar.update(self.task, completed=step, description=f'{text}\n{losses.replace("_loss", "")}')

  def seconds_left(self, step, rate) -> int:
    """Returns the predicted seconds after `step` at `rate` steps per second, with the evaluations of `step` and later.

    Before the first evaluation, the time of evaluations is unknown and counts as 0.
    """
    to_come = len(self.evaluations) - bisect.bisect_left(self.evaluations, step)
    return int((self.total - step) / max(rate, 1e-9) + to_come * self.evaluation_seconds / max(self.evaluated, 1))

  @contextlib.contextmanager
  def evaluation(self) -> Iterator[None]:
    """A context manager around an evaluation, which measures its time and shows that it is under way."""
    began = time.monotonic()
    if self.bar is not None:
      self.bar.update(self.task, description='evaluating')
    yield
    self.evaluated += 1
    self.evaluation_seconds += time.monotonic() - began

  def close(self) -> None:
    """Stops the bar, so other output can follow."""
    if self.bar is not None:
      self.bar.stop()
