"""Reads sentences, splits them into parts and encodes them as ids (`acai_tf.vocabulary`)."""

import dataclasses
import functools
import gzip
import pathlib
import typing
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from acai_tf import files
from acai_tf.data import base
from acai_tf.experiment.errors import UserError

if typing.TYPE_CHECKING:
  from acai_tf.vocabulary import Vocabulary


def read_sentences(path) -> list[str]:
  """Returns the lines of a UTF-8 text file, which is decompressed if its name ends in .gz.

  Runs of white space become one space, and blank lines are dropped.

  Raises:
    UserError: the file is missing, cannot be read, is not UTF-8, or has no sentence.
  """
  return [line for _, line in _lines(path)]


def read_labelled(path) -> tuple[list[str], list[str]]:
  """Returns (sentences, labels) of a file whose lines are a label, a tab and a sentence.

  Raises:
    UserError: as in `read_sentences`; a line has no tab or no label.
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
  """Returns the path of NAME.txt in a folder, or of NAME.txt.gz if only that exists."""
  paths = [pathlib.Path(folder) / f'{name}.txt{end}' for end in ('', '.gz')]
  return next((path for path in paths if path.exists()), paths[0])


def read_classes(paths: Sequence) -> tuple[list[str], list[int]]:
  """Returns (sentences, labels) of several files; the label of a sentence is the index of its file."""
  texts = [read_sentences(path) for path in paths]
  return sum(texts, []), [label for label, text in enumerate(texts) for _ in text]


def _lines(path, tabs=False):
  """Returns [(line number from 1, line)] of the non-blank lines of a file.

  White space within a line becomes single spaces, unless `tabs` is true.
  """
  path = pathlib.Path(path)
  try:
    data = files.regular(path).read_bytes()
    text = (gzip.decompress(data) if path.suffix == '.gz' else data).decode('utf-8-sig')
  except FileNotFoundError:
    raise UserError(f'{path}: no such file; expected sentences, one per line.') from None
  except UnicodeDecodeError as error:
    raise UserError(f'{path}: byte {error.start} is not UTF-8; convert the file to UTF-8.') from None
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
  """Returns the indices of the sentences of 1 to `longest` words.

  Raises:
    UserError: there are no such sentences.
  """
  kept = np.flatnonzero([0 < len(sentence.split()) <= longest for sentence in sentences])
  if not len(kept):
    raise UserError(f'none of {len(sentences)} sentences has 1 to {longest} words.')
  return kept


def split(texts: Sequence, shares: Sequence[float], seed: int) -> list[np.ndarray]:
  """Splits texts into parts at random. All copies of a text are in the same part, so that no two parts share a text.

  Args:
    texts: n hashable values, for example strings or tuples of ids.
    shares: approximate shares of the distinct texts for all parts but the first, for example (0.1, 0.1).
    seed: seed of the split.

  Returns:
    1 + len(shares) sorted arrays of indices. The first is the training part, with all remaining texts.

  Raises:
    ValueError: a share is below 0, or the sum of the shares is not below 1.
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
  """Returns the indices of those rows of [n, length] ids that are in none of `others`, each [m, length]."""
  known = {row.tobytes() for other in others for row in np.ascontiguousarray(other, np.int32)}
  return np.flatnonzero([row.tobytes() not in known for row in np.ascontiguousarray(ids, np.int32)])


def balanced(labels: np.ndarray, seed: int) -> np.ndarray:
  """Balances the classes of [n] labels: returns the sorted indices of the same number of examples of every class.

  That number is the size of the smallest class. `seed` determines which examples are chosen.
  """
  classes, counts = np.unique(labels, return_counts=True)
  generator = np.random.default_rng(seed)
  chosen = [generator.permutation(np.flatnonzero(labels == label))[:counts.min()] for label in classes]
  return np.sort(np.concatenate(chosen))


