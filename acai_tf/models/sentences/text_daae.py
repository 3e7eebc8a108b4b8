"""A denoising adversarial autoencoder of sentences (Shen, Mueller, Barzilay, Jaakkola 2020, arXiv 1905.12777)."""

from typing import Annotated

import tensorflow as tf

from acai_tf.experiment.fields import config_dataclass
from acai_tf.models.sentences import text_aae
from acai_tf.vocabulary import PADDING


@config_dataclass('model')
class Config(text_aae.Config):
  """The settings of `text_aae`, and the noise on words. `noise`, on latents, is 0: the paper has none."""

  noise: Annotated[float, '[0, inf)'] = 0.0  # standard deviation of the noise on latents that are decoded in training
  drop: Annotated[float, '[0, 1)'] = 0.3  # probability that a word of the encoder's input is deleted (the authors')

  RECIPES = {name: {**recipe, 'model': {**recipe.get('model', {}), 'noise': 0.0}}  # type: ignore[attr-defined, dict-item]
             for name, recipe in text_aae.Config.RECIPES.items()}


class Model(text_aae.Model):
  """As `text_aae`, but the encoder sees sentences x~ with deleted words, and the decoder restores all words.

      L_rec = -log p(x | f(x~)) per word; each word of x~ is deleted with probability `drop`
      critic and encoder: as in `text_aae`, on f(x~)

  Sentences that differ in a word or two have noisy versions in common, so they get similar latents. In the authors'
  program the prior is N(0, I), and the critic is a discriminator with a logistic loss of weight 10. Here both are those
  of `text_aae`, so that the two models differ in the noise alone.
  """

  def corrupt(self, ids, salt) -> tf.Tensor:
    """[n, longest + 1] ids without the deleted words: the words after them move up, and padding fills the end."""
    keep = self.uniform(ids.shape[0] or tf.shape(ids)[0], (self.length,), 300 + salt) >= self.config.drop
    keep |= tf.equal(ids, self.ids - 1)  # the end token
    order = tf.argsort(tf.cast(~keep, tf.int32), axis=1, stable=True)  # deleted words last
    return tf.gather(tf.where(keep, ids, PADDING), order, batch_dims=1)
