"""CelebA: 162,770 training, 19,867 validation and 19,962 test images of aligned faces with 40 attributes.

The data set is that of the ACAI paper, section 4. The authors' program evaluates on its training images and has no
labels; this one uses the official splits and attributes.
"""

from typing import Annotated, Literal

import numpy as np

from acai_tf.data import _tfds, image_base
from acai_tf.experiment.config import Network
from acai_tf.experiment.fields import config_dataclass

NETWORK = Network(latent_width=4, latent=16, depth=64)
SOURCE = 'CelebA (Liu et al. 2015)', 'non-commercial research only'
ROWS, COLUMNS = 36, 16  # pixels cropped from each side of 218x178, which leaves 146x146


@config_dataclass('dataset')
class Config:
  """Settings of the data set."""

  size: Annotated[int, '[2, 146]'] = 32  # height and width in pixels; 32 in the paper
  test_part: Literal['test', 'valid'] = 'test'  # split on which models are evaluated; 'valid' to choose settings


def shape(config) -> tuple:
  """Returns (height, width, channels) of the images."""
  return config.size, config.size, 3


def classes(config) -> int:
  """Returns the number of attributes. Each is present (1) or absent (0), and a face may have several."""
  del config
  return 40


def load(config, data_dir, manual_dir=None) -> image_base.ArrayDataset:
  """Returns the data set; `data_dir` and `manual_dir` as in `_tfds.arrays`."""

  def convert(batch):
    faces = batch['image'][:, ROWS:-ROWS, COLUMNS:-COLUMNS]
    attributes = [batch['attributes'][name] for name in sorted(batch['attributes'])]
    return image_base.resized(faces, config.size), np.stack(attributes, axis=1).astype(np.int32)

  split, suffix = {'test': ('test', ''), 'valid': ('validation', '_validation')}[config.test_part]
  splits, variant = {'train': 'train', 'test': split}, f'_{config.size}{suffix}'
  arrays = _tfds.arrays('celeb_a', data_dir, manual_dir, variant, splits, convert)
  return image_base.checked(arrays, shape(config), classes(config))
