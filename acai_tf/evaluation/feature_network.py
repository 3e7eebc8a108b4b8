"""A small classifier of a data set, whose features are used for Frechet and kernel distances between images.

These distances are comparable only between models of the same data set that are measured with the same network.
"""

import dataclasses
import pathlib

import keras
import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from acai_tf import files, safety
from acai_tf.experiment.errors import UserError

IMAGES, EPOCHS, BATCH, RATE = 20_000, 4, 64, 1e-3  # maximum number of training images, ..., learning rate
CHANNELS, WIDTH = (32, 64, 128), 64  # of the convolutions; number of features


@dataclasses.dataclass(frozen=True)
class Features:
  """A feature network: a function [n, height, width, channels] images in [-1, 1] -> [n, d]."""

  function: object
  identity: str  # first 12 hex digits of the weights' SHA-256; results of different networks are not comparable

  def __call__(self, images):
    return self.function(images)


def build(shape, classes) -> keras.Model:
  """Builds the network: images in [-1, 1] -> ([n, 64] features, [n, classes] logits)."""
  images = keras.Input(shape)
  x = images
  for channels in CHANNELS:
    x = keras.layers.Conv2D(channels, 3, 2, 'same', activation='relu')(x)
  x = keras.layers.Dense(WIDTH, activation='relu', name='features')(keras.layers.Flatten()(x))
  return keras.Model(images, [x, keras.layers.Dense(classes)(x)])


def train(dataset, seed=0, progress=lambda *_: None) -> keras.Model:
  """Trains the network on up to 20,000 training images.

  On one machine, the result depends only on the data and the seed.

  Args:
    dataset: the data set; its images are converted to float32 in mini-batches.
    seed: seed of the weights and the order of images.
    progress: function (text, done, total).
  """
  keras.utils.set_random_seed(seed)
  network = build(dataset.shape, dataset.classes)
  classes = keras.Model(network.input, network.output[1])
  count = sum(len(labels) for _, labels in dataset.blocks('train', IMAGES))
  multi_label = dataset.test_labels.ndim == 2
  loss = (keras.losses.BinaryCrossentropy(from_logits=True) if multi_label
          else keras.losses.SparseCategoricalCrossentropy(from_logits=True))
  classes.compile(keras.optimizers.Adam(RATE), loss)
  order = np.concatenate([np.random.default_rng([seed, epoch]).permutation(count) for epoch in range(EPOCHS)])
  for start in range(0, len(order), BATCH):
    progress('training a feature network, once', start, len(order))
    classes.train_on_batch(*dataset.train(IMAGES, order[start:start + BATCH]))
  return network


def path_of(dataset, name, data_dir, seed=0) -> pathlib.Path:
  """File in which `load` stores the network of a data set. The name depends on data, architecture and training."""
  sample, _ = dataset.train(64)
  settings = dataset.shape, dataset.classes, seed, IMAGES, EPOCHS, BATCH, RATE, CHANNELS, WIDTH
  own = dataset.identity().encode() if dataset.ordered else b''  # Images and labels of a user may change.
  key = files.digest([sample.tobytes(), str(settings).encode(), own])[:12]
  return pathlib.Path(data_dir) / 'acai_tf' / f'features_{name}_{key}.keras'


def load(dataset, name, data_dir, seed=0, progress=lambda *_: None) -> Features:
  """Loads the data set's network from `data_dir`. The first call trains it and stores it there.

  Args:
    dataset: an acai_tf.data.image_base.ImageDataset with labels.
    name: name of the data set.
    data_dir: folder of the data sets.
    seed: seed of the network.
    progress: function (text, done, total).

  Returns:
    `Features`, 64 per image.

  Raises:
    UserError: the data set has no labels, the stored network is damaged, or the folder cannot be written.
  """
  if not dataset.classes:
    raise UserError(f'{name} has no labels to train a feature network on; give one with --features, or ask for '
                    'other --metrics.')
  path = path_of(dataset, name, data_dir, seed)
  if path.exists():
    try:
      network = build(dataset.shape, dataset.classes)
      # Setting the weights of a new network fails if the stored one has another architecture.
      network.set_weights(keras.models.load_model(path, compile=False).get_weights())
    except Exception as error:  # For damaged files Keras raises ValueError, KeyError and errors of zipfile and h5py.
      raise UserError(f'feature network {path} cannot be read ({type(error).__name__}); expected what an evaluation '
                      'wrote there; delete it, and the next one trains it anew.') from error
  else:
    network = train(dataset, seed, progress)
    try:
      with files.replacing(path) as temporary:
        network.save(temporary)
    except OSError as error:
      raise UserError(f'{path} cannot be written: {error.strerror or error}; expected space there '
                      '(--data_dir).') from error
  identity = files.digest(np.ascontiguousarray(weight).data for weight in network.get_weights())[:12]
  return Features(lambda images: network.predict(np.asarray(images, np.float32), batch_size=256, verbose=0)[0],
                  identity)


def of_module(handle, size, trust=False) -> Features:
  """Returns the `Features` of a user's own network, for example Inception.

  Args:
    handle: TF-Hub module that takes [n, size, size, 3] images in [0, 1], as in hub.load.
    size: height and width to which images are resized.
    trust: whether to load the module without `safety.check_module`.

  Returns:
    `Features`; its identity depends on the module's files and the size.

  Raises:
    UserError: the module cannot be loaded, does not return [n, d], or is refused by `safety.check_module`.
  """
  def features(images):
    rows = []
    for start in range(0, len(images), 64):
      batch = tf.image.resize((tf.constant(images[start:start + 64]) + 1) / 2, [size, size], 'bicubic')
      batch = tf.clip_by_value(tf.image.grayscale_to_rgb(batch) if batch.shape[3] == 1 else batch, 0, 1)
      rows.append(np.asarray(module(batch)))
    return np.concatenate(rows)

  if not trust:
    safety.check_module(handle)
  try:
    module, folder = hub.load(handle), pathlib.Path(hub.resolve(handle))
    shape = features(np.zeros([2, size, size, 3], np.float32)).shape
  except Exception as error:  # As in `subject.of_module`.
    problem = f'{type(error).__name__}: {" ".join(str(error).split())[:120]}'
    raise UserError(f'--features {handle} cannot be used ({problem}); '
                    f'expected a TF-Hub image feature vector of [n, {size}, {size}, 3] in [0, 1].') from error
  if len(shape) != 2:
    raise UserError(f'--features {handle} gives {shape}; expected [n, d].')
  digests = [bytes.fromhex(files.digest_of(path)) for path in sorted(folder.rglob('*')) if path.is_file()]
  return Features(features, files.digest([str(size).encode(), *digests])[:12])
