"""Sentences of negative and positive Yelp reviews, from TFDS (`yelp_polarity_reviews`; Zhang et al. 2015).

A sentence has the class of its review, 0 (negative) or 1 (positive), although the sentence by itself may be neutral.
Papers report style transfer on a different selection and tokenization (Shen et al. 2017), the data set `yelp`.
"""

import re
from typing import Annotated, Literal

from acai_tf.data import _tfds, base, text_base
from acai_tf.experiment.config import TextNetwork
from acai_tf.experiment.fields import config_dataclass

NETWORK = TextNetwork(embedding=100, hidden=128, latent=128)
SOURCE = "sentences of Yelp's reviews (Zhang, Zhao, LeCun 2015)", "Yelp's, for academic use"
NO_WEIGHTS = "Yelp's terms allow only academic use of its reviews"
WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[.!?,;:$%&]")  # a word, or a punctuation mark that is kept


@config_dataclass('dataset')
class Config:
  """Settings of the data set. The test and valid parts are halves of the test split."""

  reviews: Annotated[int, '[0, inf)'] = 50_000  # from the training split, and a fifth as many from test; 0: all
  words: Annotated[int, '[1, 2e6]'] = 5000  # vocabulary size, without the special tokens
  longest: Annotated[int, '[1, 1000]'] = 12  # words and punctuation marks; longer sentences are dropped
  test_part: Literal['test', 'valid'] = 'test'  # part on which models are evaluated; 'valid' to choose settings

  KIND = 'sentences'


def shape(config) -> tuple:
  """Returns (length of an encoded sentence with its end token, number of ids with the four special tokens)."""
  return config.longest + 1, config.words + 4


def classes(config) -> int:
  """Returns the number of classes, negative and positive reviews."""
  del config
  return 2


def sentences_of(review: str) -> list[str]:
  """Splits a review into sentences, with spaces between words and punctuation marks.

  A sentence ends at '.', '!' or '?', or at the end of a line.
  """
  sentences = []
  for line in review.replace('\\n', '\n').splitlines():
    sentences.append([])
    for word in WORD.findall(line):
      sentences[-1].append(word)
      if word in '.!?':
        sentences.append([])
  # Drops sentences of punctuation alone, which come from the dots of 'well...'.
  return [' '.join(words) for words in sentences if any(word[0].isalnum() for word in words)]


def load(config, data_dir, manual_dir=None) -> base.Dataset:
  """Returns the data set; `data_dir` and `manual_dir` as in `_tfds.sentences`."""
  count = config.reviews
  splits = {'train': 'train', 'test': 'test'}
  if count:
    splits = {'train': f'train[:{count}]', 'test': f'test[:{max(count // 5, 1)}]'}
  parts = _tfds.sentences('yelp_polarity_reviews', data_dir, manual_dir, splits, ('text',), sentences_of,
                          f'_{count}' if count else '')
  texts, labels = parts['train']
  corpus = text_base.build(texts, labels, config.words, config.longest, held_out=parts['test'])
  return text_base.SentenceDataset(corpus, classes(config), config.test_part)
