"""Reports the progress of a training."""

import time

from rich import console, progress


class Progress:
  """A progress bar with samples, rate, time left and losses. If the output is not a terminal: a line every 10 s."""

  def __init__(self, total, batch, quiet_seconds=10):
    self.total, self.batch, self.quiet_seconds = total, batch, quiet_seconds
    self.first, self.began, self.next_line = None, None, None
    self.bar = None
    if console.Console().is_terminal:
      self.bar = progress.Progress('{task.percentage:3.0f} %', progress.BarColumn(16), '{task.description}')
      self.task = self.bar.add_task('building the step', total=total)
      self.bar.start()

  def __call__(self, step, logs):
    now = time.monotonic()
    if self.first is None:  # The clock starts after the first call, which traces the graph.
      self.first, self.began, self.next_line = step, now, now + self.quiet_seconds
      return
    if self.bar is None and now < self.next_line and step < self.total:
      return
    rate = (step - self.first) / max(now - self.began, 1e-9)
    left = int((self.total - step) / max(rate, 1e-9))
    losses = ', '.join(f'{name} {value:.4f}' for name, value in logs.items())
    text = (f'{step * self.batch:,} / {self.total * self.batch:,} samples, {rate * self.batch:.0f} samples/s, '
            f'{left // 60}:{left % 60:02d} left')
    if self.bar is None:
      print(f'{text}, {losses}', flush=True)
      self.next_line = now + self.quiet_seconds
    else:
      self.bar.update(self.task, completed=step, description=f'{text}\n{losses.replace("_loss", "")}')

  def close(self) -> None:
    """Stops the bar, so other output can follow."""
    if self.bar is not None:
      self.bar.stop()
