"""The reusable SavedModel of a trained model (TF-Hub's reusable SavedModel interface).

Outside, images are [n, height, width, channels] float32 in [0, 1]; the conversion to the models' [-1, 1] is inside.
Sentences are [n] strings of words parted by white space. Words that the vocabulary lacks are read as the unknown word,
and written as [UNK]; a longer sentence than the data's longest is cut; an empty one is a sentence of no words.
"""

from collections.abc import Callable

import tensorflow as tf


def to_inside(images) -> tf.Tensor:
  """[0, 1] -> [-1, 1]."""
  return 2.0 * images - 1.0


def to_outside(images) -> tf.Tensor:
  """[-1, 1] -> [0, 1]. Not clipped: a decoder is linear at its end, and what it overshoots is part of its answer."""
  return (images + 1.0) / 2.0


class Part(tf.train.Checkpoint):
  """One callable of the module, traced for `training` False and True, with lists of the variables that it uses.

  Args:
    function: (inputs, training) -> outputs.
    inputs: tf.TensorSpec of the one positional argument, or a dict of them.
    kept: objects that the function needs beside variables (`Callable.kept`).
  """

  def __init__(self, function, inputs, kept=()):
    super().__init__()
    self.kept = list(kept)
    self.__call__ = tf.function(function)
    traces = [self.__call__.get_concrete_function(inputs, training) for training in (False, True)]
    self.variables = list(traces[0].variables)
    self.trainable_variables = list(traces[1].trainable_variables)
    self.regularization_losses = []


# The signatures, by the callable that each is of; those of no other are needed outside Python.
SIGNATURES = {'features': 'serving_default', 'encoder': 'encode', 'decoder': 'decode', 'interpolator': 'interpolate',
              'sampler': 'sample', 'transfer': 'transfer', 'critic': 'critic', 'discriminator': 'discriminator'}


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
    parts[offered.name] = _part(offered)
    if offered.name in SIGNATURES:
      signatures[SIGNATURES[offered.name]] = _signature(offered)
  root = parts.pop('features')
  for name, part in parts.items():
    setattr(root, name, part)
  return root, signatures


def _part(offered):
  function = outside(offered)
  if len(offered.inputs) == 1:
    spec, = offered.inputs.values()
    return Part(lambda tensor, training=False: function([tensor], training), spec, offered.kept)
  return Part(lambda tensors, training=False: function([tensors[name] for name in offered.inputs], training),
              dict(offered.inputs), offered.kept)


def _signature(offered):
  function = outside(offered)
  specs = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in offered.inputs.items()}
  return tf.function(lambda **inputs: {offered.output: function([inputs[name] for name in offered.inputs])}
                     ).get_concrete_function(**specs)


def save(model, folder) -> None:
  """Writes the model's module to `folder`."""
  root, signatures = build(model)
  tf.saved_model.save(root, str(folder), signatures=signatures)
