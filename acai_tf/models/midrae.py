"""MI-AE with a prior, and latents mixed with noise: MIDR-AE (Qian, Li, Cao, Liu, Wu, Wong, IJCAI 2019)."""

from typing import Annotated, Literal

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
  """Settings of `Model`, under the authors' names.

  The authors' values of `advnoise` and `advfake` differ by data set and latent dimension (zoo/). The defaults are those
  for MNIST with 32 dimensions. The authors' files disagree: one of them has the two values swapped.
  """

  lambda_: Annotated[float, '[0, inf)'] = 0.5  # weight of fooling the critic with mixtures of two latents
  gamma: Annotated[float, '[0, 1]'] = 0.2  # weight of image against reconstruction in the critic's real input
  advnoise: Annotated[float, '[0, inf)'] = 0.05  # weight of fooling the critic with mixtures of a latent and noise
  advfake: Annotated[float, '[0, inf)'] = 1.0  # weight of fooling the critic with noise
  weight: Annotated[float, '[0, inf)'] = 1.0  # w, weight of the discrepancy between latents and prior
  # The critic's target for a latent mixed with noise. 'code': the latent's share b, as in the authors' program, though
  # its other targets (0 for real input, 0.5 for noise) point the other way; 'noise': 1 - b.
  target: Literal['code', 'noise'] = 'code'
  adversarial_from: Annotated[int, '[0, inf)'] = 0  # step before which all but the reconstruction has weight 0

  MIN_BATCH = 2
  # Without `adversarial_from` the decoder collapses to one constant image in the fast recipe on lines.
  RECIPES = {'paper': {}, 'fast': {'model': {'adversarial_from': 512}}}


class Model(image_base.Autoencoder):
  """With z_m as in MI-AE, h ~ N(0, I), z_n = b z + (1 - b) h, b ~ U(0, 1) for each element, and D(x) a map:

      critic:      L_D = mean D(x^ + gamma (x - x^))^2 + mean (D(g(z_m)) - a)^2 + mean (D(g(z_n)) - b)^2
                         + mean (D(g(h)) - 0.5)^2
      autoencoder: L = mean (x - x^)^2 + lambda mean D(g(z_m))^2 + advnoise mean D(g(z_n))^2 + advfake mean D(g(h))^2
                       + w max(MMD^2(z, h), 0)

  MMD^2 is `losses.squared_mmd` of the flattened latents of the global batch.
  """

  has_prior = gaussian_prior = True

  def create_networks(self, size, precision) -> None:
    self.critic = convolutional.critic_map(size, self.network, self.seed, precision)

  def players(self) -> dict[str, list]:
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic], **self._classifier_player()}

  def callables(self) -> list[base.Callable]:
    return [*super().callables(), base.Callable(
        'critic', self.critic, self.inputs_of(images=self.image_shape),
        "the mixing coefficient recovered for every element of the code, in the code's shape", 'alphas')]

  def iteration(self, data) -> dict:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)  # [n, h, w, c]
    batch, settings = images.shape[0] or tf.shape(images)[0], self.config
    alpha = 0.5 - tf.abs(self.uniform(batch, self.code_shape) - 0.5)
    share, noise = self.uniform(batch, self.code_shape, salt=1), self.normal(batch, self.code_shape, salt=2)
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)  # [n, width, width, latent]
      reconstructions = self.decode(codes, training=True)
      # The critic's answers, maps of the latent's shape.
      answer_mixed = self.critic(self.decode(lerp(tf.reverse(codes, [0]), codes, alpha), training=True))
      answer_noisy = self.critic(self.decode(lerp(noise, codes, share), training=True))
      answer_fake = self.critic(self.decode(noise, training=True))
      answer_real = self.critic(lerp(tf.stop_gradient(reconstructions), images, settings.gamma))

      recon_mse = losses.mean_squared_error(images, reconstructions)
      fool_loss = (settings.lambda_ * losses.mean_square(answer_mixed)
                   + settings.advnoise * losses.mean_square(answer_noisy)
                   + settings.advfake * losses.mean_square(answer_fake))
      prior_loss = tf.nn.relu(losses.squared_mmd(*(replicas.gather(self.features(z)) for z in (codes, noise))))
      target = share if settings.target == 'code' else 1 - share
      critic_loss = (losses.mean_square(answer_real) + losses.mean_squared_error(alpha, answer_mixed)
                     + losses.mean_squared_error(target, answer_noisy) + losses.mean_square(answer_fake - 0.5))
      classifier_loss, classifier_logs = self.classifier_losses(self.features(codes), labels)
      regularizer = self.annealing() * fool_loss + settings.weight * prior_loss
      autoencoder_loss = recon_mse + self.active_from(settings.adversarial_from) * regularizer
      self.minimize(tape, {'autoencoder': autoencoder_loss, 'critic': critic_loss, **classifier_loss})
    return {'recon_mse': recon_mse, 'fool_loss': fool_loss, 'prior_loss': prior_loss, 'critic_loss': critic_loss,
            **classifier_logs}
