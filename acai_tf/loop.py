"""The distributed training loop: steps under a strategy, checkpoints, exact resuming, and progress.

Keras's `fit` cannot resume in the middle of an epoch bit for bit, run several steps a call under a strategy, or say
which step a loss went bad at; a test holds both to the same weights.
"""

import bisect
import math
import pathlib
import shutil
import time

import keras
import tensorflow as tf

from acai_tf.config import UserError

FUSED_STEPS = 16  # a call on an accelerator, where the call's own cost shows; on a CPU one step a call is as fast


def strategy(name):
  """'one_device', 'mirrored' (all GPUs, or all logical CPUs), or 'auto': mirrored with two or more GPUs."""
  gpus = tf.config.list_logical_devices('GPU')
  if name == 'mirrored' or (name == 'auto' and len(gpus) > 1):
    return tf.distribute.MirroredStrategy([d.name for d in gpus or tf.config.list_logical_devices('CPU')])
  return tf.distribute.OneDeviceStrategy('/gpu:0' if gpus else '/cpu:0')


class Adam(keras.optimizers.Adam):
  """Keras's, in fused operations (one a weight instead of ten: 5 % of a step at batch 16), with warmed-up averages.

  The decay of the averaged weights (`use_ema`) is min(d, (1 + t) / (10 + t)) at step t: without that the average of a
  short training would still be made of its first weights.
  """

  def update_step(self, gradient, variable, learning_rate):
    if isinstance(gradient, tf.IndexedSlices):
      return super().update_step(gradient, variable, learning_rate)
    step, place = tf.cast(self.iterations + 1, tf.float32), self._get_variable_index(variable)
    return tf.raw_ops.ResourceApplyAdam(
        var=variable.handle, m=self._momentums[place].value.handle, v=self._velocities[place].value.handle,
        beta1_power=self.beta_1**step, beta2_power=self.beta_2**step, lr=tf.cast(learning_rate, tf.float32),
        beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon, grad=gradient)

  def _update_model_variables_moving_average(self, trainable_variables):
    t = tf.cast(self.iterations, tf.float32)
    share = tf.where(t > 0, 1 - tf.minimum(self.ema_momentum, (1 + t) / (10 + t)), 1.0)
    for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
      tf.raw_ops.ResourceApplyGradientDescent(
          var=average.value.handle, alpha=share, delta=average.value - variable.value)

  def finalize_variable_values(self, var_list):
    """Nothing: Keras's `fit` would end by putting one player's averages into the weights; `use_averages` is for all."""


def optimizer(training):
  """Function player's name -> Adam as `config.Training` says; hand it to `model.compile`."""

  def make(player):
    rate = training.classifier_learning_rate if player == 'classifier' else training.learning_rate
    warmup = math.ceil(training.warmup / training.batch)
    if training.schedule == 'constant' and warmup:
      rate = keras.optimizers.schedules.PolynomialDecay(rate / warmup, warmup, rate)  # linear, and constant after it
    if training.schedule == 'cosine':
      rate = keras.optimizers.schedules.CosineDecay(
          rate / max(warmup, 1), max(training.steps - warmup, 1), training.floor, warmup_target=rate,
          warmup_steps=max(warmup, 1))
    return Adam(rate, training.beta_1, training.beta_2, training.epsilon, use_ema=training.average > 0,
                ema_momentum=training.average)

  return make


def step_of(model):
  """The steps that a model has made, as an int; its counter may be mirrored over devices."""
  return int(model.step.value.read_value())


class DivergedError(UserError):
  """A loss that is NaN or infinite."""


class Checkpoints:
  """All that a step depends on, on disk: weights, optimisers' slots, step. The last few, and the best one.

  Args:
    model: a compiled model; its optimisers' variables are saved too.
    folder: where checkpoints lie.
    keep: how many of the last to keep.
  """

  def __init__(self, model, folder, keep):
    self.model = model
    self.variables = [variable.value for variable in model.variables]
    for player in sorted(model.optimizers):
      self.variables += [variable.value for variable in model.optimizers[player].variables]
    self.checkpoint = tf.train.Checkpoint(variables=self.variables)
    folder = pathlib.Path(folder)
    self.last = tf.train.CheckpointManager(self.checkpoint, folder / 'last', keep, checkpoint_name='step')
    self.best = tf.train.CheckpointManager(self.checkpoint, folder / 'best', 1, checkpoint_name='step')

  def save(self, manager=None):
    """Writes the present state; earlier ones go only once it is whole.

    Raises:
      UserError: a disk that is full or not writable.
      DivergedError: a weight that is not finite, so that the checkpoints before it stay.
    """
    manager = manager or self.last
    for variable in self.variables:
      if variable.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(variable))):
        raise DivergedError(f'weight {variable.name} is not finite at step {step_of(self.model)}; it was not saved. '
                            f'{self._advice()}')
    try:
      return manager.save(checkpoint_number=step_of(self.model), check_interval=False)
    except (OSError, tf.errors.OpError) as error:
      free = shutil.disk_usage(pathlib.Path(manager.directory).parent).free
      raise UserError(f'checkpoint of step {step_of(self.model)} could not be written to {manager.directory} '
                      f'({type(error).__name__}, {free / 1e6:.1f} MB free there); free space or fix permissions, then '
                      f'run the same command to resume. {self._advice()}') from error

  def restore(self, manager=None):
    """Restores the newest checkpoint and returns its step; 0 where there is none.

    Raises:
      UserError: a checkpoint that cannot be read, saying which earlier one could be used.
    """
    manager = manager or self.last
    path = manager.latest_checkpoint
    if path is None:
      return 0
    try:
      self.checkpoint.read(path).assert_existing_objects_matched().expect_partial()
    except Exception as error:  # TensorFlow raises OpError, AssertionError, ValueError and others for broken files.
      others = [p for p in manager.checkpoints if p != path]
      advice = (f'to go on from {others[-1]}, write model_checkpoint_path: "{pathlib.Path(others[-1]).name}" as the '
                f'only line of {manager.directory}/checkpoint' if others else
                'there is no earlier one; delete the run folder to start anew')
      raise UserError(f'checkpoint {path} cannot be read ({type(error).__name__}); expected a whole one of this '
                      f'model; {advice}.') from error
    return step_of(self.model)

  def _advice(self):
    path = self.last.latest_checkpoint
    return f'The last good checkpoint is {path}.' if path else 'There is no earlier checkpoint.'


