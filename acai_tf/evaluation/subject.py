"""Models as functions of arrays, so that live models and exported modules are evaluated by the same code."""

import dataclasses
from concurrent import futures

import numpy as np

from acai_tf import files, safety
from acai_tf.experiment import machine
from acai_tf.experiment.errors import UserError

BATCH_SENTENCES = 512
# Subdivisions of each segment when path lengths are measured. With twice as many, ACAI's on lines are 0.5 % longer.
PARTS = 16
# Pixels per batch. Of 16 to 512 images of 32x32 lines per batch, 256 is within 4 % of the speed of 512.
BATCH_PIXELS = 256 * 32 * 32


@dataclasses.dataclass(frozen=True)
class Functions:
  """An image model as functions of NumPy arrays of any length; images are [n, height, width, channels] in [-1, 1].

  `encode` and `decode` are required. The others are None (or 0, or False) if the model does not have them.
  """

  encode: object  # images -> [n, ...] codes
  decode: object  # codes -> images
  classify: object = None  # images -> [n, classes] logits of the jointly trained classifier
  represent: object = None  # images -> [n, d] inputs of the probe; default: the flattened codes
  encode_sample: object = None  # (images, seed as a list of ints) -> codes sampled from q(z|x)
  posterior: object = None  # images -> [n, 2, d] mean and log variance of q(z|x)
  logits: object = None  # [n, d] codes -> Bernoulli logits of pixels, in the shape of images
  indices: object = None  # images -> [n, codes] codebook indices
  sample: object = None  # (count, seed) -> images decoded from samples of the prior
  codebook: int = 0  # size of the codebook
  gaussian: bool = False  # whether the prior is N(0, I), which paths of kind 'gaussian' keep
  same_class: object = None  # (images, images, alpha) -> images towards the second ones, with the first ones' class
  geodesics: object = None  # () -> function: [n, 2, ...] endpoint codes -> [n, 2, k, height, width, channels] images
  identity: object = None  # () -> hex digest of the current weights


@dataclasses.dataclass(frozen=True)
class TextFunctions:
  """A sentence model as functions of lists of n strings and NumPy arrays. All but `encode` may be None."""

  encode: object  # texts -> [n, d] codes
  decode: object  # codes -> texts
  interpolate: object  # (texts, texts, [n] alpha) -> texts
  log_probability: object  # (texts, targets) -> [n] log-probabilities of the targets given the codes of the texts
  sample: object = None  # (count, seed) -> texts
  prior: object = None  # (count, seed) -> codes sampled from the prior, without noise; live models only
  untrained: object = None  # (count, seed) -> codes of the untrained generator
  transfer: object = None  # (texts, [n] target classes) -> texts


