"""Program: measures a run and draws it. `python -m acai_tf.evaluate --run DIR` writes metrics.json and pictures."""

import dataclasses
import json
import pathlib
import time

import numpy as np
from absl import flags

from acai_tf import program, runs
from acai_tf.config import UserError

PAIRS, STEPS = 256, 16  # of the lines benchmark (protocol)
PAIR_SEED = 1  # which test images are paired, the same for every model
BATCH = 256

flags.DEFINE_string('run', None, 'Folder made by acai_tf.train')
flags.DEFINE_enum('checkpoint', 'last', ['last', 'best'], 'Which weights of it')
flags.DEFINE_string('data_dir', None, 'Where data sets lie [$TFDS_DATA_DIR or ~/tensorflow_datasets]')
flags.DEFINE_string('manual_dir', None, "Folder with a data set's official files, instead of downloading")


@dataclasses.dataclass(frozen=True)
class Functions:
  """A model as functions of NumPy arrays of any length; images are [n, height, width, channels] in [-1, 1].

  `encode`: images -> codes; `decode`: codes -> images; `classify`: images -> [n, classes] logits, or None.
  """

  encode: object
  decode: object
  classify: object = None


def functions_of(model):
  """`Functions` of a live model, traced here; batches run side by side on all processors."""
  from concurrent import futures

  import tensorflow as tf

  pool = futures.ThreadPoolExecutor(len(program.cores()))
  images = tf.TensorSpec([None, *model.image_shape], tf.float32)
  codes = tf.TensorSpec([None, *model.encode(tf.zeros([1, *model.image_shape])).shape[1:]], tf.float32)

  def batched(function, spec):
    traced = tf.function(function).get_concrete_function(spec)

    def call(array):
      batches = [tf.constant(array[i:i + BATCH], tf.float32) for i in range(0, len(array), BATCH)]
      return np.concatenate(list(pool.map(lambda batch: traced(batch).numpy(), batches)))

    return call

  classify = batched(lambda x: model.classifier(model.represent(x)), images) if model.classifier else None
  return Functions(batched(model.encode, images), batched(model.decode, codes), classify)


def strips(functions, first, second, steps=STEPS, kind='linear'):
  """Decoded paths between images: [n, ...] twice -> [n, steps, height, width, channels]."""
  import tensorflow as tf

  from acai_tf import interpolation

  codes = interpolation.path(
      tf.constant(functions.encode(first)), tf.constant(functions.encode(second)), steps, kind).numpy()
  images = functions.decode(codes.reshape(-1, *codes.shape[2:]))
  return images.reshape(len(first), steps, *images.shape[1:])


def crossfade(first, second, steps=STEPS):
  """The floor: pixels faded from `first` to `second`, shaped as `strips`."""
  alpha = np.linspace(0, 1, steps, dtype=np.float32)[:, None, None, None]
  return (1 - alpha) * first[:, None] + alpha * second[:, None]


def pairs(dataset, count=PAIRS):
  """`count` random pairs of test images, the same in every evaluation; with a small test set an image may recur."""
  generator = np.random.default_rng(PAIR_SEED)
  indices = generator.integers(len(dataset.test_images), size=[count, 2])
  from acai_tf.data import base

  return base.to_float(dataset.test_images[indices[:, 0]]), base.to_float(dataset.test_images[indices[:, 1]])


def measure(functions, dataset, dataset_name, count=None):
  """Every metric that applies.

  Args:
    functions: `Functions`.
    dataset: the data set.
    dataset_name: its name, which says whether the lines benchmark applies.
    count: test images for reconstruction and probe; default: all.

  Returns:
    Dict: metric -> number. `recon_mse` on [-1, 1] pixels, `probe_accuracy` of the online classifier, for lines those
    of `metrics.lines.score`.

  Raises:
    UserError: a model whose outputs are not finite.
  """
  from acai_tf.metrics import probe, reconstruction

  images, labels = dataset.test(count)
  try:
    result = {'recon_mse': reconstruction.mean_squared_error(images, functions.decode(functions.encode(images)))}
    if functions.classify:
      result['probe_accuracy'] = probe.accuracy(functions.classify(images), labels)
    if dataset_name == 'lines':
      result |= score_lines(strips(functions, *pairs(dataset)))
  except ValueError as error:
    raise UserError(f'evaluation on {dataset_name}: {error}') from error
  return result


def score_lines(interpolations):
  """`metrics.lines.score` against the data set's own lines."""
  from acai_tf.data import lines as lines_data
  from acai_tf.metrics import lines

  return lines.score(interpolations, *lines_data.templates(size=interpolations.shape[2]))


