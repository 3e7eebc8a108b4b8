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
  gamma: Annotated[float, '[0, 1]'] = 0.2  # weight of image against reconstruction in real input (equation 1)
  # Number of other images that each image is mixed with; the paper: 1. More partners estimate the same expectations
  # with less noise. Each additional one takes about a sixth of a step's time.
  partners: Annotated[int, '[1, inf)'] = 1

  MIN_BATCH = 2
  RECIPES = {'paper': {}, 'fast': {'model': {'partners': 4}, 'training': {'batch': 8, 'average': 0.999}}}
  # On lines, the mean distance is limited by reconstruction late in the training, so the weight and the learning rate
  # fall in its second half (ablation: docs/results.md). On MNIST that schedule costs the probe and clustering more than
  # it gains.
  DATA_RECIPES = {'lines': {'fast': {'model': {'anneal_to': 0.02}, 'training': {'schedule': 'linear', 'floor': 0.1}}}}
  ESTIMATION = ('partners',)  # settings that change how the objective is estimated, not the objective (zoo/_compare.py)


class Model(image_base.Autoencoder):
  """A critic d recovers the mixing coefficient of decoded interpolations; the autoencoder is trained to make it 0.

  With x^_a = g(a f(x1) + (1 - a) f(x2)), a ~ U[0, 0.5] for every mixture:

      critic (1):      L_d = mean (d(x^_a) - a)^2 + mean d(gamma x + (1 - gamma) g(f(x)))^2
      autoencoder (2): L_fg = mean (x - g(f(x)))^2 + lambda mean d(x^_a)^2

  x2 is the reversed batch. With more partners it is also that batch rotated by 2, 4, ...: in an even batch no image is
  mixed with itself.
  """

  def create_networks(self, size, precision) -> None:
    self.critic = convolutional.Critic(size, self.network, self.seed, precision)

  def players(self) -> dict:
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic], **self._classifier_player()}

  def callables(self) -> list[base.Callable]:
    return [*super().callables(), base.Callable(
        'critic', self.critic, self.inputs_of(images=self.image_shape),
        'the mixing coefficient alpha recovered from an image, [n]', 'alpha')]

  def augment(self, images) -> tf.Tensor:
    """Hook: the images that the encoder sees in training, [n, h, w, c]; by default `images`."""
    return images

  def iteration(self, data) -> dict:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)  # [n, h, w, c]; m = partners * n mixtures below
    batch, partners = images.shape[0] or tf.shape(images)[0], self.config.partners
    alpha = tf.reshape(tf.transpose(0.5 * self.uniform(batch, (partners,))), [-1])  # [n, partners] -> [m]
    with tf.GradientTape(persistent=True) as tape:
      seen = self.augment(images)
      codes = self.encode(seen, training=True)  # f(x), [n, width, width, latent]
      mixed_codes = lerp(self._partners_of(codes), tf.tile(codes, [partners, 1, 1, 1]),
                         tf.reshape(alpha, [-1, 1, 1, 1]))  # [m, width, width, latent]
      reconstructions, mixed = convolutional.map_batches(
          lambda batch: self.decode(batch, training=True), codes, mixed_codes)  # g(f(x)), [n, h, w, c]; x^_a, [m, ...]
      tape.watch(mixed)
      real = lerp(tf.stop_gradient(reconstructions), images, self.config.gamma)
      answer_real, answer_mixed = convolutional.map_batches(self.critic, real, mixed)  # d, [n] and [m]

      # Equation 1.
      critic_loss = losses.mean_squared_error(alpha, answer_mixed) + losses.mean_square(answer_real)
      # Equation 2.
      recon_mse = losses.mean_squared_error(images, reconstructions)
      fool_loss = self._fool_loss(tape, critic_loss, mixed, answer_mixed, alpha)
      autoencoder_loss = recon_mse + self.config.lambda_ * self.annealing() * fool_loss

      clean_codes = codes if seen is images else self.encode(images)
      classifier_loss, classifier_logs = self.classifier_losses(self.features(clean_codes), labels)
      self.minimize(tape, {'autoencoder': autoencoder_loss, 'critic': critic_loss, **classifier_loss})
    return {'recon_mse': recon_mse, 'fool_loss': fool_loss, 'critic_loss': critic_loss, **classifier_logs}

  def _partners_of(self, codes):
    """f(x2) of every mixture, taken from the global batch: [n, width, width, latent] -> [m, width, width, latent]."""
    reversed_codes = tf.reverse(replicas.gather(codes), [0])  # of the global batch
    return tf.concat([replicas.local_rows(tf.roll(reversed_codes, 2 * k, 0)) for k in range(self.config.partners)], 0)

  def _fool_loss(self, tape, critic_loss, mixed, answers, alpha):
    """mean d(x^_a)^2, whose gradient shares one backward pass through the critic with the critic's own loss.

    With respect to one of m answers d, mean (d - a)^2 has the derivative 2 (d - a) / m, and mean d^2 has 2 d / m. The
    gradient of this loss with respect to a mixture is therefore that of the critic's loss times d / (d - a). A second
    backward pass would take a sixth of the step.

    Args:
      tape: the persistent tape that has recorded all of the following.
      critic_loss: equation 1, scalar.
      mixed: x^_a, [m, h, w, c].
      answers: d(x^_a), [m].
      alpha: a, [m].

    Returns:
      Scalar, whose only gradient is that with respect to `mixed`.
    """
    with tape.stop_recording():
      ratio = tf.math.divide_no_nan(answers, answers - alpha)  # [m]
      gradient = tape.gradient(critic_loss, mixed) * tf.reshape(ratio, [-1, 1, 1, 1])  # [m, h, w, c]
    return losses.with_gradient(losses.mean_square(tf.stop_gradient(answers)), mixed, gradient)
