"""Callbacks of a training, for experiment trackers such as MLflow or Weights & Biases."""

import importlib
import os
import sys

from acai_tf.experiment import config
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.run import Run


class Callback:
  """Receives what a training reports. Subclasses override what they need.

  With several hosts, only the chief calls it. If a method raises an exception, the exception is printed and training
  continues without the callback.
  """

  def on_begin(self, experiment: config.Experiment, run: Run, samples: int) -> None:
    """Called before the first step, also when a training resumes, after `samples` training samples."""

  def on_losses(self, samples: int, losses: dict[str, float]) -> None:
    """Called with the losses of a step, at most once per second and after the last step."""

  def on_metrics(self, samples: int, metrics: dict[str, float | None]) -> None:
    """Called with the metrics of an evaluation during training, after the checkpoint is saved. None: undefined."""

  def on_end(self, metrics: dict[str, float | None] | None) -> None:
    """Called with the metrics of the final evaluation; with None if a signal or an error stopped the training."""


class Callbacks:
  """Calls a list of callbacks; drops one that raises an exception."""

  def __init__(self, callbacks):
    self.active = list(callbacks)

  def __call__(self, method, *args) -> None:
    """Calls `method` of each callback."""
    for callback in list(self.active):
      try:
        getattr(callback, method)(*args)
      except Exception as error:  # A tracker that cannot be reached must not end a training.
        self.active.remove(callback)
        print(f'callback {type(callback).__name__}.{method} failed ({type(error).__name__}: '
              f'{" ".join(str(error).split())[:200]}); training continues without it', file=sys.stderr, flush=True)


def load(name) -> Callback:
  """Imports and creates a callback, 'package.module:Class'.

  Raises:
    UserError: there is no such class, or it cannot be created without arguments.
  """
  module, _, kind = name.partition(':')
  if os.getcwd() not in sys.path:
    sys.path.insert(0, os.getcwd())  # The program `acai`, unlike `python -m acai_tf`, does not search it.
  try:
    callback = getattr(importlib.import_module(module), kind)()
  except Exception as error:  # The user's own module may raise anything.
    raise UserError(f'--callback={name} cannot be created ({type(error).__name__}: '
                    f'{" ".join(str(error).split())[:200]}); expected package.module:Class.') from error
  if not isinstance(callback, Callback):
    raise UserError(f'--callback={name} is not an acai_tf.training.callback.Callback; expected a subclass.')
  return callback
