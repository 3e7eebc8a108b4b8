"""The reusable SavedModel of a trained model (TF-Hub's reusable SavedModel interface).

Outside, images are [n, height, width, channels] float32 in [0, 1]; the conversion to the models' [-1, 1] is inside.
"""

import tensorflow as tf

from acai_tf import interpolation


def to_inside(images):
  """[0, 1] -> [-1, 1]."""
  return 2.0 * images - 1.0


def to_outside(images):
  """[-1, 1] -> [0, 1]. Not clipped: a decoder is linear at its end, and what it overshoots is part of its answer."""
  return (images + 1.0) / 2.0


class Part(tf.train.Checkpoint):
  """One callable of the module, traced for `training` False and True, with lists of the variables that it uses.

  Args:
    function: (inputs, training) -> outputs.
    inputs: tf.TensorSpec of the one positional argument, or a dict of them.
  """

  def __init__(self, function, inputs):
    super().__init__()
    self.__call__ = tf.function(function)
    traces = [self.__call__.get_concrete_function(inputs, training) for training in (False, True)]
    self.variables = list(traces[0].variables)
    self.trainable_variables = list(traces[1].trainable_variables)
    self.regularization_losses = []


def build(model):
  """The module of a model (acai_tf.models.base.Autoencoder): (root object, dict of signatures).

  The root maps images to the features [n, d] that the probe sees. `.encoder`, `.decoder`, `.classifier` (logits of the
  classifier trained along, if there was one), `.critic` (where the model has one) and `.interpolator` are callables of
  one positional argument each, and `training=False`. The interpolator
  takes a dict of `images_a`, `images_b` and `alpha` ([n], 0 is a, 1 is b).
  """
  images = tf.TensorSpec([None, *model.image_shape], tf.float32)
  width = model.network.latent_width
  codes = tf.TensorSpec([None, width, width, model.network.latent], tf.float32)
  triple = {'images_a': images, 'images_b': images, 'alpha': tf.TensorSpec([None], tf.float32)}

  def features(images, training=False):
    return model.represent(to_inside(images), training)

  def encode(images, training=False):
    return model.encode(to_inside(images), training)

  def decode(codes, training=False):
    return to_outside(model.decode(codes, training))

  def interpolate(inputs, training=False):
    first, second = encode(inputs['images_a'], training), encode(inputs['images_b'], training)
    return decode(interpolation.lerp(first, second, tf.reshape(inputs['alpha'], [-1, 1, 1, 1])), training)

  def criticise(images, training=False):
    return model.critic(to_inside(images), training=training)

  def classify(images, training=False):
    return model.classifier(features(images, training))

  root = Part(features, images)
  root.encoder = Part(encode, images)
  root.decoder = Part(decode, codes)
  root.interpolator = Part(interpolate, triple)
  signatures = {
      'serving_default': _signature(lambda images: {'features': features(images)}, images=images),
      'encode': _signature(lambda images: {'codes': encode(images)}, images=images),
      'decode': _signature(lambda codes: {'images': decode(codes)}, codes=codes),
      'interpolate': _signature(
          lambda images_a, images_b, alpha: {
              'images': interpolate({'images_a': images_a, 'images_b': images_b, 'alpha': alpha})}, **triple),
  }
  if model.classifier:
    root.classifier = Part(classify, images)
  if hasattr(model, 'critic'):
    root.critic = Part(criticise, images)
    signatures['critic'] = _signature(lambda images: {'alpha': criticise(images)}, images=images)
  return root, signatures


def _signature(function, **inputs):
  specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in inputs.items()]
  return tf.function(function, input_signature=specs)


def save(model, folder):
  """Writes the model's module to `folder`."""
  root, signatures = build(model)
  tf.saved_model.save(root, str(folder), signatures=signatures)
