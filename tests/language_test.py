"""The Kneser-Ney trigram model by hand, against a second program, and on real text."""

import collections

import numpy as np
import pytest
import shared_data
import tensorflow as tf

from acai_tf.metrics import language


def plain(sentences, size, order, discount):
  """P(word | context) by dictionaries and recursion, with the end mark `size`."""
  counts = [collections.Counter() for _ in range(order + 1)]
  for sentence in sentences:
    text = ['start'] * (order - 1) + list(sentence) + [size]
    counts[order].update(tuple(text[i:i + order]) for i in range(len(text) - order + 1))
  for length in range(order - 1, 0, -1):
    counts[length].update(gram[1:] for gram in counts[length + 1])

  def probability(word, context):
    below = 1 / (size + 1) if not context else probability(word, context[1:])
    after = {gram[-1]: count for gram, count in counts[len(context) + 1].items() if gram[:-1] == context}
    if not after:
      return below
    total = sum(after.values())
    return max(after.get(word, 0) - discount, 0) / total + discount * len(after) / total * below

  return probability


class KneserNeyTest(tf.test.TestCase):

  def test_a_bigram_by_hand(self):
    model = language.KneserNey([[0, 1], [0, 1], [0]], vocabulary_size=2, order=2, discount=0.5)
    # Continuations: 0 after 1 context, 1 after 1, the end after 2; P(0) = 0.5 / 4 + 0.5 * 3 / 4 / 3 = 1 / 4 and so on.
    expected = [7 / 8 * 7 / 12 * 7 / 8,  # P(0 | start) P(1 | 0) P(end | 1)
                7 / 8 * 1 / 3,  # P(0 | start) P(end | 0)
                1 / 12,  # P(end | start): 0.5 / 3 * P(end) = 1 / 6 * 1 / 2
                1 / 24 * 1 / 16 * 7 / 8]  # P(1 | start) P(1 | 1) P(end | 1)
    found = np.exp(model.log_probabilities([[0, 1], [0], [], [1, 1]]))
    self.assertAllClose(found, expected, rtol=1e-12)
    self.assertAllClose(model.perplexity([[0, 1], [0]]), (expected[0] * expected[1])**(-1 / 5), rtol=1e-12)

  def test_against_dictionaries(self):
    generator = np.random.default_rng(0)
    text = [list(generator.integers(7, size=generator.integers(6))) for _ in range(60)]
    held_out = [list(generator.integers(9, size=generator.integers(8))) for _ in range(40)]
    for order in (1, 2, 3, 4):
      probability = plain(text, 9, order, 0.75)
      expected = []
      for sentence in held_out:
        whole = ['start'] * (order - 1) + sentence + [9]
        expected.append(sum(np.log(probability(whole[i + order - 1], tuple(whole[i:i + order - 1])))
                            for i in range(len(sentence) + 1)))
      model = language.KneserNey(text, 9, order)
      self.assertAllClose(model.log_probabilities(held_out), expected, rtol=1e-10)
      self.assertAllClose(model.log_probabilities(held_out[::-1]), expected[::-1], rtol=1e-10)

  def test_probabilities_sum_to_one_after_any_context(self):
    size = 12
    model = language.KneserNey([[0, 1, 2], [0, 1, 3], [4, 5], [], [0]], size)
    for context in ([], [0], [0, 1], [1, 0], [11], [11, 10], [4, 5], [5, 5, 5]):
      window = ([size + 1] * 2 + context)[-2:]
      keys = (np.array(window) @ [model.base**2, model.base]) + np.arange(size + 1)
      probabilities = model._probabilities(keys)
      self.assertAllClose(probabilities.sum(), 1, rtol=1e-12)
      self.assertAllGreater(probabilities, 0)

  def test_mistakes_and_no_sentences(self):
    for arguments in (([], 3), ([[3]], 3), ([[-1]], 3), ([[0]], 3, 0), ([[0]], 3, 3, 0.0), ([[0]], 10**7, 3)):
      with self.assertRaises(ValueError):
        language.KneserNey(*arguments)
    self.assertEmpty(language.KneserNey([[0]], 3).log_probabilities([]))
    self.assertAllClose(language.KneserNey([[]], 3).log_probabilities([[]]), [np.log(1 - 0.75**3 * 3 / 4)])


class YelpTest(tf.test.TestCase):
  """The scale of perplexities in ../shared/arae.md, which another program measured with samples of its own."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    train, held_out = shared_data.yelp('test0', 'test1'), shared_data.yelp('valid1', 'valid2')
    train, held_out = ([s for s in text if 0 < len(s) <= 10] for text in (train, held_out))
    frequent = collections.Counter(word for sentence in train for word in sentence).most_common(2000)
    number = {word: i for i, (word, _) in enumerate(frequent)}
    cls.train, held_out = ([[number.get(word, 2000) for word in s] for s in text] for text in (train, held_out))
    cls.generator = np.random.default_rng(0)
    cls.held_out = [held_out[i] for i in cls.generator.permutation(len(held_out))[:10000]]

  def test_real_text_and_random_words(self):
    real = [self.train[i] for i in self.generator.permutation(len(self.train))[:20000]]
    reverse = language.reverse_perplexity(real, self.held_out, 2001)
    self.assertAllClose(reverse, 32.2, rtol=0.04)  # The choice of the sentences changes it by about 1.
    self.assertAllClose(language.KneserNey(real, 2001).perplexity(self.held_out), 32.6, rtol=0.04)
    words = np.concatenate(self.train)
    unigrams = [list(self.generator.choice(words, len(sentence))) for sentence in real]
    self.assertAllClose(language.reverse_perplexity(unigrams, self.held_out, 2001), 198.7, rtol=0.04)
    self.assertGreater(language.KneserNey(real, 2001).perplexity(unigrams), 1000)

  @pytest.mark.slow
  def test_samples_of_ngram_models(self):
    def chain(order):
      """A sentence drawn from the n-grams of the training text."""
      while True:
        text = [-1] * (order - 1)
        while text[-1] != -2:
          followers = after[tuple(text[1 - order:])]
          text.append(followers[self.generator.integers(len(followers))])
        if len(text) - order <= 10:
          return text[order - 1:-1]

    for order, expected in ((3, 34.9), (2, 43.6)):
      after = collections.defaultdict(list)
      for sentence in self.train:
        text = [-1] * (order - 1) + sentence + [-2]
        for i in range(order - 1, len(text)):
          after[tuple(text[i - order + 1:i])].append(text[i])
      found = language.reverse_perplexity([chain(order) for _ in range(20000)], self.held_out, 2001)
      self.assertAllClose(found, expected, rtol=0.04)


if __name__ == '__main__':
  tf.test.main()
