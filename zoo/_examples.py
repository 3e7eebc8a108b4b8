"""Example images for pictures and the gallery. `python -m acai_tf.zoo._examples DATASET` writes those of a data set.

zoo/examples/DATASET.png is a sheet with one pair of test images per row: the first and second test image, the third and
fourth, and so on, in the order of the data set's test split (TensorFlow Datasets shuffles the official files). With
these, pictures of pretrained models need no download.
"""

import pathlib

import numpy as np
from absl import flags
from PIL import Image

from acai_tf import cli
from acai_tf.evaluation import figures
from acai_tf.experiment import registry
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve_dataset
from acai_tf.training import build

FOLDER = pathlib.Path(__file__).parent / 'examples'
PAIRS = 6


def pairs(dataset, shape) -> tuple | None:
  """Loads the example pairs of a data set.

  Args:
    dataset: name of the data set.
    shape: (height, width, channels) of the images.

  Returns:
    (first images, second images), each [PAIRS, height, width, channels] float32 in [-1, 1]; None if there are no
    examples of this shape.
  """
  path, (height, width, channels) = FOLDER / f'{dataset}.png', shape
  if not path.exists():
    return None
  sheet = np.asarray(Image.open(path), np.float32) / 127.5 - 1
  if sheet.size != 2 * PAIRS * height * width * channels or sheet.shape[:2] != (PAIRS * height, 2 * width):
    return None
  images = sheet.reshape(PAIRS, height, 2, width, channels).transpose(2, 0, 1, 3, 4)
  return images[0], images[1]


def save_sheet(path, images) -> None:
  """Writes [rows, columns, height, width, channels] images in [-1, 1] as one PNG without gaps."""
  rows, columns, height, width, channels = images.shape
  sheet = figures.to_uint8(images).transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
  Image.fromarray(sheet[..., 0] if channels == 1 else sheet).save(path)


def main(words) -> None:
  """Writes the example sheet of the data set named in `words`."""
  if len(words) != 1:
    raise UserError('expected the name of one data set: python -m acai_tf.zoo._examples mnist.')
  name, = words
  config = resolve_dataset(name)
  if registry.kind_of('acai_tf.data', name) != 'images':
    raise UserError(f'{name} has sentences; expected a data set of images.')
  cli.start_tensorflow()
  dataset = build.load_dataset(name, config, flags.FLAGS.data_dir, flags.FLAGS.manual_dir)
  images, _ = dataset.test(2 * PAIRS)
  FOLDER.mkdir(exist_ok=True)
  save_sheet(FOLDER / f'{name}.png', images.reshape(PAIRS, 2, *images.shape[1:]))
  print(f'wrote {FOLDER / name}.png')


if __name__ == '__main__':
  cli.define_data_flags(flags.FLAGS)
  cli.run(main, 'python -m acai_tf.zoo._examples DATASET: stores its first test images for pictures and the gallery.',
          {'Data': ['data_dir', 'manual_dir']}, words=True)
