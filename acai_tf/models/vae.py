"""A variational autoencoder (Kingma and Welling 2014; beta of Higgins et al. 2017; ACAI paper, section 4)."""

import dataclasses

import tensorflow as tf

from acai_tf import config, losses, networks
from acai_tf.models import base


@dataclasses.dataclass(frozen=True)
class Config:
  """`beta` weighs the KL divergence. `interpolate`: 'mean' or 'sample' of q(z given x) is what `encode` gives.

  The authors' program interpolated samples; means are this project's choice, being deterministic.
  """

  beta: float = 1.0
  interpolate: str = 'mean'


class Model(base.Autoencoder):
  """L = (sum over images of -log p(x given z) + beta KL(q(z given x) || N(0, I))) / batch, z ~ q.

  Two linear heads on the flat encoder output give mean and log variance; p is Bernoulli over pixels in [0, 1], whose
  targets are (x + 1) / 2, so that an image is 2 sigmoid(logits) - 1. The probe sees the encoder's output, before the
  heads.
  """

  has_prior = True

  def create_networks(self, size, precision):
    config.one_of('model.interpolate', self.config.interpolate, ('mean', 'sample'))
    dimension = self.network.latent_width**2 * self.network.latent
    numbers = networks.seeds(self.seed, 'heads')
    self.mean_head, self.log_variance_head = (
        networks.dense(dimension, next(numbers), name) for name in ('mean', 'log_variance'))

  def players(self):
    heads = [self.mean_head, self.log_variance_head]
    return {'autoencoder': [self.encoder, *heads, self.decoder], **self._classifier_player()}

  def posterior(self, images, training=False):
    """Images -> (mean, log variance) of q(z given x), [n, d] each, and the probe's features [n, d]."""
    features = self.features(self.encoder(images, training=training))
    return self.mean_head(features), self.log_variance_head(features), features

  def sample_posterior(self, mean, log_variance):
    """z = mean + sigma n, n ~ N(0, I): a function of (seed, step)."""
    noise = self.normal(mean.shape[0] or tf.shape(mean)[0], mean.shape[1:])
    return mean + tf.exp(0.5 * log_variance) * noise

  def to_code(self, flat):
    """[n, d] -> the code's shape."""
    width = self.network.latent_width
    return tf.reshape(flat, [-1, width, width, self.network.latent])

  def encode(self, images, training=False):
    mean, log_variance, _ = self.posterior(images, training)
    return self.to_code(mean if self.config.interpolate == 'mean' else self.sample_posterior(mean, log_variance))

  def decode(self, codes, training=False):
    return 2 * tf.sigmoid(self.decoder(codes, training=training)) - 1

  def represent(self, images, training=False):
    return self.posterior(images, training)[2]

  def objective(self, images):
    mean, log_variance, features = self.posterior(images, training=True)
    logits = self.decoder(self.to_code(self.sample_posterior(mean, log_variance)), training=True)
    rate = losses.gaussian_kl(mean, log_variance)
    distortion = losses.bernoulli(images, logits)
    recon_loss = losses.mean_squared_error(images, 2 * tf.sigmoid(logits) - 1)
    return distortion + self.config.beta * rate, features, {
        'recon_loss': recon_loss, 'kl_loss': rate, 'likelihood_loss': distortion}