def table(experiment, samples, metrics, floor=None):
  """Text of the metrics after `samples` training images, beside the paper's and (`floor`) the cross-fade's."""
  from rich import box
  from rich import table as rich_table

  from zoo import base as zoo

  published = zoo.published(experiment.dataset_name, experiment.model_name, latent_dimension(experiment))
  grid = rich_table.Table(box=box.SIMPLE_HEAD)
  for heading in ('metric', 'this run', 'published', 'pixel cross-fade')[:4 if floor else 3]:
    grid.add_column(heading, justify='left' if heading == 'metric' else 'right')
  for name, value in metrics.items():
    paper = published.get(name)
    spread = f' ± {paper.spread:.2g}' if paper and paper.spread is not None else ''
    source = f'{paper.value:.4g}{spread}{"" if paper.confirmed else " *"}' if paper else ''
    cells = [name, number(value), source] + ([number(floor[name]) if name in floor else ''] if floor else [])
    grid.add_row(*cells)
  text = program.text_of(grid)
  shown = [row for name, row in published.items() if name in metrics]
  if shown:
    sources = ', '.join(sorted({row.source for row in shown}))
    starred = '; * from a single secondary source' if any(not row.confirmed for row in shown) else ''
    text += f'\n  published: {sources}{starred}; the ACAI paper trained on {zoo.PAPER_SAMPLES:,} samples.'
  if samples < zoo.PAPER_SAMPLES:
    text += f'\n  this run is undertrained: {samples:,} samples, {samples / zoo.PAPER_SAMPLES:.1%} of the paper\'s.'
  return text


def number(value):
  """A metric in four significant digits; None is undefined."""
  return 'undefined' if value is None else f'{value:.4g}'


def latent_dimension(experiment):
  """Numbers in a code."""
  return experiment.network.latent_width**2 * experiment.network.latent


def title_of(experiment, samples):
  """What a picture or table shows: model, data, code, samples, recipe, seed."""
  return (f'{experiment.model_name} on {experiment.dataset_name}, code of {latent_dimension(experiment)} numbers, '
          f'{samples:,} samples, recipe {experiment.training.recipe}, seed {experiment.training.seed}')


def record(experiment, metrics, samples, seconds):
  """What `metrics.json` holds: figures with all that they depend on."""
  import platform
  import subprocess

  import keras
  import tensorflow as tf

  here = pathlib.Path(__file__).parent
  git = subprocess.run(['git', '-C', here, 'describe', '--always', '--dirty', '--abbrev=12'],
                       capture_output=True, text=True, check=False)
  gpus = tf.config.list_physical_devices('GPU')
  return {
      'experiment': experiment.to_dict(),
      'samples': samples,
      'metrics': metrics,
      'pairs': {'count': PAIRS, 'steps': STEPS, 'seed': PAIR_SEED},
      'commit': git.stdout.strip() or 'unknown',
      'versions': {'python': platform.python_version(), 'tensorflow': tf.__version__, 'keras': keras.__version__},
      'device': f'{len(gpus)} GPU' if gpus else f'{platform.machine()} CPU, {len(program.cores())} cores',
      'evaluation_seconds': round(seconds, 2),
      'date': time.strftime('%Y-%m-%d'),
  }


def draw(functions, dataset, title, folder):
  """Writes reconstructions.png and interpolation.png; returns their paths."""
  from acai_tf import figures

  images, _ = dataset.test(16)
  first, second = pairs(dataset, 6)
  paths = [folder / 'reconstructions.png', folder / 'interpolation.png']
  both = np.stack([images, functions.decode(functions.encode(images))])
  figures.save_rows(paths[0], {'test images above, their reconstructions below': both}, title)
  figures.save_rows(paths[1], {
      'codes interpolated linearly, both ends reconstructed': strips(functions, first, second),
      'codes interpolated spherically': strips(functions, first, second, kind='spherical'),
      'pixels cross-faded, for comparison': crossfade(first, second),
  }, title)
  return paths


def report(experiment, model, dataset, samples, folder):
  """Measures, draws, writes metrics.json into `folder`, prints the table; returns the metrics."""
  began = time.monotonic()
  functions = functions_of(model)
  metrics = measure(functions, dataset, experiment.dataset_name)
  seconds = time.monotonic() - began
  floor = score_lines(crossfade(*pairs(dataset))) if experiment.dataset_name == 'lines' else {}
  title = title_of(experiment, samples)
  folder = pathlib.Path(folder)
  try:
    paths = draw(functions, dataset, title, folder)
    runs.write(folder / runs.METRICS, json.dumps(record(experiment, metrics, samples, seconds), indent=2) + '\n')
  except OSError as error:
    raise UserError(f'results cannot be written to {folder}: {error.strerror or error}; free space and run '
                    f'python -m acai_tf.evaluate --run {folder}.') from error
  print(f'\n{title}\n\n{table(experiment, samples, metrics, floor)}\n\nmeasured in {seconds:.1f} s; wrote '
        f'{", ".join(str(p) for p in [folder / runs.METRICS, *paths])}')
  return metrics


def main():
  """The program."""
  arguments = flags.FLAGS
  if not arguments.run:
    raise UserError('--run DIR is missing; expected a folder made by acai_tf.train.')
  runs.load_experiment(arguments.run)  # Before TensorFlow is loaded: a wrong folder is told at once.
  program.start_tensorflow()
  experiment, model, step = runs.load_model(arguments.run, arguments.checkpoint)
  dataset = runs.load_data(experiment, program.data_dir(arguments.data_dir), arguments.manual_dir)
  report(experiment, model, dataset, step * experiment.training.batch, arguments.run)


if __name__ == '__main__':
  program.run(main, 'python -m acai_tf.evaluate --run DIR: measures a trained run, writes metrics.json and pictures.',
              {'What': ['run', 'checkpoint'], 'Data': ['data_dir', 'manual_dir']})
