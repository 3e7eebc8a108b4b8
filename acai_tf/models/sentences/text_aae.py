"""An adversarial autoencoder of sentences: a baseline of the ARAE paper (Zhao et al. 2018, section 6)."""

import tensorflow as tf

from acai_tf.experiment.fields import config_dataclass
from acai_tf.models.sentences import arae


@config_dataclass('model')
class Config(arae.Config):
  """The settings of `arae`. There is no generator: `z` has no effect, and `units` is the width of the critic."""


class Model(arae.Model):
  """As `arae`, with a fixed prior: the uniform distribution on the unit sphere, which contains all latents.

      critic:  max mean D(f(x)) - mean D(z), z uniform on the sphere, D 1-Lipschitz
      encoder: min L_rec + lambda mean D(f(x))

  The paper does not state the prior and the critic of its AAE. With a Wasserstein critic and the sphere, this model is
  ARAE without the generator.
  """

  untrained_codes = None  # type: ignore[assignment]  # there is no generator

  def create_generator(self) -> None:
    return None

  def players(self) -> dict[str, list]:
    return {player: layers for player, layers in super().players().items() if player != 'generator'}

  def prior_codes(self, count, seed) -> tf.Tensor:
    return tf.math.l2_normalize(tf.random.stateless_normal([count, self.network.latent], [seed, 0]), 1)

  def fakes(self, count) -> list:
    shape, steps = (self.network.latent,), range(self.config.critic_steps)
    return [tf.math.l2_normalize(self.normal(count, shape, 10 + k), 1) for k in steps]

  def generator_step(self, count) -> dict:
    del count
    return {}
