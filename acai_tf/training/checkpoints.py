"""All that a step depends on, on disk."""

import pathlib
import shutil

import tensorflow as tf

from acai_tf.experiment.errors import UserError


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
