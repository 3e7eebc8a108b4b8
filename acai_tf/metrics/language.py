"""An interpolated Kneser-Ney n-gram language model, and reverse and forward perplexity under it.

The model is fast and deterministic. It complements the LSTM language model of the ARAE paper. Its perplexities are not
comparable with published ones, which come from other models (an LSTM, or KenLM of order 5).
"""

from collections.abc import Sequence

import numpy as np

Sentences = Sequence[Sequence[int]]  # word ids without start token, end token and padding


class KneserNey:
  """Interpolated Kneser-Ney with one absolute discount (Chen and Goodman 1999, section 4.1.6, equation 26).

  The vocabulary is closed: `vocabulary_size` words with ids from 0, and an end token, which is predicted like a word.
  Each sentence is preceded by order - 1 start tokens. With h' the context h without its first word,

      P(w | h) = max(c(h w) - D, 0) / c(h .) + D N(h) / c(h .) P(w | h'),    N(h) = number of different words after h.

  At the highest order c is the number of occurrences. At lower orders it is the continuation count, the number of
  different preceding words. For an unseen context P(w | h) = P(w | h'). The recursion ends with the uniform
  distribution, 1 / (vocabulary_size + 1). So every probability is positive, and the probabilities of all words and the
  end token sum to 1.

  Args:
    sentences: training sentences, at least one.
    vocabulary_size: number of words.
    order: length of the n-grams, at least 1; 3 is a trigram model.
    discount: D, in (0, 1].

  Raises:
    ValueError: there are no sentences, a word is outside the vocabulary, order or discount is out of range, or n-grams
      of that order do not fit into 64 bits.
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
    # One entry per order, from 1: n-grams and their discounted counts; contexts, their total counts c(h .) and N(h).
    self.tables = []
    keys, counts = np.unique(keys, return_counts=True)
    for length in range(order, 0, -1):
      contexts, first = np.unique(keys // self.base, return_index=True)  # sorted, as the keys are
      numbers = np.diff(np.append(first, len(keys)))
      self.tables.insert(0, (keys, np.maximum(counts - discount, 0), contexts, np.add.reduceat(counts, first), numbers))
      keys, counts = np.unique(keys % self.base**(length - 1), return_counts=True)

  def _keys(self, sentences):
    """Encodes each n-gram that ends in a word or an end token as one integer.

    Returns:
      ([m] int64 n-grams, sentence by sentence; [n] number of n-grams per sentence).
    """
    lengths = np.fromiter((len(sentence) for sentence in sentences), np.int64, len(sentences))
    words = np.concatenate([np.asarray(sentence, np.int64) for sentence in sentences])
    if len(words) and not 0 <= words.min() <= words.max() < self.end:
      raise ValueError(f'words have ids {words.min()} to {words.max()}; expected 0 to {self.end - 1}.')
    starts = np.cumsum(lengths + self.order) - lengths - 1  # position of each sentence's first word in `text`
    # Of each sentence: order - 1 start tokens (id base - 1), the words, the end token.
    text = np.full(lengths.sum() + self.order * len(lengths), self.base - 1)
    text[starts + lengths] = self.end
    inside = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(len(words))  # positions of words
    text[inside] = words
    predicted = np.sort(np.concatenate([inside, starts + lengths]))  # [m] positions of words and end tokens
    keys = np.zeros(len(predicted), np.int64)
    for back in range(self.order - 1, -1, -1):
      keys = keys * self.base + text[predicted - back]
    return keys, lengths + 1

  def _probabilities(self, keys):
    """[m] n-grams of the model's order -> [m] probabilities of their last word given the words before."""
    probability = np.full(len(keys), 1 / (self.end + 1))
    for length, (known, discounted, contexts, totals, numbers) in enumerate(self.tables, start=1):
      grams = keys % self.base**length
      gram, gram_seen = _find(known, grams)
      context, context_seen = _find(contexts, grams // self.base)
      total = totals[context]
      mixed = np.where(gram_seen, discounted[gram], 0) / total + self.discount * numbers[context] / total * probability
      probability = np.where(context_seen, mixed, probability)
    return probability

  def log_probabilities(self, sentences: Sentences) -> np.ndarray:
    """[n] natural logarithms of the sentences' probabilities, end tokens included."""
    if not len(sentences):
      return np.zeros(0)
    keys, numbers = self._keys(sentences)
    different, inverse = np.unique(keys, return_inverse=True)
    logarithms = np.log(self._probabilities(different))[inverse]
    return np.add.reduceat(logarithms, np.cumsum(numbers) - numbers)

  def perplexity(self, sentences: Sentences) -> float:
    """exp(-log probability / (words + end tokens)) over all sentences; the uniform model has vocabulary_size + 1."""
    return perplexity(self.log_probabilities(sentences), sentences)


def _find(table, values):
  """Looks `values` up in a sorted `table`: (indices, 0 for missing values; whether each value is in the table)."""
  indices = np.minimum(np.searchsorted(table, values), len(table) - 1)
  present = table[indices] == values
  return np.where(present, indices, 0), present


def perplexity(log_probabilities: np.ndarray, sentences: Sentences) -> float:
  """exp(-sum of log_probabilities / (words + end tokens)).

  Args:
    log_probabilities: [n] natural logarithms.
    sentences: the n sentences.
  """
  return float(np.exp(-np.sum(log_probabilities) / sum(len(sentence) + 1 for sentence in sentences)))


def reverse_perplexity(samples: Sentences, held_out: Sentences, vocabulary_size: int) -> float:
  """Perplexity of real `held_out` sentences under a trigram model fitted to generated samples.

  It is high if samples are unlike real text, and if they cover only a part of it. It depends on the number of samples.
  """
  return KneserNey(samples, vocabulary_size).perplexity(held_out)
