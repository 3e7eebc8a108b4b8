"""Plots of docs/results.md, drawn from the result files by `python -m zoo._readme`."""

import json
import pathlib

from acai_tf import files
from acai_tf.experiment import config
from zoo import _records, base

FOLDER = pathlib.Path(__file__).parents[1] / 'docs' / 'pictures'
DIGEST = 'Description'  # the PNG's text chunk that holds the digest of what is drawn


def distance_of_lines(folder=_records.FOLDER) -> dict:
  """Mean distance of the ACAI paper's seven models on lines over the samples of a training.

  Returns:
    Keyword arguments of `evaluation.figures.save_series`: one series a model, of its reported run (lowest seed), and
    the paper's figures (table 1) as points at the paper's samples.
  """
  series, points = {}, {}
  for model in base.PAPER_MODELS:
    name = f'lines_{model}'
    run = _records.reported(_records.load(name, folder), name)
    if run is None:
      continue
    rows = [row for row in run.history if 'mean_distance' in row]
    series[model] = [row['samples'] for row in rows], [1e3 * row['mean_distance'] for row in rows]
    published = base.published('lines', model, base.definition(name).latent_dimension)['mean_distance']
    points[model] = config.PAPER_SAMPLES, 1e3 * published.value, 1e3 * published.spread
  return {'series': series, 'points': points, 'x_label': 'training images', 'y_label': 'mean distance, 1e-3',
          'log': True, 'caption': "Lines: mean distance over training images (ours, recipe fast, one seed each); "
                                  'stars: the ACAI paper, table 1'}


def quality_of_digits(folder=_records.FOLDER) -> dict:
  """Frechet distance of interpolated digits along the path, of MNIST's models with 32-dimensional latents.

  Returns:
    As `distance_of_lines`; models are told apart by their samples, too, which differ.
  """
  series = {}
  for model in (*base.PAPER_MODELS, *base.QIAN_MODELS):
    name = f'mnist_{model}_d32'
    run = _records.reported(_records.load(name, folder), name)
    if run and 'frechet' in run.curves:
      series[f'{model}, {run.samples:,} images'] = run.curves['quality_alpha'], run.curves['frechet']
  return {'series': series, 'points': {}, 'x_label': 'alpha', 'y_label': 'Frechet distance to test images',
          'log': False, 'caption': 'MNIST, 32-dimensional latents: Frechet distance of decoded interpolations along '
                                   'the path (recipe fast, one seed each)'}


PLOTS = {'distance.png': distance_of_lines, 'quality.png': quality_of_digits}


def digest(drawing) -> str:
  """SHA-256 of what a plot shows, as text."""
  return files.digest([json.dumps(drawing, sort_keys=True).encode()])


def drawn(path) -> str:
  """The digest that a plot's file holds; '' without a file."""
  from PIL import Image

  if not pathlib.Path(path).exists():
    return ''
  with Image.open(path) as image:
    return image.info.get(DIGEST, '')


def draw(folder=FOLDER, results=_records.FOLDER) -> None:
  """Draws the plots whose figures have changed since they were drawn."""
  from acai_tf.evaluation import figures

  for name, plot in PLOTS.items():
    drawing, path = plot(results), pathlib.Path(folder) / name
    if digest(drawing) != drawn(path):
      figures.save_series(path, **drawing, metadata={DIGEST: digest(drawing)})
