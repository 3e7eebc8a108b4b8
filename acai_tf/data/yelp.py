"""Sentences of Yelp reviews for ARAE's style transfer (Shen et al. 2017; tokenized, lower case), from --manual_dir.

The files are those of the ARAE authors' program, with one sentence per line, plain or gzipped. Class 0 is negative
reviews: train2.txt, test0.txt and valid2.txt. Class 1 is positive reviews: train1.txt, test1.txt and valid1.txt.

By default, models are trained on the smaller test files, with a vocabulary of 2,000 words and at most 10 words per
sentence, which is feasible on two cores. The paper's data set is `full=true words=30000 longest=25`. Half of the
sentences of the validation files are the valid part, for choosing settings; the other half is the test part. ARAE's
published figures are not comparable: they use larger files and other evaluation models.
"""

from typing import Annotated, Literal

from acai_tf.data import base, text_base
from acai_tf.experiment.config import TextNetwork
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.fields import config_dataclass

NETWORK = TextNetwork(embedding=100, hidden=128, latent=128)
SOURCE = "sentences of Yelp's reviews (Shen et al. 2017)", "Yelp's, for academic use"
NO_WEIGHTS = "Yelp's terms allow only academic use of its reviews"


@config_dataclass('dataset')
class Config:
  """Settings of the data set."""

  full: bool = False  # train on train1 and train2 instead of test0 and test1
  words: Annotated[int, '[1, 2e6]'] = 2000  # vocabulary size, without the special tokens
  longest: Annotated[int, '[1, 1000]'] = 10  # words; longer sentences are dropped
  test_part: Literal['test', 'valid'] = 'test'  # part on which models are evaluated; 'valid' to choose settings
  test_repeats: bool = True  # keep held-out sentences that also occur in the training text

  KIND = 'sentences'


def shape(config) -> tuple:
  """Returns (length of an encoded sentence with its end token, number of ids with the four special tokens)."""
  return config.longest + 1, config.words + 4


def classes(config) -> int:
  """Returns the number of classes, negative and positive reviews."""
  del config
  return 2


def load(config, data_dir, manual_dir=None) -> base.Dataset:
  """Returns the data set.

  Raises:
    UserError: `manual_dir` is not given, or a file in it is missing or cannot be read.
  """
  del data_dir
  if not manual_dir:
    raise UserError("data set yelp: its files cannot be downloaded; expected --manual_dir DIR with the ARAE program's "
                    'test0.txt, test1.txt, valid1.txt and valid2.txt (or .txt.gz).')

  train, held_out = (text_base.read_classes([text_base.text_file(manual_dir, name) for name in names]) for names in (
      ('train2', 'train1') if config.full else ('test0', 'test1'), ('valid2', 'valid1')))
  corpus = text_base.build(*train, config.words, config.longest, held_out=held_out, repeats=config.test_repeats)
  return text_base.SentenceDataset(corpus, 2, config.test_part)