@dataclasses.dataclass(frozen=True)
class Corpus:
  """Encoded sentences in three parts. No sentence of `valid` or `test` is in another part, unless repeats are kept.

  Attributes:
    train_ids, valid_ids, test_ids: [n, longest + 1] int32, as from `Vocabulary.encode`.
    train_labels, valid_labels, test_labels: [n] int32 from 0; all 0 without classes.
    unknown_share: share of the training words that are out of vocabulary, from 0 to 1.
    vocabulary: the vocabulary of the training part.
    too_long: number of held-out sentences dropped because they have too many words.
    repeated: number of held-out sentences dropped because they also occur in another part.
  """

  train_ids: np.ndarray
  train_labels: np.ndarray
  valid_ids: np.ndarray
  valid_labels: np.ndarray
  test_ids: np.ndarray
  test_labels: np.ndarray
  unknown_share: float
  vocabulary: 'Vocabulary'
  too_long: int = 0
  repeated: int = 0


def build(sentences: Sequence[str], labels: Sequence[int] | None, size: int, longest: int, lower: bool = True,
          shares: tuple[float, float] = (0.05, 0.05), seed: int = 0,
          held_out: tuple[Sequence[str], Sequence[int] | None] | None = None, repeats: bool = False) -> Corpus:
  """Builds a corpus. Sentences that are too long are dropped, and the vocabulary is fitted to the training part.

  Args:
    sentences: n strings.
    labels: n classes, ints from 0; None without classes.
    size: vocabulary size, without the special tokens.
    longest: maximum number of words of a sentence.
    lower: whether to convert text to lower case.
    shares: shares of the distinct sentences that become the parts `valid` and `test`. The parts may be slightly
      smaller: a sentence is dropped if out-of-vocabulary words make it equal to one of another part.
    seed: seed of the split.
    held_out: (sentences, labels) to use for `valid` and `test` instead of `shares`, half of the distinct ones for each.
    repeats: whether to keep held-out sentences that also occur in the training part. Short sentences recur in any text.

  Raises:
    UserError: no sentence is short enough, no word is, or a part whose share is not 0 has too few sentences.
  """
  from acai_tf.vocabulary import LONGEST_WORD, fit_vocabulary

  texts, classes = _tidy(sentences, labels, longest, lower)
  too_long = 0
  if held_out is None:
    parts = split(texts, shares, seed)
  else:
    shares, (more, more_classes) = (0.5, 0.5), _tidy(*held_out, longest, lower)
    too_long = len(held_out[0]) - len(more)
    parts = [np.arange(len(texts)), *(len(texts) + part for part in split(more, (0.5,), seed))]
    texts, classes = texts + more, np.concatenate([classes, more_classes])
  try:
    vocabulary = fit_vocabulary([texts[i] for i in parts[0]], size, longest, lower)
  except ValueError as error:
    raise UserError(f'no training sentence has a word of at most {LONGEST_WORD} bytes; expected words separated by '
                    'spaces.') from error
  ids = vocabulary.encode(texts).numpy()
  held_out_count = sum(map(len, parts[1:]))
  for name, number, share in zip(('train', 'valid', 'test'), range(3), (1, *shares), strict=True):
    parts[number] = parts[number][unseen(ids[parts[number]], *(ids[part] for part in parts[repeats:number]))]
    least = 1 if name == 'train' else 2  # paths need two sentences
    if share and len(parts[number]) < least:
      raise UserError(f'{len(texts)} sentences of at most {longest} words are too few: {len(parts[number])} of them '
                      f'would be in the {name} part; expected at least {least}.')
  # Shuffles the held-out parts, so that the first few sentences come from all files and classes.
  train, (valid, test) = parts[0], (np.random.default_rng(seed).permutation(part) for part in parts[1:])
  return Corpus(ids[train], classes[train], ids[valid], classes[valid], ids[test], classes[test],
                vocabulary.unknown_share(ids[train]), vocabulary, too_long, held_out_count - len(valid) - len(test))


