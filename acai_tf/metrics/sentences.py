"""Statistics of generated sentences, BLEU and accuracies against references, and the k-swap noise.

A sentence is a sequence of words, which are strings or ids.
"""

from collections.abc import Collection, Sequence

import numpy as np
import sacrebleu

Sentences = Sequence[Sequence]


def distinct_share(sentences: Sentences) -> float:
  """Share of different sentences, in (0, 1]. A collapsed generator is near 0."""
  _require(sentences)
  return len({tuple(sentence) for sentence in sentences}) / len(sentences)


def copied_share(sentences: Sentences, training: Collection[Sequence]) -> float:
  """Share of `sentences` that are exact copies of `training` sentences, in [0, 1]."""
  _require(sentences)
  known = {tuple(sentence) for sentence in training}
  return sum(tuple(sentence) in known for sentence in sentences) / len(sentences)


def _joined(sentences):
  """Sentences as strings for sacrebleu, which would split a word that contains white space."""
  return [' '.join(str(word) for word in sentence) for sentence in sentences]


def bleu(hypotheses: Sentences, references: Sentences) -> float:
  """Corpus BLEU-4 of n hypotheses, each with one reference (Papineni et al. 2002), in [0, 100].

  It is computed by sacrebleu without tokenization. N-gram orders without a match are smoothed ('exp').
  """
  _require(hypotheses)
  _require_pairs(hypotheses, references)
  return sacrebleu.corpus_bleu(_joined(hypotheses), [_joined(references)], tokenize='none', force=True).score


def self_bleu(sentences: Sentences, count: int = 200, seed: int = 0) -> float:
  """Self-BLEU (Zhu et al. 2018, Texygen, section 3), in [0, 100]: how similar generated sentences are to each other.

  `count` sentences are drawn without replacement. The result is the mean BLEU-4 of each with all others as references;
  a low value means high variety. It grows with `count`, so only values with equal counts are comparable. Sentences of
  fewer than four words are scored with the n-gram orders that they have.

  Raises:
    ValueError: there are fewer than two sentences.
  """
  count = min(count, len(sentences))
  if count < 2:
    raise ValueError('self-BLEU needs two sentences.')
  drawn = np.random.default_rng(seed).permutation(len(sentences))[:count]
  texts = _joined(sentences[i] for i in drawn)
  scorer = sacrebleu.BLEU(tokenize='none', effective_order=True)
  return float(np.mean([scorer.sentence_score(text, texts[:i] + texts[i + 1:]).score for i, text in enumerate(texts)]))


def token_accuracy(hypotheses: Sentences, references: Sentences) -> float:
  """Share of the references' words and end tokens that the hypotheses have at the same position, in [0, 1].

  A reference of m words has m + 1 positions. Its end token is correct if the hypothesis has m words, too.
  """
  _require(hypotheses)
  _require_pairs(hypotheses, references)
  right = 0
  for hypothesis, reference in zip(hypotheses, references, strict=True):
    right += sum(ours == theirs for ours, theirs in zip(hypothesis, reference, strict=False))
    right += len(hypothesis) == len(reference)
  return right / sum(len(reference) + 1 for reference in references)


def exact_share(hypotheses: Sentences, references: Sentences) -> float:
  """Share of hypotheses that equal their references word for word, in [0, 1]."""
  _require(hypotheses)
  _require_pairs(hypotheses, references)
  pairs = zip(hypotheses, references, strict=True)
  return sum(tuple(ours) == tuple(theirs) for ours, theirs in pairs) / len(hypotheses)


def swapped(sentences: Sentences, k: int, seed: int) -> list[list]:
  """Applies k swaps of two neighbouring words, drawn uniformly, to each sentence (ARAE paper, the k-swap table).

  The swaps of sentence i depend on (seed, i) only, and the first k of k + 1 swaps are those of k. A swap may undo an
  earlier one. Sentences of fewer than two words are not changed.
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
