"""Latent space arithmetic for sentences: does adding the offset between two words' mean codes replace one by the other?

Zhao et al. 2018 (section 6) measure this for attributes that a parser finds. This module uses pairs of words that occur
in similar contexts instead, so it needs no parser.
"""

import collections
from collections.abc import Collection, Sequence

import numpy as np

Sentences = Sequence[Sequence[int]]
RANKS = 30, 400  # range of frequency ranks of the paired words; the most frequent words are function words


def pairs_of(sentences: Sentences, count: int, skip: Collection[int] = ()) -> list[tuple[int, int]]:
  """Finds up to `count` pairs of words that occur in similar contexts.

  The context of a word is the histogram of its left and right neighbours. Similarity is the cosine of the square roots
  of these counts. Only words whose frequency rank is within `RANKS` are paired, and no word is in two pairs.

  Args:
    sentences: word ids.
    count: maximum number of pairs.
    skip: words that are not paired.

  Returns:
    List of pairs of word ids, the most similar pair first.
  """
  frequencies = collections.Counter(word for sentence in sentences for word in sentence)
  words = [word for word, _ in frequencies.most_common(RANKS[1])][RANKS[0]:]
  words = [word for word in words if word not in skip]
  rows, contexts = {word: i for i, word in enumerate(words)}, {}
  counts: collections.Counter = collections.Counter()
  for sentence in sentences:
    ends = [-1, *sentence, -1]
    for before, word, after in zip(ends, sentence, ends[2:], strict=False):
      if word in rows:
        for context in ((0, before), (1, after)):
          counts[rows[word], contexts.setdefault(context, len(contexts))] += 1
  table = np.zeros([len(words), len(contexts)])
  for cell, number in counts.items():
    table[cell] = np.sqrt(number)
  table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
  similarity = np.triu(table @ table.T, 1)  # [words, words]
  pairs: list[tuple[int, int]] = []
  for flat in np.argsort(-similarity, axis=None, kind='stable'):
    first, second = divmod(int(flat), len(words))
    if len(pairs) == count or similarity[first, second] <= 0:
      break
    if not {words[first], words[second]} & {word for pair in pairs for word in pair}:
      pairs.append((words[first], words[second]))
  return pairs


def having(sentences: Sentences, word: int, other: int) -> np.ndarray:
  """Returns the indices of the sentences that contain `word` but not `other`."""
  return np.array([i for i, sentence in enumerate(sentences) if word in sentence and other not in sentence], int)


def score(sources: Sentences, results: Sentences, word: int, other: int) -> tuple[float, float]:
  """Measures how often `word` was replaced by `other`, and how much of the sentence was kept.

  Args:
    sources: n sentences with `word`, n > 0.
    results: the n sentences decoded after the offset was added.
    word, other: word ids.

  Returns:
    (match, kept), both in [0, 1]. `match` is the share of results that contain `other` but not `word`. `kept` is the
    share of the source's other words that the result still contains, in any order, averaged over the matches; it is 0
    without matches.

  Raises:
    ValueError: `sources` is empty, or the two lengths differ.
  """
  if len(sources) != len(results) or not len(sources):
    raise ValueError(f'{len(sources)} sources and {len(results)} results; expected equally many, and at least one.')
  kept = []
  for source, result in zip(sources, results, strict=True):
    if other in result and word not in result:
      rest = collections.Counter(w for w in source if w != word)
      kept.append(sum((rest & collections.Counter(result)).values()) / max(sum(rest.values()), 1))
  return len(kept) / len(sources), float(np.mean(kept)) if kept else 0.0
