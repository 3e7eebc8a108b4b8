"""Synthetic sentences of a small grammar in two classes, for experiments, demonstrations and tests without any files.

Verbs agree with their subject in number (the cat sleeps, the cats sleep). The words of a sentence agree in mood: class
1 has cheerful adjectives and verbs, class 0 gloomy ones. Sentences have 4 to 9 words, final punctuation included.
"""

from typing import Annotated, Literal

import numpy as np

from acai_tf.data import base, text_base
from acai_tf.experiment.config import TextNetwork
from acai_tf.experiment.fields import config_dataclass

NETWORK = TextNetwork(embedding=64, hidden=96, latent=64)
SOURCE = 'sentences that this project draws from a grammar', 'Apache 2.0'
OFFICIAL_FILES = False

NOUNS = ('cat', 'dog', 'owl', 'farmer', 'sailor', 'child', 'baker', 'fox', 'teacher', 'neighbour', 'singer', 'horse')
PLURALS = {'child': 'children', 'fox': 'foxes'}
PLACES = ('in the garden', 'by the river', 'near the harbour', 'on the hill', 'behind the church', 'at the market')
ADJECTIVES = (('sad', 'angry', 'tired', 'cold', 'lonely', 'grumpy'),
              ('happy', 'kind', 'lively', 'warm', 'proud', 'merry'))
INTRANSITIVE = (('weep', 'sulk', 'shiver', 'suffer', 'despair'), ('sing', 'dance', 'play', 'rejoice', 'laugh'))
TRANSITIVE = (('scold', 'hate', 'fear', 'avoid', 'blame'), ('help', 'love', 'greet', 'thank', 'praise'))
ADVERBS = (('sadly', 'never', 'hardly'), ('gladly', 'always', 'often'))
PUNCTUATION = (('.', '...'), ('.', '!'))


@config_dataclass('dataset')
class Config:
  """Settings of the data set. A tenth of the distinct sentences is the test part, and a tenth the valid part."""

  count: Annotated[int, '[100, 1e8]'] = 24_000  # number of sentences that are drawn
  draw_seed: Annotated[int, '[0, inf)'] = 0  # seed of the sentences and of the split
  test_part: Literal['test', 'valid'] = 'test'  # part on which models are evaluated; 'valid' to choose settings

  KIND = 'sentences'


LONGEST, WORDS = 10, 100  # maximum number of words of a sentence; vocabulary size without special tokens


def shape(config) -> tuple[int, int]:
  """Returns (length of an encoded sentence with its end token, number of ids with the four special tokens)."""
  del config
  return LONGEST + 1, WORDS + 4


def classes(config) -> int:
  """Returns the number of classes, gloomy and cheerful."""
  del config
  return 2


def draw(generator: np.random.Generator, mood: int) -> str:
  """Draws a sentence of class `mood`, 0 or 1; the result is a function of the generator's state."""
  def pick(words):
    return words[generator.integers(len(words))]

  def phrase(plural):
    noun = pick(NOUNS)
    noun = PLURALS.get(noun, noun + 's') if plural else noun
    return ['the', pick(ADJECTIVES[mood]), noun] if generator.random() < 0.5 else ['the', noun]

  plural, transitive = generator.random(2) < (0.5, 0.6)
  words = phrase(plural)
  if generator.random() < 0.3:
    words.append(pick(ADVERBS[mood]))
  verb = pick(TRANSITIVE[mood] if transitive else INTRANSITIVE[mood])
  words.append(verb if plural else verb + ('es' if verb.endswith('s') else 's'))
  rest = phrase(generator.random() < 0.5) if transitive else pick(PLACES).split() if generator.random() < 0.6 else []
  return ' '.join([*words, *rest, pick(PUNCTUATION[mood])])


def load(config, data_dir, manual_dir=None) -> base.Dataset:
  """Returns the data set, which is drawn at every call. `data_dir` and `manual_dir` are not used."""
  del data_dir, manual_dir
  generator = np.random.default_rng(config.draw_seed)
  labels = generator.integers(2, size=config.count)
  sentences = [draw(generator, int(mood)) for mood in labels]
  corpus = text_base.build(sentences, labels, WORDS, LONGEST, shares=(0.1, 0.1), seed=config.draw_seed)
  return text_base.SentenceDataset(corpus, 2, config.test_part)
