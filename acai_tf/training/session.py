"""One call of the training program: what happens at the loop's evaluation and checkpoint steps, and around it."""

import contextlib
import signal
import time
from collections.abc import Iterator

import tensorflow as tf

from acai_tf.evaluation import report
from acai_tf.evaluation.modality import MODALITIES
from acai_tf.experiment import machine
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.run import Run
from acai_tf.training import build, loop
from acai_tf.training.checkpoints import Checkpoints, DivergedError, step_of
from acai_tf.training.progress import Progress


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
  """Gives a list that fills with the first SIGINT or SIGTERM; a second one ends the program at once."""
  received = []

  def receive(number, _):
    received.append(number)
    signal.signal(number, signal.SIG_DFL)

  before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    yield received
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


class Session:
  """One call of the program: what happens at the loop's evaluation and checkpoint steps. `devices`: `Hosts.text`."""

  def __init__(self, experiment, model, dataset, checkpoints, run: Run, devices):
    self.experiment, self.model, self.dataset, self.checkpoints = experiment, model, dataset, checkpoints
    self.run, self.saved = run, step_of(model)
    self.history = run.history(self.saved * experiment.training.batch)
    run.write_history(self.history)
    if self.saved < experiment.training.steps:
      run.add_provenance(self.saved * experiment.training.batch, {**machine.origin(), 'devices': devices})
    self.writer = tf.summary.create_file_writer(str(run))
    self.modality = MODALITIES[experiment.kind]
    self.functions = self.modality.functions_of(model)
    self.began, self.seconds = time.monotonic(), self.history[-1].get('seconds', 0.0) if self.history else 0.0
    self.next_scalars = 0.0

  def events(self, step, logs) -> None:
    """Writes the losses for TensorBoard, at most once a second."""
    if time.monotonic() >= self.next_scalars or step == self.experiment.training.steps:
      self.next_scalars = time.monotonic() + 1
      with self.writer.as_default(step * self.experiment.training.batch):
        for name, value in logs.items():
          tf.summary.scalar('train/' + name, value)

  def evaluate(self, step) -> None:
    """Measures on the test set, writes scalars, strips and history, and saves the checkpoint, and again if it is best.

    Measured are the averaged weights, where there are any. The history's `seconds` are those of the training alone. It
    is written last, so that it never tells of more training than is saved.
    """
    self.seconds += time.monotonic() - self.began
    training = self.experiment.training
    samples = step * training.batch
    with self.model.averaged():
      settings = self.modality.settings(draw=(training.seed, step))
      metrics = self.modality.measure(self.functions, self.dataset, self.experiment.dataset_name, settings,
                                      self.experiment.model_name).metrics
      self.modality.show(self.functions, self.dataset, self.writer.as_default(samples))
    with self.writer.as_default(samples):
      for name, value in metrics.items():
        if value is not None:
          tf.summary.scalar('test/' + name, value)
    best = all(better(metrics, row, self.modality.better) for row in self.history)
    self.history.append({'samples': samples, 'seconds': round(self.seconds, 1), **metrics})
    if best:
      self.checkpoints.save(self.checkpoints.best)
    self.save(step)
    self.run.write_history(self.history)
    print(f'evaluated at {samples:,} samples: ' + ', '.join(f'{k} {report.number(v)}' for k, v in metrics.items()),
          flush=True)
    self.began = time.monotonic()

  def save(self, step) -> None:
    """Saves a checkpoint, once a step."""
    if step != self.saved:
      self.checkpoints.save()
      self.saved = step


def better(first, second, by) -> bool:
  """Whether one evaluation beats another; `by`: (metric, 1 or -1 where less is better), the first there is decides."""
  for name, sign in by:
    if name in first:
      return sign * first[name] > sign * second[name]
  return True


