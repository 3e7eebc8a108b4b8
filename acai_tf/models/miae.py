"""Latents mixed element by element: MI-AE (Qian, Li, Cao, Liu, Wu, Wong, IJCAI 2019)."""

from typing import Annotated

import keras
import tensorflow as tf

from acai_tf import losses
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

  MIN_BATCH = 2


class Model(image_base.Autoencoder):
  """ACAI with a mixing coefficient, and an answer of the critic, for each element of the latent.

  With z_m = a z + (1 - a) z', a = 0.5 - |U(0, 1) - 0.5| for each element, z' the reversed batch, and D(x) a map of the
  latent's shape:

      critic:      L_D = mean (D(g(z_m)) - a)^2 + mean D(x^ + gamma (x - x^))^2
      autoencoder: L = mean (x - x^)^2 + lambda mean D(g(z_m))^2
  """

  def create_networks(self, size, precision) -> None:
    self.critic = convolutional.critic_map(size, self.network, self.seed, precision)

  def players(self) -> dict[str, list]:
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic], **self._classifier_player()}

  def callables(self) -> list[base.Callable]:
    return [*super().callables(), base.Callable(
        'critic', self.critic, self.inputs_of(images=self.image_shape),
        "the mixing coefficient recovered for every element of the code, in the code's shape", 'alphas')]

  def iteration(self, data) -> dict[str, tf.Tensor]:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)  # [n, h, w, c]
    alpha = 0.5 - tf.abs(self.uniform(images.shape[0] or tf.shape(images)[0], self.code_shape) - 0.5)
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)  # [n, width, width, latent]
      reconstructions = self.decode(codes, training=True)
      answer_mixed = self.critic(self.decode(lerp(tf.reverse(codes, [0]), codes, alpha), training=True))
      answer_real = self.critic(lerp(tf.stop_gradient(reconstructions), images, self.config.gamma))

      recon_mse = losses.mean_squared_error(images, reconstructions)
      fool_loss = losses.mean_square(answer_mixed)
      critic_loss = losses.mean_squared_error(alpha, answer_mixed) + losses.mean_square(answer_real)
      classifier_loss, classifier_logs = self.classifier_losses(self.features(codes), labels)
      autoencoder_loss = recon_mse + self.config.lambda_ * self.annealing() * fool_loss
      self.minimize(tape, {'autoencoder': autoencoder_loss, 'critic': critic_loss, **classifier_loss})
    return {'recon_mse': recon_mse, 'fool_loss': fool_loss, 'critic_loss': critic_loss, **classifier_logs}
