"""Words <-> ids. Data sets make vocabularies, and models carry them: so that they take and give plain text.

A sentence is words parted by white space. In ids, padding is 0, the unknown word 1, words follow by falling frequency,
and the start and end marks are the last two; no text can spell a mark.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

PADDING, UNKNOWN = 0, 1
MARKS = ('', '[UNK]', '[START]', '[END]')  # as they are written in a vocabulary: padding, unknown, start, end
LONGEST_WORD = 64  # bytes of UTF-8


class Vocabulary:
  """Words <-> ids, by `keras.layers.TextVectorization`.

  Args:
    words: by falling frequency, without the four marks.
    longest: number of words of the longest sentence.
    lower: whether text is put into lower case before it is looked up.
    size: how many words there are ids for; what `words` has less, no text can spell. Default: as many as `words`.

  Raises:
    ValueError: no words, or one twice.
  """

  def __init__(self, words: Sequence[str], longest: int, lower: bool = True, size: int | None = None):
    self.longest, self.lower, self.known = longest, lower, list(words)
    if not self.known:
      raise ValueError('a vocabulary is made of no words; expected 1 or more.')
    self.layer = _vectorizer(lower, output_sequence_length=longest, vocabulary=self.known)
    unused = [f'[UNUSED {i}]' for i in range((size or len(words)) - len(words))]
    self.words = [*MARKS[:2], *words, *unused, *MARKS[2:]]  # what each id stands for
    self.start, self.end = len(self.words) - 2, len(self.words) - 1

  def __len__(self):
    """Number of ids, the four marks included."""
    return len(self.words)

  @property
  def length(self) -> int:
    """Numbers of an encoded sentence: its words and its end mark."""
    return self.longest + 1

  def encode(self, sentences) -> tf.Tensor:
    """[n] strings -> [n, longest + 1] int32: words, the end mark, padding. Also inside a graph.

    What is not in the vocabulary becomes the unknown word. Of longer sentences the first `longest` words are taken;
    data sets leave those sentences out before (`short_enough`). An empty sentence is its end mark.
    """
    words = tf.cast(self.layer(tf.reshape(tf.convert_to_tensor(sentences, tf.string), [-1])), tf.int32)
    words = tf.pad(words, [[0, 0], [0, 1]])
    lengths = tf.math.count_nonzero(words, axis=1, keepdims=True, dtype=tf.int32)
    return tf.where(tf.range(self.length) == lengths, self.end, words)

  def decode(self, ids) -> list[str]:
    """[n, any] ids -> n sentences, each up to its first end mark; padding and start marks are left out."""
    return [' '.join(self.words[i] for i in row) for row in self.strip(ids)]

  def join(self, ids) -> tf.Tensor:
    """[n, any] ids -> [n] strings, as `decode`, but inside a graph."""
    places = tf.range(tf.shape(ids)[1])
    ends = tf.reduce_min(tf.where(tf.equal(ids, self.end), places, tf.shape(ids)[1]), axis=1, keepdims=True)
    written = (places < ends) & (ids != PADDING) & (ids != self.start)
    words = tf.where(written, tf.gather(tf.constant(self.words), ids), '')
    joined = tf.strings.reduce_join(words, axis=1, separator=' ')
    return tf.strings.strip(tf.strings.regex_replace(joined, ' +', ' '))

  def strip(self, ids) -> list[list[int]]:
    """[n, any] ids -> n lists of the ids of each one's words, as metrics take them."""
    return [[i for i in row[:row.index(self.end) if self.end in row else None] if i not in (PADDING, self.start)]
            for row in np.asarray(ids).tolist()]

  def unknown_share(self, ids) -> float:
    """Share of the words in [n, any] ids that are the unknown word; 0 where there are no words."""
    ids = np.asarray(ids)
    words = np.sum((ids != PADDING) & (ids < self.start))
    return float(np.sum(ids == UNKNOWN) / words) if words else 0.0


def lower_case(text) -> tf.Tensor:
  """Strings in lower case, in a graph or not."""
  return tf.strings.lower(text, encoding='utf-8')  # Keras's own 'lower' knows only ASCII


def _vectorizer(lower, **arguments):
  return keras.layers.TextVectorization(standardize=lower_case if lower else None, split='whitespace', **arguments)


def fit_vocabulary(sentences: Sequence[str], size: int, longest: int, lower: bool = True) -> Vocabulary:
  """The `size` most frequent words of `sentences`, besides the four marks; words of more than LONGEST_WORD bytes not.

  Where there are fewer words, the ids of the others are never written.
  """
  layer = _vectorizer(lower, max_tokens=size + 2)
  layer.adapt(tf.data.Dataset.from_tensor_slices(list(sentences)).batch(4096))
  words = [word for word in layer.get_vocabulary()[2:] if len(word.encode()) <= LONGEST_WORD]
  return Vocabulary(words, longest, lower, size)
