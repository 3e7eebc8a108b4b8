"""Program: measures a run, an exported module, or interpolations of lines made by any program."""

import dataclasses
import json
import pathlib
import time

import numpy as np
from absl import flags

from acai_tf import measure, program, registry, runs
from acai_tf.config import UserError

FLAGS = flags.FlagValues()  # Its own: acai_tf.train has some of the same names.
flags.DEFINE_string('run', None, 'Folder made by acai_tf.train', flag_values=FLAGS)
flags.DEFINE_enum('checkpoint', 'last', ['last', 'best'], 'Which weights of it', flag_values=FLAGS)
flags.DEFINE_enum('weights', 'average', runs.WEIGHTS, 'Averaged where the run has them, or raw', flag_values=FLAGS)
flags.DEFINE_string('zoo', None, "A definition whose weights are kept (python -m zoo list)", flag_values=FLAGS)
flags.DEFINE_string('module', None, 'Folder or address of an exported module', flag_values=FLAGS)
flags.DEFINE_string('dataset', None, 'Data set that the module is measured on', flag_values=FLAGS)
flags.DEFINE_multi_string('set', [], 'dataset.KEY=VALUE of that data set (repeatable)', flag_values=FLAGS)
flags.DEFINE_string('interpolations', None, 'File.npy of lines, [n, k, 32, 32, 1] in [-1, 1]', flag_values=FLAGS)
flags.DEFINE_list('metrics', ['quick'], f'quick ({", ".join(measure.QUICK)}), all, or groups: '
                  f'{", ".join(measure.GROUPS[len(measure.QUICK):])}, ...', flag_values=FLAGS)
flags.DEFINE_integer('restarts', None, 'Of k-means [10; 1000 for a run of recipe paper]', 1, flag_values=FLAGS)
flags.DEFINE_integer('train_images', None, 'Whose codes are classified and clustered [60000]', 20, flag_values=FLAGS)
flags.DEFINE_string('features', None, 'Module of image features for `quality` [one trained here]', flag_values=FLAGS)
flags.DEFINE_integer('feature_size', 299, 'Height and width that it takes', 8, flag_values=FLAGS)
flags.DEFINE_string('to', None, 'Folder for the results of --zoo or --module', flag_values=FLAGS)
program.define_data_flags(FLAGS)
PAPER_RESTARTS = 1000
NAMES = {'average': 'averaged weights', 'raw': 'raw weights'}
GROUPS = {
    'What': ['run', 'checkpoint', 'weights', 'zoo', 'module', 'dataset', 'set', 'interpolations', 'to'],
    'How': ['metrics', 'restarts', 'train_images', 'features', 'feature_size'],
    'Data': ['data_dir', 'manual_dir'],
}


def table(experiment, samples, metrics, floor=None, weights=None, restarts=None):
  """Text of the metrics after `samples` training images, beside published ones and (`floor`) the cross-fade's.

  Below it stand which `weights` were measured and k-means' `restarts`, where they are given.
  """
  from zoo import base as zoo

  published = zoo.published_for(experiment)
  text = grid_of(metrics, published, floor)
  shown = [row for name, row in published.items() if name in metrics]
  if shown:
    sources = '; '.join(sorted({row.source for row in shown}))
    starred = '; * from a single secondary source' if any(not row.confirmed for row in shown) else ''
    text += f'\n  published: {sources}{starred}; the ACAI paper trained on {zoo.PAPER_SAMPLES:,} samples.'
  if samples < zoo.PAPER_SAMPLES:
    text += f'\n  this run is undertrained: {samples:,} samples, {samples / zoo.PAPER_SAMPLES:.1%} of the paper\'s.'
  text += f'\n  measured with the {NAMES[weights]}.' if weights else ''
  return text + restarts_of(metrics, restarts)


def restarts_of(metrics, restarts):
  """A line below a table with clustering: how many restarts it is the best of."""
  if restarts is None or 'clustering_accuracy' not in metrics:
    return ''
  return f'\n  clustering: the best of {restarts:,} restarts of k-means; the paper: {PAPER_RESTARTS:,}.'


def grid_of(metrics, published=None, floor=None):
  """Metrics, one a row, with their confidence intervals, beside `published` and `floor`."""
  from rich import box
  from rich import table as rich_table

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
  return program.text_of(grid)


def number(value):
  """A metric in four significant digits; None is undefined."""
  return 'undefined' if value is None else f'{value:.4g}'


def latent_dimension(experiment):
  """Numbers in a code."""
  return experiment.network.latent_width**2 * experiment.network.latent


def title_of(experiment, samples, weights=None):
  """What a picture or table shows: model, data, code, samples, recipe, seed, and which `weights`, where given."""
  return (f'{experiment.model_name} on {experiment.dataset_name}, code of {latent_dimension(experiment)} numbers, '
          f'{samples:,} samples, recipe {experiment.training.recipe}, seed {experiment.training.seed}'
          + (f', {NAMES[weights]}' if weights else ''))