def train(experiment, run: Run, hosts, data_dir=None, manual_dir=None, published=None) -> int:
  """Trains or resumes, then evaluates and reports, beside figures that are `published`.

  Where several hosts train, all call this with a run folder that they share. The chief alone writes and evaluates; the
  others train with it, and end with it.

  Args:
    experiment: the same on all of them (`Hosts.agreed`).
    run: the `Run`, new or of this experiment.
    hosts: `training.hosts.Hosts`.
    data_dir, manual_dir: where data lie.
    published: dict: metric -> figure.

  Returns:
    An exit status: 0, or 130 / 143 when a signal stopped it.

  Raises:
    UserError: a run folder of another experiment or in use, a batch that the devices cannot share, less memory than it
      needs, data that cannot be had, a training that diverges, ...
  """
  hosts.check(experiment.training.batch)  # before there is a run folder, which would be of that batch
  build.require_memory(experiment, hosts.count)
  if not hosts.chief:
    with hosts.telling_who_is_gone():
      return _train(experiment, run, hosts, data_dir, manual_dir, published)
  with run.locked(), hosts.telling_who_is_gone():
    run.check(experiment)  # Nobody else can change it from here on.
    return _train(experiment, run, hosts, data_dir, manual_dir, published)


def _train(experiment, run, hosts, data_dir, manual_dir, published):
  dataset = build.load_data(experiment, data_dir, manual_dir)
  identity = dataset.identity()
  hosts.require_same(identity, 'other training data', 'the same files on all hosts')
  with hosts.strategy.scope():
    model = build.create(experiment)
    checkpoints = Checkpoints(model, run.checkpoints, experiment.training.keep, experiment, identity)
  model.adapt(dataset)
  if hosts.chief:  # Not before: what is wrong with data or settings leaves no folder of that experiment behind.
    run.claim(experiment)
  work = _lead if hosts.chief else _follow
  status, step = work(experiment, run, hosts, dataset, model, checkpoints)
  if hosts.chief and not status:
    model.use_averages()
    report.report(experiment, model, dataset, step * experiment.training.batch, run, published=published)
  return hosts.of_chief(status)  # None ends before the chief does.


def _follow(experiment, run, hosts, dataset, model, checkpoints):
  """What a host does that is not the chief."""
  training = experiment.training
  checkpoints.restore_step(hosts.of_chief(0))
  print(f'{hosts.name} trains with the chief, who writes {run}', flush=True)
  pauses = training.evaluation_steps, training.every(training.checkpoint_every)
  calls = [(steps, lambda step: None) for steps in pauses]
  with stop_signals() as received:
    step = loop.Loop(model, hosts.strategy, dataset, training, hosts=hosts.count).run(
        lambda *_: None, calls, lambda: bool(received))
  return 0, step


def _lead(experiment, run, hosts, dataset, model, checkpoints):
  """What the chief does, or the only host."""
  training, devices = experiment.training, hosts.text(experiment.training.batch)
  start, damaged = checkpoints.restore_whole()
  if damaged:
    print(f'checkpoints of step {", ".join(map(str, damaged))} cannot be read and are put aside (.damaged); going on '
          f'from step {start}')
  run.check_nothing_lost(max([start, *checkpoints.put_aside()]) * training.batch)
  hosts.of_chief(start)
  print(f'{experiment.model_name} on {experiment.dataset_name}: {model.count_params():,} parameters, recipe '
        f'{training.recipe}, {training.precision}; run folder {run}')
  print(f'{training.steps:,} steps x global batch {training.batch} = {training.steps * training.batch:,} samples, '
        f'learning rate {training.learning_rate:g}; {devices}')
  if start:
    print(f'resumed from step {start} ({start * training.batch:,} samples)')
  with stop_signals() as received:
    session = Session(experiment, model, dataset, checkpoints, run, devices)
    if start in training.evaluation_steps and start * training.batch not in [row['samples'] for row in session.history]:
      session.evaluate(start)  # What was killed after saving, before the history was written.
    calls = [(training.evaluation_steps, session.evaluate), (training.every(training.checkpoint_every), session.save)]
    progress = Progress(training.steps, training.batch)

    def events(step, logs):
      progress(step, logs)
      session.events(step, logs)

    try:
      step = loop.Loop(model, hosts.strategy, dataset, training, hosts=hosts.count).run(
          events, calls, lambda: bool(received))
    except DivergedError as error:
      last = f'The last good checkpoint, step {session.saved}, is kept.' if session.saved else 'Nothing was saved yet.'
      raise UserError(f'{error} {last}') from error
    finally:
      progress.close()
    session.save(step)
    if step < training.steps or received:  # or in the last evaluation
      number = received[0] if received else signal.SIGTERM  # or another host's
      print(f'\nstopped by signal {number:d}{"" if received else " of another host"} at step {step}; saved. The same '
            'command resumes it.', flush=True)
      return 128 + number, step
  return 0, step
