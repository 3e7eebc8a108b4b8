"""A denoising autoencoder (ACAI paper, section 4, after Vincent et al. 2010)."""

from typing import Annotated

import tensorflow as tf

from acai_tf import losses
from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import image_base


@config_dataclass('model')
class Config:
  """Settings of `Model`."""

  sigma: Annotated[float, '[0, inf)'] = 1.0  # standard deviation of the noise on pixels, which are in [-1, 1]


class Model(image_base.Autoencoder):
  """L = mean (x - g(f(x + n)))^2, n ~ N(0, sigma^2). Interpolation and probe use the latent of the clean image."""

  def objective(self, images) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
    noise = self.config.sigma * self.normal(images.shape[0] or tf.shape(images)[0], images.shape[1:])
    loss = losses.mean_squared_error(images, self.decode(self.encode(images + noise, training=True), training=True))
    return loss, self.features(self.encode(images)), {'recon_mse': loss}
