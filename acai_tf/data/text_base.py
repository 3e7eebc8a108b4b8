"""Reads sentences, splits them, and turns them into numbers (`acai_tf.vocabulary`)."""

import dataclasses
import functools
import gzip
import pathlib
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from acai_tf import files
from acai_tf.data import base
from acai_tf.experiment.errors import UserError
from acai_tf.vocabulary import Vocabulary, fit_vocabulary, lower_case


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


def text_file(folder, name) -> pathlib.Path:
  """NAME.txt in a folder, or NAME.txt.gz where only that is there."""
  paths = [pathlib.Path(folder) / f'{name}.txt{end}' for end in ('', '.gz')]
  return next((path for path in paths if path.exists()), paths[0])


def read_classes(paths: Sequence) -> tuple[list[str], list[int]]:
  """(sentences, labels) of several files: all of the first are of class 0, and so on."""
  texts = [read_sentences(path) for path in paths]
  return sum(texts, []), [label for label, text in enumerate(texts) for _ in text]


def _lines(path, tabs=False):
  """[(number from 1, line with single spaces)] of a file, but for blank ones; `tabs`: leave white space as it is."""
  path = pathlib.Path(path)
  try:
    data = files.regular(path).read_bytes()
    text = (gzip.decompress(data) if path.suffix == '.gz' else data).decode('utf-8-sig')
  except FileNotFoundError:
    raise UserError(f'{path}: no such file; expected sentences, one a line.') from None
  except UnicodeDecodeError as error:
    raise UserError(f'{path}: byte {error.start} is not UTF-8; convert the file to it.') from None
  except (OSError, EOFError, zlib.error) as error:
    raise UserError(f'{path}: it cannot be read: {error}') from None
  if '\0' in text:
    raise UserError(f'{path}: character {text.index(chr(0))} is 0, as in UTF-16 and UTF-32; convert the file to UTF-8.')
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
  """Encoded sentences in three parts; no sentence of `valid` or `test` is in another part, unless repeats are kept.

  ids are [n, longest + 1] int32 as `Vocabulary.encode` gives them; labels [n] int32 from 0, all 0 without classes.
  `unknown_share`: of the training words. `too_long`, `repeated`: how many held-out sentences are left out because they
  have too many words, or because they are in another part, too.
  """

  train_ids: np.ndarray
  train_labels: np.ndarray
  valid_ids: np.ndarray
  valid_labels: np.ndarray
  test_ids: np.ndarray
  test_labels: np.ndarray
  unknown_share: float
  vocabulary: Vocabulary
  too_long: int = 0
  repeated: int = 0


