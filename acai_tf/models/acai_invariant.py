"""ACAI whose encoder sees distorted images and whose decoder restores them: latents that hardly depend on pose. Ours.

It is a denoising autoencoder (Vincent et al. 2008) whose noise are small rotations, scalings, shears and shifts, with
ACAI's critic (Berthelot et al. 2018) at a larger weight.
"""

from typing import Annotated

import keras
import numpy as np
import tensorflow as tf

from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import acai


@config_dataclass('model')
class Config(acai.Config):
  """The settings of `acai`, and bounds on the distortion, which is uniform within them."""

  lambda_: Annotated[float, '[0, inf)'] = 2.0  # as in `acai`, whose value is 0.5
  rotation: Annotated[float, '[0, 180]'] = 15.0  # degrees, in both directions
  scale: Annotated[float, '[0, 1)'] = 0.12  # relative change of the size
  shear: Annotated[float, '[0, inf)'] = 0.2  # horizontal shift per vertical distance from the center
  shift: Annotated[float, '[0, 1]'] = 0.08  # in each direction, as a share of the width

  DATA_RECIPES = {}  # `acai` has a schedule for lines.


class Model(acai.Model):
  """ACAI's losses, with f(T x) in place of f(x) and a random affine map T of each image:

      autoencoder: mean (x - g(f(T x)))^2 + lambda mean d(x^_a)^2,  x^_a = g(a f(T x1) + (1 - a) f(T x2))
      critic:      as in `acai`

  T x is interpolated bilinearly and continued beyond its edge by the nearest pixel. Probe, interpolation and exported
  modules encode undistorted images. Use the model for images whose class does not depend on a small change of pose. It
  does not fit images that differ in pose alone: trained on lines, it decodes blank images. Reconstructions have an
  average pose.
  """

  def augment(self, images) -> tf.Tensor:
    batch, (height, width) = images.shape[0] or tf.shape(images)[0], images.shape[1:3]
    settings = self.config
    bounds = [np.radians(settings.rotation), settings.scale, settings.shear, settings.shift * width,
              settings.shift * height]
    draws = (2 * self.uniform(batch, (5,), salt=1) - 1) * tf.constant(bounds, tf.float32)
    angle, scale, shear, right, down = tf.unstack(draws, axis=1)  # [n] each
    cosine, sine, size = tf.cos(angle), tf.sin(angle), 1 + scale
    # An output pixel (x, y) shows the input at matrix (x - center, y - center) + center + (right, down).
    matrix = [[size * cosine, size * (shear - sine)], [size * sine, size * cosine]]
    center = (width - 1) / 2, (height - 1) / 2
    rows = [[a, b, middle + move - a * center[0] - b * center[1]]
            for (a, b), middle, move in zip(matrix, center, (right, down), strict=True)]
    transform = tf.stack([*rows[0], *rows[1], tf.zeros_like(angle), tf.zeros_like(angle)], 1)  # [n, 8]
    return keras.ops.image.affine_transform(images, transform, fill_mode='nearest', data_format='channels_last')
