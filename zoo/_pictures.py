"""Program: `python -m zoo._pictures` draws the pictures of README and docs/ from the weights that are kept."""

import pathlib

from acai_tf import cli
from acai_tf.training import build
from zoo import _weights

FOLDER = pathlib.Path(__file__).parents[1] / 'docs' / 'pictures'
PAIRS = (0, 1)  # the first two of the test lines' pairs
MODELS = ('autoencoder', 'dropout', 'denoising', 'vae', 'aae', 'vqvae', 'acai')


def main() -> None:
  """Draws lines.png (ACAI beside the cross-fade) and models.png (one pair, each model)."""
  cli.start_tensorflow()
  from acai_tf.evaluation import figures, images

  panels = {}
  for name in MODELS:
    experiment, model, _ = _weights.load(f'lines_{name}')
    first, second = (ends[list(PAIRS)] for ends in build.load_data(experiment).pairs(images.PAIRS, images.PAIR_SEED))
    panels[name] = images.strips(images.functions_of(model), first, second)
  panels['cross-fade'] = images.crossfade(first, second)
  FOLDER.mkdir(parents=True, exist_ok=True)
  figures.save_rows(FOLDER / 'lines.png', {
      'ACAI: the point between two codes, decoded': panels['acai'],
      'the same two images, cross-faded': panels['cross-fade']}, '')
  figures.save_rows(FOLDER / 'models.png', {name: rows[:1] for name, rows in panels.items()}, '')
  print(f'wrote {FOLDER}/lines.png, {FOLDER}/models.png')


if __name__ == '__main__':
  cli.run(main, 'python -m zoo._pictures: draws the pictures of README and docs/.', {})
