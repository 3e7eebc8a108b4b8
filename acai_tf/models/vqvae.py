"""A vector-quantized autoencoder (van den Oord et al. 2017), as in section 4 of the ACAI paper."""

from typing import Annotated, Literal

import keras
import tensorflow as tf

from acai_tf import losses, replicas
from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import base, image_base
from acai_tf.networks import dense, quantizer


@config_dataclass('model')
class Config:
  """Settings of `Model`."""

  commitment: Annotated[float, '[0, inf)'] = 10.0  # weight of the commitment loss (beta in the VQ-VAE paper)
  # 'dense' (the ACAI authors'): a linear layer computes `codes` vectors of size d from the flattened latent of size d,
  # and after quantization two dense layers map them back to size d. 'conv' (common today): each position's channels are
  # a vector.
  bottleneck: Literal['dense', 'conv'] = 'dense'
  codes: Annotated[int, '[1, inf)'] = 10  # number of codebook vectors per image, with the dense bottleneck
  codebook: Annotated[int, '[1, inf)'] = 1 << 14  # number of vectors in the codebook
  decay: Annotated[float, '[0, 1)'] = 0.999  # decay of the moving averages from which the codebook is computed
  epsilon: Annotated[float, '(0, inf)'] = 1e-5  # smoothing of the counts in those averages
  units: Annotated[int, '[1, inf)'] = 512  # width of the hidden layer of the dense bottleneck
  # A vector whose use falls below this share of the mean use is reset to a recent encoding; 0: never.
  restart: Annotated[float, '[0, 1)'] = 0.0

  # Without restarts, all images of lines used a single vector, from the first steps to step 1,500 at least. With 0.1,
  # 124 vectors are in use at each step.
  RECIPES = {'paper': {}, 'fast': {'model': {'restart': 0.1}}}

  def parameters(self, network) -> int:
    """Number of weights of the bottleneck; `network`: `config.Network`."""
    if self.bottleneck == 'conv':
      return self.codebook * network.latent
    return (self.codebook + self.codes * (network.dimension + self.units) + self.units) * network.dimension


class Model(image_base.Autoencoder):
  """L = mean (x - g(q))^2 + commitment mean (z - sg[e])^2, e the codebook vectors nearest to z, q computed from e.

  The straight-through estimator passes the gradient of q to z. The latent that is interpolated is the convolutional map
  before quantization; the probe uses q.
  """

  smooth = False

  def create_networks(self, size, precision) -> None:
    settings, dimension, seeds = self.config, self.network.dimension, dense.seeds(self.seed, 'bottleneck')

    def linear(units, name):
      return dense.linear(units, next(seeds), name)

    self.is_dense = settings.bottleneck == 'dense'
    self.vector_size = dimension if self.is_dense else self.network.latent
    self.quantizer = quantizer.Quantizer(
        settings.codebook, self.vector_size, settings.decay, settings.epsilon, settings.restart, next(seeds))
    if self.is_dense:
      self.spread = linear(settings.codes * dimension, 'spread')
      self.gather = keras.Sequential([
          keras.layers.ReLU(), linear(settings.units, 'hidden'), keras.layers.ReLU(), linear(dimension, 'gathered')])

  def players(self) -> dict[str, list]:
    inner = [self.spread, self.gather] if self.is_dense else []
    return {'autoencoder': [self.encoder, *inner, self.decoder], **self._classifier_player()}

  def callables(self) -> list[base.Callable]:
    def choose(images, training=False):
      return tf.reshape(self.bottleneck(self.encode(images, training))[2], [tf.shape(images)[0], -1])

    return [*super().callables(), base.Callable(
        'indices', choose, self.inputs_of(images=self.image_shape),
        'codebook indices of an image, [n, codes]', 'indices')]

  def bottleneck(self, codes) -> tuple:
    """Latents -> (q, of the same shape; vectors before quantization, [m, size]; indices of codebook vectors, [m])."""
    flat = self.features(base.as_checked_tensor(codes, self.code_shape, 'codes'))
    vectors = tf.reshape(self.spread(flat) if self.is_dense else flat, [-1, self.vector_size])
    nearest, indices = self.quantizer(vectors)
    if self.is_dense:
      nearest = self.gather(tf.reshape(nearest, [-1, self.config.codes * self.vector_size]))
    return tf.reshape(nearest, [-1, *self.code_shape]), vectors, indices

  def decode(self, codes, training=False) -> tf.Tensor:
    return self.decoder(self.bottleneck(codes)[0], training=training)

  def represent(self, images, training=False) -> tf.Tensor:
    return self.features(self.bottleneck(self.encode(images, training))[0])

  def iteration(self, data) -> dict:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)  # [n, h, w, c]
    with tf.GradientTape(persistent=True) as tape:
      quantized, vectors, indices = self.bottleneck(self.encode(images, training=True))  # [n, w, w, latent], ...
      recon_mse = losses.mean_squared_error(images, self.decoder(quantized, training=True))
      chosen = tf.gather(tf.convert_to_tensor(self.quantizer.codebook), indices)
      commitment_loss = losses.mean_squared_error(tf.stop_gradient(chosen), vectors)
      classifier_loss, classifier_logs = self.classifier_losses(self.features(quantized), labels)
      self.minimize(tape, {'autoencoder': recon_mse + self.config.commitment * commitment_loss, **classifier_loss})
    per_image = self.config.codes if self.is_dense else self.network.latent_width**2  # vectors of an image
    # Indices are gathered as floats, because replicas can sum only floats.
    global_indices = tf.cast(replicas.gather(tf.cast(indices, tf.float32), per_image), tf.int32)
    seed = tf.stack([tf.constant(self.seed, tf.int64), tf.convert_to_tensor(self.step) + 1])
    counts = self.quantizer.update(replicas.gather(vectors, per_image), global_indices, seed)
    return {'recon_mse': recon_mse, 'commitment_loss': commitment_loss, 'perplexity': quantizer.perplexity(counts),
            'codes_used': tf.reduce_mean(tf.cast(counts > 0, tf.float32)), **classifier_logs}
