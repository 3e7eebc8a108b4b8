"""SVHN: street view house numbers, 32x32x3 (ACAI paper, section 4).

There are 73,257 images in the train split and 531,131 in the extra split.
"""

from acai_tf.data import _tfds, image_base
from acai_tf.experiment.config import Network
from acai_tf.experiment.fields import config_dataclass

NETWORK = Network(latent_width=4, latent=16, depth=64)
SOURCE = 'Street View House Numbers (Netzer et al. 2011)', 'non-commercial use only'


@config_dataclass('dataset')
class Config:
  """Settings of the data set."""

  extra: bool = True  # also train on the extra split, as the paper does; its images come after those of train


def shape(config) -> tuple[int, int, int]:
  """Returns (height, width, channels) of the images."""
  del config
  return 32, 32, 3


def classes(config) -> int:
  """Returns the number of classes, the ten digits."""
  del config
  return 10


def load(config, data_dir, manual_dir=None) -> image_base.ArrayDataset:
  """Returns the data set; `data_dir` and `manual_dir` as in `_tfds.arrays`."""
  splits = {'train': 'train+extra' if config.extra else 'train', 'test': 'test'}
  arrays = _tfds.arrays('svhn_cropped', data_dir, manual_dir, '_then_extra' if config.extra else '', splits)
  return image_base.checked(arrays, shape(config), classes(config))
