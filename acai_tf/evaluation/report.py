"""Measures a model, prints the table, writes metrics.json and pictures."""

import dataclasses
import json
import time

from rich import box
from rich import table as rich_table

from acai_tf import cli, files
from acai_tf.evaluation.modality import MODALITIES
from acai_tf.experiment import config, machine, resolve
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.run import Run, medians

PAPER_RESTARTS = 1000
NAMES = {'average': 'EMA of the weights', 'raw': 'raw weights'}


def table(experiment, samples, metrics, floor=None, weights=None, restarts=None, published=None) -> str:
  """Returns a table of the metrics after `samples` training samples, as text.

  Args:
    experiment: `config.Experiment`.
    samples: number of training samples.
    metrics: dict: metric -> number or None.
    floor: metrics of the pixel cross-fade, or None.
    weights: one of `run.WEIGHTS`, the weights that were measured; named below the table unless None.
    restarts: restarts of k-means; named below the table unless None.
    published: dict: metric -> published figure (`zoo.base.Published`).
  """
  published = published or {}
  text = grid_of(metrics, published, floor)
  shown = [row for name, row in published.items() if name in metrics]
  if shown:
    sources = '; '.join(sorted({row.source for row in shown}))
    starred = '; * from a single secondary source' if any(not row.confirmed for row in shown) else ''
    text += f'\n  published: {sources}{starred}; the ACAI paper trained on {config.PAPER_SAMPLES:,} samples.'
  paper = resolve.paper_samples(experiment)
  if samples < paper and experiment.kind == 'images':
    text += f'\n  this run is undertrained: {samples:,} samples, {samples / paper:.1%} of the paper\'s.'
  text += f'\n  measured with the {NAMES[weights]}.' if weights else ''
  return text + restarts_of(metrics, restarts)


def restarts_of(metrics, restarts) -> str:
  """Returns the line below a table that names the restarts of k-means; '' if there is no clustering."""
  if restarts is None or 'clustering_accuracy' not in metrics:
    return ''
  return f'\n  clustering: the best of {restarts:,} restarts of k-means; the paper: {PAPER_RESTARTS:,}.'


def grid_of(metrics, published=None, floor=None) -> str:
  """Returns a table of metrics as text, one per row, with their confidence intervals; arguments as in `table`."""
  columns = ['metric', 'this run'] + (['published'] if published else []) + (['pixel cross-fade'] if floor else [])
  grid = rich_table.Table(box=box.SIMPLE_HEAD)
  for heading in columns:
    grid.add_column(heading, justify='left' if heading == 'metric' else 'right')
  for name, value in metrics.items():
    if name.endswith('_ci95'):
      continue
    interval = metrics.get(f'{name}_ci95')
    cells = [name, number(value) + (f' ± {interval:.2g}' if interval else '')]
    if published:
      paper = published.get(name)
      spread = f' ± {paper.spread:.2g}' if paper and paper.spread is not None else ''
      cells.append(f'{paper.value:.4g}{spread}{"" if paper.confirmed else " *"}' if paper else '')
    if floor:
      cells.append(number(floor[name]) if name in floor else '')
    grid.add_row(*cells)
  return cli.text_of(grid)


def number(value) -> str:
  """Formats a metric with four significant digits; None as 'undefined'."""
  return 'undefined' if value is None else f'{value:.4g}'


def title_of(experiment, samples, weights=None) -> str:
  """Returns the title of a picture or table: model, data, latent dimension, samples, recipe, seed and `weights`."""
  return (f'{experiment.model_name} on {experiment.dataset_name}, latent dimension {experiment.latent_dimension}, '
          f'{samples:,} samples, recipe {experiment.training.recipe}, seed {experiment.training.seed}'
          + (f', {NAMES[weights]}' if weights else ''))


def record(experiment, measured, settings, samples, seconds, run: Run, weights) -> dict:
  """Returns the content of `metrics.json`: the metrics, and everything that they depend on."""
  history = run.history()
  return {
      'experiment': experiment.to_dict(),
      'samples': samples,
      'weights': weights,
      'metrics': measured.metrics,
      'medians': medians(history, experiment.training, MODALITIES[experiment.kind].medians),
      'curves': measured.curves,
      **settings.facts(),
      **machine.provenance(),
      'trained_by': run.provenance(),
      'train_seconds': history[-1].get('seconds') if history else None,
      'evaluation_seconds': round(seconds, 2),
      'date': time.strftime('%Y-%m-%d'),
  }


def report(experiment, model, dataset, samples, run: Run | None, settings=None, weights='average',
           published=None) -> dict:
  """Measures a model, prints the table, and writes metrics.json and pictures to `run`. Returns the metrics.

  Args:
    experiment, model, dataset: of the run; the model has the weights to measure.
    samples: number of training samples so far.
    run: the run of the model, or another folder; None: nothing is written.
    settings: `images.Settings` or `text.Settings`; default: the quick groups.
    weights: one of `run.WEIGHTS`, the weights of the model.
    published: as in `table`.
  """
  modality = MODALITIES[experiment.kind]
  seeds = experiment.training.seed, samples // experiment.training.batch
  settings = dataclasses.replace(settings or modality.settings(), draw=seeds, codes=run.folder if run else None)
  weights = weights if experiment.training.average else 'raw'  # A run without EMA has only raw weights.
  functions, title, began = modality.functions_of(model), title_of(experiment, samples, weights), time.monotonic()
  with cli.Status() as status:
    measured = modality.measure(functions, dataset, experiment.dataset_name, settings, experiment.model_name, status)
    seconds = time.monotonic() - began
    floor = modality.floor(dataset, seeds)
    paths = []
    if run is not None:
      status('pictures')
      paths = [run.metrics]
      values = record(experiment, measured, settings, samples, seconds, run, weights)
      try:
        run.folder.mkdir(parents=True, exist_ok=True)
        paths += modality.draw(functions, dataset, measured, title, run.folder)
        files.write(run.metrics, json.dumps(values, indent=2) + '\n')
      except OSError as error:
        raise UserError(f'results cannot be written to {run}: {error.strerror or error}; free space and run '
                        'python -m acai_tf.evaluate again.') from error
  text = table(experiment, samples, measured.metrics, floor, weights, getattr(settings, 'restarts', None),
               published)
  wrote = f'; wrote {", ".join(map(str, paths))}' if paths else ''
  print(f'\n{title}\n\n{text}\n\nmeasured in {seconds:.1f} s{wrote}')
  return measured.metrics
