"""Counts and comparisons of sentences, each a sequence of words (strings, or ids); and the k-swap noise."""

from collections.abc import Collection, Sequence

import numpy as np
import sacrebleu

Sentences = Sequence[Sequence]


def distinct_share(sentences: Sentences) -> float:
  """Number of different sentences / number of sentences: in (0, 1]; a generator that has collapsed is near 0."""
  _require(sentences)
  return len({tuple(sentence) for sentence in sentences}) / len(sentences)


def copied_share(sentences: Sentences, training: Collection[Sequence]) -> float:
  """Share of `sentences` that stand, word for word, among the `training` sentences: 0 to 1."""
  _require(sentences)
  known = {tuple(sentence) for sentence in training}
  return sum(tuple(sentence) in known for sentence in sentences) / len(sentences)


def _joined(sentences):
  """Sentences as sacrebleu takes them; words with white space in them would be split."""
  return [' '.join(str(word) for word in sentence) for sentence in sentences]


def bleu(hypotheses: Sentences, references: Sentences) -> float:
  """Corpus BLEU-4 of n hypotheses, each against its own reference (Papineni et al. 2002): 0 to 100.

  As sacrebleu computes it, without tokenising; orders without a match are smoothed ('exp').
  """
  _require(hypotheses)
  _require_pairs(hypotheses, references)
  return sacrebleu.corpus_bleu(_joined(hypotheses), [_joined(references)], tokenize='none', force=True).score


def self_bleu(sentences: Sentences, count: int = 200, seed: int = 0) -> float:
  """How much generated sentences repeat each other (Zhu et al. 2018, Texygen, section 3): 0 to 100, low is varied.

  Mean over `count` sentences, drawn without replacement, of one's BLEU-4 with all the others drawn as its references.
  It grows with `count`: compare equal ones only. Sentences of fewer than four words count with the orders they have.
  """
  count = min(count, len(sentences))
  if count < 2:
    raise ValueError('self-BLEU needs two sentences.')
  drawn = np.random.default_rng(seed).permutation(len(sentences))[:count]
  texts = _joined(sentences[i] for i in drawn)
  scorer = sacrebleu.BLEU(tokenize='none', effective_order=True)
  return float(np.mean([scorer.sentence_score(text, texts[:i] + texts[i + 1:]).score for i, text in enumerate(texts)]))


def token_accuracy(hypotheses: Sentences, references: Sentences) -> float:
  """Share of the references' words and end marks that their hypotheses have in the same place: 0 to 1.

  A reference of m words has m + 1 places; the end mark is right where the hypothesis has m words, too.
  """
  _require(hypotheses)
  _require_pairs(hypotheses, references)
  right = 0
  for hypothesis, reference in zip(hypotheses, references, strict=True):
    right += sum(ours == theirs for ours, theirs in zip(hypothesis, reference, strict=False))
    right += len(hypothesis) == len(reference)
  return right / sum(len(reference) + 1 for reference in references)


def exact_share(hypotheses: Sentences, references: Sentences) -> float:
  """Share of hypotheses that equal their references word for word: 0 to 1."""
  _require(hypotheses)
  _require_pairs(hypotheses, references)
  pairs = zip(hypotheses, references, strict=True)
  return sum(tuple(ours) == tuple(theirs) for ours, theirs in pairs) / len(hypotheses)


def swapped(sentences: Sentences, k: int, seed: int) -> list[list]:
  """Each sentence after k swaps of two neighbouring words, drawn uniformly (ARAE paper, the k-swap table).

  Sentence i's swaps are a function of (seed, i) alone, and those of k are the first of those of k + 1. A swap may undo
  one before it; a sentence of fewer than two words stays as it is.
  """
  noisy = [list(sentence) for sentence in sentences]
  for i, words in enumerate(noisy):
    if len(words) > 1 and k:
      for position in np.random.default_rng([seed, i]).integers(len(words) - 1, size=k):
        words[position], words[position + 1] = words[position + 1], words[position]
  return noisy


def _require(sentences):
  if not len(sentences):
    raise ValueError('there are no sentences.')


def _require_pairs(hypotheses, references):
  if len(hypotheses) != len(references):
    raise ValueError(f'{len(hypotheses)} hypotheses have {len(references)} references; expected one each.')
