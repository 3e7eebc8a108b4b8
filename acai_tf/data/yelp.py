"""Yelp's sentences as ARAE's style transfer has them (Shen et al. 2017; tokenised, lower case), from --manual_dir.

The files are those of the ARAE authors' program, one sentence a line, gzipped or not: train2, test0, valid2 (.txt) are
of bad reviews and class 0, train1, test1, valid1 of good ones and class 1. By default the smaller test files are
trained on, with 2,000 words and at most 10 in a sentence, which two cores can do; the paper's set is
`full=true words=30000 longest=25`. Half of the validation files' sentences are to choose by, the other is reported.
"""

from typing import Annotated, Literal

from acai_tf.data import base
from acai_tf.experiment.config import TextNetwork
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.fields import config_dataclass

NETWORK = TextNetwork(embedding=100, hidden=128, latent=128)
SOURCE = "sentences of Yelp's reviews (Shen et al. 2017)", "Yelp's, for academic use"
NO_WEIGHTS = "Yelp's terms allow academic use of its reviews alone"


@config_dataclass('dataset')
class Config:
  """Settings of the data set."""

  full: bool = False  # train on train1 and train2 instead of test0 and test1
  words: Annotated[int, '[1, 1e7]'] = 2000  # vocabulary size, without the special tokens
  longest: Annotated[int, '[1, 1000]'] = 10  # words; longer sentences are dropped
  test_part: Literal['test', 'valid'] = 'test'  # part on which models are evaluated; 'valid' to choose settings
  test_repeats: bool = True  # keep held-out sentences that training has too: short ones recur in any text

  KIND = 'sentences'


def shape(config) -> tuple:
  """(numbers of an encoded sentence, numbers of ids)."""
  return config.longest + 1, config.words + 4


def classes(config) -> int:
  """Bad and good."""
  del config
  return 2


def load(config, data_dir, manual_dir=None) -> base.Dataset:
  """Returns the data set.

  Raises:
    UserError: no `manual_dir`, or a file that it lacks or that cannot be read.
  """
  del data_dir
  from acai_tf.data import text_base  # Loads TensorFlow.

  if not manual_dir:
    raise UserError("data set yelp: its files cannot be downloaded; expected --manual_dir DIR with the ARAE program's "
                    'test0.txt, test1.txt, valid1.txt and valid2.txt (or .txt.gz).')

  train, held_out = (text_base.read_classes([text_base.text_file(manual_dir, name) for name in names]) for names in (
      ('train2', 'train1') if config.full else ('test0', 'test1'), ('valid2', 'valid1')))
  corpus = text_base.build(*train, config.words, config.longest, held_out=held_out, repeats=config.test_repeats)
  return text_base.SentenceDataset(corpus, 2, config.test_part)
