"""The interpolation benchmark for text: how sentences change along a path between two sentences.

A path consists of k >= 3 sentences, decoded at alpha = 0, 1 / (k - 1), ..., 1 between the codes of two sentences. Its
endpoints are its first and last decoded sentence. The paths of any program can be scored: `parse` reads one path per
line, with tabs between sentences and spaces between words.

The metrics are computed over n paths of equal k. A and B are the multisets of words of a path's endpoints, S is that of
one of its sentences.

- perplexity at alpha: exp(-sum of log P(S) / sum of (words of S + 1)) over the sentences of all paths at alpha, under a
  language model of real text (forward perplexity).
- perplexity_gap: perplexity at the middle / perplexity at both endpoints together. It is 1 if the middle is as fluent
  as the endpoints. The middle is alpha = 1/2; for even k it is the two sentences next to it.
- share_a: share of the words of A but not B that are in S, (|S n A| - |S n A n B|) / (|A| - |A n B|). share_b is the
  same with A and B exchanged.
- progress: (1 - share_a + share_b) / 2, 0 at the first endpoint and 1 at the last. If all words of one endpoint are in
  the other, only one of 1 - share_a and share_b is defined, and progress is that one.
- largest_step: largest |change of progress| between neighbouring sentences, averaged over paths. An even path has
  1 / (k - 1), a single switch 1.
- distinct: number of different sentences, 1 to k, averaged over paths.
- stray: share of the words of all inner sentences that are in neither endpoint of their path. It measures how often a
  path borrows words from a third sentence.
- still: share of paths whose endpoints have equal words, in any order. These paths have no progress, and are left out
  of share_a, share_b, progress and largest_step.

A metric that is defined for no path is None: progress if all paths are still, stray if no inner sentence has words.
Intervals are 95 % percentile bootstrap intervals over paths, with a fixed seed.
"""

import collections
from collections.abc import Callable, Iterable, Sequence

import numpy as np

Paths = Sequence[Sequence[Sequence]]  # n paths of k sentences of words (strings, or ids)
DRAWS = 1000  # bootstrap resamples


def parse(lines: Iterable[str]) -> list[list[list[str]]]:
  """Parses lines of tab-separated sentences into paths; empty lines are skipped.

  Raises:
    ValueError: there are no paths, a path has fewer than three sentences, or paths have different numbers of sentences.
      The message names the line.
  """
  paths = []
  for number, line in enumerate(lines, start=1):
    if line := line.rstrip('\r\n'):
      paths.append([sentence.split() for sentence in line.split('\t')])
      if len(paths[-1]) < 3 or len(paths[-1]) != len(paths[0]):
        raise ValueError(f'line {number} has {len(paths[-1])} sentences separated by tabs; expected '
                         f'{"three or more" if len(paths) == 1 else f"{len(paths[0])}, as before"}.')
  if not paths:
    raise ValueError('there are no paths.')
  return paths


