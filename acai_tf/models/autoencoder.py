"""The baseline: a convolutional autoencoder trained on mean squared error alone (ACAI paper, section 4)."""


from acai_tf.experiment.fields import declared
from acai_tf.models import _image


@declared('model')
class Config:
  """Nothing to set."""


class Model(_image.Autoencoder):
  """L = mean (x - g(f(x)))^2."""
