"""An ablation of ACAI without mixing: an autoencoder with a least-squares critic of its reconstructions.

It is in the ACAI authors' program, and shows whether mixing matters or any critic would do.
"""

from typing import Annotated

import keras
import tensorflow as tf

from acai_tf import losses
from acai_tf.experiment.config import Annealing
from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import base, image_base
from acai_tf.networks import convolutional


@config_dataclass('model')
class Config(Annealing):
  """Settings of `Model`."""

  weight: Annotated[float, '[0, inf)'] = 0.5  # weight of fooling the critic
  adversarial_from: Annotated[int, '[0, inf)'] = 0  # step before which `weight` is 0

  # With the paper's weight from the first step, the fast recipe does not learn to reconstruct lines (in a trial, the
  # error was 0.076 after 65,536 samples).
  RECIPES = {'paper': {}, 'fast': {'model': {'weight': 0.05, 'adversarial_from': 512}}}


class Model(image_base.Autoencoder):
  """With x^ = g(f(x)):

      critic:      L_D = mean d(x)^2 + mean (d(x^) - 1)^2
      autoencoder: L = mean (x - x^)^2 + weight mean d(x^)^2
  """

  def create_networks(self, size, precision) -> None:
    self.critic = convolutional.Critic(size, self.network, self.seed, precision)

  def players(self) -> dict:
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic], **self._classifier_player()}

  def callables(self) -> list[base.Callable]:
    return [*super().callables(), base.Callable(
        'critic', self.critic, self.inputs_of(images=self.image_shape),
        '0 for a real image, 1 for a reconstruction, [n]', 'reconstructed')]

  def iteration(self, data) -> dict[str, tf.Tensor]:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)  # [n, h, w, c]
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)  # [n, width, width, latent]
      reconstructions = self.decode(codes, training=True)
      answer = self.critic(reconstructions)  # [n]

      recon_mse = losses.mean_squared_error(images, reconstructions)
      fool_loss = losses.mean_square(answer)
      critic_loss = losses.mean_square(self.critic(images)) + losses.mean_square(answer - 1)
      classifier_loss, classifier_logs = self.classifier_losses(self.features(codes), labels)
      weight = self.config.weight * self.annealing() * self.active_from(self.config.adversarial_from)
      self.minimize(tape, {'autoencoder': recon_mse + weight * fool_loss, 'critic': critic_loss, **classifier_loss})
    return {'recon_mse': recon_mse, 'fool_loss': fool_loss, 'critic_loss': critic_loss, **classifier_logs}
