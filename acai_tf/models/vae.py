"""A variational autoencoder (Kingma and Welling 2014; beta of Higgins et al. 2017; ACAI paper, section 4)."""

from typing import Annotated

import tensorflow as tf

from acai_tf import losses
from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import base, image_base
from acai_tf.networks import dense


@config_dataclass('model')
class Config:
  """Settings of `Model`."""

  beta: Annotated[float, '[0, inf)'] = 1.0  # weight of the KL divergence


class Model(image_base.Autoencoder):
  """L = (sum over images of -log p(x given z) + beta KL(q(z given x) || N(0, I))) / batch, z ~ q.

  Two linear heads on the flattened output of the encoder give mean and log variance. p is Bernoulli for each pixel in
  [0, 1]: targets are (x + 1) / 2, and an image is 2 sigmoid(logits) - 1. The probe uses the output of the encoder,
  before the heads. `encode` is deterministic and returns the mean of q; the authors interpolate and cluster samples of
  q (`encode_sample`).
  """

  has_prior = gaussian_prior = True

  def create_networks(self, size, precision) -> None:
    seeds = dense.seeds(self.seed, 'heads')
    self.mean_head, self.log_variance_head = (
        dense.linear(self.network.dimension, next(seeds), name) for name in ('mean', 'log_variance'))

  def players(self) -> dict[str, list]:
    heads = [self.mean_head, self.log_variance_head]
    return {'autoencoder': [self.encoder, *heads, self.decoder], **self._classifier_player()}

  def callables(self) -> list[base.Callable]:
    images, codes = self.inputs_of(images=self.image_shape), self.inputs_of(codes=self.code_shape)

    def posterior(images, training=False):
      return tf.stack(self.posterior(images, training)[:2], axis=1)

    def encode_sample(images, seed, training=False):
      del training
      return self.encode_sample(images, seed)

    return [
        *super().callables(),
        base.Callable('posterior', posterior, images, 'mean and log variance of q(z given x), [n, 2, d]', 'moments'),
        base.Callable('sampling_encoder', encode_sample, {**images, 'seed': tf.TensorSpec([], tf.int64)},
                      'a sample of q(z given x) for every image', 'codes'),
        base.Callable('pixel_logits', self.decoder, codes,
                      'logits of the Bernoulli pixels of a code, in the shape of images', 'logits')]

  def posterior(self, images, training=False) -> tuple:
    """Images -> (mean of q(z given x), its log variance, input of the probe), [n, d] each."""
    images = base.as_checked_tensor(images, self.image_shape, 'images')
    features = self.features(self.encoder(images, training=training))
    return self.mean_head(features), self.log_variance_head(features), features

  def to_code(self, flat) -> tf.Tensor:
    """[n, d] -> [n, width, width, channels], the latent's shape."""
    return tf.reshape(flat, [-1, *self.code_shape])

  def encode(self, images, training=False) -> tf.Tensor:
    return self.to_code(self.posterior(images, training)[0])

  def encode_sample(self, images, seed) -> tf.Tensor:
    mean, log_variance, _ = self.posterior(images)
    noise = tf.random.stateless_normal(tf.shape(mean), tf.stack([tf.cast(seed, tf.int64), 1]))  # `sample` has 0
    return self.to_code(mean + tf.exp(0.5 * log_variance) * noise)

  def decode(self, codes, training=False) -> tf.Tensor:
    return 2 * tf.sigmoid(self.decoder(base.as_checked_tensor(codes, self.code_shape, 'codes'), training=training)) - 1

  def represent(self, images, training=False) -> tf.Tensor:
    return self.posterior(images, training)[2]

  def objective(self, images) -> tuple:
    return self.bound(images)[:3]

  def bound(self, images) -> tuple:
    """As `objective`, and the latents z ~ q, [n, width, width, latent]: (loss, features, logs, latents)."""
    mean, log_variance, features = self.posterior(images, training=True)
    noise = self.normal(mean.shape[0] or tf.shape(mean)[0], mean.shape[1:])
    codes = self.to_code(mean + tf.exp(0.5 * log_variance) * noise)
    logits = self.decoder(codes, training=True)
    rate = losses.gaussian_kl(mean, log_variance)
    distortion = losses.bernoulli(images, logits)
    recon_mse = losses.mean_squared_error(images, 2 * tf.sigmoid(logits) - 1)
    return distortion + self.config.beta * rate, features, {
        'recon_mse': recon_mse, 'kl_loss': rate, 'likelihood_loss': distortion}, codes
