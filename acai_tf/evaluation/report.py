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
from acai_tf.metrics import labels

PAPER_RESTARTS = 1000
NAMES = {'average': 'EMA of the weights', 'raw': 'raw weights'}


def table(experiment, samples, metrics, crossfade=None, weights=None, restarts=None, published=None) -> str:
  """Formats metrics as a table of text, with notes below it.

  Args:
    experiment: `config.Experiment` of the model.
    samples: number of training samples so far.
    metrics: dict: metric -> number or None.
    crossfade: dict of metrics of the pixel cross-fade, for another column.
    weights: the weights that were measured, one of `run.WEIGHTS`.
    restarts: restarts of k-means.
    published: dict: metric -> published figure, for another column.
  """
  published = published or {}
  text = grid_of(metrics, published, crossfade)
  shown = [row for name, row in published.items() if name in metrics]
  if shown:
    sources = '; '.join(sorted({row.source for row in shown}))
    starred = '; * not checked against a second source' if any(not row.confirmed for row in shown) else ''
    text += f'\n  published: {sources}{starred}; the ACAI paper trained on {config.PAPER_SAMPLES:,} samples.'
    if not all(row.comparable for row in shown):
      text += '\n  † not compared: the model has other settings than the paper\'s.'
  paper = resolve.paper_samples(experiment)
  if samples < paper and experiment.kind == 'images':
    text += f'\n  this run is undertrained: {samples:,} samples, {samples / paper:.1%} of those of recipe paper.'
  text += f'\n  measured with the {NAMES[weights]}.' if weights else ''
  return text + restarts_of(metrics, restarts)


def restarts_of(metrics, restarts) -> str:
  """Returns a note with the number of restarts of k-means; '' if there is no clustering among the metrics."""
  if restarts is None or 'clustering_accuracy' not in metrics:
    return ''
  return f'\n  clustering: the best of {restarts:,} restarts of k-means; the paper: {PAPER_RESTARTS:,}.'


def grid_of(metrics, published=None, crossfade=None) -> str:
  """Formats metrics as a table, one per row, with confidence intervals; further columns: `published`, `crossfade`."""
  columns = ['metric', 'this run'] + (['published'] if published else []) + (['pixel cross-fade'] if crossfade else [])
  grid = rich_table.Table(box=box.SIMPLE_HEAD)
  for heading in columns:
    grid.add_column(heading, justify='left' if heading == 'metric' else 'right')
  for name, value in metrics.items():
    if name.endswith('_ci95'):
      continue
    label, interval = labels.of(name), metrics.get(f'{name}_ci95')
    cells = [label.text, label.number(value) + (f' ± {label.number(interval)}' if interval else '')]
    if published:
      paper = published.get(name)
      spread = f' ± {label.number(paper.spread)}' if paper and paper.spread is not None else ''
      marks = ('' if paper.confirmed else ' *') + ('' if paper.comparable else ' †') if paper else ''
      cells.append(f'{label.number(paper.value)}{spread}{marks}' if paper else '')
    if crossfade:
      cells.append(label.number(crossfade[name]) if name in crossfade else '')
    grid.add_row(*cells)
  return cli.text_of(grid)


def number(value) -> str:
  """Formats a metric with four significant digits; None is 'undefined'."""
  return 'undefined' if value is None else f'{value:.4g}'


def title_of(experiment, samples, weights=None) -> str:
  """Returns a title for pictures and tables: model, data set, latent dimension, samples, recipe, seed, weights."""
  return (f'{experiment.model_name} on {experiment.dataset_name}, latent dimension {experiment.latent_dimension}, '
          f'{samples:,} samples, recipe {experiment.training.recipe}, seed {experiment.training.seed}'
          + (f', {NAMES[weights]}' if weights else ''))


def record(experiment, measured, settings, samples, seconds, run: Run, weights) -> dict:
  """Returns the content of `metrics.json`: the metrics, and everything on which they depend."""
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
      'train_seconds': next((row.get('seconds') for row in history if row['samples'] == samples), None),
      'evaluation_seconds': round(seconds, 2),
      'date': time.strftime('%Y-%m-%d'),
  }


def report(experiment, model, dataset, samples, run: Run | None, settings=None, weights='average',
           published=None) -> dict:
  """Measures a model, prints the table, and writes pictures and metrics.json. Returns the metrics.

  Args:
    experiment, model, dataset: those of the run. The model has the weights that are to be measured.
    samples: number of training samples so far.
    run: run folder of the model, or another folder; None: nothing is written.
    settings: `Settings`; default: the quick groups.
    weights: the kind of the model's weights, one of `run.WEIGHTS`.
    published: dict: metric -> published figure (`zoo.base.Published`).
  """
  modality = MODALITIES[experiment.kind]
  seeds = experiment.training.seed, samples // experiment.training.batch
  settings = dataclasses.replace(settings or modality.settings(), seeds=seeds, codes=run.folder if run else None)
  weights = weights if experiment.training.average else 'raw'  # a run without an EMA has only raw weights
  functions, title, began = modality.functions_of(model), title_of(experiment, samples, weights), time.monotonic()
  with cli.Status() as status:
    measured = modality.measure(functions, dataset, experiment.dataset_name, settings, experiment.model_name, status)
    seconds = time.monotonic() - began
    crossfade = modality.crossfade_metrics(dataset, seeds)
    paths = []
    if run is not None:
      status('pictures')
      paths = [run.metrics]
      results = record(experiment, measured, settings, samples, seconds, run, weights)
      try:
        run.folder.mkdir(parents=True, exist_ok=True)
        files.write(run.metrics, json.dumps(results, indent=2) + '\n')
        paths += modality.save_pictures(functions, dataset, measured, title, run.folder)
      except OSError as error:
        raise UserError(f'results cannot be written to {run}: {error.strerror or error}; free space and run '
                        'acai evaluate again.') from error
  text = table(experiment, samples, measured.metrics, crossfade, weights, getattr(settings, 'restarts', None),
               published)
  wrote = f'; wrote {", ".join(map(str, paths))}' if paths else ''
  print(f'\n{title}\n\n{text}\n\nmeasured in {seconds:.1f} s{wrote}')
  return measured.metrics
