"""Training on the user's own arrays from Python: `acai_tf.fit` and `acai_tf.load`."""

import os
import pathlib
import typing
from collections.abc import Mapping, Sequence

import numpy as np

from acai_tf import files
from acai_tf.data import arrays
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.overrides import parse_overrides
from acai_tf.experiment.resolve import resolve
from acai_tf.experiment.run import Run
from acai_tf.training import build, session
from acai_tf.training.callback import Callback as Callback
from acai_tf.training.cluster import Cluster

if typing.TYPE_CHECKING:
  import keras
  import tensorflow as tf

DATA = 'images.npz'  # file in the run folder with the images


def fit(model: str, images, labels=None, *, run_dir, test_images=None, test_labels=None, recipe: str = 'fast',
        settings: Mapping[str, object] | None = None, strategy: str = 'auto',
        callbacks: Sequence[Callback] = ()) -> 'keras.Model':
  """Trains a model on images in memory, or resumes its training, and evaluates it.

  It does what `acai train` does: checkpoints, evaluation during training, TensorBoard events, and a report
  at the end. The images are saved in the run folder, so that `acai_tf.train`, `acai_tf.evaluate` and `export` work on
  it. Call it again with the same arguments to resume, or with the new `run_dir` if the folder was moved.

  Args:
    model: name of a model of images, such as 'acai' (`acai train --help` lists them).
    images: training images, [n, size, size, channels] or [n, size, size], uint8 or floats in [0, 1] (rounded to
      8 bits). `size` is the latent width times a power of two. Or a finite tf.data.Dataset of single images, or of
      (image, label).
    labels: [n] classes, whole numbers from 0 on, for the probe and clustering. Optional.
    run_dir: the run folder.
    test_images, test_labels: as `images` and `labels`. Without them, a tenth of the images is the test split.
    recipe: 'fast' or 'paper'.
    settings: keys of the configuration as for `--set`, {'training.samples': 65536, 'model.lambda_': 0.3}.
    strategy: as `--strategy`, for example 'one_device' or 'mirrored'.
    callbacks: `Callback` objects, for experiment trackers.

  Returns:
    The trained model, with the EMA of the weights if the recipe has one.

  Raises:
    UserError: an argument is invalid, or as `session.train`.
    KeyboardInterrupt: Ctrl-C or SIGTERM stopped the training. A checkpoint was saved before.
  """
  if hasattr(images, 'as_numpy_iterator'):
    if labels is not None:
      raise UserError('labels is given beside a tf.data.Dataset; expected a data set of (image, label).')
    images, labels = _collected('images', images)
  if hasattr(test_images, 'as_numpy_iterator'):
    if test_labels is not None:
      raise UserError('test_labels is given beside a tf.data.Dataset; expected a data set of (image, label).')
    test_images, test_labels = _collected('test_images', test_images)
  parts = arrays.split(images, labels, test_images, test_labels)
  overrides = parse_overrides([f'{key}={value}' for key, value in (settings or {}).items()])
  if overrides['dataset']:
    raise UserError(f'dataset.{next(iter(overrides["dataset"]))} cannot be set; the arrays determine the data set.')
  run = Run(run_dir)
  overrides['dataset'] = {'path': _store(run, parts)}
  experiment = run.check(resolve('arrays', model, recipe, overrides))
  cluster = Cluster(strategy)
  status = session.train(cluster.agreed(experiment), run, cluster, callbacks=callbacks)
  if status:
    raise KeyboardInterrupt(f'training in {run} was stopped by signal {status - 128}; call fit again to resume it')
  return load(run_dir)


def load(run_dir, checkpoint: str = 'last', weights: str = 'average') -> 'keras.Model':
  """Returns the model of a run folder of `fit` or `acai_tf.train`.

  Args:
    run_dir: the run folder.
    checkpoint: 'last' or 'best'.
    weights: 'average' for the EMA of the weights, if the run has one, or 'raw'.

  Raises:
    UserError: there is no run or no checkpoint, it cannot be read, or an argument is unknown.
  """
  for name, value, allowed in (('checkpoint', checkpoint, ('last', 'best')), ('weights', weights, ('average', 'raw'))):
    if value not in allowed:
      raise UserError(f'{name} is {value!r}; expected {" or ".join(map(repr, allowed))}.')
  return build.load_model(Run(run_dir), checkpoint, weights=weights)[1]


def _collected(name, dataset: 'tf.data.Dataset'):
  """Returns the (images, labels or None) of a finite tf.data.Dataset as arrays."""
  if int(dataset.cardinality()) == -1:
    raise UserError(f'{name} is an infinite tf.data.Dataset; expected a finite one: remove repeat().')
  elements = [element if isinstance(element, tuple) else (element,) for element in dataset.as_numpy_iterator()]
  if not elements or len(elements[0]) > 2 or not all(isinstance(part, (np.ndarray, np.generic))
                                                     for part in elements[0]):
    raise UserError(f'{name} is a tf.data.Dataset of {dataset.element_spec}; expected images, or (image, label).')
  try:
    columns = [np.stack(column) for column in zip(*elements, strict=True)]
  except ValueError as error:
    raise UserError(f'{name} is a tf.data.Dataset of images that cannot be stacked ({error}); expected one size.'
                    ) from error
  return columns[0], columns[1] if len(columns) > 1 else None


def _store(run, parts):
  """Saves the images in the run folder and returns the path.

  Raises:
    UserError: a training in the folder has other images or another data set, or the folder cannot be written.
  """
  path = pathlib.Path(os.path.abspath(run.folder)) / DATA
  if run.is_claimed() and (name := run.experiment().dataset_name) != 'arrays':
    raise UserError(f'{run} is a training on {name}; expected another run_dir.')
  if path.exists() and run.is_claimed():  # Images of a call that failed before its training began are replaced.
    saved = arrays.read(path, 0.1)
    if any(not np.array_equal(saved[name], part) for name, part in parts.items()):
      raise UserError(f'{path} has other images or labels than those given; expected the same, to resume, or another '
                      'run_dir.')
    return str(path)
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as made, made.open('wb') as file:
      np.savez(file, images=parts['train_images'], labels=parts['train_labels'], test_images=parts['test_images'],
               test_labels=parts['test_labels'])
  except OSError as error:
    raise UserError(f'{path} cannot be written: {error.strerror or error}; expected a writable folder with free space '
                    '(run_dir).') from error
  return str(path)
