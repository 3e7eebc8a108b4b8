"""Export of a trained model as a SavedModel with TensorFlow Hub's reusable SavedModel interface.

Inputs and outputs are images [n, height, width, channels] float32 in [0, 1]; the module converts them to and from the
models' [-1, 1]. Sentences are [n] strings of words separated by white space. Out-of-vocabulary words are read as the
unknown token, which is written as [UNK]. Sentences longer than the longest one of the data are truncated. An empty
string is a sentence without words.

A wrong shape is an error of one line, which names the input and the expected shape: the callables are traced for any
shape and check it in the graph. Signatures call them, and TensorFlow itself checks no shape of a signature. A wrong
dtype is TensorFlow's long error: a trace has fixed dtypes, and a SavedModel no Python that checks them first.

A module contains each weight once and no optimizer state. The same weights give the same bytes in every fresh process,
except for fingerprint.pb: the order of everything saved does not depend on memory addresses.
"""

from collections.abc import Callable

import tensorflow as tf


def to_inside(images) -> tf.Tensor:
  """[0, 1] -> [-1, 1]."""
  return 2.0 * images - 1.0


def to_outside(images) -> tf.Tensor:
  """[-1, 1] -> [0, 1]. Not clipped: a decoder's last layer is linear, and values outside the range are kept."""
  return (images + [1.0]) / 2.0  # not a scalar: tf2onnx's optimizer would stop at it and keep its transposes


class Part(tf.train.Checkpoint):
  """One callable of the module, traced for `training` False and True, with lists of the variables that it uses.

  Args:
    model: the model of the callable.
    offered: the `models.base.Callable`.
  """

  def __init__(self, model, offered):
    super().__init__()
    self.kept = list(offered.kept)
    self.__call__ = tf.function(_of_one_argument(offered), autograph=False)
    inputs = _specs(offered)
    traces = [self.__call__.get_concrete_function(inputs, training) for training in (False, True)]
    # The trace's own list has no stable order, because it comes from a set of addresses.
    used = {id(variable) for trace in traces for variable in trace.variables}
    ordered = [variable for variable in model.variables if id(variable.value) in used]
    self.variables = [variable.value for variable in ordered]
    self.trainable_variables = [variable for variable in self.variables if variable.trainable]
    self.regularization_losses = [tf.function(loss, input_signature=[]) for loss in model.regularizers(ordered)]


# Name of the signature for each callable. Other callables have none: they are not needed outside Python.
SIGNATURES = {'features': 'serving_default', 'encoder': 'encode', 'decoder': 'decode', 'interpolator': 'interpolate',
              'interpolator_spherical': 'interpolate_spherical', 'interpolator_gaussian': 'interpolate_gaussian',
              'sampler': 'sample', 'transfer': 'transfer', 'critic': 'critic', 'discriminator': 'discriminator'}
BYTES = 'encode_uint8'  # the signature for images with values in 0 to 255, as in image files


def outside(offered) -> Callable:
  """Wraps a `models.base.Callable` as a function (list of inputs, training) -> output, with images in [0, 1]."""
  def function(inputs, training=False):
    inputs = [to_inside(x) if name.startswith('images') else x for name, x in zip(offered.inputs, inputs, strict=True)]
    answer = offered.function(*inputs, training=training)
    return to_outside(answer) if offered.output == 'images' else answer

  return function


def build(model) -> tuple:
  """Builds the module of a model (acai_tf.models.base.Model): (root object, dict of signatures).

  The root is the model's callable `features`. The other callables are attributes of the root. Each takes one positional
  argument, which is a tensor or, for several inputs, a dict of tensors, and `training=False`. The card beside the
  module describes their outputs (`Callable.meaning`).
  """
  parts, signatures = {}, {}
  for offered in model.callables():
    part = parts[offered.name] = Part(model, offered)
    if offered.name in SIGNATURES:
      signatures[SIGNATURES[offered.name]] = _signature(part, offered)
    if offered.name == 'encoder' and 'images' in offered.inputs:
      signatures[BYTES] = _signature_of_bytes(part, offered)
  root = parts.pop('features')
  for name, part in parts.items():
    setattr(root, name, part)
  return root, signatures


def _of_one_argument(offered):
  """Wraps a `Callable` as a function (tensor or dict of tensors, training) -> output, with images in [0, 1]."""
  function, shapes = outside(offered), {name: spec.shape for name, spec in offered.inputs.items()}
  if len(shapes) == 1:
    shape, = shapes.values()
    return lambda tensor, training=False: function([tf.ensure_shape(tensor, shape)], training)

  def call(tensors, training=False):
    given = dict(tensors)
    if 'alpha' in given:  # The graph accepts one dimension only.
      given['alpha'] = tf.broadcast_to(given['alpha'], tf.shape(given[next(iter(shapes))])[:1])
    return function([tf.ensure_shape(given[name], shape) for name, shape in shapes.items()], training)

  return call


def _specs(offered):
  """Input of a `Part`: a tf.TensorSpec or a dict of them. Any shape matches; `_of_one_argument` checks it."""
  specs = {name: tf.TensorSpec(None, spec.dtype, name) for name, spec in offered.inputs.items()}
  return specs if len(specs) > 1 else specs.popitem()[1]


def _signature(part, offered):
  """The part as a signature of named tensors, with `training` False. `alpha` has one number, or one per pair."""
  specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in offered.inputs.items()}

  def serve(**inputs):
    return {offered.output: part.__call__(inputs if len(inputs) > 1 else inputs.popitem()[1], False)}

  return tf.function(serve).get_concrete_function(**specs)


def _signature_of_bytes(part, offered):
  spec = tf.TensorSpec(offered.inputs['images'].shape, tf.uint8, 'images')
  return tf.function(lambda images: {offered.output: part.__call__(tf.cast(images, tf.float32) / 255, False)}
                     ).get_concrete_function(images=spec)


def card(model, experiment, samples) -> dict:
  """Content of `module_card.FILE` beside a module: its experiment, number of training samples and callables."""
  return {'samples': samples, 'experiment': experiment.to_dict(),
          'callables': {c.name: {'inputs': list(c.inputs), 'gives': c.meaning} for c in model.callables()}}


def save(model, folder) -> None:
  """Exports the model to `folder`."""
  with model.exporting():  # Saving traces the functions once more.
    root, signatures = build(model)
    tf.saved_model.save(root, str(folder), signatures=signatures)