def record(experiment, measured, settings, samples, seconds, folder, weights):
  """What `metrics.json` holds: figures with all that they depend on.

  `feature_network` is the identity of the network that `quality` was measured with, None where it was not.
  """
  history = runs.read_history(folder)
  return {
      'experiment': experiment.to_dict(),
      'samples': samples,
      'weights': weights,
      'metrics': measured.metrics,
      'medians': runs.medians(history, experiment.training),
      'curves': measured.curves,
      'pairs': {'count': measure.PAIRS, 'steps': measure.STEPS, 'draw': settings.draw},
      'kmeans_restarts': settings.restarts,
      'train_images': settings.train_images,
      'feature_network': settings.features.identity if settings.features else None,
      **runs.origin(),
      'trained_by': runs.read_origins(folder),
      'train_seconds': history[-1].get('seconds') if history else None,
      'evaluation_seconds': round(seconds, 2),
      'date': time.strftime('%Y-%m-%d'),
  }


def report(experiment, model, dataset, samples, folder, settings=None, weights='average'):
  """Measures and prints the table; draws and writes metrics.json into `folder`. Returns the metrics.

  Args:
    experiment, model, dataset: of the run; the model has the weights that are to be measured.
    samples: training images so far.
    folder: of the run, or another; None: nothing is written.
    settings: `measure.Settings`; default: the quick groups.
    weights: which weights those are, one of `runs.WEIGHTS`.
  """
  from acai_tf import functions as functions_lib
  from acai_tf import pictures

  seeds = experiment.training.seed, samples // experiment.training.batch
  settings, began = dataclasses.replace(settings or measure.Settings(), draw=seeds, codes=folder), time.monotonic()
  weights = weights if experiment.training.average else 'raw'  # a run without averages has only those
  functions, title = functions_lib.of_model(model), title_of(experiment, samples, weights)
  with program.Status() as status:
    measured = measure.measure(functions, dataset, experiment.dataset_name, settings, experiment.model_name, status)
    seconds = time.monotonic() - began
    floor = (measure.score_lines(measure.crossfade(*dataset.pairs(measure.PAIRS, seeds)))
             if experiment.dataset_name == 'lines' else {})
    paths = []
    if folder is not None:
      status('pictures')
      paths = [pathlib.Path(folder) / runs.METRICS]
      found = record(experiment, measured, settings, samples, seconds, folder, weights)
      try:
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        paths += pictures.draw(functions, dataset, measured, title, paths[0].parent)
        runs.write(paths[0], json.dumps(found, indent=2) + '\n')
      except OSError as error:
        raise UserError(f'results cannot be written to {folder}: {error.strerror or error}; free space and run '
                        'python -m acai_tf.evaluate again.') from error
  text = table(experiment, samples, measured.metrics, floor, weights, settings.restarts)
  wrote = f'; wrote {", ".join(map(str, paths))}' if paths else ''
  print(f'\n{title}\n\n{text}\n\nmeasured in {seconds:.1f} s{wrote}')
  return measured.metrics


def score_file(path):
  """Scores a file of interpolations on the lines benchmark and prints; UserError says what does not fit."""
  from acai_tf.metrics import lines

  try:
    images = np.load(path, allow_pickle=False)
    if not isinstance(images, np.ndarray) or images.dtype.kind not in 'fiu':
      raise ValueError('no array of numbers')
  except (OSError, ValueError, EOFError) as error:
    raise UserError(f'{path} cannot be read ({error}); expected a .npy file, [n, k, 32, 32, 1] numbers.') from error
  try:
    if images.ndim == 5 and images.shape[2:] == (32, 32, 1) and np.isfinite(images).all():
      lines.check_range(images)
    elif images.ndim != 5:
      raise ValueError(f'interpolations have shape {images.shape}; expected [n, k >= 3, 32, 32, 1]')
    scores = lines.score(images, *_templates())
  except ValueError as error:
    raise UserError(f'{path}: {error}.') from error
  count, steps = images.shape[:2]
  print(f'{path}: {count} interpolations of {steps} images\n\n{grid_of(scores)}\n\n± is half the 95 % confidence '
        'interval over interpolations. The published figures are means over 256 interpolations of 16 images.')


def _templates():
  from acai_tf.data import lines as lines_data

  return lines_data.templates()


