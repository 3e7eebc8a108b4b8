"""Reads sentences, and turns them into numbers and back.

A sentence is words parted by white space. In ids, padding is 0, the unknown word 1, words follow by falling frequency,
and the start and end marks are the last two; no text can spell a mark.
"""

import dataclasses
import gzip
import pathlib
import zlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from acai_tf.experiment.errors import UserError

PADDING, UNKNOWN = 0, 1
MARKS = ('', '[UNK]', '[START]', '[END]')  # as they are written in a vocabulary: padding, unknown, start, end


class Vocabulary:
  """Words <-> ids, by `keras.layers.TextVectorization`.

  Args:
    words: by falling frequency, without the four marks.
    longest: number of words of the longest sentence.
    lower: whether text is put into lower case before it is looked up.
  """

  def __init__(self, words: Sequence[str], longest: int, lower: bool = True):
    self.longest, self.lower = longest, lower
    self.layer = _vectorizer(lower, output_sequence_length=longest, vocabulary=list(words))
    self.words = [*MARKS[:2], *words, *MARKS[2:]]  # what each id stands for
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

  def strip(self, ids) -> list[list[int]]:
    """[n, any] ids -> n lists of the ids of each one's words, as metrics take them."""
    return [[i for i in row[:row.index(self.end) if self.end in row else None] if i not in (PADDING, self.start)]
            for row in np.asarray(ids).tolist()]

  def unknown_share(self, ids) -> float:
    """Share of the words in [n, any] ids that are the unknown word; 0 where there are no words."""
    ids = np.asarray(ids)
    words = np.sum((ids != PADDING) & (ids < self.start))
    return float(np.sum(ids == UNKNOWN) / words) if words else 0.0


def _lower(text):
  return tf.strings.lower(text, encoding='utf-8')  # Keras's own 'lower' knows only ASCII


def _vectorizer(lower, **arguments):
  return keras.layers.TextVectorization(standardize=_lower if lower else None, split='whitespace', **arguments)


def fit_vocabulary(sentences: Sequence[str], size: int, longest: int, lower: bool = True) -> Vocabulary:
  """The `size` most frequent words of `sentences` (fewer where there are fewer), besides the four marks."""
  layer = _vectorizer(lower, max_tokens=size + 2)
  layer.adapt(tf.data.Dataset.from_tensor_slices(list(sentences)).batch(4096))
  return Vocabulary(layer.get_vocabulary()[2:], longest, lower)


def read_sentences(path) -> list[str]:
  """The lines of a UTF-8 text file, gzipped where its name ends in .gz; runs of white space become one space.

  Lines without words are left out.

  Raises:
    UserError: no such file, one that cannot be read, is not UTF-8, or has no sentence.
  """
  return [line for _, line in _lines(path)]


def read_labelled(path) -> tuple[list[str], list[str]]:
  """(sentences, labels) of a file whose lines are a label, a tab and a sentence.

  Raises:
    UserError: as `read_sentences`, and a line with no tab.
  """
  pairs = []
  for number, line in _lines(path, tabs=True):
    label, tab, sentence = line.partition('\t')
    if not tab or not label.strip():
      raise UserError(f'{path}: line {number} is not a label, a tab and a sentence.')
    pairs.append((' '.join(sentence.split()), label.strip()))
  pairs = [pair for pair in pairs if pair[0]]
  if not pairs:
    raise UserError(f'{path}: there is no sentence in it.')
  return [sentence for sentence, _ in pairs], [label for _, label in pairs]


def read_classes(paths: Sequence) -> tuple[list[str], list[int]]:
  """(sentences, labels) of several files: all of the first are of class 0, and so on."""
  texts = [read_sentences(path) for path in paths]
  return sum(texts, []), [label for label, text in enumerate(texts) for _ in text]


def _lines(path, tabs=False):
  """[(number from 1, line with single spaces)] of a file, but for blank ones; `tabs`: leave white space as it is."""
  path = pathlib.Path(path)
  try:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == '.gz' else data).decode('utf-8-sig')
  except FileNotFoundError:
    raise UserError(f'{path}: no such file; expected sentences, one a line.') from None
  except UnicodeDecodeError as error:
    raise UserError(f'{path}: byte {error.start} is not UTF-8; convert the file to it.') from None
  except (OSError, EOFError, zlib.error) as error:
    raise UserError(f'{path}: it cannot be read: {error}') from None
  lines = [(number, line if tabs else ' '.join(line.split())) for number, line in enumerate(text.split('\n'), start=1)]
  lines = [(number, line) for number, line in lines if line.strip()]
  if not lines:
    raise UserError(f'{path}: there is no sentence in it.')
  return lines


