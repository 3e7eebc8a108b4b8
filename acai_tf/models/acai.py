"""Adversarially Constrained Autoencoder Interpolation (Berthelot, Raffel, Roy, Goodfellow 2018, section 3)."""

import dataclasses

import keras
import tensorflow as tf

from acai_tf import losses
from acai_tf.interpolation import lerp
from acai_tf.models import _image, base
from acai_tf.networks import convolutional


@dataclasses.dataclass(frozen=True)
class Config:
  """The paper's lambda (`lambda_`, equation 2) weighs fooling the critic; gamma (equation 1) mixes its real images."""

  lambda_: float = 0.5
  gamma: float = 0.2


class Model(_image.Autoencoder):
  """A critic d recovers the mixing coefficient of decoded interpolations; the autoencoder makes it answer 0.

  With x^_a = g(a f(x1) + (1 - a) f(x2)), a ~ U[0, 0.5] for every image and x2 the reversed batch:

    critic (1):      L_d = mean (d(x^_a) - a)^2 + mean d(gamma x + (1 - gamma) g(f(x)))^2
    autoencoder (2): L_fg = mean (x - g(f(x)))^2 + lambda mean d(x^_a)^2
  """

  def create_networks(self, size, precision):
    self.critic = convolutional.Critic(size, self.network, self.seed, precision)

  def players(self):
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic], **self._classifier_player()}

  def callables(self):
    return [*super().callables(), base.Callable(
        'critic', self.critic, self.inputs_of(images=self.image_shape),
        'the mixing coefficient alpha recovered from an image, [n]', 'alpha')]

  def iteration(self, data):
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
    alpha = 0.5 * self.uniform(images.shape[0] or tf.shape(images)[0])
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)
      reconstructions = self.decode(codes, training=True)
      mixed = self.decode(lerp(tf.reverse(codes, [0]), codes, alpha), training=True)
      answer_mixed = self.critic(mixed)
      answer_real = self.critic(lerp(tf.stop_gradient(reconstructions), images, self.config.gamma))

      recon_mse = losses.mean_squared_error(images, reconstructions)
      fool_loss = losses.mean_square(answer_mixed)
      autoencoder_loss = recon_mse + self.config.lambda_ * fool_loss
      alpha_loss = losses.mean_squared_error(tf.reshape(alpha, [-1]), answer_mixed)
      critic_loss = alpha_loss + losses.mean_square(answer_real)
      classifier, classifier_logs = self.classify(self.features(codes), labels)
      self.move(tape, {'autoencoder': autoencoder_loss, 'critic': critic_loss, **classifier})
    return {'recon_mse': recon_mse, 'fool_loss': fool_loss, 'critic_loss': critic_loss, **classifier_logs}
