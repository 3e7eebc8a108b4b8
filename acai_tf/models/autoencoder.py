"""The baseline: a convolutional autoencoder trained on mean squared error alone (ACAI paper, section 4)."""

import dataclasses

from acai_tf.models import _image


@dataclasses.dataclass(frozen=True)
class Config:
  """Nothing to set."""


class Model(_image.Autoencoder):
  """L = mean (x - g(f(x)))^2."""