def batch_of(shape) -> int:
  """Batch size for images of `shape`, so that batches of all image sizes take about the same memory."""
  return max(1, BATCH_PIXELS // (shape[0] * shape[1]))


def digest(arrays) -> str:
  """SHA-256 of a sequence of arrays, their shapes and their types, in hex."""
  return files.digest(part for array in map(np.ascontiguousarray, arrays)
                      for part in (f'{array.shape}{array.dtype}'.encode(), array.data))


def _batched(function, size, *specs):
  """Wraps a TensorFlow function as a function of NumPy arrays that runs batches of `size` in parallel on all cores.

  If `specs` are given, the function is traced. If a seed, ints, is passed after the array, the function gets a
  different seed, derived from it, as its second argument for each batch.
  """
  import tensorflow as tf

  pool = futures.ThreadPoolExecutor(len(machine.cores()))
  traced = tf.function(function, autograph=False).get_concrete_function(*specs) if specs else function

  def call(array, seed=None):
    batches = [tf.constant(array[i:i + size], tf.float32) for i in range(0, len(array), size)]
    seeds = [] if seed is None else [
        tf.constant(np.random.SeedSequence(seed).generate_state(len(batches)).astype(np.int64))]
    return np.concatenate(list(pool.map(lambda *inputs: traced(*inputs).numpy(), batches, *seeds)))

  return call


def _pairwise(function, size):
  """Wraps a TensorFlow function (images, images, scalar) -> images as one of NumPy arrays, in batches of `size`."""
  import tensorflow as tf

  def call(first, second, alpha):
    alpha = tf.constant(alpha, tf.float32)
    return np.concatenate([
        function(tf.constant(first[i:i + size], tf.float32), tf.constant(second[i:i + size], tf.float32), alpha).numpy()
        for i in range(0, len(first), size)])

  return call


def of_model(model) -> Functions:
  """Creates the `Functions` of a live model (acai_tf.models.image_base.Autoencoder) from its callables."""
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
  if 'interpolator_same_class' in offered:
    more['same_class'] = _pairwise(tf.function(offered['interpolator_same_class'].function, autograph=False), size)
  if model.smooth:
    more['geodesics'] = lambda: _geodesics(model)
  if 'sampler' in offered:
    more['sample'] = _batched_sampler(tf.function(offered['sampler'].function, autograph=False, input_signature=list(
        offered['sampler'].inputs.values())), size)
  return Functions(batched('encoder'), batched('decoder'), represent=batched('features'),
                   gaussian=model.gaussian_prior, identity=lambda: digest(weight.numpy() for weight in model.weights),
                   **more)


def _geodesics(model):
  """Returns a function [n, 2, ...] endpoint codes -> finely subdivided images along straight paths and geodesics.

  Images are decoded in float32. With steps this small, the rounding of bfloat16 would dominate: on lines, straight
  paths of an autoencoder came out 10 % longer, and with four times as many steps twice as long.
  """
  import tensorflow as tf

  from acai_tf import interpolation

  precise = type(model).from_config({**model.get_config(), 'precision': 'float32'})
  precise.set_weights(model.get_weights())

  def paths(ends):
    first, second = ends[:, 0], ends[:, 1]
    points = tf.stack([interpolation.path(first, second, interpolation.POINTS),
                       interpolation.geodesic(precise.decode, first, second)], axis=1)  # [n, 2, points, ...]
    return interpolation.refined(tf.reshape(points, [-1, *points.shape[2:]]), PARTS)

  spec, size = tf.TensorSpec([None, 2, *model.code_shape], tf.float32), batch_of(model.image_shape)
  find = _batched(paths, max(1, size // interpolation.POINTS), spec)
  decode = _batched(precise.decode, size, tf.TensorSpec([None, *model.code_shape], tf.float32))

  def call(ends):
    codes = find(ends)
    images = decode(codes.reshape(-1, *model.code_shape))
    return images.reshape(len(ends), 2, codes.shape[1], *model.image_shape)

  return call


def _texts(array):
  """Converts [n] byte strings to n strings, and returns other arrays unchanged."""
  return [text.decode() for text in array] if array.dtype == object else array


def _batched_texts(function):
  """Wraps a TensorFlow function as a function of lists and arrays that runs batches in parallel on all cores.

  The result is a NumPy array, or a list of strings.
  """
  pool = futures.ThreadPoolExecutor(len(machine.cores()))

  def call(*columns):
    starts = range(0, len(columns[0]), BATCH_SENTENCES)
    batches = [[column[i:i + BATCH_SENTENCES] for column in columns] for i in starts]
    return _texts(np.concatenate(list(pool.map(lambda batch: function(*batch).numpy(), batches))))

  return call


def _batched_sampler(function, size=BATCH_SENTENCES):
  """Wraps a sampler as a function (count, seed) -> texts or images. Each batch of `size` has a different seed."""
  import tensorflow as tf

  def call(count, seed):
    sizes = [min(size, count - start) for start in range(0, count, size)]
    seeds = np.random.SeedSequence(seed).generate_state(len(sizes)) >> 1
    return _texts(np.concatenate([function(tf.constant(size), tf.constant(int(number), tf.int32)).numpy()
                                  for size, number in zip(sizes, seeds, strict=True)]))

  return call


def of_text_model(model) -> TextFunctions:
  """Creates the `TextFunctions` of a live model (acai_tf.models.text_base.TextAutoencoder) from its callables."""
  import tensorflow as tf

  offered = {c.name: c for c in model.callables()}

  def traced(name):  # Traced at the first call: decoding is unrolled, and an evaluation may not need all functions.
    specs = offered[name].inputs.values()
    graph = tf.function(offered[name].function, autograph=False, input_signature=list(specs))
    return lambda *columns: graph(*(tf.constant(c, spec.dtype) for c, spec in zip(columns, specs, strict=True)))

  functions = _text_functions({name: traced(name) for name in offered})

  def drawn(name):
    draw = getattr(model, name, None) if model.has_prior else None
    return (lambda count, seed: draw(count, seed).numpy()) if draw else None

  return dataclasses.replace(functions, prior=drawn('prior_codes'), untrained=drawn('untrained_codes'))


def _text_functions(graphs):
  """Creates `TextFunctions` from a dict: name of a callable -> function of its inputs."""
  functions = {field: _batched_texts(graphs[name]) for field, name in (
      ('encode', 'encoder'), ('decode', 'decoder'), ('interpolate', 'interpolator'),
      ('log_probability', 'log_probability'), ('transfer', 'transfer')) if name in graphs}
  return TextFunctions(**{'decode': None, 'interpolate': None, 'log_probability': None, **functions},
                       sample=_batched_sampler(graphs['sampler']) if 'sampler' in graphs else None)


# The inputs of the callables of an exported text module, in the order of the arguments of `TextFunctions`.
_TEXT_INPUTS = {'encoder': ('texts',), 'decoder': ('codes',), 'interpolator': ('texts_a', 'texts_b', 'alpha'),
                'log_probability': ('texts', 'targets'), 'transfer': ('texts', 'to'), 'sampler': ('count', 'seed')}


def of_text_module(handle, trust=False) -> tuple[TextFunctions, None]:
  """Loads a sentence module that `acai export` wrote, by hub.load, as `TextFunctions`.

  Args:
    handle: a folder, or a URL as in hub.load.
    trust: whether to load the module without `safety.check_module`.

  Returns:
    (`TextFunctions`, None, since it takes sentences of any length).

  Raises:
    UserError: the module does not exist, is of another kind, or is refused by `safety.check_module`.
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
  return UserError(f'module {handle} cannot be loaded ({type(error).__name__}: {" ".join(str(error).split())[:120]}); '
                   'expected what acai export wrote: a folder or an http(s) address.')


def of_module(handle, trust=False) -> tuple[Functions, tuple]:
  """Loads an image module that `acai export` wrote, by hub.load, as `Functions`.

  Args:
    handle, trust: as in `of_text_module`.

  Returns:
    (`Functions`, (height, width, channels) of its images).

  Raises:
    UserError: as in `of_text_module`.
  """
  import tensorflow as tf
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
  except Exception as error:  # hub.load raises OSError, AttributeError, and errors of urllib and TensorFlow.
    raise _unloaded(handle, error) from error
  size, more = batch_of(outside), {}
  for field, name in (('classify', 'classifier'), ('posterior', 'posterior')):
    if hasattr(module, name):
      more[field] = _batched(lambda x, name=name: getattr(module, name)((x + 1) / 2), size)
  if hasattr(module, 'sampling_encoder'):
    more['encode_sample'] = _batched(
        lambda x, seed: module.sampling_encoder({'images': (x + 1) / 2, 'seed': seed}), size)
  if hasattr(module, 'pixel_logits'):
    shape = module.signatures['decode'].structured_input_signature[1]['codes'].shape[1:]
    more['logits'] = _batched(lambda z: module.pixel_logits(tf.reshape(z, [-1, *shape])), size)
  if hasattr(module, 'interpolator_same_class'):
    more['same_class'] = _pairwise(lambda a, b, alpha: 2 * module.interpolator_same_class(
        {'images_a': (a + 1) / 2, 'images_b': (b + 1) / 2, 'alpha': alpha}) - 1, size)
  if hasattr(module, 'sampler'):
    more['sample'] = _batched_sampler(lambda count, seed: 2 * module.sampler({'count': count, 'seed': seed}) - 1, size)
  return Functions(_batched(lambda x: parts[0]((x + 1) / 2), size), _batched(lambda z: 2 * parts[1](z) - 1, size),
                   represent=_batched(lambda x: module((x + 1) / 2), size),
                   gaussian=hasattr(module, 'interpolator_gaussian'), **more), outside
