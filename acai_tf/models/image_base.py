"""The base of all autoencoders of images: networks, latents, interpolation, and the step of a single objective."""

import contextlib
import math
from collections.abc import Callable

import keras
import tensorflow as tf

from acai_tf import interpolation, losses
from acai_tf.experiment import machine
from acai_tf.experiment.config import Network
from acai_tf.experiment.errors import UserError
from acai_tf.models import base
from acai_tf.networks import convolutional, dense

ROUNDING = 1e-3  # distance by which pixels may lie outside [-1, 1]


def traced_once(method, inputs) -> Callable:
  """Wraps a method in a tf.function, so that an exported module stores its graph once for several callables.

  If `training` does not change the graph, one graph serves both values.

  Args:
    method: a model's method (tensor, training) -> tensor.
    inputs: dict with the tf.TensorSpec of its one input.
  """
  spec, = inputs.values()
  traces: dict = {}

  def trace(training):
    if training not in traces:
      with tf.init_scope():
        traces[training] = tf.function(method, autograph=False).get_concrete_function(spec, training)
    return traces[training]

  def call(tensor, training=False):
    inference, requested = trace(False), trace(bool(training))
    same = inference.graph.as_graph_def() == requested.graph.as_graph_def()
    return (inference if same else requested)(tf.convert_to_tensor(tensor, spec.dtype))

  return call


