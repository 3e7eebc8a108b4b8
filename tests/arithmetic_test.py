"""Arithmetic with codes: which words are paired, the scores by hand, and a model whose codes add up exactly."""

import types
import unittest.mock

import numpy as np
import tensorflow as tf

from acai_tf.data import grammar
from acai_tf.evaluation import groups, text
from acai_tf.metrics import arithmetic


class ScoreTest(tf.test.TestCase):

  def test_words_of_like_contexts_are_paired_once(self):
    # 5 and 6 stand between 1 and 2, 7 and 8 between 3 and 4, 9 has half of each kind of place.
    sentences = ([[1, 5, 2]] * 4 + [[1, 6, 2]] * 3 + [[3, 7, 4]] * 5 + [[3, 8, 4]] * 2 + [[1, 9, 4]] * 6)
    with unittest.mock.patch.object(arithmetic, 'RANKS', (4, 9)):  # of 1, 2, 3, 4 each is the more frequent
      self.assertCountEqual(map(frozenset, arithmetic.pairs_of(sentences, 2)), [{5, 6}, {7, 8}])
      self.assertLen(arithmetic.pairs_of(sentences, 9), 2)  # 9 finds no word that is not taken
      self.assertEqual([set(pair) for pair in arithmetic.pairs_of(sentences, 1, skip=(5,))], [{7, 8}])

  def test_by_hand(self):
    sources = [[1, 2, 5], [1, 5], [5, 5], [4, 5]]
    results = [[1, 3, 6], [1, 5, 6], [6], [4, 4]]
    # Matches are the first, which keeps one of two words, and the third, which had no other.
    self.assertEqual(arithmetic.score(sources, results, 5, 6), (0.5, 0.25))
    self.assertEqual(arithmetic.score(sources, sources, 5, 6), (0.0, 0.0))
    self.assertAllEqual(arithmetic.having(results, 6, 5), [0, 2])
    for wrong in ((sources, results[1:]), ([], [])):
      with self.assertRaisesRegex(ValueError, 'expected equally many'):
        arithmetic.score(*wrong, 5, 6)


class GroupTest(tf.test.TestCase):

  def measured(self, decode):
    data = grammar.load(grammar.Config(count=1500), None)
    words = {word: i for i, word in enumerate(data.vocabulary.words)}

    def encode(texts):
      counts = [np.bincount([words[word] for word in text.split()], minlength=len(words)) for text in texts]
      return np.minimum(counts, 1.0)

    functions = types.SimpleNamespace(encode=encode, decode=lambda codes: decode(data.vocabulary.words, codes))
    found = groups.Measured({}, {}, {})
    with unittest.mock.patch.object(arithmetic, 'RANKS', (5, 60)):
      text._arithmetic(text.Task(functions, data, text.Settings(), lambda *_: None, found))
    return found

  def test_codes_that_count_words_change_them_exactly(self):
    found = self.measured(lambda words, codes: [
        ' '.join(words[i] for i in np.flatnonzero(row > row.max() / 2)) for row in codes])
    self.assertGreater(found.metrics['arithmetic_match_1'], 0.95)
    self.assertGreater(found.metrics['arithmetic_kept_1'], 0.75)  # a word that stands twice comes back once
    self.assertLen(found.arrays['arithmetic'][0], 3)

  def test_a_pair_of_which_one_never_stands_alone_is_left_out(self):
    with unittest.mock.patch.object(arithmetic, 'having', return_value=np.array([], int)):
      self.assertEmpty(self.measured(lambda words, codes: []).metrics)

  def test_a_decoder_that_says_one_thing_changes_nothing(self):
    found = self.measured(lambda words, codes: ['.'] * len(codes))
    self.assertEqual({found.metrics[f'arithmetic_match_{scale}'] for scale in text.SCALES}, {0.0})
    self.assertIsNone(found.metrics['arithmetic_kept_1'])


if __name__ == '__main__':
  tf.test.main()
