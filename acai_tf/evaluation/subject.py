"""Models as functions of arrays: what the evaluation measures, be it a live model or an exported module."""

import dataclasses
from concurrent import futures

import numpy as np

from acai_tf import files, safety
from acai_tf.experiment import machine
from acai_tf.experiment.errors import UserError

BATCH_SENTENCES = 512
PARTS = 16  # of each piece of a path whose length is measured; twice as many make ACAI's on lines 0.5 % longer
BATCH_PIXELS = 256 * 32 * 32  # a batch; measured from 16 to 512 lines of 32x32: 256 is as fast as 512 to 4 %


@dataclasses.dataclass(frozen=True)
class Functions:
  """A model as functions of NumPy arrays of any length; images are [n, height, width, channels] in [-1, 1].

  Only the first two are always there; the others are None where a model has nothing to give.
  """

  encode: object  # images -> codes [n, ...]
  decode: object  # codes -> images
  classify: object = None  # images -> [n, classes] logits of the classifier trained along
  represent: object = None  # images -> [n, d] what the probe sees; default: the flat code
  encode_sample: object = None  # images, list of ints (a seed) -> codes drawn from q(z given x), anew for every image
  posterior: object = None  # images -> [n, 2, d] mean and log variance of q(z given x)
  logits: object = None  # [n, d] codes -> logits of Bernoulli pixels, shaped as images
  indices: object = None  # images -> [n, codes] choices from a codebook
  sample: object = None  # (count, seed) -> images of codes drawn from the prior
  codebook: int = 0  # its size
  geodesics: object = None  # () -> a function: [n, 2, ...] codes of ends -> [n, 2, k, height, width, channels] images
  identity: object = None  # () -> hexadecimal digest of the weights as they are now


@dataclasses.dataclass(frozen=True)
class TextFunctions:
  """A model of sentences as functions of lists of n strings and NumPy arrays; all but the first may be None."""

  encode: object  # texts -> codes [n, d]
  decode: object  # codes -> texts
  interpolate: object  # texts, texts, [n] alpha -> texts
  log_probability: object  # texts, targets -> [n] log probability of the targets given the texts' codes
  sample: object = None  # (count, seed) -> texts
  prior: object = None  # (count, seed) -> codes drawn from the prior, without noise (a live model's only)
  untrained: object = None  # (count, seed) -> codes of the generator before its training
  transfer: object = None  # texts, [n] classes -> texts
  identity: object = None  # () -> hexadecimal digest of the weights as they are now


