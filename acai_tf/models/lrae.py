"""ACAI with latents that are matched to a normal prior: LR-AE (Qian, Li, Cao, Liu, Wu, Wong, IJCAI 2019)."""

from typing import Annotated

import keras
import tensorflow as tf

from acai_tf import losses, replicas
from acai_tf.experiment.config import Annealing
from acai_tf.experiment.fields import config_dataclass
from acai_tf.interpolation import lerp
from acai_tf.models import base, image_base
from acai_tf.networks import convolutional


@config_dataclass('model')
class Config(Annealing):
  """Settings of `Model`; `lambda_` and `gamma` are ACAI's."""

  lambda_: Annotated[float, '[0, inf)'] = 0.5  # weight of fooling the critic
  gamma: Annotated[float, '[0, 1]'] = 0.2  # weight of image against reconstruction in the critic's real input
  weight: Annotated[float, '[0, inf)'] = 1.0  # w, weight of the discrepancy between latents and prior

  MIN_BATCH = 2


class Model(image_base.Autoencoder):
  """With z_a = a z + (1 - a) z', a ~ U[0, 0.5] for each image, z' the reversed batch and h ~ N(0, I):

      critic:      L_d = mean (d(g(z_a)) - a)^2 + mean d(gamma x + (1 - gamma) x^)^2
      autoencoder: L = mean (x - x^)^2 + lambda mean d(g(z_a))^2 + w max(MMD^2(z, h), 0)

  MMD^2 is `losses.squared_mmd` of the flattened latents of the global batch.
  """

  has_prior = gaussian_prior = True

  def create_networks(self, size, precision) -> None:
    self.critic = convolutional.Critic(size, self.network, self.seed, precision)

  def players(self) -> dict:
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic], **self._classifier_player()}

  def callables(self) -> list[base.Callable]:
    return [*super().callables(), base.Callable(
        'critic', self.critic, self.inputs_of(images=self.image_shape),
        'the mixing coefficient recovered from an image, [n]', 'alpha')]

  def iteration(self, data) -> dict[str, tf.Tensor]:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)  # [n, h, w, c]
    batch = images.shape[0] or tf.shape(images)[0]
    alpha, prior = 0.5 * self.uniform(batch), self.normal(batch, self.code_shape, salt=1)
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)  # [n, width, width, latent]
      reconstructions = self.decode(codes, training=True)
      answer_mixed = self.critic(self.decode(lerp(tf.reverse(codes, [0]), codes, alpha), training=True))
      answer_real = self.critic(lerp(tf.stop_gradient(reconstructions), images, self.config.gamma))

      recon_mse = losses.mean_squared_error(images, reconstructions)
      fool_loss = losses.mean_square(answer_mixed)
      prior_loss = tf.nn.relu(losses.squared_mmd(*(replicas.gather(self.features(z)) for z in (codes, prior))))
      fooling = self.config.lambda_ * self.annealing() * fool_loss
      autoencoder_loss = recon_mse + fooling + self.config.weight * prior_loss
      alpha_loss = losses.mean_squared_error(tf.reshape(alpha, [-1]), answer_mixed)
      critic_loss = alpha_loss + losses.mean_square(answer_real)
      classifier_loss, classifier_logs = self.classifier_losses(self.features(codes), labels)
      self.minimize(tape, {'autoencoder': autoencoder_loss, 'critic': critic_loss, **classifier_loss})
    return {'recon_mse': recon_mse, 'fool_loss': fool_loss, 'prior_loss': prior_loss, 'critic_loss': critic_loss,
            **classifier_logs}
