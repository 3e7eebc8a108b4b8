"""Demo: interpolates lines with an exported model. `python -m acai_tf.zoo._demo --module DIR --picture FILE`."""

import numpy as np
from absl import flags

from acai_tf import cli
from acai_tf.evaluation import figures, report
from acai_tf.evaluation.images import PAIR_SEED, PAIRS, STEPS, crossfade, score_lines
from acai_tf.experiment import module_card, registry
from acai_tf.experiment.errors import UserError
from acai_tf.training import build
from acai_tf.zoo import base

flags.DEFINE_string('module', None, 'Exported model of lines: a folder made by acai export')
flags.DEFINE_string('picture', 'interpolation.png', 'File to draw the interpolations to')


def main() -> None:
  """Loads the module with hub.load, interpolates between test lines, and scores and draws the result."""
  arguments = flags.FLAGS
  cli.check_target('picture', arguments.picture)
  if not arguments.module:
    raise UserError('--module DIR is missing; expected a folder made by acai export.')
  cli.start_tensorflow()
  card = module_card.load(arguments.module)
  if card is None:
    raise UserError(f'{arguments.module} is not a module with a {module_card.FILE}; '
                    'expected a folder made by acai export.')
  experiment, samples = card
  if getattr(registry.load('acai_tf.data', experiment.dataset_name), 'BENCHMARK', None) != 'lines':
    raise UserError(f'{arguments.module} was trained on {experiment.dataset_name}; expected a model of lines.')
  import tensorflow_hub as hub

  module = hub.load(arguments.module)
  first, second = build.load_data(experiment).pairs(PAIRS, PAIR_SEED)
  steps = STEPS
  alpha = np.tile(np.linspace(0, 1, steps, dtype=np.float32), len(first))
  ends = {'images_a': first, 'images_b': second}
  inputs = {name: (np.repeat(images, steps, axis=0) + 1) / 2 for name, images in ends.items()}  # modules take [0, 1]
  images = 2 * module.interpolator({**inputs, 'alpha': alpha}).numpy() - 1
  images = images.reshape(len(first), steps, *images.shape[1:])
  faded = crossfade(first, second)
  title = 'through hub.load: ' + report.title_of(experiment, samples)
  figures.save_rows(arguments.picture, {
      'latents interpolated by the module': images[:6], 'pixels cross-faded, for comparison': faded[:6],
  }, title, alpha=True)
  text = report.table(experiment, samples, score_lines(images), score_lines(faded),
                      published=base.published_for(experiment))
  print(f'\n{title}\n\n{text}\n\nwrote {arguments.picture}')


if __name__ == '__main__':
  cli.run(main, 'python -m acai_tf.zoo._demo --module DIR: interpolates lines with an exported module.',
              {'What': ['module', 'picture']})
