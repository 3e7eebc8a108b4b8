"""Binarized MNIST: 60,000 training and 10,000 test digits, 28x28x1, as in the ARAE paper's image experiment."""

import numpy as np

from acai_tf.data import _tfds, image_base
from acai_tf.experiment.config import Network
from acai_tf.experiment.fields import config_dataclass

NETWORK = Network(latent_width=7, latent=2, depth=16)  # latent dimension 98; 100 in the ARAE paper
SOURCE = 'binarized MNIST (LeCun, Cortes, Burges)', 'CC BY-SA 3.0'
THRESHOLD = 128  # pixels of this value or more become white


@config_dataclass('dataset')
class Config:
  """The data set has no settings."""


def shape(config) -> tuple[int, int, int]:
  """Returns (height, width, channels) of the images, which are not padded."""
  del config
  return 28, 28, 1


def classes(config) -> int:
  """Returns the number of classes, the ten digits."""
  del config
  return 10


def binary(batch) -> tuple:
  """Binarizes a batch, for `_tfds.arrays`: pixels become 0 or 255, the same in every epoch."""
  return np.where(batch['image'] >= THRESHOLD, np.uint8(255), np.uint8(0)), batch['label'].astype(np.int32)


def load(config, data_dir, manual_dir=None) -> image_base.ArrayDataset:
  """Returns the data set; `data_dir` and `manual_dir` as in `_tfds.arrays`."""
  arrays = _tfds.arrays('mnist', data_dir, manual_dir, '_binary', convert=binary)
  return image_base.checked(arrays, shape(config), classes(config))
