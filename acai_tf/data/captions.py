"""Image captions: the English captions of Multi30k (Elliott et al. 2016), which describe the pictures of Flickr30k.

The files are read from --manual_dir: train.txt and held_out.txt, plain or gzipped, with one tokenized caption per line.
The two files describe different pictures. Multi30k has five captions per picture (data/task2 of its repository). The
premises of SNLI are captions of the same kind. Half of the held-out sentences are the valid part, for choosing
settings; the other half is the test part. ARAE's published figures are not comparable: they are on 714,667 sentences
of SNLI, with other evaluation models.
"""

from typing import Annotated, Literal

from acai_tf.data import base, text_base
from acai_tf.experiment.config import TextNetwork
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.fields import config_dataclass

NETWORK = TextNetwork(embedding=100, hidden=128, latent=128)
SOURCE = 'Multi30k (Elliott et al. 2016), captions of Flickr30k', 'pictures for non-commercial research'
NO_WEIGHTS = 'Multi30k has no licence that allows it'


@config_dataclass('dataset')
class Config:
  """Settings of the data set."""

  words: Annotated[int, '[1, 2e6]'] = 5000  # vocabulary size, without the special tokens
  longest: Annotated[int, '[1, 1000]'] = 15  # words; longer sentences are dropped
  test_part: Literal['test', 'valid'] = 'test'  # part on which models are evaluated; 'valid' to choose settings

  KIND = 'sentences'


def shape(config) -> tuple:
  """Returns (length of an encoded sentence with its end token, number of ids with the four special tokens)."""
  return config.longest + 1, config.words + 4


def classes(config) -> int:
  """Returns 0: the sentences have no labels."""
  del config
  return 0


def load(config, data_dir, manual_dir=None) -> base.Dataset:
  """Returns the data set.

  Raises:
    UserError: `manual_dir` is not given, or a file in it is missing or cannot be read.
  """
  del data_dir
  if not manual_dir:
    raise UserError('data set captions: its files cannot be downloaded; expected --manual_dir DIR with train.txt and '
                    'held_out.txt (or .txt.gz), one tokenised caption per line.')
  train, held_out = (text_base.read_sentences(text_base.text_file(manual_dir, name)) for name in ('train', 'held_out'))
  corpus = text_base.build(train, None, config.words, config.longest, held_out=(held_out, None))
  return text_base.SentenceDataset(corpus, 0, config.test_part)
