"""The interpolation benchmark for text on paths whose figures are known."""

import numpy as np
import tensorflow as tf

from acai_tf.metrics import language, text_path

OLD, NEW = [0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15]


def chance(sentences):
  """A language model to which each of 20 words and the end mark are equally likely."""
  return -np.log(21) * np.array([len(sentence) + 1 for sentence in sentences])


def word_by_word(old=OLD, new=NEW):
  return [[*new[:i], *old[i:]] for i in range(9)]


class PathTest(tf.test.TestCase):

  def test_a_switch_half_way(self):
    scores = text_path.score([[OLD] * 5 + [NEW] * 4] * 3, chance)
    self.assertEqual((scores['largest_step'], scores['distinct'], scores['stray'], scores['still']), (1, 2, 0, 0))
    self.assertEqual(scores['progress'], [0] * 5 + [1] * 4)
    self.assertEqual(scores['share_a'], [1] * 5 + [0] * 4)
    self.assertEqual(scores['share_b'], scores['progress'])
    self.assertAllClose(scores['perplexity'], [21] * 9)
    self.assertAllClose(scores['perplexity_gap'], 1)
    self.assertEqual(scores['largest_step_interval'], (1, 1))

  def test_word_by_word_is_even(self):
    scores = text_path.score([word_by_word()], chance)
    self.assertAllClose(scores['progress'], scores['alpha'])
    self.assertAllClose(scores['share_a'], 1 - np.arange(9) / 8)
    self.assertAllClose((scores['largest_step'], scores['distinct'], scores['stray']), (1 / 8, 9, 0))

  def test_repeated_ends_stand_still(self):
    scores = text_path.score([[OLD] * 9, [OLD] * 8 + [OLD[::-1]]], chance)
    self.assertEqual((scores['still'], scores['distinct'], scores['stray']), (1, 1.5, 0))
    for name in ('largest_step', 'largest_step_interval'):
      self.assertIsNone(scores[name])
    self.assertEqual(scores['progress'], [None] * 9)
    mixed = text_path.score([[OLD] * 9, word_by_word()], chance)
    self.assertEqual(mixed['still'], 0.5)
    self.assertAllClose(mixed['progress'], mixed['alpha'])  # of the one that moves
    self.assertAllClose(mixed['largest_step'], 1 / 8)

  def test_a_third_sentence(self):
    path = [OLD[:2], [16, 17, 0, 8], [18, 18, 18, 18], NEW[:2]]
    scores = text_path.score([path], chance)
    self.assertEqual(scores['stray'], 6 / 8)
    self.assertAllClose(scores['share_a'], [1, 0.5, 0, 0])
    self.assertAllClose(scores['share_b'], [0, 0.5, 0, 1])
    self.assertAllClose(scores['progress'], [0, 0.5, 0.5, 1])
    several = text_path.score([path, [OLD, OLD, OLD, NEW]], chance)
    self.assertEqual(several['stray'], 6 / 24)  # words count, not paths

  def test_shared_and_repeated_words_say_nothing(self):
    scores = text_path.score([[['a', 'a', 'b'], ['a', 'b'], ['a', 'c'], ['a', 'c']]], chance)
    # Of one 'a' and 'b', and of 'c': the 'a' of the inner sentences is in both ends.
    self.assertAllClose(scores['share_a'], [1, 0.5, 0, 0])
    self.assertAllClose(scores['share_b'], [0, 0, 1, 1])
    one_sided = text_path.score([[['a'], ['a', 'b'], ['a', 'b', 'c']]], chance)
    self.assertAllClose(one_sided['progress'], [0, 0.5, 1])
    self.assertEqual(one_sided['share_a'], [None] * 3)
    self.assertAllClose(one_sided['share_b'], [0, 0.5, 1])

  def test_perplexity_of_the_middle_beside_the_ends(self):
    def surprise(sentences):
      """Word 5 has probability 1/100, all else and the end mark 1/10."""
      return np.array([-np.log(10) * (len(sentence) + 1 + sentence.count(5)) for sentence in sentences])

    odd, even = [[1], [2], [5], [2], [5, 3, 3]], [[1], [2], [5], [3, 5, 5]]
    scores = text_path.score([odd], surprise)
    self.assertAllClose(scores['perplexity'], [10, 10, 10**1.5, 10, 10**1.25])
    self.assertAllClose(scores['perplexity_gap'], 10**1.5 / 10**(7 / 6))
    self.assertAllClose(text_path.score([even], surprise)['perplexity_gap'], 10**(5 / 4) / 10**(8 / 6))
    both = text_path.score([odd, [[1, 2, 3]] * 5], surprise)['perplexity']
    self.assertAllClose(both[2], 10**(7 / 6))  # of all words together, not a mean of perplexities

  def test_empty_sentences(self):
    scores = text_path.score([[[], [], [], []]], chance)
    self.assertEqual((scores['still'], scores['distinct']), (1, 1))
    self.assertEqual((scores['stray'], scores['stray_interval']), (None, None))
    self.assertAllClose(scores['perplexity'], [21] * 4)
    scores = text_path.score([[[], [], [3, 4]], [[3], [], []]], chance)
    self.assertAllClose(scores['progress'], [0, 0.5, 1])
    self.assertIsNone(scores['stray'])

  def test_intervals(self):
    switch, even = [OLD] * 5 + [NEW] * 4, word_by_word()
    scores = text_path.score([switch, even] * 200, chance)
    low, high = scores['largest_step_interval']
    expected = 1.96 * (7 / 16) / 20  # of the mean of 400 numbers that are 1 or 1/8
    self.assertAllClose((low, high), (9 / 16 - expected, 9 / 16 + expected), atol=0.01)
    self.assertEqual(scores, text_path.score([switch, even] * 200, chance))
    self.assertNotEqual(scores['largest_step_interval'],
                        text_path.score([switch, even] * 200, chance, seed=1)['largest_step_interval'])

  def test_with_a_trigram(self):
    generator = np.random.default_rng(0)
    real = [[0, *generator.integers(1, 9, size=2), 9] for _ in range(300)]  # 0 in front, 9 behind, 1 to 8 between
    paths = [[real[i], generator.permutation(10)[:4], real[i + 1]] for i in range(40)]
    model = language.KneserNey(real, 10)
    self.assertGreater(text_path.score(paths, model.log_probabilities)['perplexity_gap'], 3)
    self.assertLess(text_path.score([real[i:i + 3] for i in range(90)], model.log_probabilities)['perplexity_gap'], 1.2)


class FileTest(tf.test.TestCase):

  def test_sentences_are_separated_by_tabs(self):
    paths = [[['a', 'b'], [], ['c']], [[], ['d'], ['e', 'e']]]
    self.assertEqual(text_path.parse(['a b\t\tc\r\n', '\n', '\td\te e']), paths)

  def test_mistakes(self):
    for lines, message in ((['a\tb'], 'line 1 has 2 .* three or more'), (['a\tb\tc', 'a\tb\tc\td'], 'line 2 .* 3, as'),
                           ([], 'no paths'), (['a b c'], 'line 1 has 1')):
      with self.assertRaisesRegex(ValueError, message):
        text_path.parse(lines)
    for paths in ([], [[[1], [2]]], [[[1]] * 3, [[1]] * 4]):
      with self.assertRaises(ValueError):
        text_path.score(paths, chance)


if __name__ == '__main__':
  tf.test.main()
