"""A module as a layer of Keras 3, frozen or to be trained further. hub.KerasLayer does the same for tf_keras alone."""

import keras
import tensorflow as tf
import tensorflow_hub as hub
from keras.src.saving import serialization_lib  # Keras tells nowhere else whether safe mode is on.

from acai_tf import safety
from acai_tf.experiment.errors import UserError


@keras.saving.register_keras_serializable('acai_tf')
class ModuleLayer(keras.layers.Layer):
  """A module, or one of its callables, as a layer.

  Its weights are the layer's own: an optimiser moves them unless `trainable` is False, a `.keras` file keeps them, and
  `get_config` names the module. The graph stays in the module's folder, which must be there when the file is loaded,
  as this file must have been imported. A module is a program: a file that is loaded in Keras's safe mode may only name
  one that `safety.check_module` passes. Losses of weights alone that the module brings are added where it is trained.

  Args:
    handle: what hub.load takes: the folder that `python -m export` wrote, or an address.
    part: 'features', which is the module itself (images in [0, 1] or strings -> [n, d]), or the name of a callable.
    trainable: whether its weights move.
    **arguments: Keras's `name` and `dtype`; it computes in float32 unless told.

  Raises:
    UserError: no module there, or no such part.
  """

  def __init__(self, handle, part='features', trainable=True, **arguments):
    super().__init__(**{'dtype': 'float32', **arguments})
    self.handle, self.part = str(handle), part
    try:
      module = hub.load(self.handle)
    except Exception as error:  # The hub raises OSError, urllib's and TensorFlow's errors alike.
      raise UserError(f'module {handle} cannot be loaded ({type(error).__name__}); expected what python -m export '
                      'wrote, at the place that the layer was made with.') from error
    self.function = module if part == 'features' else getattr(module, part, None)
    if not hasattr(self.function, 'trainable_variables'):
      raise UserError(f'module {handle} has no {part!r}; expected features, encoder or another callable of it.')
    # A Keras variable around the module's own, and so no copy: what an optimiser moves is what the graph reads.
    moved = {id(variable) for variable in self.function.trainable_variables}
    self.module_weights = [
        keras.Variable(variable, trainable=id(variable) in moved, dtype=variable.dtype.name,
                       name=variable.name.partition(':')[0].replace('/', '_'))
        for variable in self.function.variables]
    self.trainable = trainable  # Not before: Keras hands a change on to the weights that there are.

  def call(self, inputs, training=False) -> tf.Tensor:
    """[n, ...] inputs -> the part's answer; a frozen layer answers as in use, whatever `training` says."""
    if self.trainable:
      for loss in self.function.regularization_losses:
        self.add_loss(loss())
    return self.function(inputs, training=bool(training and self.trainable))

  def get_config(self) -> dict:
    return {**super().get_config(), 'handle': self.handle, 'part': self.part}

  @classmethod
  def from_config(cls, config) -> 'ModuleLayer':
    """Keras's.

    Raises:
      UserError: a module that `safety.check_module` refuses, unless `safe_mode=False` was given to `load_model`.
    """
    if serialization_lib.in_safe_mode() is not False:
      safety.check_module(config.get('handle', ''))
    return super().from_config(config)
