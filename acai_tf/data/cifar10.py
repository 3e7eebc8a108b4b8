"""CIFAR-10: 50,000 training and 10,000 test photographs in ten classes, 32x32x3 (ACAI paper, section 4)."""

from acai_tf.data import _tfds, image_base
from acai_tf.experiment.config import Network
from acai_tf.experiment.fields import config_dataclass

NETWORK = Network(latent_width=4, latent=16, depth=64)
SOURCE = 'CIFAR-10 (Krizhevsky 2009)', 'none stated'


@config_dataclass('dataset')
class Config:
  """The data set has no settings."""


def shape(config) -> tuple[int, int, int]:
  """Returns (height, width, channels) of the images."""
  del config
  return 32, 32, 3


def classes(config) -> int:
  """Returns the number of classes, ten kinds of animals and vehicles."""
  del config
  return 10


def load(config, data_dir, manual_dir=None) -> image_base.ArrayDataset:
  """Returns the data set; `data_dir` and `manual_dir` as in `_tfds.arrays`."""
  return image_base.checked(_tfds.arrays('cifar10', data_dir, manual_dir), shape(config), classes(config))
