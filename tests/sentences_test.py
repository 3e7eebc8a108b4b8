"""Counts, BLEU against its formula, and the k-swap noise."""

import numpy as np
import tensorflow as tf

from acai_tf.metrics import sentences

CAT, DOG = ['the', 'cat', 'sat', 'on', 'the', 'mat'], ['a', 'dog', 'ran', 'in', 'the', 'park']


class SharesTest(tf.test.TestCase):

  def test_distinct_and_copied(self):
    self.assertEqual(sentences.distinct_share([CAT, DOG, list(CAT), []]), 0.75)
    self.assertEqual(sentences.distinct_share([CAT] * 5), 0.2)
    self.assertEqual(sentences.copied_share([CAT, DOG, CAT[:-1], tuple(CAT)], [CAT]), 0.5)
    self.assertEqual(sentences.copied_share([CAT], []), 0)

  def test_accuracy_by_hand(self):
    pairs = [[CAT[:5], CAT], [CAT, CAT], [[], ['a']], [['a', 'b', 'c'], ['a']]]
    hypotheses, references = zip(*pairs, strict=True)
    # 5 of 7; 7 of 7; 0 of 2; the word but not the end, 1 of 2.
    self.assertAllClose(sentences.token_accuracy(hypotheses, references), 13 / 18)
    self.assertEqual(sentences.exact_share(hypotheses, references), 0.25)
    self.assertEqual(sentences.token_accuracy([[]], [[]]), 1)

  def test_mistakes(self):
    for call in (lambda: sentences.distinct_share([]), lambda: sentences.bleu([], []),
                 lambda: sentences.self_bleu([CAT]), lambda: sentences.bleu([CAT], []),
                 lambda: sentences.token_accuracy([CAT], [CAT, DOG])):
      with self.assertRaises(ValueError):
        call()


class BleuTest(tf.test.TestCase):

  def test_pairs_by_the_formula(self):
    self.assertAllClose(sentences.bleu([CAT, DOG], [CAT, DOG]), 100)
    # n-grams of 'the cat sat on the mat' in the reference: 5 of 6, 3 of 5, 2 of 4, 1 of 3; as long as it.
    reference = ['the', 'cat', 'sat', 'on', 'a', 'mat']
    self.assertAllClose(sentences.bleu([CAT], [reference]), 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3)**0.25, rtol=1e-6)
    short = CAT[:5]  # all match, and the brevity penalty is exp(1 - 6 / 5)
    self.assertAllClose(sentences.bleu([short], [CAT]), 100 * np.exp(-1 / 5), rtol=1e-6)
    numbers = [[3, 1, 4, 1, 5]]
    self.assertAllClose(sentences.bleu(numbers, numbers), 100)
    self.assertEqual(sentences.bleu([[]], [CAT]), 0)

  def test_marks_are_words(self):
    # With sacrebleu's own tokeniser 'mat.' would be two words.
    self.assertLess(sentences.bleu([['the', 'cat', 'sat', 'on', 'the', 'mat.']], [CAT + ['.']]), 100)

  def test_self_bleu_of_equal_and_of_unlike_sentences(self):
    self.assertAllClose(sentences.self_bleu([CAT] * 4), 100)
    self.assertAllClose(sentences.self_bleu([['a'], ['a']]), 100)
    unlike = [[f'{i}{j}' for j in range(6)] for i in range(20)]
    self.assertLess(sentences.self_bleu(unlike), 15)
    half = unlike[:10] + [CAT] * 10
    self.assertBetween(sentences.self_bleu(half), 50, 60)
    self.assertEqual(sentences.self_bleu(half, 5, seed=1), sentences.self_bleu(half, 5, seed=1))
    self.assertNotEqual(sentences.self_bleu(half, 5, seed=1), sentences.self_bleu(half, 5, seed=2))


class SwapTest(tf.test.TestCase):

  def test_one_swap_moves_two_neighbours(self):
    text = [list(range(8))] * 400
    places = set()
    for noisy in sentences.swapped(text, 1, seed=3):
      moved = np.flatnonzero(np.array(noisy) != range(8))
      self.assertLen(moved, 2)
      self.assertEqual((noisy[moved[0]], noisy[moved[1]]), (moved[1], moved[0]))
      self.assertEqual(moved[1], moved[0] + 1)
      places.add(int(moved[0]))
    self.assertEqual(places, set(range(7)))

  def test_k_swaps_go_on_from_fewer_and_depend_on_seed_and_index_only(self):
    text = [CAT, DOG, ['one'], [], CAT]
    self.assertEqual(sentences.swapped(text, 0, 1), text)
    four = sentences.swapped(text, 4, seed=1)
    self.assertEqual(four, sentences.swapped(text, 4, seed=1))
    self.assertEqual(four[:2], sentences.swapped(text[:2], 4, seed=1))
    self.assertNotEqual(sentences.swapped([CAT] * 20, 4, seed=1), sentences.swapped([CAT] * 20, 4, seed=2))
    self.assertEqual([sorted(s) for s in four], [sorted(s) for s in text])
    self.assertEqual(four[2:4], [['one'], []])
    for words, fewer in zip(sentences.swapped([CAT], 4, 5), sentences.swapped([CAT], 3, 5), strict=True):
      self.assertLessEqual(sum(a != b for a, b in zip(words, fewer, strict=True)), 2)


if __name__ == '__main__':
  tf.test.main()