class Autoencoder(base.Model):
  """An autoencoder of images x: latent z = f(x), reconstruction x^ = g(z).

  A subclass adds its further `players`. It implements `objective` (one loss for encoder and decoder), or `iteration` if
  several players have their own losses.

  Args:
    config: the model's Config.
    network: `config.Network`.
    shape: (height, width, channels) of the images; height = width.
    classes: number of classes of the labels, for the online classifier; 0: no classifier.
    seed: seed of the initial weights and the noise.
    precision: a Keras dtype policy; latents, images and weights are always float32.

  Raises:
    UserError: the images are not square, or the latent width does not fit them.
  """

  network_class = Network
  has_prior = False  # whether `sample` works; it samples N(0, I) unless a model overrides it
  gaussian_prior = False  # whether latents are trained to follow N(0, I), which paths of kind 'gaussian' keep
  smooth = True  # whether decoded images change continuously with the latent, as paths of finite length require

  def __init__(self, config, network, shape, classes=0, seed=0, precision='float32'):
    super().__init__(config, network, shape, classes, seed, precision)
    height, width, channels = shape
    if height != width:
      raise UserError(f'images are {height}x{width}; expected square ones.')
    self.image_shape = tuple(shape)
    self.encoder, self.decoder = self.create_autoencoder(height, channels, precision)
    self.classifier = dense.classifier(classes, seed) if classes else None
    self.means = base.Means(('classifier_loss', 'accuracy') if classes else ())
    self.create_networks(height, precision)
    self.build((None, *shape))

  @property
  def code_shape(self) -> tuple:
    """(height, width, channels) of one latent."""
    return self.network.latent_width, self.network.latent_width, self.network.latent

  def create_autoencoder(self, size, channels, precision) -> tuple:
    """Hook: returns (encoder, decoder), not built yet; by default the ACAI paper's convolutional networks."""
    return (convolutional.encoder(size, self.network, self.seed, precision),
            convolutional.decoder(size, channels, self.network, self.seed, precision))

  def create_networks(self, size, precision) -> None:
    """Hook: creates the further networks of a subclass."""

  def build(self, input_shape) -> None:
    """Creates all weights for images of `input_shape`, (None, height, width, channels); the constructor calls it.

    Layers of the players that `create_networks` has not built are built by a call on one image.
    """
    images = tf.zeros([1, *input_shape[1:]])
    self.encoder.build(input_shape)
    self.decoder.build((None, *self.code_shape))
    features = self.represent(images)
    for layers in self.players().values():
      for layer in layers:
        if not layer.built:
          layer(features if layer is self.classifier else images)
    self.built = True

  # Public methods. Images are [n, height, width, channels] floats in [-1, 1]. Arguments of another shape or dtype raise
  # a ValueError (`base.as_checked_tensor`). The range is not checked, because that would cost time in every step.

  def encode(self, images, training=False) -> tf.Tensor:
    """Images -> latents, [n, latent_width, latent_width, latent]; `interpolate` interpolates between these."""
    return self.encoder(base.as_checked_tensor(images, self.image_shape, 'images'), training=training)

  def encode_sample(self, images, seed) -> tf.Tensor:
    """Images -> the latents that the model's authors interpolate and cluster; by default those of `encode`.

    A model with a posterior q(z given x) returns an independent sample for each image, a function of the images and
    `seed` (an int or an int tensor).
    """
    del seed
    return self.encode(images)

  def decode(self, codes, training=False) -> tf.Tensor:
    """Latents -> images."""
    return self.decoder(base.as_checked_tensor(codes, self.code_shape, 'codes'), training=training)

  def represent(self, images, training=False) -> tf.Tensor:
    """Images -> [n, features] float32, the input of the probe and the clustering; by default the flattened latent."""
    return self.features(self.encode(images, training))

  def interpolate(self, images_a, images_b, alpha, path='linear', training=False) -> tf.Tensor:
    """Decodes the point at `alpha` on the path from a's latent (0) to b's (1).

    Args:
      images_a, images_b: images, n of each.
      alpha: [n] or a scalar, in [0, 1].
      path: 'linear', 'spherical', 'gaussian' (`interpolation.gaussian`, for models whose prior is N(0, I)),
        'same_class' (`with_class_of`: straight towards b, but with a's class), 'reencoded' (linear, and the decoded
        image is encoded and decoded again) or 'geodesic' (`interpolation.geodesic`, thousands of times slower).
      training: as in `encode`.

    Raises:
      ValueError: the path is unknown, the model does not have it, the images differ in shape or number, or `alpha` is
        invalid (`interpolation.coefficients`).
    """
    offered = {'gaussian': self.gaussian_prior, 'same_class': self.can_keep_class, 'geodesic': self.smooth}
    kinds = (*interpolation.PATHS, 'same_class', 'reencoded', 'geodesic')
    paths = tuple(kind for kind in kinds if offered.get(kind, True))
    if path not in paths:
      reason = {'gaussian': f': {self.name} has no prior N(0, I) for its latents to keep',
                'same_class': f': {self.name} has no classifier that reads its latents',
                'geodesic': f': {self.name} decodes the vectors of a codebook, so that images jump from cell to cell, '
                            'and no path is shortest'}.get(path, '')
      raise ValueError(f'path {path!r}{reason}; expected one of {paths}')
    first, second = self.encode(images_a, training), self.encode(images_b, training)
    if not first.shape.is_compatible_with(second.shape):
      raise ValueError(f'there are {first.shape[0]} images_a and {second.shape[0]} images_b; expected equally many.')
    alpha = interpolation.coefficients(alpha, first.shape[0], first.dtype)
    if path == 'same_class':
      second, path = self.with_class_of(first, second), 'linear'
    if path == 'geodesic':
      points = interpolation.geodesic(lambda codes: self.decode(codes, training), first, second)
      return self.decode(interpolation.along(points, alpha), training)
    if path == 'reencoded':
      images = self.decode(interpolation.between(first, second, alpha, 'linear'), training)
      return self.call(tf.clip_by_value(images, -1, 1), training)
    return self.decode(interpolation.between(first, second, alpha, path), training)

  @property
  def can_keep_class(self) -> bool:
    """Whether there are paths of kind 'same_class': the online classifier must read the latent itself."""
    return self.classifier is not None and type(self).represent is Autoencoder.represent

  def with_class_of(self, first, second) -> tf.Tensor:
    """The latents nearest to `second` at which the online classifier has the logits that it has at `first`.

    On the way to them all factors change that the classifier does not see. Images of the latents should keep the class.

    Args:
      first, second: latents, [n, ...].
    """
    flat_first, flat_second = self.features(first), self.features(second)
    kernel = tf.convert_to_tensor(self.classifier.weights[0])
    return tf.reshape(interpolation.with_logits_of(flat_first, flat_second, kernel), tf.shape(second))

  def sample(self, count, seed=0) -> tf.Tensor:
    """`count` images decoded from the prior N(0, I); a function of `seed`.

    Raises:
      ValueError: the model has no prior, or `count` is below 1.
    """
    if not self.has_prior:
      raise ValueError(f'{self.name} has no prior to sample codes from.')
    return self.decode(self.draw_noise(count, seed, self.code_shape))

  def draw_noise(self, count, seed, shape) -> tf.Tensor:
    """[count, *shape] samples of N(0, 1), a function of `seed`, for `count` images.

    Raises:
      ValueError: an argument is not an integer, `count` is below 1, or the images need more memory than is free.
    """
    count, seed = base.integer(count, 'count', 1), base.integer(seed, 'seed', -1 << 63)
    if isinstance(count, int):
      machine.require_memory({'count': 4 * count * math.prod(self.image_shape)})
    return tf.random.stateless_normal([count, *shape], [seed, 0])

  def call(self, images, training=False) -> tf.Tensor:
    """Reconstructs images."""
    return self.decode(self.encode(images, training), training)

  def exporting(self) -> contextlib.AbstractContextManager:
    return convolutional.without_custom_gradients()

  def callables(self) -> list[base.Callable]:
    """As in `base.Model`; inputs and outputs named images* are in [-1, 1]."""
    images, codes = self.inputs_of(images=self.image_shape), self.inputs_of(codes=self.code_shape)
    pair = self.inputs_of(images_a=self.image_shape, images_b=self.image_shape, alpha=())

    represent = traced_once(self.represent, images)
    encode, decode = traced_once(self.encode, images), traced_once(self.decode, codes)

    def interpolate(images_a, images_b, alpha, training=False, path='linear'):
      first, second = encode(images_a, training), encode(images_b, training)
      alpha = interpolation.pair_coefficients(alpha, first)
      return decode(interpolation.between(first, second, alpha, path), training)

    def interpolate_spherical(images_a, images_b, alpha, training=False):
      return interpolate(images_a, images_b, alpha, training, 'spherical')

    def interpolate_gaussian(images_a, images_b, alpha, training=False):
      return interpolate(images_a, images_b, alpha, training, 'gaussian')

    def interpolate_reencoded(images_a, images_b, alpha, training=False):
      images = interpolate(images_a, images_b, alpha, training)
      return decode(encode(tf.clip_by_value(images, -1, 1), training), training)

    def interpolate_same_class(images_a, images_b, alpha, training=False):
      first, second = encode(images_a, training), encode(images_b, training)
      alpha = interpolation.pair_coefficients(alpha, first)
      return decode(interpolation.between(first, self.with_class_of(first, second), alpha, 'linear'), training)

    def sample(count, seed, training=False):
      del training
      return self.sample(count, seed)

    def classify(images, training=False):
      return self.classifier(represent(images, training))

    callables = [
        base.Callable('features', represent, images, 'features of an image, for the probe, [n, d]', 'features'),
        base.Callable('encoder', encode, images, 'code of an image, [n, height, width, channels]', 'codes'),
        base.Callable('decoder', decode, codes, 'image decoded from a code, [n, height, width, channels]', 'images'),
        base.Callable('interpolator', interpolate, pair,
                      "image decoded at alpha on the straight line between two images' codes, 0 is a's and 1 is b's",
                      'images'),
        base.Callable('interpolator_spherical', interpolate_spherical, pair,
                      "image decoded at alpha on the great circle between two images' codes, 0 is a's and 1 is b's",
                      'images'),
        base.Callable('interpolator_reencoded', interpolate_reencoded, pair,
                      "image decoded at alpha on the straight line between two images' codes, encoded and decoded "
                      "again, 0 is a's and 1 is b's", 'images')]
    if self.gaussian_prior:
      callables.append(base.Callable(
          'interpolator_gaussian', interpolate_gaussian, pair,
          "image decoded at alpha on the path between two images' codes that keeps their prior N(0, I), 0 is a's and 1 "
          "is b's", 'images'))
    if self.has_prior:
      number = {name: tf.TensorSpec([], tf.int32) for name in ('count', 'seed')}
      callables.append(base.Callable('sampler', sample, number, 'images decoded from samples of the prior', 'images'))
    if self.can_keep_class:
      callables.append(base.Callable(
          'interpolator_same_class', interpolate_same_class, pair,
          "image decoded at alpha on the way from a's code towards b's on which the classifier's logits are those of a",
          'images'))
    if self.classifier:
      callables.append(base.Callable(
          'classifier', classify, images, 'logits of the jointly trained classifier, [n, classes]', 'logits'))
    return callables

  @staticmethod
  def inputs_of(**shapes) -> dict[str, tf.TensorSpec]:
    """`Callable.inputs` for float32 batches; `shapes`: name=shape without the batch dimension."""
    return {name: tf.TensorSpec([None, *shape], tf.float32) for name, shape in shapes.items()}

  # Players.

  def players(self) -> dict[str, list]:
    return {'autoencoder': [self.encoder, self.decoder], **self._classifier_player()}

  def _classifier_player(self):
    return {'classifier': [self.classifier]} if self.classifier else {}

  def classifier_losses(self, features, labels) -> tuple[dict, dict]:
    """The loss of the online classifier, for `minimize`. No gradient reaches the features, and thus the encoder.

    Args:
      features: [n, d].
      labels: as in the data set, or None.

    Returns:
      ({'classifier': loss}, logs); ({}, {}) if there are no labels or there is no classifier.
    """
    if self.classifier is None or labels is None:
      return {}, {}
    loss, accuracy = losses.classification(labels, self.classifier(tf.stop_gradient(features)))
    return {'classifier': loss}, {'classifier_loss': loss, 'accuracy': accuracy}

  def uniform(self, batch, shape=(1, 1, 1), salt=0) -> tf.Tensor:
    """As in `base.Model`; by default one number per latent, [n, 1, 1, 1], which broadcasts against latents."""
    return super().uniform(batch, shape, salt)

  # Steps.

  def objective(self, images) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
    """Hook for models with one loss, called under the tape: (loss, features [n, d] for the classifier, logs)."""
    codes = self.encode(images, training=True)
    loss = losses.mean_squared_error(images, self.decode(codes, training=True))
    return loss, self.features(codes), {'recon_mse': loss}

  def iteration(self, data) -> dict[str, tf.Tensor]:
    """Updates each player once. `data` is images or (images, labels)."""
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape(persistent=True) as tape:
      loss, features, logs = self.objective(images)
      classifier_loss, classifier_logs = self.classifier_losses(features, labels)
      self.minimize(tape, {'autoencoder': loss, **classifier_loss})
    return {**logs, **classifier_logs}

  def features(self, codes) -> tf.Tensor:
    """Flattens latents: [n, h, w, c] -> [n, h * w * c]. By default these are the features that `represent` returns."""
    return tf.reshape(codes, [tf.shape(codes)[0], codes.shape[1] * codes.shape[2] * codes.shape[3]])

  def check_inputs(self, inputs, labels) -> None:
    base.check_fit(inputs, self.image_shape, 'images')
    classes = self._arguments['classes']
    if labels is None or not classes:
      return
    shape = tuple(labels.shape)
    if not (len(shape) == 1 or len(shape) == 2 and shape[1] == classes):
      raise ValueError(f'labels have shape {shape}; expected [n] classes, or [n, {classes}] of 0 and 1.')
    base.check_type(labels, 'labels', f'ints, [n] classes from 0 to {classes - 1}, or [n, {classes}] of 0 and 1')

  def check_values(self, inputs, labels) -> None:
    low, high = inputs.min(), inputs.max()
    if not (low >= -1 - ROUNDING and high <= 1 + ROUNDING):  # NaN fails both comparisons
      raise ValueError(f'images go from {low:.4g} to {high:.4g}; expected finite numbers in [-1, 1]: x / 127.5 - 1, if '
                       'yours are in [0, 255].')
    classes = self._arguments['classes']
    if labels is None or not classes:
      return
    if len(labels) != len(inputs):
      raise ValueError(f'there are {len(inputs)} images and {len(labels)} labels; expected equally many.')
    last = classes - 1 if labels.ndim == 1 else 1
    if labels.min() < 0 or labels.max() > last:
      raise ValueError(f'labels go from {labels.min()} to {labels.max()}; expected 0 to {last}.')

  def test_step(self, data) -> dict:
    """A batch of Keras's `evaluate`: means so far of the reconstruction error and, with labels, of the classifier."""
    self.check_batch(data)
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
    logs = {'recon_mse': losses.mean_squared_error(images, self(images))}
    return self.means({**logs, **self.classifier_losses(self.represent(images), labels)[1]}, data)
