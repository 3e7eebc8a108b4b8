"""Plots for docs/results.md, drawn from the result files by `python -m acai_tf.zoo._readme`."""

import json
import pathlib

from PIL import Image

from acai_tf import files
from acai_tf.evaluation import figures
from acai_tf.experiment import config
from acai_tf.zoo import _records, base

FOLDER = pathlib.Path(__file__).parents[2] / 'docs' / 'pictures'
DIGEST = 'Description'  # text chunk of the PNG with the digest of the plotted data


def distance_of_lines(folder=_records.FOLDER) -> dict:
  """Data of the plot of mean distance on lines over training samples, for the seven models of the ACAI paper.

  Returns:
    Keyword arguments for `evaluation.figures.save_series`: a series for the reported run (lowest seed) of each model,
    and the paper's figures (table 1) as points at the paper's number of samples.
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
  """Data of the plot of the Frechet distance along a path, for models of MNIST with 32-dimensional latents.

  Returns:
    As `distance_of_lines`. The labels name the number of samples, which differs between models.
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
  """SHA-256 of the plotted data in hexadecimal."""
  return files.digest([json.dumps(drawing, sort_keys=True).encode()])


def stored_digest(path) -> str:
  """The digest stored in a plot's file; '' if there is no file."""
  if not pathlib.Path(path).exists():
    return ''
  with Image.open(path) as image:
    return image.info.get(DIGEST, '')


def draw(folder=FOLDER, results=_records.FOLDER) -> None:
  """Draws the plots whose data have changed since they were last drawn."""
  for name, plot in PLOTS.items():
    drawing, path = plot(results), pathlib.Path(folder) / name
    if digest(drawing) != stored_digest(path):
      figures.save_series(path, **drawing, metadata={DIGEST: digest(drawing)})
