"""Program: what a user does with an exported lines model. `python -m export.demo --module DIR --picture FILE`."""

import pathlib

import numpy as np
from absl import flags

from acai_tf import evaluate, measure, program, runs
from acai_tf.config import UserError

flags.DEFINE_string('module', None, 'Folder made by python -m export from a lines run')
flags.DEFINE_string('picture', 'interpolation.png', 'File to draw')


def main():
  """Loads the module with hub.load, interpolates test lines with it, scores and draws them."""
  arguments = flags.FLAGS
  if not arguments.module:
    raise UserError('--module DIR is missing; expected a folder made by python -m export.')
  card = runs.load_card(arguments.module)
  if card is None:
    raise UserError(f'{arguments.module} is no module with a {runs.CARD}; expected a folder made by python -m export.')
  experiment, samples = card
  if experiment.dataset_name != 'lines':
    raise UserError(f'{arguments.module} was trained on {experiment.dataset_name}; expected a model of lines.')
  program.start_tensorflow()
  import tensorflow_hub as hub

  from acai_tf import figures

  module = hub.load(arguments.module)
  first, second = runs.load_data(experiment).pairs(measure.PAIRS, measure.PAIR_SEED)
  steps = measure.STEPS
  alpha = np.tile(np.linspace(0, 1, steps, dtype=np.float32), len(first))
  ends = {'images_a': first, 'images_b': second}
  inputs = {name: (np.repeat(images, steps, axis=0) + 1) / 2 for name, images in ends.items()}  # [0, 1] outside
  images = 2 * module.interpolator({**inputs, 'alpha': alpha}).numpy() - 1
  images = images.reshape(len(first), steps, *images.shape[1:])
  faded = measure.crossfade(first, second)
  title = 'through hub.load: ' + evaluate.title_of(experiment, samples)
  pathlib.Path(arguments.picture).parent.mkdir(parents=True, exist_ok=True)
  figures.save_rows(arguments.picture, {
      'codes interpolated by the module': images[:6], 'pixels cross-faded, for comparison': faded[:6],
  }, title)
  text = evaluate.table(experiment, samples, measure.score_lines(images), measure.score_lines(faded))
  print(f'\n{title}\n\n{text}\n\nwrote {arguments.picture}')


if __name__ == '__main__':
  program.run(main, 'python -m export.demo --module DIR: interpolates lines with an exported module.',
              {'What': ['module', 'picture']})
