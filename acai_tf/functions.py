"""Models as functions of arrays: what the evaluation measures, be it a live model or an exported module."""

import dataclasses

import numpy as np

from acai_tf import program
from acai_tf.config import UserError

BATCH = 256


@dataclasses.dataclass(frozen=True)
class Functions:
  """A model as functions of NumPy arrays of any length; images are [n, height, width, channels] in [-1, 1].

  Only the first two are always there; the others are None where a model has nothing to give.
  """

  encode: object  # images -> codes [n, ...]
  decode: object  # codes -> images
  classify: object = None  # images -> [n, classes] logits of the classifier trained along
  represent: object = None  # images -> [n, d] what probe and clustering see; default: the flat code
  posterior: object = None  # images -> [n, 2, d] mean and log variance of q(z given x)
  logits: object = None  # [n, d] codes -> logits of Bernoulli pixels, shaped as images
  indices: object = None  # images -> [n, codes] choices from a codebook
  codebook: int = 0  # its size

  def features(self, images):
    """Images -> [n, d]."""
    return self.represent(images) if self.represent else self.encode(images).reshape(len(images), -1)


def _batched(function, spec=None):
  """NumPy in, NumPy out, in batches that run side by side on all processors; traced where `spec` is given."""
  from concurrent import futures

  import tensorflow as tf

  pool = futures.ThreadPoolExecutor(len(program.cores()))
  traced = tf.function(function).get_concrete_function(spec) if spec is not None else function

  def call(array):
    batches = [tf.constant(array[i:i + BATCH], tf.float32) for i in range(0, len(array), BATCH)]
    return np.concatenate(list(pool.map(lambda batch: traced(batch).numpy(), batches)))

  return call


def of_model(model):
  """`Functions` of a live model (acai_tf.models.base.Autoencoder)."""
  import tensorflow as tf

  images = tf.TensorSpec([None, *model.image_shape], tf.float32)
  more = {}
  if model.classifier:
    more['classify'] = _batched(lambda x: model.classifier(model.represent(x)), images)
  if hasattr(model, 'posterior'):
    flat = tf.TensorSpec([None, int(np.prod(model.code_shape))], tf.float32)
    more['posterior'] = _batched(lambda x: tf.stack(model.posterior(x)[:2], axis=1), images)
    more['logits'] = _batched(lambda z: model.decoder(model.to_code(z)), flat)
  if hasattr(model, 'quantizer'):
    more['indices'] = _batched(
        lambda x: tf.reshape(model.bottleneck(model.encode(x))[2], [tf.shape(x)[0], -1]), images)
    more['codebook'] = model.quantizer.size
  return Functions(_batched(model.encode, images),
                   _batched(model.decode, tf.TensorSpec([None, *model.code_shape], tf.float32)),
                   represent=_batched(model.represent, images), **more)


def of_module(handle):
  """`Functions` of a module that `python -m export` wrote, through hub.load.

  Args:
    handle: a folder, or an address that hub.load takes.

  Returns:
    (`Functions`, (height, width, channels) of its images).

  Raises:
    UserError: nothing there, or no such module.
  """
  import tensorflow_hub as hub

  try:
    module = hub.load(handle)
    outside = module.signatures['encode'].structured_input_signature[1]['images'].shape[1:]
    parts = module.encoder, module.decoder, module.interpolator
  except Exception as error:  # The hub raises OSError, urllib's, TensorFlow's and attribute errors alike.
    raise UserError(f'module {handle} cannot be loaded ({type(error).__name__}: {str(error).splitlines()[0][:120]}); '
                    'expected what python -m export wrote: a folder or an http(s) address.') from error
  more = {}
  if hasattr(module, 'classifier'):
    more['classify'] = _batched(lambda x: module.classifier((x + 1) / 2))
  return Functions(_batched(lambda x: parts[0]((x + 1) / 2)), _batched(lambda z: 2 * parts[1](z) - 1),
                   represent=_batched(lambda x: module((x + 1) / 2)), **more), tuple(outside)
