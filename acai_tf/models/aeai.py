"""Autoencoder adversarial interpolation (Oring, Yakhini, Hel-Or, ICML 2021)."""

from typing import Annotated

import keras
import tensorflow as tf

from acai_tf import losses
from acai_tf.experiment.fields import declared
from acai_tf.interpolation import lerp
from acai_tf.models import _image, base
from acai_tf.networks import convolutional


@declared('model')
class Config:
  """Weights of the paper's L_A (`adversarial`), L_C (`cycle`) and L_S (`smoothness`).

  L_A's is 0 before step `adversarial_from`. `spectral` normalises the critic's convolutions. The fast recipe needs
  both: its critic is certain within 200 steps, while the autoencoder still makes one image of all, which then flees
  from it and never learns; started late, both swing without end.
  """

  adversarial: Annotated[float, '[0, inf)'] = 0.01
  adversarial_from: Annotated[int, '[0, inf)'] = 0
  cycle: Annotated[float, '[0, inf)'] = 0.01
  smoothness: Annotated[float, '[0, inf)'] = 0.1
  spectral: bool = False

  LEAST_BATCH = 2
  RECIPES = {'paper': {}, 'fast': {'model': {'adversarial_from': 512, 'spectral': True}}}


class Model(_image.Autoencoder):
  """With z_a = (1 - a) z_i + a z_j, a ~ U(0, 1) for every image, D = sigmoid(d):

    critic:      L_D = -log D(x) - log(1 - D(g(z_a)))
    autoencoder: L = |x - x^|^2 + adversarial L_A + cycle L_C + smoothness L_S,
                 L_A = -log D(g(z_a)), L_C = |z_a - f(g(z_a))|^2, L_S = |d g(z_a) / d a|^2

  The derivative is an exact forward Jacobian-vector product in the direction z_j - z_i. The paper leaves unsaid, and
  we choose: squares are means over all elements, the partner is the reversed batch, d is ACAI's critic, optimiser and
  batch are the recipe's.
  """

  def create_networks(self, size, precision) -> None:
    self.critic = convolutional.Critic(size, self.network, self.seed, precision, spectral=self.config.spectral)

  def players(self) -> dict:
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic], **self._classifier_player()}

  def callables(self) -> list[base.Callable]:
    return [*super().callables(), base.Callable(
        'critic', self.critic, self.inputs_of(images=self.image_shape),
        'logit that an image is real, [n]', 'real_logit')]

  def decode_with_velocity(self, codes, direction) -> tuple:
    """(g(codes), the derivative of g at `codes` along `direction`), both in the images' shape."""
    with tf.autodiff.ForwardAccumulator(codes, direction) as forward:
      images = self.decode(codes, training=True)
    return images, forward.jvp(images)

  def iteration(self, data) -> dict[str, tf.Tensor]:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
    alpha = self.uniform(images.shape[0] or tf.shape(images)[0])
    self.critic.iterate()
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)
      partners = tf.reverse(codes, [0])
      mixed_codes = lerp(codes, partners, alpha)
      mixed, velocity = self.decode_with_velocity(mixed_codes, partners - codes)
      answer_mixed = self.critic(mixed)

      recon_mse = losses.mean_squared_error(images, self.decode(codes, training=True))
      fool_loss = losses.real_or_fake(answer_mixed, True)
      cycle_loss = losses.mean_squared_error(mixed_codes, self.encode(mixed, training=True))
      smoothness_loss = losses.mean_square(velocity)
      adversarial = self.config.adversarial * self.since(self.config.adversarial_from)
      autoencoder_loss = (recon_mse + adversarial * fool_loss + self.config.cycle * cycle_loss
                          + self.config.smoothness * smoothness_loss)
      critic_loss = losses.real_or_fake(self.critic(images), True) + losses.real_or_fake(answer_mixed, False)
      classifier, classifier_logs = self.classify(self.features(codes), labels)
      self.move(tape, {'autoencoder': autoencoder_loss, 'critic': critic_loss, **classifier})
    return {'recon_mse': recon_mse, 'fool_loss': fool_loss, 'cycle_loss': cycle_loss,
            'smoothness_loss': smoothness_loss, 'critic_loss': critic_loss, **classifier_logs}
