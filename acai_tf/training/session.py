"""One call of the training program: it trains or resumes, evaluates, saves checkpoints and reports."""

import signal
import time

import tensorflow as tf

from acai_tf.evaluation import report
from acai_tf.evaluation.modality import MODALITIES
from acai_tf.experiment import machine
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.run import Run
from acai_tf.training import build, loop, weights
from acai_tf.training.callback import Callbacks
from acai_tf.training.checkpoints import Checkpoints, DivergedError, step_of
from acai_tf.training.progress import Progress
from acai_tf.training.signals import stop_signals


class Session:
  """One call of the program: evaluations, checkpoints and logs. `devices`: `Cluster.describe`."""

  def __init__(self, experiment, model, dataset, checkpoints, run: Run, devices, callbacks=lambda *_: None):
    self.callbacks = callbacks
    self.experiment, self.model, self.dataset, self.checkpoints = experiment, model, dataset, checkpoints
    self.run, self.saved = run, step_of(model)
    self.history = run.history(self.saved * experiment.training.batch)
    run.write_history(self.history)
    if self.saved < experiment.training.steps:
      run.add_provenance(self.saved * experiment.training.batch, {**machine.provenance(), 'devices': devices})
    self.writer = tf.summary.create_file_writer(str(run))
    self.modality = MODALITIES[experiment.kind]
    self.functions = self.modality.functions_of(model)
    self.began, self.seconds = time.monotonic(), self.history[-1].get('seconds', 0.0) if self.history else 0.0
    self.next_scalars = 0.0

  def events(self, step, logs) -> None:
    """Reports the losses to TensorBoard and the callbacks, at most once a second."""
    if time.monotonic() >= self.next_scalars or step == self.experiment.training.steps:
      self.next_scalars = time.monotonic() + 1
      with self.writer.as_default(step * self.experiment.training.batch):
        for name, value in logs.items():
          tf.summary.scalar('train/' + name, value)
      self.callbacks('on_losses', step * self.experiment.training.batch, logs)

  def evaluate(self, step) -> None:
    """Saves a checkpoint, evaluates on the test set, and writes scalars, decoded paths and the history.

    The checkpoint is saved first, so that an evaluation that fails loses no training. It is also saved as `best` if no
    earlier one was better. The EMA of the weights is evaluated if there is one. The `seconds` in the history do not
    include evaluations, nor the time between an evaluation and a checkpoint from which the training was resumed. The
    history is written last, so that it never has a row for training that is not saved.
    """
    self.seconds += time.monotonic() - self.began
    self.save(step)
    training = self.experiment.training
    samples = step * training.batch
    with self.model.averaged():
      settings = self.modality.settings(seeds=(training.seed, step))
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
    self.run.write_history(self.history)
    print(f'evaluated at {samples:,} samples: ' + ', '.join(f'{k} {report.number(v)}' for k, v in metrics.items()),
          flush=True)
    self.callbacks('on_metrics', samples, metrics)
    self.began = time.monotonic()

  def save(self, step) -> None:
    """Saves a checkpoint, at most once for each step."""
    if step != self.saved:
      self.checkpoints.save()
      self.saved = step


def better(first, second, by) -> bool:
  """Whether the metrics `first` are better than `second`.

  Args:
    first, second: dict: metric -> number, or None, which is worse than any number.
    by: list of (metric, 1 if higher is better, or -1); the first metric in it that `first` has decides.
  """
  for name, sign in by:
    if name in first:
      values = first[name], second.get(name)
      return values[0] is not None and (values[1] is None or sign * values[0] > sign * values[1])
  return True


def train(experiment, run: Run, cluster, data_dir=None, manual_dir=None, published=None, callbacks=()) -> int:
  """Trains or resumes, then evaluates and reports, next to `published` figures.

  If several hosts train, each calls this function with the shared run folder. Only the chief writes and evaluates; the
  others train with it and end with it.

  Args:
    experiment: the same on all hosts (`Cluster.agreed`).
    run: a `Run`, new or of this experiment.
    cluster: `training.cluster.Cluster`.
    data_dir, manual_dir: folders of the data.
    published: dict: metric -> figure.
    callbacks: list of `callback.Callback`.

  Returns:
    The exit status: 0, or 130 or 143 if a signal stopped the training.

  Raises:
    UserError: the run folder belongs to another experiment or is in use, the devices cannot share the batch, there is
      too little memory, the data is not available, the training diverges, ...
  """
  cluster.check(experiment)  # before the run folder records the batch size
  build.require_memory(experiment, cluster.count)
  if not cluster.chief:
    with cluster.reporting_lost_hosts():
      return _train(experiment, run, cluster, data_dir, manual_dir, published, Callbacks([]))
  with run.locked(), cluster.reporting_lost_hosts():
    run.check(experiment)  # Under the lock no other program can change it.
    return _train(experiment, run, cluster, data_dir, manual_dir, published, Callbacks(callbacks))


