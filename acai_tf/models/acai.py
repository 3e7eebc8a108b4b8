"""Adversarially Constrained Autoencoder Interpolation (Berthelot, Raffel, Roy, Goodfellow 2018, section 3)."""

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
  """Settings of `Model`; the symbols are the paper's."""

  lambda_: Annotated[float, '[0, inf)'] = 0.5  # weight of the adversarial term (equation 2)
  gamma: Annotated[float, '[0, 1]'] = 0.2  # share of the image, not its reconstruction, in real input (equation 1)
  # Other images of the batch that each image is mixed with; the paper: 1. More of them estimate the same expectations
  # with less noise, for about a sixth of a step each.
  partners: Annotated[int, '[1, inf)'] = 1

  LEAST_BATCH = 2
  RECIPES = {'paper': {}, 'fast': {'model': {'partners': 4}, 'training': {'batch': 8, 'average': 0.999}}}
  # On lines, what keeps the distance up late is reconstruction: weight and learning rate fall from half of the training
  # on (docs/images.md has the ablation). On MNIST the same schedule costs the probe and clustering more than it gains.
  DATA_RECIPES = {'lines': {'fast': {'model': {'anneal_to': 0.02}, 'training': {'schedule': 'linear', 'floor': 0.1}}}}
  ESTIMATION = ('partners',)


class Model(image_base.Autoencoder):
  """A critic d recovers the mixing coefficient of decoded interpolations; the autoencoder makes it answer 0.

  With x^_a = g(a f(x1) + (1 - a) f(x2)), a ~ U[0, 0.5] for every image and x2 the reversed batch, and its rotations
  by 2, 4, ... where there are more partners (in an even batch none meets itself):

    critic (1):      L_d = mean (d(x^_a) - a)^2 + mean d(gamma x + (1 - gamma) g(f(x)))^2
    autoencoder (2): L_fg = mean (x - g(f(x)))^2 + lambda mean d(x^_a)^2
  """

  def create_networks(self, size, precision) -> None:
    self.critic = convolutional.Critic(size, self.network, self.seed, precision)

  def players(self) -> dict:
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic], **self._classifier_player()}

  def callables(self) -> list[base.Callable]:
    return [*super().callables(), base.Callable(
        'critic', self.critic, self.inputs_of(images=self.image_shape),
        'the mixing coefficient alpha recovered from an image, [n]', 'alpha')]

  def iteration(self, data) -> dict:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
    batch, partners = images.shape[0] or tf.shape(images)[0], self.config.partners
    alpha = tf.reshape(tf.transpose(0.5 * self.uniform(batch, (partners,))), [-1, 1, 1, 1])
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)
      backwards = tf.reverse(replicas.gather(codes), [0])
      others = tf.concat([replicas.local_rows(tf.roll(backwards, 2 * k, 0)) for k in range(partners)], 0)
      mixed_codes = lerp(others, tf.tile(codes, [partners, 1, 1, 1]), alpha)
      reconstructions, mixed = convolutional.map_batches(
          lambda batch: self.decode(batch, training=True), codes, mixed_codes)
      tape.watch(mixed)
      real = lerp(tf.stop_gradient(reconstructions), images, self.config.gamma)
      answer_real, answer_mixed = convolutional.map_batches(self.critic, real, mixed)

      recon_mse = losses.mean_squared_error(images, reconstructions)
      critic_loss = losses.mean_squared_error(tf.reshape(alpha, [-1]), answer_mixed) + losses.mean_square(answer_real)
      # By an answer, mean (d - a)^2 has the slope 2 (d - a) / n and mean d^2 has 2 d / n: so both losses share one
      # backward pass through the critic (a sixth of the step). Under float16 it is scaled as the autoencoder's losses
      # are; its small gradients would be 0 otherwise.
      scale = getattr(self.optimizers['autoencoder'], 'dynamic_scale', None)
      with tape.stop_recording():
        ratio = tf.math.divide_no_nan(answer_mixed, answer_mixed - tf.reshape(alpha, [-1]))
        slope = tape.gradient(critic_loss, mixed, scale) * tf.reshape(ratio, [-1, 1, 1, 1])
        slope = slope if scale is None else slope / scale
      fool_loss = losses.with_gradient(losses.mean_square(tf.stop_gradient(answer_mixed)), mixed, slope)
      autoencoder_loss = recon_mse + self.config.lambda_ * self.annealing() * fool_loss
      classifier, classifier_logs = self.classify(self.features(codes), labels)
      self.move(tape, {'autoencoder': autoencoder_loss, 'critic': critic_loss, **classifier})
    return {'recon_mse': recon_mse, 'fool_loss': fool_loss, 'critic_loss': critic_loss, **classifier_logs}
