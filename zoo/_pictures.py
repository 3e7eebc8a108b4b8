"""Draws the pictures of README and docs/ with the pretrained models. Run it as `python -m acai_tf.zoo._pictures`."""

import pathlib

from acai_tf import cli
from acai_tf.evaluation import figures, images, subject
from acai_tf.experiment.errors import UserError
from acai_tf.training import build
from acai_tf.zoo import _examples, _weights, base

FOLDER = pathlib.Path(__file__).parents[2] / 'docs' / 'pictures'
SHOWN = 3  # pairs of digits: the first of the test set
LINES = (0, 1)  # the first two pairs of test lines
MODELS = ('autoencoder', 'dropout', 'denoising', 'vae', 'aae', 'vqvae', 'acai')


def main() -> None:
  """Draws paths.png (digits and lines by ACAI and the autoencoder) and models.png (one pair of lines by each model)."""
  cli.start_tensorflow()

  def strips(name, first, second):
    return images.strips(subject.of_model(_weights.load(name)[1]), first, second)

  kept = _examples.pairs('mnist', (32, 32, 1))
  if kept is None:
    raise UserError('zoo/examples/mnist.png is missing; expected the example digits. Restore it with git.')
  digits = [ends[:SHOWN] for ends in kept]
  experiment = _weights.load('lines_acai')[0]
  lines = [ends[list(LINES)] for ends in build.load_data(experiment).pairs(images.PAIRS, images.PAIR_SEED)]
  of_lines = {name: strips(f'lines_{name}', *lines) for name in MODELS}
  FOLDER.mkdir(parents=True, exist_ok=True)
  figures.save_rows(FOLDER / 'paths.png', {
      'ACAI: interpolation between the latents of two digits, decoded': strips('mnist_acai_d32', *digits),
      'a plain autoencoder: the same digits': strips('mnist_autoencoder_d32', *digits),
      'ACAI: two lines': of_lines['acai'],
      'a plain autoencoder: the same lines': of_lines['autoencoder']}, '', alpha=True)
  figures.save_rows(FOLDER / 'models.png', {
      **{base.title(name): rows[:1] for name, rows in of_lines.items()}, 'cross-fade': images.crossfade(*lines)[:1]},
                    '', alpha=True)
  print(f'wrote {FOLDER}/paths.png, {FOLDER}/models.png')


if __name__ == '__main__':
  cli.run(main, 'python -m acai_tf.zoo._pictures: draws the pictures of README and docs/.', {})