def settings_of(recipe, dataset, dataset_name, data_dir):
  """`measure.Settings` from the flags; a feature network that is not there yet is trained."""
  named = {('all',): measure.GROUPS, ('quick',): measure.QUICK}
  groups = tuple(named.get(tuple(FLAGS.metrics), FLAGS.metrics))
  restarts = FLAGS.restarts or (PAPER_RESTARTS if recipe == 'paper' else 10)
  try:
    measure.Settings(groups)
  except ValueError as error:
    raise UserError(f'{error} Or quick, or all.') from error
  features = None
  if 'quality' in groups:
    from acai_tf import feature_network

    if FLAGS.features:
      features = feature_network.of_module(FLAGS.features, FLAGS.feature_size)
    elif dataset.classes or FLAGS.metrics != ['all']:
      with program.Status() as status:
        features = feature_network.load(dataset, dataset_name, data_dir, progress=status)
    else:
      print(f'quality is left out: {dataset_name} has no labels to train a feature network on (--features).')
      groups = tuple(group for group in groups if group != 'quality')
  return measure.Settings(groups, restarts, FLAGS.train_images or measure.Settings.train_images, features=features)


def evaluate_module(data_dir):
  """Measures an exported module on a data set, through hub.load; prints, and writes metrics.json to --to."""
  from acai_tf import config, pictures
  from acai_tf import functions as functions_lib

  if not FLAGS.dataset:
    raise UserError(f'--dataset is missing; expected one of {", ".join(registry.names("acai_tf.data"))}.')
  runs.load_card(FLAGS.module)  # A module of lines drawn otherwise is told; an address has no such file here.
  experiment = runs.resolve(FLAGS.dataset, 'autoencoder', 'fast', {
      'dataset': config.parse_overrides(FLAGS.set)['dataset']})
  program.start_tensorflow()
  functions, shape = functions_lib.of_module(FLAGS.module)
  dataset = runs.load_data(experiment, data_dir, FLAGS.manual_dir)
  if tuple(dataset.shape) != shape:
    raise UserError(f'module {FLAGS.module} takes images of {"x".join(map(str, shape))}; {FLAGS.dataset} has '
                    f'{"x".join(map(str, dataset.shape))}.')
  settings = settings_of('fast', dataset, FLAGS.dataset, data_dir)
  with program.Status() as status:
    measured = measure.measure(functions, dataset, FLAGS.dataset, settings, f'module {FLAGS.module}', status)
  title = f'module {FLAGS.module} on {FLAGS.dataset}'
  print(f'\n{title}\n\n{grid_of(measured.metrics)}{restarts_of(measured.metrics, settings.restarts)}')
  if FLAGS.to:
    folder = pathlib.Path(FLAGS.to)
    folder.mkdir(parents=True, exist_ok=True)
    paths = pictures.draw(functions, dataset, measured, title, folder)
    runs.write(folder / runs.METRICS, json.dumps({
        'module': FLAGS.module, 'dataset': FLAGS.dataset, 'metrics': measured.metrics, 'curves': measured.curves,
        'kmeans_restarts': settings.restarts, 'train_images': settings.train_images,
        'feature_network': settings.features.identity if settings.features else None}, indent=2) + '\n')
    print(f'\nwrote {", ".join(str(p) for p in [folder / runs.METRICS, *paths])}')


def main():
  """The program."""
  if sum(bool(x) for x in (FLAGS.run, FLAGS.zoo, FLAGS.module, FLAGS.interpolations)) != 1:
    raise UserError('expected one of --run DIR (made by acai_tf.train), --zoo NAME, --module DIR --dataset NAME, and '
                    '--interpolations FILE.npy.')
  data_dir = program.data_dir(FLAGS.data_dir)
  if FLAGS.interpolations:
    if FLAGS.metrics not in (['quick'], ['all'], ['lines']):
      raise UserError(f'--interpolations are scored by --metrics lines, not {",".join(FLAGS.metrics)}.')
    return score_file(FLAGS.interpolations)
  if FLAGS.module:
    return evaluate_module(data_dir)
  if FLAGS.zoo:
    from zoo import _weights

    _weights.kept(FLAGS.zoo)  # Before TensorFlow is loaded, as below.
    program.start_tensorflow()
    experiment, model, samples = _weights.load(FLAGS.zoo)
  else:
    runs.load_experiment(FLAGS.run)  # Before TensorFlow is loaded: a wrong folder is told at once.
    program.start_tensorflow()
    experiment, model, step = runs.load_model(FLAGS.run, FLAGS.checkpoint, weights=FLAGS.weights)
    samples = step * experiment.training.batch
  dataset = runs.load_data(experiment, data_dir, FLAGS.manual_dir)
  settings = settings_of(experiment.training.recipe, dataset, experiment.dataset_name, data_dir)
  report(experiment, model, dataset, samples, FLAGS.run or FLAGS.to, settings, FLAGS.weights)
  return None


if __name__ == '__main__':
  program.run(main, 'python -m acai_tf.evaluate --run DIR: measures a trained run, writes metrics.json and pictures.\n'
              'Also --zoo NAME (weights that are kept), --module DIR --dataset NAME, and --interpolations FILE.npy\n'
              '(the lines benchmark, for anyone).', GROUPS, flag_values=FLAGS)
