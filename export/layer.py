"""An exported module as a Keras 3 layer, frozen or trainable. hub.KerasLayer supports tf_keras only."""

import contextlib
import contextvars
import os
from collections.abc import Iterator

import keras
import tensorflow as tf
import tensorflow_hub as hub
from keras.src.saving import serialization_lib  # Only here does Keras tell whether safe mode is on.

from acai_tf import safety
from acai_tf.experiment.errors import UserError
from acai_tf.export.module import SIGNATURES

_place: contextvars.ContextVar = contextvars.ContextVar('place', default=None)  # of `module_at`


@contextlib.contextmanager
def module_at(place) -> Iterator[None]:
  """A context in which Keras files read their modules from another place than the one that they were saved with.

  `with module_at('demo/module'): model = keras.models.load_model('tuned.keras')`. Keras's `custom_objects` cannot say
  this: Keras prefers the registered class, which is `ModuleLayer`.

  Args:
    place: handle of the module, for all layers of the file. If they have several modules: dict: handle in the file
      (`ModuleLayer.handle`) -> handle; handles that it lacks are kept.
  """
  token = _place.set(place)
  try:
    yield
  finally:
    _place.reset(token)


@keras.saving.register_keras_serializable('acai_tf')
class ModuleLayer(keras.layers.Layer):
  """A layer that applies a module, or one of its callables.

  The module's weights are weights of the layer: an optimizer trains them if `trainable`, and a `.keras` file stores
  them. The graph stays in the module's folder. To load such a file, the folder must exist, there or where `module_at`
  says, and this Python file must have been imported. A module is a program, so in Keras's safe mode only modules that
  `safety.check_module` accepts are loaded. In training, the layer adds the module's regularization losses.

  Args:
    handle: handle for hub.load: the folder that `acai export` wrote, or an address. The attribute `handle`, which a
      `.keras` file stores, has the absolute path of a folder.
    part: 'features', which is the module itself (images in [0, 1] or strings -> [n, d]), or the name of a callable.
    trainable: whether the weights are trained.
    **arguments: Keras's `name` and `dtype`; the default dtype is float32.

  Raises:
    UserError: there is no such module or part.
    ValueError: when the layer is called, in one line of Keras: an input has another dtype or shape than the module's.
  """

  def __init__(self, handle, part='features', trainable=True, **arguments):
    super().__init__(**{'dtype': 'float32', **arguments})
    self.handle, self.part = _absolute(handle), part
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
    self.input_spec = _input_specs(module, self.function, part)

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
    """Creates the layer from its config, as Keras does, with the module that `module_at` names, if any.

    Raises:
      UserError: there is no such module, or `safety.check_module` refuses it and `load_model` was not called with
        `safe_mode=False`.
    """
    handle, place = config.get('handle', ''), _place.get()
    handle = _absolute(place.get(handle, handle) if isinstance(place, dict) else place or handle)
    if '://' not in handle and not os.path.exists(handle):
      raise UserError(f'module {handle} does not exist, where a Keras file expects it; expected its folder there, or '
                      'the file loaded `with acai_tf.export.layer.module_at(FOLDER):`.')
    if serialization_lib.in_safe_mode() is not False:
      safety.check_module(handle)
    return cls(**{**config, 'handle': handle})  # Keras's from_config would bury a UserError in a TypeError.


def _absolute(handle) -> str:
  """A handle with the absolute path of a folder, so that it holds in any working directory; addresses stay."""
  return str(handle) if '://' in str(handle) else os.path.abspath(str(handle))


def _input_specs(module, function, part):
  """What Keras checks before it calls the function: the specifications of its inputs, with the names of the module's.

  The function is traced for any shape and checks it in the graph (`export.module`); signatures have the shapes. Returns
  None for a module that `acai export` did not write.
  """
  if not {'encode', 'serving_default'} <= set(module.signatures):
    return None
  inputs = function.__call__.concrete_functions[0].structured_input_signature[0][0]
  signature = module.signatures.get(SIGNATURES.get(part), module.signatures['serving_default'])
  shapes = {name: spec.shape for name, spec in signature.structured_input_signature[1].items() if name != 'alpha'}
  return [keras.layers.InputSpec(spec.dtype.name, shapes.get(spec.name), name=spec.name)
          for spec in tf.nest.flatten(inputs)]
