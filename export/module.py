"""The reusable SavedModel of a trained model (TF-Hub's reusable SavedModel interface).

Outside, images are [n, height, width, channels] float32 in [0, 1]; the conversion to the models' [-1, 1] is inside.
Sentences are [n] strings of words parted by white space. Words that the vocabulary lacks are read as the unknown word,
and written as [UNK]; a longer sentence than the data's longest is cut; an empty one is a sentence of no words.

A module holds each weight once and no optimiser's state, whatever the model was trained with. The same weights give the
same bytes in every fresh process, but for fingerprint.pb: all that is saved has an order that does not depend on where
objects lie in memory.
"""

from collections.abc import Callable

import tensorflow as tf


def to_inside(images) -> tf.Tensor:
  """[0, 1] -> [-1, 1]."""
  return 2.0 * images - 1.0


def to_outside(images) -> tf.Tensor:
  """[-1, 1] -> [0, 1]. Not clipped: a decoder is linear at its end, and what it overshoots is part of its answer."""
  return (images + [1.0]) / 2.0  # no scalar: tf2onnx's optimiser would stop at it, and leave its transposes in


class Part(tf.train.Checkpoint):
  """One callable of the module, traced for `training` False and True, with lists of the variables that it uses.

  Args:
    model: whose function it is.
    offered: the `models.base.Callable`.
  """

  def __init__(self, model, offered):
    super().__init__()
    self.kept = list(offered.kept)
    self.__call__ = tf.function(_of_one_argument(offered), autograph=False)
    inputs = _specs(offered)
    traces = [self.__call__.get_concrete_function(inputs, training) for training in (False, True)]
    # A trace's own list has no stable order: it comes from a set of addresses.
    used = {id(variable) for trace in traces for variable in trace.variables}
    ordered = [variable for variable in model.variables if id(variable.value) in used]
    self.variables = [variable.value for variable in ordered]
    self.trainable_variables = [variable for variable in self.variables if variable.trainable]
    self.regularization_losses = [tf.function(loss, input_signature=[]) for loss in model.regularizers(ordered)]


# The signatures, by the callable that each is of; those of no other are needed outside Python.
SIGNATURES = {'features': 'serving_default', 'encoder': 'encode', 'decoder': 'decode', 'interpolator': 'interpolate',
              'interpolator_spherical': 'interpolate_spherical', 'sampler': 'sample', 'transfer': 'transfer',
              'critic': 'critic', 'discriminator': 'discriminator'}
BYTES = 'encode_uint8'  # the signature that takes images as files have them, in 0 to 255


def outside(offered) -> Callable:
  """A `models.base.Callable` as function (list of inputs, training) -> output, with images in [0, 1]."""
  def function(inputs, training=False):
    inputs = [to_inside(x) if name.startswith('images') else x for name, x in zip(offered.inputs, inputs, strict=True)]
    answer = offered.function(*inputs, training=training)
    return to_outside(answer) if offered.output == 'images' else answer

  return function


def build(model) -> tuple:
  """The module of a model (acai_tf.models.base.Model): (root object, dict of signatures).

  The root is the model's callable `features`; the others are attributes of it under their names, each a callable of
  one positional argument, a tensor or, where there are several inputs, a dict of them, and `training=False`. What they
  give is in the card beside the module (`Callable.meaning`).
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
  """A `Callable` as function (tensor or dict of them, training) -> output, with images in [0, 1]."""
  function = outside(offered)
  if len(offered.inputs) == 1:
    return lambda tensor, training=False: function([tensor], training)

  def call(tensors, training=False):
    given = dict(tensors)
    if 'alpha' in given:  # A graph refuses what has more dimensions than one.
      given['alpha'] = tf.broadcast_to(given['alpha'], tf.shape(given[next(iter(offered.inputs))])[:1])
    return function([given[name] for name in offered.inputs], training)

  return call


def _specs(offered):
  """What a `Part` takes: a tf.TensorSpec or a dict of them. `alpha` may be one number for all pairs, or one a pair."""
  specs = {name: tf.TensorSpec(None if name == 'alpha' else spec.shape, spec.dtype, name)
           for name, spec in offered.inputs.items()}
  return specs if len(specs) > 1 else specs.popitem()[1]


def _signature(part, offered):
  """The part with `training` False, of named tensors; `alpha` has one number, or one a pair."""
  specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in offered.inputs.items()}

  def serve(**inputs):
    return {offered.output: part.__call__(inputs if len(inputs) > 1 else inputs.popitem()[1], False)}

  return tf.function(serve).get_concrete_function(**specs)


def _signature_of_bytes(part, offered):
  spec = tf.TensorSpec(offered.inputs['images'].shape, tf.uint8, 'images')
  return tf.function(lambda images: {offered.output: part.__call__(tf.cast(images, tf.float32) / 255, False)}
                     ).get_concrete_function(images=spec)


def card(model, experiment, samples) -> dict:
  """What lies beside a module as `module_card.FILE`: its experiment, the samples it was trained on, its callables."""
  return {'samples': samples, 'experiment': experiment.to_dict(),
          'callables': {c.name: {'inputs': list(c.inputs), 'gives': c.meaning} for c in model.callables()}}


def save(model, folder) -> None:
  """Writes the model's module to `folder`."""
  with model.exporting():  # Saving traces once more.
    root, signatures = build(model)
    tf.saved_model.save(root, str(folder), signatures=signatures)
