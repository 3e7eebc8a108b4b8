"""SNLI: premises and hypotheses of the Stanford corpus, as the ARAE paper models them (Zhao et al. 2018, section 5).

Words are the tokens of the corpus's binary parse in lower case, as in the authors' program, so that punctuation and
"n't" are words. The training text comes from the train and validation splits: each premise once, then all hypotheses.
Half of the test split is the valid part, for choosing settings; the other half is the test part. With the valid part,
entailment is measured on the validation split, which is then no training text. Sentences that are too
long are dropped, and so are held-out sentences that also occur in the training text; `describe` reports their number.
"""

import csv
import typing
from collections.abc import Iterator
from typing import Annotated, Literal

from acai_tf.data import _tfds, base, text_base
from acai_tf.experiment.config import TextNetwork
from acai_tf.experiment.fields import config_dataclass

if typing.TYPE_CHECKING:
  import tensorflow_datasets as tfds

NETWORK = TextNetwork(embedding=300, hidden=300, latent=300)
SOURCE = 'SNLI (Bowman et al. 2015)', 'CC BY-SA 4.0'
FIELDS = ('premise', 'hypothesis')


@config_dataclass('dataset')
class Config:
  """Settings of the data set; the defaults are those of the ARAE paper."""

  words: Annotated[int, '[1, 2e6]'] = 11_000  # vocabulary size, without the special tokens
  longest: Annotated[int, '[1, 1000]'] = 15  # words; longer sentences are dropped
  test_part: Literal['test', 'valid'] = 'test'  # part on which models are evaluated; 'valid' to choose settings

  KIND = 'sentences'


def shape(config) -> tuple:
  """Returns (length of an encoded sentence with its end token, number of ids with the four special tokens)."""
  return config.longest + 1, config.words + 4


def classes(config) -> int:
  """Returns 0: entailment labels belong to pairs of sentences, not to sentences."""
  del config
  return 0


def tokens(parse: str) -> str:
  """Removes the brackets of a binary parse: '( ( A cat ) ( sleeps . ) )' becomes 'A cat sleeps .'."""
  return ' '.join(token for token in parse.split() if token not in ('(', ')'))


def examples(lines) -> Iterator[tuple[int, dict]]:
  """Parses the lines of one of SNLI's .txt files.

  Yields:
    (index from 0, {'premise': tokens, 'hypothesis': tokens, 'label': its name, or -1 if there is none}).
  """
  for number, row in enumerate(csv.DictReader(lines, delimiter='\t', quoting=csv.QUOTE_NONE)):
    yield number, {'premise': tokens(row['sentence1_binary_parse']),
                   'hypothesis': tokens(row['sentence2_binary_parse']),
                   'label': -1 if row['gold_label'] == '-' else row['gold_label']}


def builder(data_dir) -> 'tfds.core.DatasetBuilder':
  """Returns a TFDS builder of SNLI's tokens in the order of the files.

  TFDS's own builder has only the raw sentences, and shuffles them.
  """
  import tensorflow_datasets as tfds  # Loads TensorFlow.

  official = tfds.builder_cls('snli')

  class SnliTokens(official, skip_registration=True):  # type: ignore[misc, valid-type, call-arg]
    """TFDS's SNLI with the columns of the binary parses."""

    name = 'snli_tokens'
    VERSION = tfds.core.Version('1.0.0')
    url_infos = official.url_infos  # downloads the same archive

    def _info(self):
      return tfds.core.DatasetInfo(builder=self, disable_shuffling=True, features=tfds.features.FeaturesDict({
          **{field: tfds.features.Text() for field in FIELDS},
          'label': tfds.features.ClassLabel(names=['entailment', 'neutral', 'contradiction'])}))

    def _generate_examples(self, filepath):
      with open(filepath, encoding='utf-8', newline='') as file:
        yield from examples(file)

  return SnliTokens(data_dir=data_dir)


def load(config, data_dir, manual_dir=None) -> base.Dataset:
  """Returns the data set; `data_dir` and `manual_dir` as in `_tfds.sentences`."""
  # Entailment must be measured on pairs whose sentences are not in the training text.
  train, variant = {'test': ('train+validation', '_tokens'), 'valid': ('train', '_tokens_valid')}[config.test_part]
  parts = _tfds.sentences('snli', data_dir, manual_dir, {'train': train, 'test': 'test'}, FIELDS,
                          variant=variant, once=('premise',), builder_of=builder)
  texts, labels = parts['train']
  corpus = text_base.build(texts, labels, config.words, config.longest, held_out=parts['test'])
  held_out = {'test': 'test', 'valid': 'validation'}[config.test_part]

  def pairs():
    parts = _tfds.pairs('snli', data_dir, manual_dir, {'train': 'train', held_out: held_out}, FIELDS, config.longest,
                        variant, builder)
    return parts['train'], parts[held_out]

  return text_base.SentenceDataset(corpus, test_part=config.test_part, pairs=pairs)
