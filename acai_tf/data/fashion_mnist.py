"""Fashion-MNIST: 60,000 training and 10,000 test images of clothing, padded by 2 pixels to 32x32x1 like MNIST.

The ACAI paper does not use it.
"""

from acai_tf.data import _tfds, image_base
from acai_tf.experiment.config import Network
from acai_tf.experiment.fields import config_dataclass

NETWORK = Network(latent_width=4, latent=16, depth=16)
SOURCE = 'Fashion-MNIST (Xiao, Rasul, Vollgraf 2017)', 'MIT'


@config_dataclass('dataset')
class Config:
  """The data set has no settings."""


def shape(config) -> tuple[int, int, int]:
  """Returns (height, width, channels) of the images."""
  del config
  return 32, 32, 1


def classes(config) -> int:
  """Returns the number of classes, ten kinds of clothing."""
  del config
  return 10


def load(config, data_dir, manual_dir=None) -> image_base.ArrayDataset:
  """Returns the data set; `data_dir` and `manual_dir` as in `_tfds.arrays`."""
  arrays = _tfds.arrays('fashion_mnist', data_dir, manual_dir, '_pad2', convert=_tfds.padded(2))
  return image_base.checked(arrays, shape(config), classes(config))
