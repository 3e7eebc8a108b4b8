"""How much memory an evaluation takes: what it holds of a set, however large the set and its images are."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

IMAGES, SIZE = 3000, 96  # 83 MB as bytes; as float32 332 MB, and what the metrics compute in float64 1.3 GB

PROGRAM = '''
import sys, threading

from acai_tf import cli

cli.set_environment()
cli.start_tensorflow()
import keras
import numpy as np

from acai_tf.evaluation import images as measure
from acai_tf.evaluation import subject
from acai_tf.evaluation.modality import IMAGES
from acai_tf.data import image_base


def private():
  """Bytes that this process alone holds: the pages of a mapped file are given back when memory is short."""
  resident, shared = map(int, open('/proc/self/statm').read().split()[1:3])
  return (resident - shared) * 4096


def model(size):
  """Pooled images as a code, and back: the memory of an evaluation without a network's."""
  pool = keras.layers.AveragePooling2D(size // 4)
  up = keras.layers.UpSampling2D(size // 4)

  def batched(layer):
    return lambda x: np.concatenate([layer(x[i:i + 64]).numpy() for i in range(0, len(x), 64)])

  return subject.Functions(batched(pool), batched(up))


arrays = {name: np.load(f'{sys.argv[1]}/{name}.npy', mmap_mode='r')
          for name in ('train_images', 'train_labels', 'test_images', 'test_labels')}
peak, over = 0, threading.Event()


def watch():
  global peak
  while not over.wait(0.005):
    peak = max(peak, private())


def evaluate(count):
  global peak
  data = image_base.ArrayDataset({name: array[:count] for name, array in arrays.items()}, 2)
  small = lambda images: images[:, ::32, ::32, 0].reshape(len(images), -1)
  measure.QUALITY_PAIRS, measure.PAIRS = 64, 32  # of which the ends are held, 2 x 1,024 at most
  settings = measure.Settings(('reconstruction', 'probe', 'fitted_probe', 'clustering', 'quality'), 1, features=small)
  IMAGES.measure(model(data.shape[0]), data, 'celeba', settings)


evaluate(100)  # Libraries are loaded, and pools filled.
before = peak = private()
thread = threading.Thread(target=watch)
thread.start()
evaluate(None)
over.set()
thread.join()
print(peak - before)
'''


@pytest.mark.slow
class MemoryTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    folder, generator = pathlib.Path(self.get_temp_dir()), np.random.default_rng(0)
    for part in ('train', 'test'):
      images = np.lib.format.open_memmap(
          folder / f'{part}_images.npy', 'w+', np.uint8, (IMAGES, SIZE, SIZE, 3))
      for start in range(0, IMAGES, 100):
        images[start:start + 100] = generator.integers(256, size=[100, SIZE, SIZE, 3], dtype=np.uint8)
      images.flush()
      np.save(folder / f'{part}_labels.npy', np.arange(IMAGES) % 2)

  def test_a_set_that_is_mapped_is_never_held_as_floats(self):
    """Beyond an evaluation of a hundred images, the whole set takes what pieces of 32 MB are computed with."""
    done = subprocess.run([sys.executable, '-c', PROGRAM, self.get_temp_dir()], capture_output=True, text=True,
                          check=False, env={**os.environ, 'PYTHONPATH': str(pathlib.Path(__file__).parents[1])})
    self.assertEqual(done.returncode, 0, done.stderr[-2000:])
    self.assertLess(int(done.stdout.splitlines()[-1]), 400e6)


if __name__ == '__main__':
  tf.test.main()