def score(paths: Paths, log_probabilities: Callable[[Sequence[Sequence]], np.ndarray], seed: int = 0) -> dict:
  """Computes all metrics of this module's docstring.

  Args:
    paths: n >= 1 paths of k >= 3 sentences, which may be empty.
    log_probabilities: function: m sentences -> [m] natural logarithms of their probabilities, end tokens included; for
      example `language.KneserNey(...).log_probabilities`.
    seed: seed of the bootstrap.

  Returns:
    Dict with
      perplexity_gap, largest_step, distinct, stray: floats or None, each with a `<name>_interval`, (low, high) or None;
      still: float;
      alpha: list of k floats;
      perplexity, share_a, share_b, progress: lists of k values, one per alpha, each with a `<name>_interval`, a list of
        k intervals.

  Raises:
    ValueError: there are no paths, a path has fewer than three sentences, or paths have different numbers of sentences.
  """
  n, k = len(paths), len(paths[0]) if len(paths) else 0
  if k < 3 or any(len(path) != k for path in paths):
    raise ValueError('expected one path or more, all of three or more sentences and equally many.')
  flat = [sentence for path in paths for sentence in path]
  surprise = -np.asarray(log_probabilities(flat), np.float64).reshape(n, k)
  tokens = np.array([len(sentence) + 1 for sentence in flat], np.float64).reshape(n, k)  # words and end token
  share_a, share_b, progress = (np.array(part) for part in zip(*map(_progress, paths), strict=True))  # [n, k], or NaN
  inner = np.array([_strays(path) for path in paths])  # [n, 2]: stray words, all words
  steps = np.abs(np.diff(progress, axis=1)).max(axis=1)  # [n]
  distinct = np.array([len({tuple(sentence) for sentence in path}) for path in paths])  # [n]

  middle, ends = [(k - 1) // 2, k // 2], [0, k - 1]

  def mean(values):
    defined = np.isfinite(values)
    return np.where(defined, values, 0), defined.astype(float)

  def fluency(columns):
    return surprise[:, columns].sum(axis=1), tokens[:, columns].sum(axis=1)

  # Numerators and denominators, [n] or [n, k] each. A metric is the ratio of their sums over the paths.
  fractions = {
      'middle': fluency(middle), 'ends': fluency(ends), 'largest_step': mean(steps), 'distinct': mean(distinct),
      'stray': (inner[:, 0], inner[:, 1]), 'perplexity': (surprise, tokens), 'share_a': mean(share_a),
      'share_b': mean(share_b), 'progress': mean(progress)}
  parts = [np.reshape(part, [n, -1]) for fraction in fractions.values() for part in fraction]
  ends_of_parts = np.cumsum([part.shape[1] for part in parts])[:-1]
  sums = np.split(_resampled(np.concatenate(parts, axis=1), seed), ends_of_parts, axis=1)
  with np.errstate(invalid='ignore', divide='ignore'):  # 0 / 0 is NaN
    drawn = {name: above / below for name, above, below in zip(fractions, sums[::2], sums[1::2], strict=True)}
  drawn['perplexity'] = np.exp(drawn['perplexity'])
  drawn = {'perplexity_gap': np.exp(drawn.pop('middle') - drawn.pop('ends')), **drawn}
  scores = {'still': float(np.isnan(steps).mean()), 'alpha': np.linspace(0, 1, k).tolist()}
  for name, columns in drawn.items():
    values, intervals = (list(part) for part in zip(*map(_with_interval, columns.T), strict=True))
    scores[name], scores[f'{name}_interval'] = (values[0], intervals[0]) if len(values) == 1 else (values, intervals)
  return scores


def _resampled(values, seed):
  """[n, c] values of n paths -> [1 + DRAWS, c]: their sums in the sample, and in each bootstrap resample of a seed."""
  n, generator = len(values), np.random.default_rng(seed)
  draws = (generator.multinomial(n, [1 / n] * n) for _ in range(DRAWS))  # together they would have DRAWS n elements
  return np.array([values.sum(axis=0), *(counts @ values for counts in draws)])


def _with_interval(drawn):
  """[1 + DRAWS] -> (first value, (low, high) percentiles of the others); (None, None) if the first is NaN."""
  if np.isnan(drawn[0]):
    return None, None
  low, high = np.nanpercentile(drawn[1:], [2.5, 97.5])
  return float(drawn[0]), (float(low), float(high))


def _progress(path):
  """share_a, share_b and progress of one path, k numbers each; NaN where undefined."""
  counts = [collections.Counter(sentence) for sentence in path]
  both = counts[0] & counts[-1]
  shares = []
  for end in (counts[0], counts[-1]):
    own = end.total() - both.total()
    shares.append([((count & end).total() - (count & both).total()) / own if own else np.nan for count in counts])
  defined = [share for share in (1 - np.array(shares[0]), np.array(shares[1])) if not np.isnan(share).any()]
  return *shares, np.mean(defined, axis=0) if defined else np.full(len(path), np.nan)


def _strays(path):
  """(number of words of the inner sentences that are in neither endpoint, number of all words of these sentences)."""
  known = {*path[0], *path[-1]}
  words = [word for sentence in path[1:-1] for word in sentence]
  return sum(word not in known for word in words), len(words)