def _train(experiment, run, cluster, data_dir, manual_dir, published, callbacks):
  dataset = build.load_data(experiment, data_dir, manual_dir)
  identity = dataset.identity()
  cluster.require_same(identity, 'other training data', 'the same files on all hosts')
  with cluster.strategy.scope():
    model = build.create(experiment)
    checkpoints = Checkpoints(model, run.checkpoints, experiment.training.keep, experiment, identity)
  model.adapt(dataset)
  if cluster.chief:
    status = _lead(experiment, run, cluster, dataset, model, checkpoints, published, callbacks)
  else:
    status = _follow(experiment, run, cluster, dataset, model, checkpoints)
  return cluster.from_chief(status)  # No host ends before the chief.


def _follow(experiment, run, cluster, dataset, model, checkpoints):
  """Trains on a host that is not the chief; returns 0."""
  training = experiment.training
  checkpoints.restore_step(cluster.from_chief(0))
  print(f'{cluster.name} trains with the chief, who writes {run}', flush=True)
  pauses = training.evaluation_steps, training.every(training.checkpoint_every)
  calls = [(steps, lambda step: None) for steps in pauses]
  with stop_signals() as received:
    loop.Loop(model, cluster.strategy, dataset, training, hosts=cluster.count).run(
        lambda *_: None, calls, lambda: bool(received))
  return 0


def _lead(experiment, run, cluster, dataset, model, checkpoints, published, callbacks):
  """Trains, evaluates, saves and reports on the chief, or on the only host; returns the exit status."""
  training, devices = experiment.training, cluster.describe(experiment.training.batch)
  start, damaged = checkpoints.restore_newest_readable()
  run.claim(experiment)  # Not earlier, so that wrong data or settings neither take the folder nor change it.
  if damaged:
    print(f'checkpoints of step {", ".join(map(str, damaged))} cannot be read and are put aside (.damaged); going on '
          f'from step {start}')
  run.check_nothing_lost(max([start, *checkpoints.damaged_steps()]) * training.batch)
  cluster.from_chief(start)
  print(f'{experiment.model_name} on {experiment.dataset_name}: {weights.parameter_count(model):,} parameters, recipe '
        f'{training.recipe}, {training.precision}; run folder {run}')
  print(f'{training.steps:,} steps x global batch {training.batch} = {training.steps * training.batch:,} samples, '
        f'learning rate {training.learning_rate:g}; {devices}')
  if start:
    print(f'resumed from step {start} ({start * training.batch:,} samples)')
  metrics = None
  callbacks('on_begin', experiment, run, start * training.batch)
  try:
    status, step = _run(experiment, run, cluster, dataset, model, checkpoints, devices, start, callbacks)
    if not status:
      metrics = run.measured(step * training.batch) if step == start else None
      if metrics:  # of acai evaluate, perhaps, which measures more
        print(f'training is complete, and {run.metrics} has its metrics; to measure it again, run acai evaluate --run '
              f'{run}')
      else:
        model.use_averages()
        metrics = report.report(experiment, model, dataset, step * training.batch, run, published=published)
  finally:
    callbacks('on_end', metrics)
  return status


def _run(experiment, run, cluster, dataset, model, checkpoints, devices, start, callbacks):
  """Trains from step `start` on, evaluates and saves; returns (exit status, last step)."""
  training = experiment.training
  with stop_signals() as received:
    session = Session(experiment, model, dataset, checkpoints, run, devices, callbacks)
    if start in training.evaluation_steps and start * training.batch not in [row['samples'] for row in session.history]:
      session.evaluate(start)  # killed after saving the checkpoint and before writing the history
    progress = Progress(training.steps, training.batch, training.evaluation_steps)

    def evaluate(step):
      with progress.evaluation():
        session.evaluate(step)

    calls = [(training.evaluation_steps, evaluate), (training.every(training.checkpoint_every), session.save)]

    def events(step, logs):
      progress(step, logs)
      session.events(step, logs)

    try:
      step = loop.Loop(model, cluster.strategy, dataset, training, hosts=cluster.count).run(
          events, calls, lambda: bool(received))
    except DivergedError as error:
      last = f'The last good checkpoint, step {session.saved}, is kept.' if session.saved else 'Nothing was saved yet.'
      raise UserError(f'{error} {last}') from error
    finally:
      progress.close()
    session.save(step)
    if step < training.steps or received:  # or the signal came in the last evaluation
      number = received[0] if received else signal.SIGTERM  # or a signal on another host
      print(f'\nstopped by signal {number:d}{"" if received else " of another host"} at step {step}; saved. The same '
            'command resumes it.', flush=True)
      return 128 + number, step
  return 0, step
