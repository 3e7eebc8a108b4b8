"""Optimizers with fused operations, made from an experiment's `training`."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable('acai_tf')
class Adam(keras.optimizers.Adam):
  """Keras's Adam with one fused operation per weight instead of ten (5 % of a step at batch 16), and a warmed-up EMA.

  The decay of the EMA of the weights (`use_ema`) is min(d, (1 + t) / (10 + t)) at step t. With the constant d, the EMA
  of a short training would still contain much of the initial weights.
  """

  def update_step(self, gradient, variable, learning_rate) -> None:
    if isinstance(gradient, tf.IndexedSlices):
      return super().update_step(gradient, variable, learning_rate)
    step, index = tf.cast(self.iterations + 1, tf.float32), self._get_variable_index(variable)
    return tf.raw_ops.ResourceApplyAdam(
        var=variable.handle, m=self._momentums[index].value.handle, v=self._velocities[index].value.handle,
        beta1_power=self.beta_1**step, beta2_power=self.beta_2**step, lr=tf.cast(learning_rate, tf.float32),
        beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon, grad=gradient)

  def _update_model_variables_moving_average(self, trainable_variables):
    t = tf.cast(self.iterations, tf.float32)
    share = tf.where(t > 0, 1 - tf.minimum(self.ema_momentum, (1 + t) / (10 + t)), 1.0)
    for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
      tf.raw_ops.ResourceApplyGradientDescent(
          var=average.value.handle, alpha=share, delta=average.value - variable.value)

  def finalize_variable_values(self, var_list) -> None:
    """Does nothing. At the end of `fit`, Keras would assign the EMA of one player only; `use_averages` is for all."""


@keras.saving.register_keras_serializable('acai_tf')
class SGD(keras.optimizers.SGD):
  """Keras's SGD with the EMA of the weights of `Adam`."""

  _update_model_variables_moving_average = Adam._update_model_variables_moving_average
  finalize_variable_values = Adam.finalize_variable_values


@keras.saving.register_keras_serializable('acai_tf')
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
  """The learning rate `rate` in the first half of `steps`; then it decays linearly to `floor` times `rate`.

  In the first `warmup` steps it grows linearly to what it would be without a warmup.
  """

  def __init__(self, rate, steps, floor, warmup=0):
    self.rate, self.steps, self.floor, self.warmup = rate, steps, floor, warmup

  def __call__(self, step):
    step = tf.cast(step, tf.float32)
    rate = self.rate * (1 - (1 - self.floor) * tf.clip_by_value(2 * step / self.steps - 1, 0.0, 1.0))
    return rate * tf.minimum(1.0, (step + 1) / self.warmup) if self.warmup else rate

  def get_config(self) -> dict:
    """The arguments of the constructor."""
    return {'rate': self.rate, 'steps': self.steps, 'floor': self.floor, 'warmup': self.warmup}


def optimizer(training) -> Callable[[str], keras.optimizers.Optimizer]:
  """The argument of `model.compile`: a function player's name -> optimizer, made from a `config.Training`."""

  def make(player):
    rate = training.classifier_learning_rate if player == 'classifier' else training.learning_rate
    warmup = math.ceil(training.warmup / training.batch)
    if training.schedule == 'constant' and warmup:
      rate = keras.optimizers.schedules.PolynomialDecay(rate / warmup, warmup, rate)  # linear, and constant after it
    if training.schedule == 'cosine':
      rate = keras.optimizers.schedules.CosineDecay(
          rate / max(warmup, 1), max(training.steps - warmup, 1), training.floor, warmup_target=rate,
          warmup_steps=max(warmup, 1))
    if training.schedule == 'linear':
      rate = LinearDecay(rate, training.steps, training.floor, warmup)
    if training.optimizer == 'sgd':
      return SGD(rate, use_ema=training.average > 0, ema_momentum=training.average)
    return Adam(rate, training.beta_1, training.beta_2, training.epsilon, use_ema=training.average > 0,
                ema_momentum=training.average)

  return make
