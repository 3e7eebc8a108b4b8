"""The LSTM language model on a language of known entropy."""

import itertools

import numpy as np
import tensorflow as tf

from acai_tf.evaluation import language_model
from acai_tf.metrics import language

SIZE = 12  # marks 0, 10, 11; the unknown word 1
LANGUAGE = [list(words) for words in itertools.product((2, 3), (4, 5), (6, 7))] + [[8], []]  # ten equally likely


def draw(count, seed):
  return [LANGUAGE[i] for i in np.random.default_rng(seed).integers(len(LANGUAGE), size=count)]


class LanguageModelTest(tf.test.TestCase):

  def test_log_probabilities_are_sums_over_words_and_end(self):
    model = language_model.LanguageModel(SIZE, 5, 6, 7, seed=1)
    for weight in model.network.weights:
      weight.assign(weight * 15)
    sentences = [[2, 3, 4], [], [9, 9, 9, 9, 9, 9], [1]]
    expected = []
    for sentence in sentences:
      logits = model.network(tf.constant([[*sentence, 11]]), tf.zeros([1, 0]))[0].numpy().astype(np.float64)
      chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
      expected.append(sum(np.log(chances[step, word]) for step, word in enumerate([*sentence, 11])))
    self.assertGreater(np.std(expected), 1)
    self.assertAllClose(model.log_probabilities(sentences), expected, rtol=1e-4)
    self.assertAllClose(model.log_probabilities(sentences * 200), expected * 200, rtol=1e-4)  # in several parts
    for short in ([[2]], [[2], [3, 4]], sentences, [[2, 3]] * 3):  # of any length, in any order
      self.assertAllClose(model.log_probabilities(short + [[]])[-1], expected[1], rtol=1e-4)
    self.assertAllClose(model.perplexity(sentences), np.exp(-sum(expected) / 14), rtol=1e-4)
    self.assertEmpty(model.log_probabilities([]))

  def test_learns_a_language_and_samples_it(self):
    epochs = []
    model = language_model.train(draw(4000, 1), SIZE, draw(200, 2), 6, units=32, embedding=16, learning_rate=1e-2,
                                 progress=lambda epoch, perplexity: epochs.append((epoch, perplexity)))
    self.assertEqual([epoch for epoch, _ in epochs], list(range(1, len(epochs) + 1)))
    chance = 10**(10 / (8 * 4 + 2 + 1))  # of every sentence 1 / 10; 35 words and end marks in ten
    self.assertAllClose(model.perplexity(LANGUAGE), chance, rtol=0.02)
    self.assertGreater(model.perplexity([[4, 2, 6]]), 4 * chance)
    samples = model.sample(1000, seed=3)
    self.assertLen(samples, 1000)
    counts = np.array([samples.count(sentence) for sentence in LANGUAGE])
    self.assertGreater(counts.sum(), 980)
    self.assertAllInRange(counts, 60, 145)
    self.assertEqual(samples, model.sample(1000, seed=3))
    self.assertNotEqual(samples, model.sample(1000, seed=4))
    self.assertLess(len({tuple(sentence) for sentence in model.sample(600, 3, temperature=0.01)}), 8)
    self.assertEmpty(model.sample(0, 3))
    # Reverse perplexity by a model of the samples, and by the trigram: both near the language's own.
    self.assertAllClose(language.reverse_perplexity(samples, LANGUAGE, SIZE - 2), chance, rtol=0.1)

  def test_the_best_epoch_is_kept_and_training_ends_early(self):
    generator = np.random.default_rng(0)
    noise, held_out = ([list(generator.integers(2, 10, size=6)) for _ in range(n)] for n in (60, 60))
    epochs = []
    model = language_model.train(noise, SIZE, held_out, 60, units=32, embedding=16, learning_rate=2e-2,
                                 batch=8, progress=lambda _, perplexity: epochs.append(perplexity))
    self.assertLess(len(epochs), 60)
    self.assertGreater(min(epochs[-2:]), min(epochs))
    self.assertAllClose(model.perplexity(held_out), min(epochs), rtol=1e-6)

  def test_a_function_of_the_seed(self):
    def probabilities(seed):
      model = language_model.train(draw(200, 1), SIZE, draw(20, 2), 1, seed, units=8, embedding=4)
      return model.log_probabilities(LANGUAGE)

    self.assertAllClose(probabilities(5), probabilities(5), rtol=1e-6)
    self.assertNotAllClose(probabilities(5), probabilities(6), rtol=1e-4)

  def test_mistakes(self):
    model = language_model.LanguageModel(SIZE, 5, 4, 4)
    for sentence in ([0], [3, 10], [11], [-1]):
      with self.assertRaisesRegex(ValueError, 'not a word'):
        model.log_probabilities([[2], sentence])
    with self.assertRaisesRegex(ValueError, 'too few'):
      language_model.train([[2]], SIZE, [[2]])


if __name__ == '__main__':
  tf.test.main()
