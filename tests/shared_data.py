"""Real sentences of ../shared/data, where it is there."""

import gzip
import pathlib
import unittest

YELP = pathlib.Path(__file__).parents[2] / 'shared' / 'data' / 'yelp'


def yelp(*names):
  """Sentences of the named files ('test0', ...), each a list of words; skips the test where the files are absent."""
  if not YELP.is_dir():
    raise unittest.SkipTest(f'the Yelp sentences are not at {YELP}')
  return [line.split() for name in names for line in gzip.open(YELP / f'{name}.txt.gz', 'rt', encoding='utf-8')]
