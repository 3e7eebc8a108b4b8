"""MNIST in black and white: 60,000 + 10,000 digits of 28x28x1, as the ARAE paper's image experiment has them."""


import numpy as np

from acai_tf.data import _tfds, image_base
from acai_tf.experiment.config import Network
from acai_tf.experiment.fields import config_dataclass

NETWORK = Network(latent_width=7, latent=2, depth=16)  # 98 numbers; ARAE's own code has 100
SOURCE = 'MNIST (LeCun, Cortes, Burges), black and white', 'CC BY-SA 3.0'
THRESHOLD = 128  # the first grey that is white


@config_dataclass('dataset')
class Config:
  """Nothing to set."""


def shape(config) -> tuple[int, int, int]:
  """(height, width, channels) of the images; not padded."""
  del config
  return 28, 28, 1


def classes(config) -> int:
  """Digits."""
  del config
  return 10


def binary(batch) -> tuple:
  """A `convert` for `_tfds.arrays`: pixels of 0 and 255, the same in every epoch."""
  return np.where(batch['image'] >= THRESHOLD, np.uint8(255), np.uint8(0)), batch['label'].astype(np.int32)


def load(config, data_dir, manual_dir=None) -> image_base.ArrayDataset:
  """Returns the data set; `data_dir` and `manual_dir` as in `_tfds.arrays`."""
  arrays = _tfds.arrays('mnist', data_dir, manual_dir, '_binary', convert=binary)
  return image_base.checked(arrays, shape(config), classes(config))
