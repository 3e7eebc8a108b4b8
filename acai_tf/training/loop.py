"""The distributed training loop: runs steps under a strategy and calls functions between them.

Keras's `fit` cannot resume bit-exactly in the middle of an epoch, run several steps per call under a strategy, or
report the step at which a loss diverged. A test checks that both give the same weights.
"""

import bisect
import math
from collections.abc import Iterator

import tensorflow as tf

from acai_tf.training.checkpoints import DivergedError, step_of

FUSED_STEPS = 16  # steps per call on an accelerator, where a call is expensive; on a CPU one step per call is as fast


class Loop:
  """Trains `model` on `dataset` up to `training.steps`.

  Args:
    model: compiled, created under `strategy`.
    strategy: a tf.distribute.Strategy.
    dataset: has `pipeline` as acai_tf.data.base.Dataset.
    training: `config.Training`.
    fused: steps per call; the default depends on the device.
    hosts: number of hosts that train together, each with its own loop.
  """

  def __init__(self, model, strategy, dataset, training, fused=None, hosts=1):
    self.model, self.strategy, self.dataset, self.training, self.hosts = model, strategy, dataset, training, hosts
    self.fused = fused or (FUSED_STEPS if tf.config.list_logical_devices('GPU') else 1)
    self.names = None
    self._run_steps = tf.function(self._steps)

  def traces(self) -> int:
    """Number of times that the step was traced; more than once would make steps slow."""
    return self._run_steps.experimental_get_tracing_count()

  def batches(self, start, stop) -> Iterator:
    """Iterator over the distributed batches from `start` to `stop` - 1."""
    replicas = self.strategy.num_replicas_in_sync

    def feed(context):
      count = replicas // context.num_input_pipelines
      pipeline = self.dataset.pipeline(
          self.training.seed, self.training.batch, start, stop, replicas, context.input_pipeline_id * count, count,
          self.model.extra_batches, self.model.by_class)
      if self.hosts > 1:  # With a finite pipeline, hosts would synchronize before each step.
        pipeline = pipeline.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
      return pipeline

    return iter(self.strategy.distribute_datasets_from_function(feed))

  @tf.autograph.experimental.do_not_convert  # No model needs AutoGraph, and it doubles the tracing time.
  def _step(self, batch, stop_wanted):
    logs = self.model.take_step(batch)
    self.names = sorted(logs)
    return tf.stack([*(logs[name] for name in self.names), stop_wanted])

  def _steps(self, iterator, count, stop_wanted):
    history = tf.TensorArray(tf.float32, count)
    for i in tf.range(count):
      logs = self.strategy.run(self._step, args=(next(iterator), stop_wanted))
      history = history.write(i, self.strategy.reduce(tf.distribute.ReduceOp.MEAN, logs, axis=None))
    return history.stack()

  def run(self, events, calls, stop_requested=lambda: False) -> int:
    """Trains until the last step, a stop request, or a loss that is not finite.

    Args:
      events: function (step, logs as dict of floats), called after each call of steps.
      calls: list of (sorted steps, function step -> None); each function is called after its steps, in that order.
      stop_requested: function -> bool, called between calls of steps. Several hosts exchange its result in the next
        call of steps, so that all hosts stop after the same step.

    Returns:
      The last step.

    Raises:
      DivergedError: a loss is not finite. The message names step and loss. Nothing after the last checkpoint is saved.
    """
    step, stop = step_of(self.model), self.training.steps
    iterator, stopping = self.batches(step, stop) if step < stop else None, False
    try:
      while step < stop and not stopping and not (self.hosts == 1 and stop_requested()):
        until = min(_next_step(steps, step, stop) for steps in [[], *(steps for steps, _ in calls)])
        count = min(self.fused, until - step)
        stop_wanted = tf.constant(float(self.hosts > 1 and stop_requested()))
        history = self._run_steps(iterator, tf.constant(count), stop_wanted).numpy()
        history, stopping = history[:, :-1], history[-1, -1] > 0
        self._check(step, history)
        step += count
        events(step, dict(zip(self.names, history[-1].tolist(), strict=True)))
        for steps, function in calls:
          if step == _next_step(steps, step - 1, None):
            function(step)
    finally:
      iterator = None  # Freed here: at interpreter exit it could wait for a thread that waits for Python.
    return step

  def _check(self, step, history):
    for i, row in enumerate(history):
      bad = [f'{name} = {value}' for name, value in zip(self.names, row, strict=True) if not math.isfinite(value)]
      if bad:
        raise DivergedError(f'training diverged at step {step + i + 1}: {", ".join(bad)}; expected finite losses. '
                            'Lower training.learning_rate or set training.clipnorm=1.')


def _next_step(steps, after, default):
  """The first of the sorted `steps` that is larger than `after`, or `default`."""
  place = bisect.bisect_right(steps, after)
  return steps[place] if place < len(steps) else default
