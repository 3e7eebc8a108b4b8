"""An interpolated Kneser-Ney n-gram language model, and reverse and forward perplexity with it.

Fast and deterministic: a second opinion beside the LSTM language model of the ARAE paper. Its perplexities
compare with no published ones, which come from other models (an LSTM; KenLM of order 5).
"""

from collections.abc import Sequence

import numpy as np

Sentences = Sequence[Sequence[int]]  # word ids without start, end and padding


class KneserNey:
  """Interpolated Kneser-Ney with one absolute discount (Chen and Goodman 1999, section 4.1.6; their equation 26).

  The vocabulary is closed: `vocabulary_size` words with ids from 0, and an end mark, which is predicted as a word is.
  Every sentence starts from order - 1 start marks. With h' the context h without its first word,

    P(w | h) = max(c(h w) - D, 0) / c(h .) + D N(h) / c(h .) P(w | h'),    N(h) = number of different words after h,

  where c counts occurrences at the highest order and, below it, the different words that precede (continuation counts).
  After a context that never occurred P(w | h) = P(w | h'); below the lowest order stands 1 / (vocabulary_size + 1). So
  every probability is above 0, and those of words and end mark sum to 1.

  Args:
    sentences: what it is fitted to, at least one sentence.
    vocabulary_size: number of words.
    order: 1 or more words long are the n-grams; 3 is a trigram.
    discount: D, in (0, 1].

  Raises:
    ValueError: no sentences, a word outside the vocabulary, or more different n-grams than 64 bits can name.
  """

  def __init__(self, sentences: Sentences, vocabulary_size: int, order: int = 3, discount: float = 0.75):
    self.end, self.base, self.order, self.discount = vocabulary_size, vocabulary_size + 2, order, discount
    if order < 1 or not 0 < discount <= 1:
      raise ValueError(f'order {order} and discount {discount}; expected order >= 1 and a discount in (0, 1].')
    if self.base**order >= 2**63:
      raise ValueError(f'n-grams of order {order} over {vocabulary_size} words do not fit 64 bits.')
    if not len(sentences):
      raise ValueError('a language model needs sentences.')
    keys, _ = self._keys(sentences)
    self.tables = []  # from order 1 up: n-grams, their discounted counts; contexts, their totals and numbers of words
    keys, counts = np.unique(keys, return_counts=True)
    for length in range(order, 0, -1):
      contexts, first = np.unique(keys // self.base, return_index=True)  # sorted, as the keys are
      numbers = np.diff(np.append(first, len(keys)))
      self.tables.insert(0, (keys, np.maximum(counts - discount, 0), contexts, np.add.reduceat(counts, first), numbers))
      keys, counts = np.unique(keys % self.base**(length - 1), return_counts=True)

  def _keys(self, sentences):
    """Every n-gram that ends in a word or an end mark as one number, sentence by sentence; and how many a sentence."""
    lengths = np.fromiter((len(sentence) for sentence in sentences), np.int64, len(sentences))
    words = np.concatenate([np.asarray(sentence, np.int64) for sentence in sentences])
    if len(words) and not 0 <= words.min() <= words.max() < self.end:
      raise ValueError(f'words have ids {words.min()} to {words.max()}; expected 0 to {self.end - 1}.')
    starts = np.cumsum(lengths + self.order) - lengths - 1  # of the words in `text`, which has start marks and the end
    text = np.full(lengths.sum() + self.order * len(lengths), self.base - 1)
    text[starts + lengths] = self.end
    inside = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(len(words))
    text[inside] = words
    predicted = np.sort(np.concatenate([inside, starts + lengths]))
    keys = np.zeros(len(predicted), np.int64)
    for back in range(self.order - 1, -1, -1):
      keys = keys * self.base + text[predicted - back]
    return keys, lengths + 1

  def _probabilities(self, keys):
    """[m] n-grams of the model's order -> [m] probabilities of their last words given the others."""
    probability = np.full(len(keys), 1 / (self.end + 1))
    for length, (known, discounted, contexts, totals, numbers) in enumerate(self.tables, start=1):
      grams = keys % self.base**length
      at, found = _find(known, grams)
      context, seen = _find(contexts, grams // self.base)
      total = totals[context]
      mixed = np.where(found, discounted[at], 0) / total + self.discount * numbers[context] / total * probability
      probability = np.where(seen, mixed, probability)
    return probability

  def log_probabilities(self, sentences: Sentences) -> np.ndarray:
    """[n] natural logarithms of the sentences' probabilities, each with its end mark."""
    if not len(sentences):
      return np.zeros(0)
    keys, numbers = self._keys(sentences)
    different, back = np.unique(keys, return_inverse=True)
    logarithms = np.log(self._probabilities(different))[back]
    return np.add.reduceat(logarithms, np.cumsum(numbers) - numbers)

  def perplexity(self, sentences: Sentences) -> float:
    """exp(-log probability / (words + end marks)) over all sentences together; chance has vocabulary_size + 1."""
    return perplexity(self.log_probabilities(sentences), sentences)


def _find(table, values):
  """Where `values` stand in a sorted `table` (0 where they do not), and whether they do."""
  at = np.minimum(np.searchsorted(table, values), len(table) - 1)
  found = table[at] == values
  return np.where(found, at, 0), found


def perplexity(log_probabilities: np.ndarray, sentences: Sentences) -> float:
  """exp(-sum of log_probabilities / (words + end marks)): [n] natural logarithms, and the n sentences they are of."""
  return float(np.exp(-np.sum(log_probabilities) / sum(len(sentence) + 1 for sentence in sentences)))


def reverse_perplexity(samples: Sentences, held_out: Sentences, vocabulary_size: int) -> float:
  """Perplexity of real `held_out` sentences under a trigram fitted to a model's samples.

  High where samples are not like text, and where they miss a part of it; it depends on how many samples there are.
  """
  return KneserNey(samples, vocabulary_size).perplexity(held_out)


def forward_perplexity(samples: Sentences, real: Sentences, vocabulary_size: int) -> float:
  """Perplexity of a model's samples under a trigram fitted to `real` sentences: their fluency, not their variety."""
  return KneserNey(real, vocabulary_size).perplexity(samples)
