"""An adversarial autoencoder (Makhzani et al. 2016), as in section 4 of the ACAI paper."""

from typing import Annotated

import keras
import tensorflow as tf

from acai_tf import losses
from acai_tf.experiment.config import Annealing
from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import base, image_base
from acai_tf.networks import convolutional, dense


@config_dataclass('model')
class Config(Annealing):
  """Settings of `Model`."""

  units: Annotated[int, '[1, inf)'] = 100  # width of each of the discriminator's two hidden layers
  adversarial: Annotated[float, '[0, inf)'] = 1.0  # w, weight of the encoder's cross-entropy; the ACAI authors: 1
  adversarial_from: Annotated[int, '[0, inf)'] = 0  # step before which w is 0

  # With the fast recipe's learning rate and w = 1 from the start, all latents drift the same way before reconstruction
  # has begun, and the model never reconstructs. The recipe's values were found by experiments on lines.
  RECIPES = {'paper': {}, 'fast': {'model': {'adversarial': 0.01, 'adversarial_from': 512}}}


class Model(image_base.Autoencoder):
  """A discriminator D separates samples of the prior N(0, I) from latents; the encoder is trained to fool it.

  BCE(l, t) is the cross-entropy of a logit l:

      discriminator: L_D = BCE(D(h), 1) + BCE(D(f(x)), 0), h ~ N(0, I)
      autoencoder:   L = mean (x - g(f(x)))^2 + w BCE(D(f(x)), 1)
  """

  has_prior = gaussian_prior = True

  def create_networks(self, size, precision) -> None:
    seeds = dense.seeds(self.seed, 'discriminator')
    layers = []
    for units in (self.config.units, self.config.units, 1):
      layers.append(dense.linear(units, next(seeds)))
      layers.append(keras.layers.LeakyReLU(negative_slope=convolutional.SLOPE))
    self.discriminator = keras.Sequential(layers[:-1], name='discriminator')
    self.discriminator.build((None, self.network.dimension))

  def players(self) -> dict[str, list]:
    return {'autoencoder': [self.encoder, self.decoder], 'discriminator': [self.discriminator],
            **self._classifier_player()}

  def callables(self) -> list[base.Callable]:
    def discriminate(codes, training=False):
      return tf.squeeze(self.discriminator(self.features(codes), training=training), 1)

    return [*super().callables(), base.Callable(
        'discriminator', discriminate, self.inputs_of(codes=self.code_shape),
        'logit that a code was drawn from the prior, [n]', 'prior_logit')]

  def iteration(self, data) -> dict[str, tf.Tensor]:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)  # [n, h, w, c]
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)  # [n, width, width, latent]
      features = self.features(codes)  # [n, d]
      prior = self.normal(images.shape[0] or tf.shape(images)[0], features.shape[1:])
      answer = self.discriminator(features)  # logits, [n, 1]

      recon_mse = losses.mean_squared_error(images, self.decode(codes, training=True))
      fool_loss = losses.real_or_fake(answer, real=True)
      discriminator_loss = losses.real_or_fake(self.discriminator(prior), True) + losses.real_or_fake(answer, False)
      classifier_loss, classifier_logs = self.classifier_losses(features, labels)
      weight = self.config.adversarial * self.annealing() * self.active_from(self.config.adversarial_from)
      self.minimize(tape, {
          'autoencoder': recon_mse + weight * fool_loss, 'discriminator': discriminator_loss, **classifier_loss})
    return {'recon_mse': recon_mse, 'fool_loss': fool_loss, 'discriminator_loss': discriminator_loss,
            **classifier_logs}
