"""Vocabularies, which map words to ids and back.

Data sets build vocabularies, and models store them, so that models can read and write plain text. A sentence is a
string of words separated by white space. Id 0 is padding, 1 is the out-of-vocabulary token, words follow by descending
frequency, and the last two ids are the start and the end token. Special tokens cannot be written in plain text.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

PADDING, UNKNOWN = 0, 1
SPECIAL_TOKENS = ('', '[UNK]', '[START]', '[END]')  # padding, out-of-vocabulary, start, end
LONGEST_WORD = 64  # bytes of UTF-8


class Vocabulary:
  """Maps words to ids and back, by `keras.layers.TextVectorization`.

  Args:
    words: words by descending frequency, without the four special tokens.
    longest: maximum number of words per sentence.
    lower: whether text is converted to lower case before the lookup.
    size: number of ids for words. If it is larger than the number of `words`, the remaining ids are unused. Default:
      the number of `words`.

  Attributes:
    words: all tokens by id, the four special tokens and unused ids included.
    known: the words alone, as given.
    start, end: ids of the start and the end token.

  Raises:
    ValueError: there are no words, or a word occurs twice.
  """

  def __init__(self, words: Sequence[str], longest: int, lower: bool = True, size: int | None = None):
    self.longest, self.lower, self.known = longest, lower, list(words)
    if not self.known:
      raise ValueError('a vocabulary is made of no words; expected 1 or more.')
    self.layer = _vectorizer(lower, output_sequence_length=longest, vocabulary=self.known)
    unused = [f'[UNUSED {i}]' for i in range((size or len(words)) - len(words))]
    self.words = [*SPECIAL_TOKENS[:2], *words, *unused, *SPECIAL_TOKENS[2:]]  # by id
    self.start, self.end = len(self.words) - 2, len(self.words) - 1
    self._ids = {word: i for i, word in enumerate(self.known, start=UNKNOWN + 1)}

  def __len__(self):
    """Number of ids, the four special tokens included."""
    return len(self.words)

  @property
  def length(self) -> int:
    """Length of an encoded sentence: `longest` words and the end token."""
    return self.longest + 1

  def word_ids(self, sentences: Sequence[str]) -> list[list[int]]:
    """Converts n sentences to n lists of the ids of their words, without truncation and without end tokens.

    Words that are not in the vocabulary, special tokens among them, become the out-of-vocabulary token.
    """
    if self.lower and len(sentences):
      sentences = [sentence.decode() for sentence in lower_case(list(sentences)).numpy()]
    return [[self._ids.get(word, UNKNOWN) for word in sentence.split()] for sentence in sentences]

  def encode(self, sentences) -> tf.Tensor:
    """Encodes sentences: [n] strings -> [n, longest + 1] int32 ids: words, the end token, padding. Works in graphs.

    Words that are not in the vocabulary become the out-of-vocabulary token. Sentences are truncated to `longest` words;
    data sets filter out longer ones before (`short_enough`). An empty sentence becomes the end token.
    """
    words = tf.cast(self.layer(tf.reshape(tf.convert_to_tensor(sentences, tf.string), [-1])), tf.int32)
    words = tf.pad(words, [[0, 0], [0, 1]])
    lengths = tf.math.count_nonzero(words, axis=1, keepdims=True, dtype=tf.int32)
    return tf.where(tf.range(self.length) == lengths, self.end, words)

  def decode(self, ids) -> list[str]:
    """Decodes [n, any] ids to n sentences, up to their first end token, without padding and start tokens."""
    return [' '.join(self.words[i] for i in row) for row in self.strip(ids)]

  def join(self, ids) -> tf.Tensor:
    """[n, any] ids -> [n] strings: `decode` inside a graph."""
    positions = tf.range(tf.shape(ids)[1])
    ends = tf.reduce_min(  # [n, 1]
        tf.where(tf.equal(ids, self.end), positions, tf.shape(ids)[1]), axis=1, keepdims=True)
    is_word = (positions < ends) & (ids != PADDING) & (ids != self.start)
    words = tf.where(is_word, tf.gather(tf.constant(self.words), ids), '')
    joined = tf.strings.reduce_join(words, axis=1, separator=' ')
    return tf.strings.strip(tf.strings.regex_replace(joined, ' +', ' '))

  def strip(self, ids) -> list[list[int]]:
    """[n, any] ids -> n lists of the word ids before the first end token, as metrics take them."""
    return [[i for i in row[:row.index(self.end) if self.end in row else None] if i not in (PADDING, self.start)]
            for row in np.asarray(ids).tolist()]

  def unknown_share(self, ids) -> float:
    """Share of out-of-vocabulary tokens among the words in [n, any] ids; 0 if there are no words."""
    ids = np.asarray(ids)
    words = np.sum((ids != PADDING) & (ids < self.start))
    return float(np.sum(ids == UNKNOWN) / words) if words else 0.0


def lower_case(text) -> tf.Tensor:
  """Converts strings to lower case, also inside a graph."""
  return tf.strings.lower(text, encoding='utf-8')  # Keras's 'lower' standardization handles only ASCII


def _vectorizer(lower, **arguments):
  return keras.layers.TextVectorization(standardize=lower_case if lower else None, split='whitespace', **arguments)


def fit_vocabulary(sentences: Sequence[str], size: int, longest: int, lower: bool = True) -> Vocabulary:
  """Builds a vocabulary of the `size` most frequent words of `sentences`.

  Words of more than LONGEST_WORD bytes are left out. If there are fewer words, the remaining ids are unused.

  Args:
    sentences: training sentences.
    size: maximum number of words, without the four special tokens.
    longest: maximum number of words per sentence.
    lower: whether text is converted to lower case.
  """
  layer = _vectorizer(lower, max_tokens=size + 2)
  layer.adapt(tf.data.Dataset.from_tensor_slices(list(sentences)).batch(4096))
  words = [word for word in layer.get_vocabulary()[2:] if len(word.encode()) <= LONGEST_WORD]
  return Vocabulary(words, longest, lower, size)
