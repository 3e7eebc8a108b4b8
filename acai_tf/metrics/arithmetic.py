"""Arithmetic with codes of sentences: does the offset between two words' mean codes change one word into the other?

As Zhao et al. 2018 (section 6, latent space arithmetic) ask it of attributes that a parser finds; here of pairs of
words that stand in like contexts, so that no parser is needed.
"""

import collections
from collections.abc import Collection, Sequence

import numpy as np

Sentences = Sequence[Sequence[int]]
RANKS = 30, 400  # of the words that are paired, by frequency: the most frequent ones are grammar


def pairs_of(sentences: Sentences, count: int, skip: Collection[int] = ()) -> list[tuple[int, int]]:
  """Up to `count` pairs of words that stand in the most alike contexts, no word twice, most alike first.

  A context is the word before and the word after, counted; likeness is the cosine of the counts' square roots. Paired
  are the words whose frequencies have the ranks RANKS.

  Args:
    sentences: word ids.
    count: how many pairs.
    skip: words that are not paired.
  """
  frequencies = collections.Counter(word for sentence in sentences for word in sentence)
  words = [word for word, _ in frequencies.most_common(RANKS[1])][RANKS[0]:]
  words = [word for word in words if word not in skip]
  places, contexts = {word: i for i, word in enumerate(words)}, {}
  counts: collections.Counter = collections.Counter()
  for sentence in sentences:
    ends = [-1, *sentence, -1]
    for before, word, after in zip(ends, sentence, ends[2:], strict=False):
      if word in places:
        for context in ((0, before), (1, after)):
          counts[places[word], contexts.setdefault(context, len(contexts))] += 1
  table = np.zeros([len(words), len(contexts)])
  for place, number in counts.items():
    table[place] = np.sqrt(number)
  table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
  likeness = np.triu(table @ table.T, 1)
  found: list[tuple[int, int]] = []
  for flat in np.argsort(-likeness, axis=None, kind='stable'):
    first, second = divmod(int(flat), len(words))
    if len(found) == count or likeness[first, second] <= 0:
      break
    if not {words[first], words[second]} & {word for pair in found for word in pair}:
      found.append((words[first], words[second]))
  return found


def having(sentences: Sentences, word: int, other: int) -> np.ndarray:
  """Indices of the sentences that have `word` and not `other`."""
  return np.array([i for i, sentence in enumerate(sentences) if word in sentence and other not in sentence], int)


def score(sources: Sentences, results: Sentences, word: int, other: int) -> tuple[float, float]:
  """How `word` became `other`: (match, kept), both 0 to 1.

  `match`: share of the results that have `other` and not `word`. `kept`: of the other words of a source, the share that
  its result still has, in any order, a mean over the matches; 0 where there is none.

  Args:
    sources: n sentences with `word`, n > 0.
    results: what became of them.
    word, other: ids.
  """
  if len(sources) != len(results) or not len(sources):
    raise ValueError(f'{len(sources)} sources and {len(results)} results; expected as many, and one at least.')
  kept = []
  for source, result in zip(sources, results, strict=True):
    if other in result and word not in result:
      rest = collections.Counter(w for w in source if w != word)
      kept.append(sum((rest & collections.Counter(result)).values()) / max(sum(rest.values()), 1))
  return len(kept) / len(sources), float(np.mean(kept)) if kept else 0.0
