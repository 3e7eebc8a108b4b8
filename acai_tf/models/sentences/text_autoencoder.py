"""A plain autoencoder of sentences: the baseline of the ARAE paper (Zhao et al. 2018, section 6)."""

from typing import Annotated

import keras
import tensorflow as tf

from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import text_base


@config_dataclass('model')
class Config:
  """Settings of `Model`; the defaults are the paper's for SNLI."""

  noise: Annotated[float, '[0, inf)'] = 0.05  # standard deviation of the noise on latents that are decoded in training
  noise_decay: Annotated[float, '(0, 1]'] = 0.9995  # factor of `noise` after every `noise_every` steps
  noise_every: Annotated[int, '[1, inf)'] = 100  # steps

  RECIPES = {
      'paper': {'training': {'samples': 9_520_000, 'optimizer': 'sgd', 'learning_rate': 1.0, 'clipnorm': 1.0}},
      'fast': {'network': {'start': 'wide'},
               'model': {'noise': 0.07, 'noise_decay': 1.0},
               'training': {'samples': 1_024_000, 'batch': 64, 'learning_rate': 4e-3, 'beta_2': 0.999, 'clipnorm': 1.0,
                            'schedule': 'linear', 'floor': 0.01, 'average': 0.999, 'precision': 'float32',
                            'evaluate_every': 102_400, 'checkpoint_every': 102_400, 'final_evaluations': 0}}}


class Model(text_base.TextAutoencoder):
  """L = -log p(x | f(x) + noise) per word."""

  def players(self) -> dict[str, list]:
    return {'autoencoder': [self.encoder, self.decoder]}

  def iteration(self, data) -> dict:
    ids = keras.utils.unpack_x_y_sample_weight(data)[0]
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(ids)  # [n, longest + 1] -> [n, latent]
      loss, accuracy = self.reconstruction(ids, self.add_noise(codes))
      self.minimize(tape, {'autoencoder': loss})
    return {'recon_loss': loss, 'token_accuracy': accuracy, **self.code_spread(codes)}
