"""Program: `python -m zoo._examples DATASET` keeps the first test images of a data set for pictures and the gallery.

zoo/examples/DATASET.png is a sheet of pairs, a row each: the first test image and the second one, the third and the
fourth, and so on, in the order of the data set's test part (TensorFlow Datasets shuffles the official files). With it,
pictures of pretrained models need no download.
"""

import pathlib

import numpy as np
from absl import flags

from acai_tf import cli
from acai_tf.experiment import registry
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve_dataset

FOLDER = pathlib.Path(__file__).parent / 'examples'
PAIRS = 6


def pairs(dataset, shape) -> tuple | None:
  """The example pairs of a data set.

  Args:
    dataset: its name.
    shape: (height, width, channels) of the images that are asked for.

  Returns:
    ([PAIRS, height, width, channels] first images, second ones), float32 in [-1, 1]; None where none of this shape are
    kept.
  """
  from PIL import Image

  path, (height, width, channels) = FOLDER / f'{dataset}.png', shape
  if not path.exists():
    return None
  sheet = np.asarray(Image.open(path), np.float32) / 127.5 - 1
  if sheet.size != 2 * PAIRS * height * width * channels or sheet.shape[:2] != (PAIRS * height, 2 * width):
    return None
  images = sheet.reshape(PAIRS, height, 2, width, channels).transpose(2, 0, 1, 3, 4)
  return images[0], images[1]


def save_sheet(path, images) -> None:
  """Writes [rows, columns, height, width, channels] images in [-1, 1] as one PNG, edge to edge."""
  from PIL import Image

  from acai_tf.evaluation import figures

  rows, columns, height, width, channels = images.shape
  sheet = figures.to_uint8(images).transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)
  Image.fromarray(sheet[..., 0] if channels == 1 else sheet).save(path)


def main(words) -> None:
  """Writes the sheet of the data set that `words` names."""
  if len(words) != 1:
    raise UserError('expected the name of one data set: python -m zoo._examples mnist.')
  name, = words
  config = resolve_dataset(name)
  if registry.kind_of('acai_tf.data', name) != 'images':
    raise UserError(f'{name} has sentences; expected a data set of images.')
  cli.start_tensorflow()
  dataset = registry.load('acai_tf.data', name).load(config, cli.data_dir(flags.FLAGS.data_dir), flags.FLAGS.manual_dir)
  images, _ = dataset.test(2 * PAIRS)
  FOLDER.mkdir(exist_ok=True)
  save_sheet(FOLDER / f'{name}.png', images.reshape(PAIRS, 2, *images.shape[1:]))
  print(f'wrote {FOLDER / name}.png')


if __name__ == '__main__':
  cli.define_data_flags(flags.FLAGS)
  cli.run(main, 'python -m zoo._examples DATASET: keeps its first test images for pictures and the gallery.',
          {'Data': ['data_dir', 'manual_dir']}, words=True)
