"""The baseline: a convolutional autoencoder trained on mean squared error alone (ACAI paper, section 4)."""

from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import image_base


@config_dataclass('model')
class Config:
  """There are no settings."""


class Model(image_base.Autoencoder):
  """L = mean (x - g(f(x)))^2."""