def build(sentences: Sequence[str], labels: Sequence[int] | None, size: int, longest: int, lower: bool = True,
          shares: tuple[float, float] = (0.05, 0.05), seed: int = 0,
          held_out: tuple[Sequence[str], Sequence[int] | None] | None = None, repeats: bool = False) -> Corpus:
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
    held_out: (sentences, labels) that `valid` and `test` are made of instead, half of the different ones each.
    repeats: keeps what is held out and stands in the training part too; short sentences recur in any text.

  Raises:
    UserError: no sentence is short enough, or a part that was asked for is empty.
  """
  texts, classes = _tidy(sentences, labels, longest, lower)
  too_long = 0
  if held_out is None:
    parts = split(texts, shares, seed)
  else:
    shares, (more, more_classes) = (0.5, 0.5), _tidy(*held_out, longest, lower)
    too_long = len(held_out[0]) - len(more)
    parts = [np.arange(len(texts)), *(len(texts) + part for part in split(more, (0.5,), seed))]
    texts, classes = texts + more, np.concatenate([classes, more_classes])
  vocabulary = fit_vocabulary([texts[i] for i in parts[0]], size, longest, lower)
  ids = vocabulary.encode(texts).numpy()
  before = sum(map(len, parts[1:]))
  for name, number, share in zip(('train', 'valid', 'test'), range(3), (1, *shares), strict=True):
    parts[number] = parts[number][unseen(ids[parts[number]], *(ids[part] for part in parts[repeats:number]))]
    if share and not len(parts[number]):
      raise UserError(f'{len(texts)} sentences of at most {longest} words are too few for a {name} part.')
  # In an order of their own: the first few of a part are then of all files and classes.
  train, (valid, test) = parts[0], (np.random.default_rng(seed).permutation(part) for part in parts[1:])
  return Corpus(ids[train], classes[train], ids[valid], classes[valid], ids[test], classes[test],
                vocabulary.unknown_share(ids[train]), vocabulary, too_long, before - len(valid) - len(test))


def _tidy(sentences, labels, longest, lower):
  """(texts with single spaces, labels) of the sentences that are short enough."""
  kept = short_enough(sentences, longest)
  texts = [' '.join(sentences[i].split()) for i in kept]
  if lower:
    texts = [text.decode() for text in lower_case(texts).numpy()]
  return texts, np.zeros(len(kept), np.int32) if labels is None else np.asarray(labels, np.int32)[kept]


class SentenceDataset(base.Dataset):
  """Sentences as ids with labels, [n, longest + 1] and [n] int32, shuffled whole in every epoch.

  Args:
    corpus: `Corpus`.
    classes: number of classes; 0: no labels.
    test_part: 'test' or 'valid', what evaluations see; `validation_ids` are the other of the two.
    pairs: function -> (training pairs, held-out pairs), each (first sentences, second ones, [n] labels), where the set
      has labels of pairs.

  Raises:
    UserError: a label beyond the classes, as a cache of another version may have.
  """

  def __init__(self, corpus: Corpus, classes: int = 0, test_part: str = 'test', pairs: Callable | None = None):
    last = max(labels.max(initial=0) for labels in (corpus.train_labels, corpus.valid_labels, corpus.test_labels))
    if last > max(classes - 1, 0):
      raise UserError(f'sentences have labels up to {last}; expected 0 to {max(classes - 1, 0)}. Mend the data, or '
                      'delete the data cache they come from.')
    self.corpus, self.classes, self.vocabulary = corpus, classes, corpus.vocabulary
    self.train_ids, self.train_labels = corpus.train_ids, corpus.train_labels
    self.test_ids, self.test_labels = getattr(corpus, f'{test_part}_ids'), getattr(corpus, f'{test_part}_labels')
    self.validation_ids = corpus.valid_ids if test_part == 'test' else corpus.test_ids
    self.test_part, self.labelled_pairs = test_part, pairs

  def describe(self) -> str:
    vocabulary = self.vocabulary
    return (f'{len(self.train_ids):,} training and {len(self.test_ids):,} {self.test_part} sentences of at most '
            f'{vocabulary.longest} words; vocabulary of {len(vocabulary.known):,} words; '
            f'{self.corpus.unknown_share:.2%} of the training words are out of vocabulary{self._left_out()}')

  def _left_out(self):
    corpus = self.corpus
    counts = ((corpus.too_long, f'of more than {self.vocabulary.longest} words'),
              (corpus.repeated, 'that are in another part, too'))
    parts = [f'{count:,} {what}' for count, what in counts if count]
    return f'; held-out sentences that are left out: {", ".join(parts)}' if parts else ''

  def identity(self) -> str:
    words = np.frombuffer('\n'.join(self.vocabulary.words).encode(), np.uint8)
    return base.checksum(words, self.train_ids, self.train_labels)

  def batch(self, seed, step, size, rows) -> tuple[np.ndarray, np.ndarray]:
    indices = base.shuffled(seed, step, size, rows, len(self.train_ids))
    return self.train_ids[indices], self.train_labels[indices]

  def batch_by_class(self, seed, step, size, rows) -> tuple[np.ndarray, np.ndarray]:
    places, labels = np.divmod(np.asarray(rows, np.int64), self.classes)
    indices = np.empty(len(places), np.int64)
    for label, members in enumerate(self._members):
      chosen = labels == label
      indices[chosen] = members[
          base.shuffled(seed, step, size // self.classes, places[chosen], len(members))]
    return self.train_ids[indices], self.train_labels[indices]

  @functools.cached_property
  def _members(self):
    """For each class, the indices of its training sentences."""
    return [np.flatnonzero(self.train_labels == label) for label in range(self.classes)]
