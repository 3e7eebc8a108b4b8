"""Sentences of Yelp's reviews, of bad and of good ones, through TFDS (`yelp_polarity_reviews`; Zhang et al. 2015).

A sentence has the class of its review, 0 bad and 1 good, which is often more than it says by itself. Style
transfer is reported on other sentences (Shen et al. 2017), which others chose and tokenised: data set `yelp`.
"""

import re
from typing import Annotated, Literal

from acai_tf.data import base
from acai_tf.experiment.config import TextNetwork
from acai_tf.experiment.fields import config_dataclass

NETWORK = TextNetwork(embedding=100, hidden=128, latent=128)
SOURCE = "sentences of Yelp's reviews (Zhang, Zhao, LeCun 2015)", "Yelp's, for academic use"
NO_WEIGHTS = "Yelp's terms allow academic use of its reviews alone"
WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[.!?,;:$%&]")  # a word, or a mark that stays


@config_dataclass('dataset')
class Config:
  """Settings of the data set. Its test and valid parts are of the test split."""

  reviews: Annotated[int, '[0, inf)'] = 50_000  # read from the training split, and a fifth of them from test; 0: all
  words: Annotated[int, '[1, 1e7]'] = 5000  # vocabulary size, without the special tokens
  longest: Annotated[int, '[1, 1000]'] = 12  # words and punctuation marks; longer sentences are dropped
  test_part: Literal['test', 'valid'] = 'test'  # part on which models are evaluated; 'valid' to choose settings

  KIND = 'sentences'


def shape(config) -> tuple:
  """(numbers of an encoded sentence, numbers of ids)."""
  return config.longest + 1, config.words + 4


def classes(config) -> int:
  """Bad and good."""
  del config
  return 2


def sentences_of(review: str) -> list[str]:
  """The sentences of a review, words and marks parted by spaces; a sentence ends with '.', '!' or '?', or the line."""
  found = []
  for line in review.replace('\\n', '\n').splitlines():
    found.append([])
    for word in WORD.findall(line):
      found[-1].append(word)
      if word in '.!?':
        found.append([])
  # Dots that follow a sentence's end, as in 'well...', are none of their own.
  return [' '.join(words) for words in found if any(word[0].isalnum() for word in words)]


def load(config, data_dir, manual_dir=None) -> base.Dataset:
  """Returns the data set; `data_dir` and `manual_dir` as in `_tfds.sentences`."""
  from acai_tf.data import _tfds, text_base  # Load TensorFlow.

  few = config.reviews
  splits = {'train': f'train[:{few}]', 'test': f'test[:{max(few // 5, 1)}]'} if few else {
      'train': 'train', 'test': 'test'}
  parts = _tfds.sentences('yelp_polarity_reviews', data_dir, manual_dir, splits, ('text',), config.longest,
                          sentences_of, f'_{few}' if few else '')
  texts, labels = parts['train']
  corpus = text_base.build(texts, labels, config.words, config.longest, held_out=parts['test'])
  return text_base.SentenceDataset(corpus, classes(config), config.test_part)
