"""An exported module as a Keras 3 layer, frozen or trainable. hub.KerasLayer supports tf_keras only."""

import keras
import tensorflow as tf
import tensorflow_hub as hub
from keras.src.saving import serialization_lib  # Only here does Keras tell whether safe mode is on.

from acai_tf import safety
from acai_tf.experiment.errors import UserError


@keras.saving.register_keras_serializable('acai_tf')
class ModuleLayer(keras.layers.Layer):
  """A layer that applies a module, or one of its callables.

  The module's weights are weights of the layer: an optimizer trains them if `trainable`, and a `.keras` file stores
  them. The graph stays in the module's folder. To load such a file, the folder must exist and this Python file must
  have been imported. A module is a program, so in Keras's safe mode only modules that `safety.check_module` accepts are
  loaded. In training, the layer adds the module's regularization losses.

  Args:
    handle: handle for hub.load: the folder that `acai export` wrote, or an address.
    part: 'features', which is the module itself (images in [0, 1] or strings -> [n, d]), or the name of a callable.
    trainable: whether the weights are trained.
    **arguments: Keras's `name` and `dtype`; the default dtype is float32.

  Raises:
    UserError: there is no such module or part.
  """

  def __init__(self, handle, part='features', trainable=True, **arguments):
    super().__init__(**{'dtype': 'float32', **arguments})
    self.handle, self.part = str(handle), part
    try:
      module = hub.load(self.handle)
    except Exception as error:  # TensorFlow Hub raises OSError and errors of urllib and TensorFlow.
      raise UserError(f'module {handle} cannot be loaded ({type(error).__name__}); expected what acai export '
                      'wrote, at the place that the layer was made with.') from error
    self.function = module if part == 'features' else getattr(module, part, None)
    if not hasattr(self.function, 'trainable_variables'):
      raise UserError(f'module {handle} has no {part!r}; expected features, encoder or another callable of it.')
    # Each Keras variable wraps the module's variable and is not a copy, so the graph reads what an optimizer updates.
    trained = {id(variable) for variable in self.function.trainable_variables}
    self.module_weights = [
        keras.Variable(variable, trainable=id(variable) in trained, dtype=variable.dtype.name,
                       name=variable.name.partition(':')[0].replace('/', '_'))
        for variable in self.function.variables]
    self.trainable = trainable  # Set last, because Keras passes the change on to the existing weights only.

  def call(self, inputs, training=False) -> tf.Tensor:
    """Applies the part to [n, ...] inputs. A frozen layer always runs in inference mode, whatever `training` is."""
    if self.trainable:
      for loss in self.function.regularization_losses:
        self.add_loss(loss())
    return self.function(inputs, training=bool(training and self.trainable))

  def get_config(self) -> dict:
    return {**super().get_config(), 'handle': self.handle, 'part': self.part}

  @classmethod
  def from_config(cls, config) -> 'ModuleLayer':
    """Creates the layer from its config, as Keras does.

    Raises:
      UserError: `safety.check_module` refuses the module and `load_model` was not called with `safe_mode=False`.
    """
    if serialization_lib.in_safe_mode() is not False:
      safety.check_module(config.get('handle', ''))
    return super().from_config(config)