class Loop:
  """Trains `model` on `dataset` up to `training.steps`.

  Args:
    model: compiled, created under `strategy`.
    strategy: a tf.distribute.Strategy.
    dataset: has `pipeline` as acai_tf.data.base.Dataset.
    training: `config.Training`.
    fused: steps a call; default by device.
  """

  def __init__(self, model, strategy, dataset, training, fused=None):
    self.model, self.strategy, self.dataset, self.training = model, strategy, dataset, training
    self.fused = fused or (FUSED_STEPS if tf.config.list_logical_devices('GPU') else 1)
    self.names = None
    self._run_steps = tf.function(self._steps)

  def batches(self, start, stop):
    """Iterator over the distributed batches `start` ... `stop` - 1."""
    replicas = self.strategy.num_replicas_in_sync

    def feed(context):
      count = replicas // context.num_input_pipelines
      return self.dataset.pipeline(
          self.training.seed, self.training.batch, start, stop, replicas, context.input_pipeline_id * count, count)

    return iter(self.strategy.distribute_datasets_from_function(feed))

  def _step(self, batch):
    logs = self.model.train_step(batch)
    self.names = sorted(logs)
    return tf.stack([logs[name] for name in self.names])

  def _steps(self, iterator, count):
    history = tf.TensorArray(tf.float32, count)
    for i in tf.range(count):
      logs = self.strategy.run(self._step, args=(next(iterator),))
      history = history.write(i, self.strategy.reduce(tf.distribute.ReduceOp.MEAN, logs, axis=None))
    return history.stack()

  def run(self, events, calls, stop_requested=lambda: False):
    """Steps until the end, a stop request, or a loss that is not finite.

    Args:
      events: function (step, logs as dict of floats) called after each call of steps.
      calls: list of (sorted steps, function step -> None): called after each of those steps, and in that order.
      stop_requested: function -> bool, asked between calls.

    Returns:
      The step reached.

    Raises:
      DivergedError: names step and term; nothing has been saved since the last checkpoint.
    """
    step, stop = step_of(self.model), self.training.steps
    iterator = self.batches(step, stop) if step < stop else None
    while step < stop and not stop_requested():
      until = min(_next(steps, step, stop) for steps in [[], *(steps for steps, _ in calls)])
      count = min(self.fused, until - step)
      history = self._run_steps(iterator, tf.constant(count)).numpy()
      self._check(step, history)
      step += count
      events(step, dict(zip(self.names, history[-1].tolist(), strict=True)))
      for steps, function in calls:
        if step == _next(steps, step - 1, None):
          function(step)
    return step

  def _check(self, step, history):
    for i, row in enumerate(history):
      bad = [f'{name} = {value}' for name, value in zip(self.names, row, strict=True) if not math.isfinite(value)]
      if bad:
        raise DivergedError(f'training diverged at step {step + i + 1}: {", ".join(bad)}; expected finite losses. '
                            'Lower training.learning_rate or set training.clipnorm=1.')


def _next(steps, after, default):
  """The first of sorted `steps` that is larger than `after`."""
  place = bisect.bisect_right(steps, after)
  return steps[place] if place < len(steps) else default


class Progress:
  """A bar with samples, rate, losses and time left; plain lines, one every 10 s, when the output is no terminal."""

  def __init__(self, total, batch, quiet_seconds=10):
    from rich import console, progress

    self.total, self.batch, self.quiet_seconds = total, batch, quiet_seconds
    self.first, self.began, self.next_line = None, None, None
    self.bar = None
    if console.Console().is_terminal:
      self.bar = progress.Progress('{task.percentage:3.0f} %', progress.BarColumn(16), '{task.description}')
      self.task = self.bar.add_task('building the step', total=total)
      self.bar.start()

  def __call__(self, step, logs):
    now = time.monotonic()
    if self.first is None:  # The clock starts after the first call, which builds the graph.
      self.first, self.began, self.next_line = step, now, now + self.quiet_seconds
      return
    if self.bar is None and now < self.next_line and step < self.total:
      return
    rate = (step - self.first) / max(now - self.began, 1e-9)
    left = int((self.total - step) / max(rate, 1e-9))
    losses = ', '.join(f'{name} {value:.4f}' for name, value in logs.items())
    text = (f'{step * self.batch:,} / {self.total * self.batch:,} samples, {rate * self.batch:.0f} images/s, '
            f'{left // 60}:{left % 60:02d} left')
    if self.bar is None:
      print(f'{text}, {losses}', flush=True)
      self.next_line = now + self.quiet_seconds
    else:
      self.bar.update(self.task, completed=step, description=f'{text}\n{losses.replace("_loss", "")}')

  def close(self):
    """Stops the bar, so that other lines can be printed."""
    if self.bar is not None:
      self.bar.stop()
