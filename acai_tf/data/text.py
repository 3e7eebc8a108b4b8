"""The user's own sentences: any UTF-8 text file with one sentence per line, plain or gzipped."""

import dataclasses
import os
from typing import Annotated, Literal

from acai_tf.data import base, text_base
from acai_tf.experiment.config import TextNetwork
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.fields import config_dataclass

NETWORK = TextNetwork(embedding=100, hidden=128, latent=128)
SOURCE = 'sentences of the user who trained the model', "the user's own"
OFFICIAL_FILES = False


@config_dataclass('dataset')
class Config:
  """Settings of the data set; `path` is required."""

  path: str = ''  # file of training sentences; or several files, one per class, separated by commas
  # Files of held-out sentences, in the same order as `path`. Half of the sentences become the test part and half the
  # valid part, without those that also occur in the training text. '': each part is a twentieth of `path`.
  held_out: str = ''
  labels: str = ''  # names of the classes, separated by commas, if each line is a label, a tab and a sentence
  words: Annotated[int, '[1, 2e6]'] = 2000  # vocabulary size: the most frequent words, without the special tokens
  longest: Annotated[int, '[1, 1000]'] = 10  # words; longer sentences are dropped
  lower: bool = True  # convert text to lower case
  split_seed: Annotated[int, '[0, inf)'] = 0  # seed of the split into parts
  test_part: Literal['test', 'valid'] = 'test'  # part on which models are evaluated; 'valid' to choose settings
  test_repeats: bool = False  # keep sentences of `held_out` that also occur in the training text

  KIND = 'sentences'


def shape(config) -> tuple:
  """Returns (length of an encoded sentence with its end token, number of ids with the four special tokens)."""
  return config.longest + 1, config.words + 4


def classes(config) -> int:
  """Returns the number of `labels`, or else of files in `path`; 0 instead of 1, since there is nothing to classify."""
  count = len(config.labels.split(',')) if config.labels else len(config.path.split(','))
  return count if count > 1 else 0


def resolve(config) -> Config:
  """Returns the configuration with absolute paths.

  Raises:
    UserError: there is no path, a file is missing, or `held_out` and `path` have different numbers of files.
  """
  if not config.path:
    raise UserError('dataset.path is missing; expected a file of sentences: --set dataset.path=FILE.')
  paths = [_absolute(path) for path in config.path.split(',')]
  held_out = [_absolute(path) for path in config.held_out.split(',')] if config.held_out else []
  for key, path in [*(('path', path) for path in paths), *(('held_out', path) for path in held_out)]:
    if not os.path.isfile(path):
      raise UserError(f'dataset.{key}: {path} is not a file; expected sentences, one per line.')
  if config.labels and len(paths) > 1:
    raise UserError('dataset.labels needs a single file; expected one file in dataset.path, or no dataset.labels.')
  if held_out and len(held_out) != len(paths):
    raise UserError(f'dataset.held_out names {len(held_out)} files; expected {len(paths)}, as dataset.path does.')
  return dataclasses.replace(config, path=','.join(paths), held_out=','.join(held_out))


def _absolute(path):
  return os.path.abspath(os.path.expanduser(path.strip()))


def load(config, data_dir, manual_dir=None) -> base.Dataset:
  """Returns the data set.

  Raises:
    UserError: a file cannot be read, a label is not in `labels`, or too few sentences are short enough.
  """
  del data_dir, manual_dir
  def read(paths):
    if not config.labels:
      return text_base.read_classes(paths.split(','))
    names, (sentences, labels) = [name.strip() for name in config.labels.split(',')], text_base.read_labelled(paths)
    for label in set(labels) - set(names):
      raise UserError(f'{paths} has the label {label!r}; expected dataset.labels={config.labels}.')
    return sentences, [names.index(label) for label in labels]

  sentences, labels = read(config.path)
  corpus = text_base.build(sentences, labels, config.words, config.longest, config.lower, seed=config.split_seed,
                           held_out=read(config.held_out) if config.held_out else None, repeats=config.test_repeats)
  return text_base.SentenceDataset(corpus, classes(config), config.test_part)