def batch_of(shape) -> int:
  """Images of a shape in a batch: as many pixels in all, whatever their size, and so as much memory."""
  return max(1, BATCH_PIXELS // (shape[0] * shape[1]))


def digest(arrays) -> str:
  """Hexadecimal SHA-256 of arrays with their shapes and types, in order."""
  return files.digest(part for array in map(np.ascontiguousarray, arrays)
                      for part in (f'{array.shape}{array.dtype}'.encode(), array.data))


def _batched(function, size, *specs):
  """NumPy in, NumPy out, in batches that run side by side on all processors; traced where `specs` are given.

  A function of two arguments gets a seed of its own for each batch, made from the ints that follow the array.
  """
  import tensorflow as tf

  pool = futures.ThreadPoolExecutor(len(machine.cores()))
  traced = tf.function(function, autograph=False).get_concrete_function(*specs) if specs else function

  def call(array, seed=None):
    batches = [tf.constant(array[i:i + size], tf.float32) for i in range(0, len(array), size)]
    more = [] if seed is None else [
        tf.constant(np.random.SeedSequence(seed).generate_state(len(batches)).astype(np.int64))]
    return np.concatenate(list(pool.map(lambda *inputs: traced(*inputs).numpy(), batches, *more)))

  return call


def of_model(model) -> Functions:
  """`Functions` of a live model's callables (acai_tf.models.image_base.Autoencoder)."""
  import tensorflow as tf

  offered, size, more = {c.name: c for c in model.callables()}, batch_of(model.image_shape), {}

  def batched(name):
    return _batched(offered[name].function, size, *offered[name].inputs.values())

  for field, name in (('classify', 'classifier'), ('encode_sample', 'sampling_encoder'), ('posterior', 'posterior'),
                      ('indices', 'indices')):
    if name in offered:
      more[field] = batched(name)
  if 'pixel_logits' in offered:
    flat = tf.TensorSpec([None, int(np.prod(model.code_shape))], tf.float32)
    more['logits'] = _batched(
        lambda z: offered['pixel_logits'].function(tf.reshape(z, [-1, *model.code_shape])), size, flat)
  if 'indices' in offered:
    more['codebook'] = model.quantizer.size
  if model.smooth:
    more['geodesics'] = lambda: _geodesics(model)
  if 'sampler' in offered:
    more['sample'] = _drawn(tf.function(offered['sampler'].function, autograph=False, input_signature=list(
        offered['sampler'].inputs.values())), size)
  return Functions(batched('encoder'), batched('decoder'), represent=batched('features'),
                   identity=lambda: digest(weight.numpy() for weight in model.weights), **more)


def _geodesics(model):
  """A function: [n, 2, ...] codes of ends -> images along the straight paths and the shortest found, in fine steps.

  They are decoded in float32: to so small steps bfloat16 adds its rounding, so that an autoencoder's straight paths on
  lines came out a tenth longer, and in four times as many steps twice as long.
  """
  import tensorflow as tf

  from acai_tf import interpolation

  precise = type(model).from_config({**model.get_config(), 'precision': 'float32'})
  precise.set_weights(model.get_weights())

  def paths(ends):
    first, second = ends[:, 0], ends[:, 1]
    points = tf.stack([interpolation.path(first, second, interpolation.POINTS),
                       interpolation.geodesic(precise.decode, first, second)], axis=1)
    return interpolation.refined(tf.reshape(points, [-1, *points.shape[2:]]), PARTS)

  spec, size = tf.TensorSpec([None, 2, *model.code_shape], tf.float32), batch_of(model.image_shape)
  find = _batched(paths, max(1, size // interpolation.POINTS), spec)
  decode = _batched(precise.decode, size, tf.TensorSpec([None, *model.code_shape], tf.float32))

  def call(ends):
    codes = find(ends)
    images = decode(codes.reshape(-1, *model.code_shape))
    return images.reshape(len(ends), 2, codes.shape[1], *model.image_shape)

  return call


def _texts(answer):
  """[n] byte strings -> n strings; other arrays as they are."""
  return [text.decode() for text in answer] if answer.dtype == object else answer


def _pieces(function):
  """Lists and arrays of n in, NumPy or a list of strings out, in batches that run side by side on all processors."""
  pool = futures.ThreadPoolExecutor(len(machine.cores()))

  def call(*columns):
    starts = range(0, len(columns[0]), BATCH_SENTENCES)
    batches = [[column[i:i + BATCH_SENTENCES] for column in columns] for i in starts]
    return _texts(np.concatenate(list(pool.map(lambda batch: function(*batch).numpy(), batches))))

  return call


def _drawn(function, size=BATCH_SENTENCES):
  """(count, seed) -> that many texts or images, in batches of `size`, each of a seed of its own."""
  import tensorflow as tf

  def call(count, seed):
    sizes = [min(size, count - start) for start in range(0, count, size)]
    seeds = np.random.SeedSequence(seed).generate_state(len(sizes)) >> 1
    return _texts(np.concatenate([function(tf.constant(size), tf.constant(int(number), tf.int32)).numpy()
                                  for size, number in zip(sizes, seeds, strict=True)]))

  return call


def of_text_model(model) -> TextFunctions:
  """`TextFunctions` of a live model's callables (acai_tf.models.text_base.TextAutoencoder)."""
  import tensorflow as tf

  offered = {c.name: c for c in model.callables()}

  def traced(name):  # At the first call: decoding is unrolled, and not every evaluation needs all.
    specs = offered[name].inputs.values()
    graph = tf.function(offered[name].function, autograph=False, input_signature=list(specs))
    return lambda *columns: graph(*(tf.constant(c, spec.dtype) for c, spec in zip(columns, specs, strict=True)))

  found = _text_functions({name: traced(name) for name in offered})

  def drawn(name):
    draw = getattr(model, name, None) if model.has_prior else None
    return (lambda count, seed: draw(count, seed).numpy()) if draw else None

  return dataclasses.replace(
      found, prior=drawn('prior_codes'), untrained=drawn('untrained_codes'),
      identity=lambda: digest(weight.numpy() for weight in model.weights))


def _text_functions(graphs):
  """`TextFunctions` of dict: a callable's name -> function of its inputs, tensors or what becomes tensors."""
  found = {field: _pieces(graphs[name]) for field, name in (
      ('encode', 'encoder'), ('decode', 'decoder'), ('interpolate', 'interpolator'),
      ('log_probability', 'log_probability'), ('transfer', 'transfer')) if name in graphs}
  return TextFunctions(**{'decode': None, 'interpolate': None, 'log_probability': None, **found},
                       sample=_drawn(graphs['sampler']) if 'sampler' in graphs else None)


# The inputs of a text module's callables, in the order of `TextFunctions`.
_TEXT_INPUTS = {'encoder': ('texts',), 'decoder': ('codes',), 'interpolator': ('texts_a', 'texts_b', 'alpha'),
                'log_probability': ('texts', 'targets'), 'transfer': ('texts', 'to'), 'sampler': ('count', 'seed')}


def of_text_module(handle, trust=False) -> tuple[TextFunctions, None]:
  """`TextFunctions` of a module of sentences that `python -m export` wrote, through hub.load.

  Args:
    handle: a folder, or an address that hub.load takes.
    trust: whether it is loaded without `safety.check_module`.

  Returns:
    (`TextFunctions`, None, since it takes sentences of any length).

  Raises:
    UserError: nothing there, no such module, or one that `safety.check_module` refuses.
  """
  import tensorflow as tf
  import tensorflow_hub as hub

  if not trust:
    safety.check_module(handle)
  try:
    module = hub.load(handle)
    if 'texts' not in module.signatures['encode'].structured_input_signature[1]:
      raise TypeError('it does not take texts')
  except Exception as error:  # As in `of_module`.
    raise _unloaded(handle, error) from error

  def called(name, inputs):
    def graph(*columns):
      tensors = {key: tf.constant(column) for key, column in zip(inputs, columns, strict=True)}
      return getattr(module, name)(tensors if len(tensors) > 1 else next(iter(tensors.values())))

    return graph

  graphs = {name: called(name, inputs) for name, inputs in _TEXT_INPUTS.items() if hasattr(module, name)}
  return _text_functions(graphs), None


def _unloaded(handle, error):
  return UserError(f'module {handle} cannot be loaded ({type(error).__name__}: {str(error).splitlines()[0][:120]}); '
                   'expected what python -m export wrote: a folder or an http(s) address.')


def of_module(handle, trust=False) -> tuple[Functions, tuple]:
  """`Functions` of a module that `python -m export` wrote, through hub.load.

  Args:
    handle, trust: as of `of_text_module`.

  Returns:
    (`Functions`, (height, width, channels) of its images).

  Raises:
    UserError: as `of_text_module`.
  """
  import tensorflow_hub as hub

  if not trust:
    safety.check_module(handle)
  try:
    module = hub.load(handle)
    inputs = module.signatures['encode'].structured_input_signature[1]
    if 'images' not in inputs:
      raise TypeError('it does not take images')
    outside = tuple(inputs['images'].shape[1:])
    parts = module.encoder, module.decoder, module.interpolator
    for name in ('encode', 'decode'):
      for output, spec in module.signatures[name].structured_outputs.items():
        if spec.dtype.name != 'float32':
          raise TypeError(f'{name} gives {output} of type {spec.dtype.name}, not float32')
  except Exception as error:  # The hub raises OSError, urllib's, TensorFlow's and attribute errors alike.
    raise _unloaded(handle, error) from error
  size, more = batch_of(outside), {}
  if hasattr(module, 'classifier'):
    more['classify'] = _batched(lambda x: module.classifier((x + 1) / 2), size)
  if hasattr(module, 'sampler'):
    more['sample'] = _drawn(lambda count, seed: 2 * module.sampler({'count': count, 'seed': seed}) - 1, size)
  return Functions(_batched(lambda x: parts[0]((x + 1) / 2), size), _batched(lambda z: 2 * parts[1](z) - 1, size),
                   represent=_batched(lambda x: module((x + 1) / 2), size), **more), outside
