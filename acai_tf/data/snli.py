"""SNLI: premises and hypotheses of the Stanford corpus, as the ARAE paper models them (Zhao et al. 2018, section 5).

Training text is that of the train and the validation split, premises first and then hypotheses, in lower case; held out
is the test split, half of it to choose by.
"""

from typing import Annotated, Literal

from acai_tf.data import base
from acai_tf.experiment.config import TextNetwork
from acai_tf.experiment.fields import declared

NETWORK = TextNetwork(embedding=300, hidden=300, latent=300)
SOURCE = 'SNLI (Bowman et al. 2015)', 'CC BY-SA 4.0'


@declared('dataset')
class Config:
  """`words` of the vocabulary, besides the marks; `longest`: words of the longest sentence, longer ones are dropped.
  `test_part`: 'test', or 'valid' to choose by. The defaults are the paper's."""

  words: Annotated[int, '[1, 1e7]'] = 11_000
  longest: Annotated[int, '[1, 1000]'] = 15
  test_part: Literal['test', 'valid'] = 'test'

  KIND = 'sentences'


def shape(config) -> tuple:
  """(numbers of an encoded sentence, numbers of ids)."""
  return config.longest + 1, config.words + 4


def classes(config) -> int:
  """None: entailment is of pairs."""
  del config
  return 0


def load(config, data_dir, manual_dir=None) -> base.Dataset:
  """Returns the data set; `data_dir` and `manual_dir` as in `_tfds.sentences`."""
  from acai_tf.data import _text, _tfds  # Load TensorFlow.

  parts = _tfds.sentences('snli', data_dir, manual_dir, {'train': 'train+validation', 'test': 'test'},
                          ('premise', 'hypothesis'), config.longest)
  texts, labels = parts['train']
  corpus = _text.build(texts, labels, config.words, config.longest, held_out=parts['test'])
  held_out = {'test': 'test', 'valid': 'validation'}[config.test_part]

  def pairs():
    found = _tfds.pairs('snli', data_dir, manual_dir, {'train': 'train', held_out: held_out},
                        ('premise', 'hypothesis'), config.longest)
    return found['train'], found[held_out]

  return _text.SentenceDataset(corpus, test_part=config.test_part, pairs=pairs)
