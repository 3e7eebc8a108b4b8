"""The interpolation benchmark for text: how sentences change along paths between two sentences.

A path is k >= 3 sentences, decoded at alpha = 0, 1 / (k - 1), ..., 1 between the codes of two sentences; its ends are
its own first and last sentence, as decoded. Any program's paths can be scored: `parse` reads them, one path a line, its
sentences parted by tabs, words by spaces. Figures, over n paths of equal k, with A and B the words of a path's ends as
multisets and S those of one of its sentences:

- perplexity at alpha: exp(-sum of log P(S) / sum of (words of S + 1)) over all paths' sentences at alpha, by a language
  model of real text ('forward').
- perplexity_gap: perplexity at the middle / perplexity at both ends together; 1 where the middle is as fluent. The
  middle is alpha = 1/2; with even k both sentences beside it.
- share_a: what S has of the words that A has and B has not, |S n A| - |S n A n B| out of |A| - |A n B|; share_b
  likewise. `progress` = (1 - share_a + share_b) / 2, or the one of the two there is where one end's words are all in
  the other; it is 0 at the first end and 1 at the last. Paths whose ends have equal words (`still`) have no progress
  and are left out of share_a, share_b, progress and largest_step; word order does not count.
- largest_step: mean over paths of the largest |change of progress| between neighbours: 1 / (k - 1) is even, 1 a switch.
- distinct: mean over paths of the number of different sentences, 1 to k.
- stray: share of the words of all inner sentences that are in neither end of their path, over all paths together: how
  often a path leaves for a third sentence's words.
- still: share of paths whose ends have equal words.

What no path has (progress where all stand still, stray where no inner sentence has words) is None. Intervals are 95 %
percentile bootstraps over paths, whose draws are fixed.
"""

import collections
from collections.abc import Callable, Iterable, Sequence

import numpy as np

Paths = Sequence[Sequence[Sequence]]  # n paths of k sentences of words (strings, or ids)
DRAWS = 1000  # of the bootstrap


def parse(lines: Iterable[str]) -> list[list[list[str]]]:
  """Lines of tab-separated sentences -> paths; lines that are wholly empty are left out.

  Raises:
    ValueError: no paths, fewer than three sentences a path, or paths that differ in their number; names the line.
  """
  paths = []
  for number, line in enumerate(lines, start=1):
    if line := line.rstrip('\r\n'):
      paths.append([sentence.split() for sentence in line.split('\t')])
      if len(paths[-1]) < 3 or len(paths[-1]) != len(paths[0]):
        raise ValueError(f'line {number} has {len(paths[-1])} sentences parted by tabs; expected '
                         f'{"three or more" if len(paths) == 1 else f"{len(paths[0])}, as before"}.')
  if not paths:
    raise ValueError('there are no paths.')
  return paths


def format_paths(paths: Paths) -> str:
  """Paths of string words -> the text that `parse` reads."""
  return ''.join('\t'.join(' '.join(sentence) for sentence in path) + '\n' for path in paths)


def score(paths: Paths, log_probabilities: Callable[[Sequence[Sequence]], np.ndarray], seed: int = 0) -> dict:
  """Every figure of this module's docstring.

  Args:
    paths: n >= 1 paths of k >= 3 sentences, which may be empty.
    log_probabilities: m sentences -> [m] natural logarithms of their probabilities, end marks included;
      `language.KneserNey(...).log_probabilities`, say.
    seed: of the bootstrap.

  Returns:
    Dict of perplexity_gap, largest_step, distinct, stray (floats or None), each with `<name>_interval`, (low, high) or
    None; still (float); and curves, lists of k over alpha: alpha, perplexity, share_a, share_b, progress, each but the
    first with its interval, a list of k.

  Raises:
    ValueError: no paths, or paths of fewer than three or of different numbers of sentences.
  """
  n, k = len(paths), len(paths[0]) if len(paths) else 0
  if k < 3 or any(len(path) != k for path in paths):
    raise ValueError('expected one path or more, all of three or more sentences and equally many.')
  flat = [sentence for path in paths for sentence in path]
  surprise = -np.asarray(log_probabilities(flat), np.float64).reshape(n, k)
  places = np.array([len(sentence) + 1 for sentence in flat], np.float64).reshape(n, k)
  share_a, share_b, progress = (np.array(part) for part in zip(*map(_progress, paths), strict=True))  # [n, k], or NaN
  inner = np.array([_strays(path) for path in paths])  # [n, 2] stray words, words
  steps = np.abs(np.diff(progress, axis=1)).max(axis=1)
  distinct = np.array([len({tuple(sentence) for sentence in path}) for path in paths])

  weights = np.concatenate([np.ones([1, n]), np.random.default_rng(seed).multinomial(n, [1 / n] * n, size=DRAWS)])
  middle, ends = [(k - 1) // 2, k // 2], [0, k - 1]

  def ratio(above, below):
    """Sums over the paths as they are and in each draw: [n, ...] twice -> [1 + draws, ...], NaN for 0 / 0."""
    with np.errstate(invalid='ignore', divide='ignore'):
      return (weights @ above) / (weights @ below)

  def mean(values):
    there = np.isfinite(values)
    return ratio(np.where(there, values, 0), there.astype(float))

  def fluency(columns):
    return np.exp(ratio(surprise[:, columns].sum(axis=1), places[:, columns].sum(axis=1)))

  scores = {'still': float(np.isnan(steps).mean()), 'alpha': np.linspace(0, 1, k).tolist()}
  for name, drawn in {
      'perplexity_gap': fluency(middle) / fluency(ends), 'largest_step': mean(steps), 'distinct': mean(distinct),
      'stray': ratio(inner[:, 0], inner[:, 1]), 'perplexity': np.exp(ratio(surprise, places)), 'share_a': mean(share_a),
      'share_b': mean(share_b), 'progress': mean(progress)}.items():
    columns = [_with_interval(column) for column in drawn.reshape(len(drawn), -1).T]
    values, intervals = (list(part) for part in zip(*columns, strict=True))
    scores[name], scores[f'{name}_interval'] = (values, intervals) if drawn.ndim == 2 else (values[0], intervals[0])
  return scores


def _with_interval(drawn):
  """[1 + draws] -> (the first, (low, high) of the others), or None twice where the first is NaN."""
  if np.isnan(drawn[0]):
    return None, None
  low, high = np.nanpercentile(drawn[1:], [2.5, 97.5])
  return float(drawn[0]), (float(low), float(high))


def _progress(path):
  """A path's share_a, share_b and progress, k numbers each; NaN where it has none."""
  counts = [collections.Counter(sentence) for sentence in path]
  both = counts[0] & counts[-1]
  shares = []
  for end in (counts[0], counts[-1]):
    own = end.total() - both.total()
    shares.append([((count & end).total() - (count & both).total()) / own if own else np.nan for count in counts])
  there = [share for share in (1 - np.array(shares[0]), np.array(shares[1])) if not np.isnan(share).any()]
  return *shares, np.mean(there, axis=0) if there else np.full(len(path), np.nan)


def _strays(path):
  """(words of the inner sentences that are in neither end, words of the inner sentences)."""
  known = {*path[0], *path[-1]}
  words = [word for sentence in path[1:-1] for word in sentence]
  return sum(word not in known for word in words), len(words)