def short_enough(sentences: Sequence[str], longest: int) -> np.ndarray:
  """Indices of the sentences of 1 to `longest` words; the others are dropped, not cut.

  Raises:
    UserError: there are none.
  """
  kept = np.flatnonzero([0 < len(sentence.split()) <= longest for sentence in sentences])
  if not len(kept):
    raise UserError(f'none of {len(sentences)} sentences has 1 to {longest} words.')
  return kept


def split(texts: Sequence, shares: Sequence[float], seed: int) -> list[np.ndarray]:
  """Splits by different texts: all copies of a text are in the same part, so that no part has a text of another.

  Args:
    texts: n of anything that can be compared (strings; tuples of ids).
    shares: of the different texts, about, each but the first part is given, e.g. (0.1, 0.1).
    seed: decides which.

  Returns:
    1 + len(shares) sorted arrays of indices: the rest, which is to be trained on, then the parts.
  """
  if min(shares, default=0) < 0 or sum(shares) >= 1:
    raise ValueError(f'shares are {shares}; expected none below 0 and a sum below 1.')
  known = {text: i for i, text in enumerate(dict.fromkeys(texts))}
  which = np.array([known[text] for text in texts])
  order = np.random.default_rng(seed).permutation(len(known))
  bounds = np.round(np.cumsum([0, *shares]) * len(known)).astype(int)
  part = np.zeros(len(known), int)
  for number, (low, high) in enumerate(zip(bounds[:-1], bounds[1:], strict=True), start=1):
    part[order[low:high]] = number
  return [np.flatnonzero(part[which] == number) for number in range(len(bounds))]


def unseen(ids: np.ndarray, *others: np.ndarray) -> np.ndarray:
  """Indices of the rows of [n, length] ids that are no row of `others`, each [m, length]."""
  known = {row.tobytes() for other in others for row in np.ascontiguousarray(other, np.int32)}
  return np.flatnonzero([row.tobytes() not in known for row in np.ascontiguousarray(ids, np.int32)])


def balanced(labels: np.ndarray, seed: int) -> np.ndarray:
  """Sorted indices of equally many examples of each class of [n] labels, as many as the smallest has; `seed` draws."""
  classes, counts = np.unique(labels, return_counts=True)
  generator = np.random.default_rng(seed)
  chosen = [generator.permutation(np.flatnonzero(labels == label))[:counts.min()] for label in classes]
  return np.sort(np.concatenate(chosen))


@dataclasses.dataclass(frozen=True)
class Corpus:
  """Encoded sentences in three parts; no sentence of `valid` or `test` is in another part.

  ids are [n, longest + 1] int32 as `Vocabulary.encode` gives them; labels [n] int32 from 0, all 0 without classes.
  `unknown_share`: of the training words. `words`: what each id stands for.
  """

  train_ids: np.ndarray
  train_labels: np.ndarray
  valid_ids: np.ndarray
  valid_labels: np.ndarray
  test_ids: np.ndarray
  test_labels: np.ndarray
  words: list[str]
  unknown_share: float
  vocabulary: Vocabulary


def build(sentences: Sequence[str], labels: Sequence[int] | None, size: int, longest: int, lower: bool = True,
          shares: tuple[float, float] = (0.05, 0.05), seed: int = 0) -> Corpus:
  """A corpus of sentences that are short enough; its vocabulary is fitted to its training part.

  Args:
    sentences: n strings.
    labels: n classes, numbers from 0; None without classes.
    size: number of words of the vocabulary, besides the marks.
    longest: words of the longest sentence that is kept.
    lower: whether text is put into lower case.
    shares: of the different sentences that become `valid` and `test`; a few are lost where unknown words make them
      equal to one of another part.
    seed: of the split.

  Raises:
    UserError: no sentence is short enough, or a part that was asked for is empty.
  """
  kept = short_enough(sentences, longest)
  texts = [' '.join(sentences[i].split()) for i in kept]
  if lower:
    texts = [text.decode() for text in _lower(texts).numpy()]
  labels = np.zeros(len(kept), np.int32) if labels is None else np.asarray(labels, np.int32)[kept]
  parts = split(texts, shares, seed)
  vocabulary = fit_vocabulary([texts[i] for i in parts[0]], size, longest, lower)
  ids = vocabulary.encode(texts).numpy()
  for name, number, share in zip(('train', 'valid', 'test'), range(3), (1, *shares), strict=True):
    parts[number] = parts[number][unseen(ids[parts[number]], *(ids[part] for part in parts[:number]))]
    if share and not len(parts[number]):
      raise UserError(f'{len(texts)} sentences of at most {longest} words are too few for a {name} part.')
  train, valid, test = parts
  return Corpus(ids[train], labels[train], ids[valid], labels[valid], ids[test], labels[test], vocabulary.words,
                vocabulary.unknown_share(ids[train]), vocabulary)