def _tidy(sentences, labels, longest, lower):
  """Returns (texts with single spaces, [n] int32 labels) of the sentences that are short enough."""
  from acai_tf.vocabulary import lower_case

  kept = short_enough(sentences, longest)
  texts = [' '.join(sentences[i].split()) for i in kept]
  if lower:
    texts = [text.decode() for text in lower_case(texts).numpy()]
  return texts, np.zeros(len(kept), np.int32) if labels is None else np.asarray(labels, np.int32)[kept]


class SentenceDataset(base.Dataset):
  """Encoded sentences, [n, longest + 1] int32 ids and [n] int32 labels; all are shuffled in every epoch.

  Args:
    corpus: the sentences.
    classes: number of classes; 0: no labels.
    test_part: the part on which models are evaluated, 'test' or 'valid'. The other part becomes `validation_ids`.
    pairs: function that returns (training pairs, held-out pairs) if the data set has labelled pairs. Each is a tuple
      (first sentences, second sentences, [n] int32 labels).

  Raises:
    UserError: a label is out of range, as may happen with a cache of another version, or a class has no training
      sentence.
  """

  def __init__(self, corpus: Corpus, classes: int = 0, test_part: str = 'test', pairs: Callable | None = None):
    last = max(labels.max(initial=0) for labels in (corpus.train_labels, corpus.valid_labels, corpus.test_labels))
    if last > max(classes - 1, 0):
      raise UserError(f'sentences have labels up to {last}; expected 0 to {max(classes - 1, 0)}. Correct the data, or '
                      'delete the data cache they come from.')
    absent = sorted(set(range(classes)) - set(corpus.train_labels.tolist()))
    if absent:
      raise UserError(f'class {absent[0]} of {classes} has no training sentence; expected sentences of each class, of '
                      f'at most {corpus.vocabulary.longest} words.')
    self.corpus, self.classes, self.vocabulary = corpus, classes, corpus.vocabulary
    self.train_ids, self.train_labels = corpus.train_ids, corpus.train_labels
    self.test_ids, self.test_labels = getattr(corpus, f'{test_part}_ids'), getattr(corpus, f'{test_part}_labels')
    self.validation_ids = corpus.valid_ids if test_part == 'test' else corpus.test_ids
    self.test_part, self.labelled_pairs = test_part, pairs

  def describe(self) -> str:
    corpus, vocabulary = self.corpus, self.vocabulary
    return (f'vocabulary of {len(vocabulary.known):,} words; {len(corpus.train_ids):,} training, '
            f'{len(corpus.valid_ids):,} validation, {len(corpus.test_ids):,} test sentences of at most '
            f'{vocabulary.longest} words, evaluated on {self.test_part}; '
            f'{corpus.unknown_share:.2%} of the training words are out of vocabulary{self._left_out()}')

  def _left_out(self):
    corpus = self.corpus
    counts = ((corpus.too_long, f'of more than {self.vocabulary.longest} words'),
              (corpus.repeated, 'that also occur in another part'))
    parts = [f'{count:,} {what}' for count, what in counts if count]
    return f'; held-out sentences dropped: {", ".join(parts)}' if parts else ''

  def identity(self) -> str:
    words = np.frombuffer('\n'.join(self.vocabulary.words).encode(), np.uint8)
    return base.checksum(words, self.train_ids, self.train_labels)

  def batch(self, seed, step, size, rows) -> tuple[np.ndarray, np.ndarray]:
    indices = base.shuffled(seed, step, size, rows, len(self.train_ids))
    return self.train_ids[indices], self.train_labels[indices]

  def batch_by_class(self, seed, step, size, rows) -> tuple[np.ndarray, np.ndarray]:
    positions, labels = np.divmod(np.asarray(rows, np.int64), self.classes)
    indices = np.empty(len(positions), np.int64)
    for label, members in enumerate(self._members):
      chosen = labels == label
      indices[chosen] = members[
          base.shuffled(seed, step, size // self.classes, positions[chosen], len(members))]
    return self.train_ids[indices], self.train_labels[indices]

  @functools.cached_property
  def _members(self):
    """List of the indices of the training sentences of each class."""
    return [np.flatnonzero(self.train_labels == label) for label in range(self.classes)]
