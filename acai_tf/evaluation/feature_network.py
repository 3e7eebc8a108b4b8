"""A small classifier of a data set, on whose features images are compared (Frechet and kernel distances).

Distances on it are comparable between models of one data set, measured with the same network, and with nothing else.
"""

import dataclasses
import pathlib

import keras
import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from acai_tf import files, safety
from acai_tf.experiment.errors import UserError

IMAGES, EPOCHS, BATCH, RATE = 20_000, 4, 64, 1e-3
CHANNELS, WIDTH = (32, 64, 128), 64


@dataclasses.dataclass(frozen=True)
class Features:
  """A function [n, height, width, channels] images in [-1, 1] -> [n, d], and which network it is."""

  function: object
  identity: str  # 12 hexadecimal digits of the SHA-256 of its weights; figures of two networks do not compare

  def __call__(self, images):
    return self.function(images)


def build(shape, classes) -> keras.Model:
  """Images in [-1, 1] -> ([n, 64] features, [n, classes] logits)."""
  images = keras.Input(shape)
  x = images
  for channels in CHANNELS:
    x = keras.layers.Conv2D(channels, 3, 2, 'same', activation='relu')(x)
  x = keras.layers.Dense(WIDTH, activation='relu', name='features')(keras.layers.Flatten()(x))
  return keras.Model(images, [x, keras.layers.Dense(classes)(x)])


def train(dataset, seed=0, progress=lambda *_: None) -> keras.Model:
  """Trains the network on up to 20,000 training images; a function of the data and the seed, on one machine.

  Args:
    dataset: the data set; of its images a batch at a time is float32.
    seed: of weights and order.
    progress: function (text, done, total).
  """
  keras.utils.set_random_seed(seed)
  network = build(dataset.shape, dataset.classes)
  classes = keras.Model(network.input, network.output[1])
  count = sum(len(labels) for _, labels in dataset.blocks('train', IMAGES))
  several = dataset.test_labels.ndim == 2
  loss = (keras.losses.BinaryCrossentropy(from_logits=True) if several
          else keras.losses.SparseCategoricalCrossentropy(from_logits=True))
  classes.compile(keras.optimizers.Adam(RATE), loss)
  order = np.concatenate([np.random.default_rng([seed, epoch]).permutation(count) for epoch in range(EPOCHS)])
  for start in range(0, len(order), BATCH):
    progress('training a feature network, once', start, len(order))
    classes.train_on_batch(*dataset.train(IMAGES, order[start:start + BATCH]))
  return network


def path_of(dataset, name, data_dir, seed=0) -> pathlib.Path:
  """Where `load` keeps the network of a data set: the name tells data, architecture and training apart."""
  sample, _ = dataset.train(64)
  made = dataset.shape, dataset.classes, seed, IMAGES, EPOCHS, BATCH, RATE, CHANNELS, WIDTH
  key = files.digest([sample.tobytes(), str(made).encode()])[:12]
  return pathlib.Path(data_dir) / 'acai_tf' / f'features_{name}_{key}.keras'


def load(dataset, name, data_dir, seed=0, progress=lambda *_: None) -> Features:
  """The data set's network, trained at the first call and kept in `data_dir`.

  Args:
    dataset: an acai_tf.data.image_base.ImageDataset with labels.
    name: of the data set.
    data_dir: where data sets lie.
    seed: of the network.
    progress: function (text, done, total).

  Returns:
    `Features`, 64 an image.

  Raises:
    UserError: a data set without labels, a kept network that is broken, or a folder that cannot be written.
  """
  if not dataset.classes:
    raise UserError(f'{name} has no labels to train a feature network on; give one with --features, or leave '
                    '`quality` out of --metrics.')
  path = path_of(dataset, name, data_dir, seed)
  if path.exists():
    try:
      network = build(dataset.shape, dataset.classes)
      network.set_weights(keras.models.load_model(path, compile=False).get_weights())  # of this architecture, or none
    except Exception as error:  # Keras raises ValueError, KeyError, zipfile's and h5py's for broken files.
      raise UserError(f'feature network {path} cannot be read ({type(error).__name__}); expected what an evaluation '
                      'wrote there; delete it, and the next one trains it anew.') from error
  else:
    network = train(dataset, seed, progress)
    try:
      with files.replacing(path) as made:
        network.save(made)
    except OSError as error:
      raise UserError(f'{path} cannot be written: {error.strerror or error}; expected space there '
                      '(--data_dir).') from error
  identity = files.digest(np.ascontiguousarray(weight).data for weight in network.get_weights())[:12]
  return Features(lambda images: network.predict(np.asarray(images, np.float32), batch_size=256, verbose=0)[0],
                  identity)


def of_module(handle, size, trust=False) -> Features:
  """`Features` of a network of the user's (Inception, say); it takes [n, size, size, 3] in [0, 1].

  Its identity is of the module's files and of the size. With `trust` it is loaded without `safety.check_module`.

  Raises:
    UserError: it cannot be loaded, does not give [n, d], or is one that `safety.check_module` refuses.
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
  except Exception as error:  # As subject.of_module.
    raise UserError(f'--features {handle} cannot be used ({type(error).__name__}: {str(error).splitlines()[0][:120]}); '
                    f'expected a TF-Hub image feature vector of [n, {size}, {size}, 3] in [0, 1].') from error
  if len(shape) != 2:
    raise UserError(f'--features {handle} gives {shape}; expected [n, d].')
  sums = [bytes.fromhex(files.digest_of(path)) for path in sorted(folder.rglob('*')) if path.is_file()]
  return Features(features, files.digest([str(size).encode(), *sums])[:12])
