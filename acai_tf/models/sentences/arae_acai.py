"""ARAE with ACAI's critic of the mixing coefficient: a combination of both papers by this project.

Zhao et al. 2018 match latents to a learned prior; Berthelot et al. 2018 make decoded mixtures look like data. Sentences
are discrete, so the critic of mixtures reads soft sentences: the expected word embedding at each step.
"""

from typing import Annotated

import keras
import tensorflow as tf

from acai_tf import losses, replicas
from acai_tf.experiment.fields import config_dataclass
from acai_tf.interpolation import lerp
from acai_tf.models import base
from acai_tf.models.sentences import arae
from acai_tf.networks import dense, recurrent


@config_dataclass('model')
class Config(arae.Config):
  """The settings of `arae`, and those of ACAI's critic of mixtures."""

  lambda_mix: Annotated[float, '[0, inf)'] = 0.5  # weight of fooling that critic, scheduled like `lambda_`
  gamma: Annotated[float, '[0, 1]'] = 0.2  # weight of sentence against reconstruction in the critic's real input


class Model(arae.Model):
  """As `arae`, with a second critic d of soft sentences g(z), which are distributions over words at each step.

  With x^_a = g(slerp of f(x1) and f(x2) at a), a ~ U[0, 0.5] the share of x2, and x2 the reversed batch:

      critic of mixtures: L_d = mean (d(x^_a) - a)^2 + mean d(gamma x + (1 - gamma) g(f(x)))^2
      autoencoder:        min L_rec + lambda mean D(f(x)) + lambda_mix mean d(x^_a)^2

  The critic reads a soft sentence up to the first step at which the end mark is the most likely word.
  """

  def create_networks(self) -> None:
    super().create_networks()
    seeds, network = dense.seeds(self.seed, 'mixing_critic'), self.network
    self.reader = recurrent.Encoder(
        self.ids, network.embedding, network.hidden, seeds, network.start == 'wide', 'mixing_critic')
    self.answer = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(next(seeds)))
    self.answer.build([None, network.hidden])

  def players(self) -> dict[str, list]:
    return {**super().players(), 'mixing_critic': [self.reader, self.answer]}

  def judge(self, probabilities) -> tf.Tensor:
    """[n, longest + 1, words] soft sentences -> [n] estimates of the mixing coefficient."""
    words = recurrent.lengths(tf.argmax(probabilities, 2, tf.int32), self.ids - 1)
    return tf.squeeze(self.answer(self.reader.soft(probabilities, words)), 1)

  def regularizer(self, ids, codes) -> tuple:
    settings = self.config
    batch = ids.shape[0] or tf.shape(ids)[0]
    alpha = 0.5 * self.uniform(batch, (), 200)
    partners = replicas.local_rows(tf.reverse(replicas.gather(codes), [0]))  # f(x2), [n, latent]
    decoded = self.decoder.soft(tf.concat([codes, self.mix(codes, partners, alpha)], 0), self.length)
    reconstructions, mixed = decoded[:batch], decoded[batch:]  # [n, longest + 1, words] both
    # After the end mark the decoder's distributions have no meaning, and `judge` does not read them.
    real = lerp(tf.stop_gradient(reconstructions), tf.one_hot(ids, self.ids), settings.gamma)
    answers = self.judge(tf.concat([real, mixed], 0))  # [2 n]
    fool_loss = losses.mean_square(answers[batch:])
    critic_loss = losses.mean_squared_error(alpha, answers[batch:]) + losses.mean_square(answers[:batch])
    return (settings.lambda_mix * self.adversarial_factor() * fool_loss, {'mixing_critic': critic_loss},
            {'mixing_loss': critic_loss, 'fool_loss': fool_loss})

  def callables(self) -> list[base.Callable]:
    vocabulary = self.vocabulary

    def judge(texts, training=False):
      del training
      return self.judge(tf.one_hot(vocabulary.encode(texts), self.ids))

    return [*super().callables(), base.Callable(
        'critic', judge, {'texts': tf.TensorSpec([None], tf.string)},
        'the share of another sentence recovered from a decoded one, [n]', 'alpha', (vocabulary.layer,))]
