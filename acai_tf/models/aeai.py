"""Autoencoder adversarial interpolation (Oring, Yakhini, Hel-Or, ICML 2021)."""

from typing import Annotated

import keras
import tensorflow as tf

from acai_tf import losses
from acai_tf.experiment.config import Annealing, Training
from acai_tf.experiment.fields import config_dataclass
from acai_tf.interpolation import lerp
from acai_tf.models import base, image_base
from acai_tf.networks import convolutional


@config_dataclass('model')
class Config(Annealing):
  """Settings of `Model`; the losses are named as in the paper."""

  adversarial: Annotated[float, '[0, inf)'] = 0.01  # weight of L_A
  adversarial_from: Annotated[int, '[0, inf)'] = 0  # step before which the weight of L_A is 0
  cycle: Annotated[float, '[0, inf)'] = 0.01  # weight of L_C
  smoothness: Annotated[float, '[0, inf)'] = 0.1  # weight of L_S
  critic_every: Annotated[int, '[1, inf)'] = 1  # steps per update of the critic
  spectral: bool = False  # whether the critic's 3x3 convolutions are spectrally normalized

  MIN_BATCH = 2
  # The paper updates the critic once per epoch. These are MNIST's 938 steps; the recipe has them on all data sets.
  RECIPES = {'paper': {'model': {'critic_every': 938}}, 'fast': {}}


class Model(image_base.Autoencoder):
  """With z_a = (1 - a) z_i + a z_j, a ~ U(0, 1) for each pair, D = sigmoid(d) and |.|^2 the sum of squares:

      critic:      L_D = -log D(x), and then -log(1 - D(g(z_a)))
      autoencoder: L = |x_i - x^_i|^2 + |x_j - x^_j|^2 + adversarial L_A + cycle L_C + smoothness L_S,
                   L_A = -log D(g(z_a)), L_C = |z_a - f(g(z_a))|^2, L_S = |d g(z_a) / d a|^2

  All are means over the pairs. The critic has two updates, one on data and then one on mixtures. The derivative is an
  exact forward Jacobian-vector product in the direction z_j - z_i. Some choices are ours, because the paper does not
  state them: the partners are the reversed batch, d is ACAI's critic, optimizer and batch size are the recipe's.
  """

  def create_networks(self, size, precision) -> None:
    self.critic = convolutional.Critic(size, self.network, self.seed, precision, spectral=self.config.spectral)

  def players(self) -> dict:
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic], **self._classifier_player()}

  def training_of(self, player, training) -> Training:
    return training.of_player(2 / self.config.critic_every if player == 'critic' else 1)

  def callables(self) -> list[base.Callable]:
    return [*super().callables(), base.Callable(
        'critic', self.critic, self.inputs_of(images=self.image_shape),
        'logit that an image is real, [n]', 'real_logit')]

  def decode_with_velocity(self, codes, direction) -> tuple:
    """Returns (g(codes), the directional derivative of g at `codes` along `direction`), both [n, h, w, c]."""
    with tf.autodiff.ForwardAccumulator(codes, direction) as forward:
      images = self.decode(codes, training=True)
    return images, forward.jvp(images)

  def iteration(self, data) -> dict[str, tf.Tensor]:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)  # [n, h, w, c]
    alpha = self.uniform(images.shape[0] or tf.shape(images)[0])  # [n, 1, 1, 1]
    skip = {}  # in which steps the critic is not updated
    if self.config.critic_every > 1:
      skip['critic'] = (tf.convert_to_tensor(self.step) + 1) % self.config.critic_every != 0
    self.critic.iterate()
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)  # [n, width, width, latent]
      partners = tf.reverse(codes, [0])
      mixed_codes = lerp(codes, partners, alpha)
      mixed, velocity = self.decode_with_velocity(mixed_codes, partners - codes)  # [n, h, w, c] both

      errors = losses.squared_norms(images - self.decode(codes, training=True))  # [n]
      recon_loss = tf.reduce_mean(errors + tf.reverse(errors, [0]))  # both ends of each pair
      fool_loss = losses.real_or_fake(self.critic(mixed), True)
      cycle_loss = tf.reduce_mean(losses.squared_norms(mixed_codes - self.encode(mixed, training=True)))
      smoothness_loss = tf.reduce_mean(losses.squared_norms(velocity))
      adversarial = self.config.adversarial * self.active_from(self.config.adversarial_from)
      regularizer = adversarial * fool_loss + self.config.cycle * cycle_loss + self.config.smoothness * smoothness_loss
      autoencoder_loss = recon_loss + self.annealing() * regularizer
      real_loss = losses.real_or_fake(self.critic(images), True)
      classifier_loss, classifier_logs = self.classifier_losses(self.features(codes), labels)
      self.minimize(tape, {'autoencoder': autoencoder_loss, 'critic': real_loss, **classifier_loss}, skip)
    with tf.GradientTape(persistent=True) as tape:
      fake_loss = losses.real_or_fake(self.critic(tf.stop_gradient(mixed)), False)
      self.minimize(tape, {'critic': fake_loss}, skip)
    return {'recon_mse': tf.reduce_mean(errors) / tf.size(images[0], tf.float32), 'fool_loss': fool_loss,
            'cycle_loss': cycle_loss, 'smoothness_loss': smoothness_loss, 'critic_loss': real_loss + fake_loss,
            **classifier_logs}
