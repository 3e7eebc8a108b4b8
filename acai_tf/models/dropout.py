"""An autoencoder with dropout on the latent (ACAI paper, section 4, after Srivastava et al. 2014)."""

from typing import Annotated

import tensorflow as tf

from acai_tf import losses
from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import image_base


@config_dataclass('model')
class Config:
  """Settings of `Model`."""

  keep: Annotated[float, '(0, 1]'] = 0.5  # probability with which each element of the latent is kept

  # As in the authors' program: 0.75 on CIFAR-10.
  DATA_RECIPES = {'cifar10': {recipe: {'model': {'keep': 0.75}} for recipe in ('paper', 'fast')}}


class Model(image_base.Autoencoder):
  """L = mean (x - g(m f(x) / keep))^2, m ~ Bernoulli(keep) for each element of the latent.

  Interpolation and probe use the latent without dropout.
  """

  def objective(self, images) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
    codes = self.encode(images, training=True)
    kept = self.uniform(images.shape[0] or tf.shape(images)[0], codes.shape[1:]) < self.config.keep
    dropped = tf.where(kept, codes / self.config.keep, 0.0)
    loss = losses.mean_squared_error(images, self.decode(dropped, training=True))
    return loss, self.features(codes), {'recon_mse': loss}
