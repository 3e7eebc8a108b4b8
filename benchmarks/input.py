"""Measures the images per second of each data set's pipeline, and its share of ACAI's training step.

`python benchmarks/input.py` measures each data set in a separate process. Random bytes of the same shape and count
stand in for data that are not in `--data_dir`; they take as long to read, and the table marks them. "cold" is the start
of the first epoch with the files out of the page cache, including opening them. "warm" is what follows. "share" is the
time per batch of the pipeline alone, divided by the time of a training step on a batch that stays in memory.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from absl import app, flags

flags.DEFINE_integer('batch', 64, 'Images per step', lower_bound=2)
flags.DEFINE_integer('batches', 200, 'Measured batches of the pipeline', lower_bound=10)
flags.DEFINE_integer('steps', 3, 'Measured training steps', lower_bound=1)
flags.DEFINE_list('names', ['lines', 'mnist', 'cifar10', 'svhn', 'celeba 64'], 'Data sets')
flags.DEFINE_string('data_dir', '~/tensorflow_datasets', 'Folder of the data sets')
flags.DEFINE_string('child', None, 'Internal: one data set')

# Number of training images, shape of an image and shape of a label of the real data sets (data/*.py).
SIZES = {'mnist': (60_000, (32, 32, 1), ()), 'cifar10': (50_000, (32, 32, 3), ()), 'svhn': (604_388, (32, 32, 3), ()),
         'celeba': (162_770, (64, 64, 3), (40,))}
CACHES = {'mnist': 'mnist_pad2', 'cifar10': 'cifar10', 'svhn': 'svhn_cropped_then_extra', 'celeba': 'celeb_a_64'}


def random_bytes(name):
  """Returns a `prepare` for `base.cached_arrays` that writes random bytes."""
  import numpy as np

  count, shape, labels = SIZES[name]
  generator = np.random.default_rng(0)

  def prepare(append):
    for split, images in (('train', count), ('test', 1000)):
      for start in range(0, images, 10_000):
        rows = min(10_000, images - start)
        append(f'{split}_images', generator.integers(256, size=(rows, *shape), dtype=np.uint8))
        append(f'{split}_labels', generator.integers(2, size=(rows, *labels), dtype=np.int32))

  return prepare


def opened(name, folder):
  """(data set, seconds to open it, whether it is the real one), with its files out of the page cache."""
  from acai_tf.data import base, image_base, lines

  began = time.perf_counter()
  if name == 'lines':
    dataset = lines.load(lines.Config())
    return dataset, time.perf_counter() - began, True
  real = pathlib.Path(flags.FLAGS.data_dir).expanduser() / 'acai_tf' / CACHES[name]
  source = real if real.exists() else pathlib.Path(folder) / name
  if source != real:
    base.cached_arrays(source, random_bytes(name))
  for path in source.glob('*.npy'):
    with open(path, 'rb') as file:
      os.fsync(file.fileno())
      os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
  began = time.perf_counter()
  arrays = base.cached_arrays(source, None)
  dataset = image_base.ArrayDataset(arrays, 40 if name == 'celeba' else 10)
  return dataset, time.perf_counter() - began, source == real


def seconds_of(iterator, batches):
  """Mean seconds per batch over a number of batches."""
  began = time.perf_counter()
  for _ in range(batches):
    next(iterator)
  return (time.perf_counter() - began) / batches


def measure(label):
  """Prints the figures of one data set as JSON."""
  from acai_tf import cli

  cli.set_environment()
  cli.start_tensorflow()
  import tensorflow as tf

  from acai_tf.experiment.resolve import resolve
  from acai_tf.training import build, cluster

  arguments, (name, *options) = flags.FLAGS, label.split()
  size = {'size': 64} if '64' in options else {}
  experiment = resolve(name, 'acai', 'paper', {'training': {'batch': arguments.batch}, 'dataset': size})
  with tempfile.TemporaryDirectory(dir='.') as folder:
    dataset, opening, real = opened(name, folder)
    began = time.perf_counter()
    iterator = iter(dataset.pipeline(0, arguments.batch, 0, 3 * arguments.batches))
    seconds_of(iterator, 20)
    cold = (time.perf_counter() - began + opening) / 20
    warm = seconds_of(iterator, arguments.batches)
    batch = next(iterator)
    del iterator
    strategy = cluster.Cluster('one_device').strategy
    with strategy.scope():
      model = build.create(experiment)
    step = tf.function(lambda data: strategy.run(model.take_step, args=(data,))['recon_mse'])
    step(batch).numpy()
    began = time.perf_counter()
    for _ in range(arguments.steps):
      step(batch).numpy()
    training = (time.perf_counter() - began) / arguments.steps
  print(json.dumps({'cold': arguments.batch / cold, 'warm': arguments.batch / warm, 'opening': opening,
                    'share': warm / training, 'step': training, 'real': real}))


def main(_):
  """Runs a process for each data set and prints the table."""
  arguments = flags.FLAGS
  if arguments.child:
    return measure(arguments.child)
  print(f'batch {arguments.batch}, {len(os.sched_getaffinity(0))} cores; images per second')
  print(f'{"data set":18} {"cold":>9} {"warm":>9} {"opening":>9} {"step":>9} {"share":>8}')
  for label in arguments.names:
    done = subprocess.run(
        [sys.executable, __file__, '--child', label, *(f'--{key}={getattr(arguments, key)}' for key in (
            'batch', 'batches', 'steps', 'data_dir'))], capture_output=True, text=True, check=False)
    if done.returncode:
      sys.exit(f'{label}: {done.stderr.strip().splitlines()[-1]}')
    row = json.loads(done.stdout.splitlines()[-1])
    print(f'{label:18} {row["cold"]:9,.0f} {row["warm"]:9,.0f} {row["opening"]:7.2f} s {row["step"]:7.2f} s '
          f'{row["share"]:8.2%}{"" if row["real"] else "  random bytes of its size"}', flush=True)
  return None


if __name__ == '__main__':
  app.run(main)
