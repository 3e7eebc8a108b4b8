"""Real sentences and digits of ../shared/data, where it is there."""

import gzip
import pathlib
import unittest

import numpy as np

FOLDER = pathlib.Path(__file__).parents[2] / 'shared' / 'data'
YELP = FOLDER / 'yelp'


def yelp(*names):
  """Sentences of the named files ('test0', ...), each a list of words; skips the test where the files are absent."""
  if not YELP.is_dir():
    raise unittest.SkipTest(f'the Yelp sentences are not at {YELP}')
  return [line.split() for name in names for line in gzip.open(YELP / f'{name}.txt.gz', 'rt', encoding='utf-8')]


def mnist_test_images():
  """[10000, 28, 28] uint8 of MNIST's official test file; skips the test where it is absent."""
  path = FOLDER / 'mnist' / 't10k-images-idx3-ubyte.gz'
  if not path.exists():
    raise unittest.SkipTest(f'the MNIST test images are not at {path}')
  return np.frombuffer(gzip.open(path).read(), np.uint8, offset=16).reshape(-1, 28, 28)
