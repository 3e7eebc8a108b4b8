"""The LSTM against NumPy, codes, and every way of decoding."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from acai_tf.networks import recurrent

SIZE, START, END = 12, 10, 11


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def numpy_steps(weights, inputs, context):
  """[n, steps, d] -> [n, steps, u] hidden states, one sentence and one step at a time, in double precision."""
  w, u, b1, b2, c = (weight.numpy().astype(np.float64) for weight in weights)
  result = np.zeros([*inputs.shape[:2], u.shape[0]])
  for row, sentence in enumerate(inputs):
    hidden = cell = np.zeros(u.shape[0])
    for step, x in enumerate(sentence):
      i, f, g, o = np.split(np.concatenate([x, context[row]]) @ np.concatenate([w, c]) + hidden @ u + b1 + b2, 4)
      cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
      hidden = sigmoid(o) * np.tanh(cell)
      result[row, step] = hidden
  return result


def sharpen(layer, factor=15):
  """Larger weights, so that an untrained network has opinions."""
  for weight in layer.weights:
    weight.assign(weight * factor)
  return layer


def networks(code=6, seed=0):
  seeds = itertools.count(seed)
  return recurrent.Encoder(SIZE, 5, code, seeds), sharpen(recurrent.Decoder(SIZE, 5, 7, code, seeds))


IDS = tf.constant([[3, 4, 5, END, 0, 0], [END, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, END], [2, END, 0, 0, 0, 0]])


class LstmTest(tf.test.TestCase):

  def test_against_numpy(self):
    layer = sharpen(recurrent.LSTM(4, 3, itertools.count(), context=2), 10)
    generator = np.random.default_rng(0)
    inputs, context = generator.normal(size=[5, 6, 3]), generator.normal(size=[5, 2])
    weights = (layer.kernel, layer.recurrent_kernel, layer.bias, layer.recurrent_bias, layer.context_kernel)
    expected = numpy_steps(weights, inputs, context)
    states = layer(tf.constant(inputs.transpose(1, 0, 2), tf.float32), tf.constant(context, tf.float32))
    self.assertAllClose(tf.transpose(states, [1, 0, 2]), expected, atol=1e-5)

  def test_is_keras_lstm_with_its_bias_the_sum(self):
    layer = recurrent.LSTM(4, 3, itertools.count())
    theirs = keras.layers.LSTM(4, return_sequences=True)
    theirs.build((None, 6, 3))
    theirs.set_weights([layer.kernel, layer.recurrent_kernel, layer.bias + layer.recurrent_bias])
    inputs = tf.random.stateless_normal([5, 6, 3], [0, 1])
    self.assertAllClose(tf.transpose(layer(tf.transpose(inputs, [1, 0, 2])), [1, 0, 2]), theirs(inputs), atol=1e-6)

  def test_weights_start_within_the_range_and_differ(self):
    layer = recurrent.LSTM(50, 50, itertools.count())
    for weight in layer.weights:
      self.assertAllInRange(weight, -0.1, 0.1)
      self.assertAllClose(np.std(weight), 0.2 / 12**0.5, rtol=0.1)
    self.assertNotAllClose(layer.kernel, layer.recurrent_kernel)


class EncoderTest(tf.test.TestCase):

  def test_lengths_and_cut(self):
    ids = tf.constant([[3, END, 4, END], [3, 4, 5, 6], [END, END, 1, 2]])
    self.assertAllEqual(recurrent.lengths(ids, END), [1, 4, 0])
    self.assertAllEqual(recurrent.cut(ids, END), [[3, END, 0, 0], [3, 4, 5, 6], [END, 0, 0, 0]])

  def test_codes_are_the_normalised_state_at_the_own_end(self):
    encoder, _ = networks()
    codes = encoder(IDS)
    self.assertAllClose(tf.norm(codes, axis=1), np.ones(4), atol=1e-6)
    embedding = encoder.embedding.numpy()
    lstm = encoder.lstm
    weights = (lstm.kernel, lstm.recurrent_kernel, lstm.bias, lstm.recurrent_bias, tf.zeros([0, 24]))
    for code, words in zip(codes, ([3, 4, 5], [], [1, 2, 3, 4, 5], [2]), strict=True):
      state = numpy_steps(weights, embedding[[START, *words]][None], np.zeros([1, 0]))[0, -1]
      self.assertAllClose(code, state / np.linalg.norm(state), atol=1e-5)

  def test_padding_and_the_rest_of_the_batch_do_not_matter(self):
    encoder, _ = networks()
    longer = tf.pad(IDS, [[0, 0], [0, 5]])
    self.assertAllClose(encoder(longer), encoder(IDS), atol=1e-6)
    self.assertAllClose(encoder(IDS[:1, :4]), encoder(IDS)[:1], atol=1e-6)

  def test_soft_reading_of_one_hot_sentences(self):
    encoder, _ = networks()
    self.assertAllClose(encoder.soft(tf.one_hot(IDS, SIZE), recurrent.lengths(IDS, END)), encoder(IDS), atol=1e-6)

  def test_gradient_against_differences(self):
    encoder, decoder = networks()

    def loss():
      logits, targets, _ = decoder.targets(IDS, encoder(IDS))
      return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))

    weights = [*encoder.trainable_variables, *decoder.trainable_variables]
    self.assertLen(weights, 5 + 6 + 2)
    with tf.GradientTape() as tape:
      value = loss()
    generator = np.random.default_rng(0)
    for weight, gradient in zip(weights, tape.gradient(value, weights), strict=True):
      direction = generator.normal(size=weight.shape).astype(np.float32)
      direction /= np.linalg.norm(direction)
      start = weight.numpy()
      weight.assign(start + 1e-2 * direction)
      above = loss()
      weight.assign(start - 1e-2 * direction)
      difference = (above - loss()) / 2e-2
      weight.assign(start)
      self.assertAllClose(tf.reduce_sum(tf.convert_to_tensor(gradient) * direction), difference, atol=1e-3, rtol=2e-2)


class DecoderTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.encoder, self.decoder = networks()
    self.codes = tf.math.l2_normalize(tf.random.stateless_normal([40, 6], [1, 2]), axis=1)

  def test_teacher_forcing_against_numpy(self):
    codes = self.encoder(IDS)
    lstm, output = self.decoder.lstm, self.decoder.output_layer
    weights = (lstm.kernel, lstm.recurrent_kernel, lstm.bias, lstm.recurrent_bias, lstm.context_kernel)
    read = np.pad(IDS[:, :-1], [[0, 0], [1, 0]], constant_values=START)
    states = numpy_steps(weights, self.decoder.embedding.numpy()[read], codes.numpy())
    expected = states @ output.kernel.numpy() + output.bias.numpy()
    logits = self.decoder(IDS, codes)
    self.assertAllClose(logits, expected, atol=1e-4)
    packed, targets, rows = self.decoder.targets(IDS, codes)
    self.assertLen(targets, 4 + 1 + 6 + 2)
    for row in range(4):
      here = np.flatnonzero(rows == row)
      words = [i for i in IDS[row].numpy() if i]
      self.assertAllEqual(tf.gather(targets, here), words)
      self.assertAllClose(tf.gather(packed, here), logits[row, :len(words)], atol=1e-5)

  def test_greedy_is_the_most_likely_given_its_own_words(self):
    ids = self.decoder.greedy(self.codes, 9)
    self.assertGreater(len({tuple(row) for row in ids.numpy()}), 5)
    likely = tf.argmax(self.decoder(ids, self.codes), axis=2, output_type=tf.int32)
    inside = (tf.range(9) <= recurrent.lengths(ids, END)[:, None]).numpy()
    self.assertAllEqual(ids.numpy()[inside], likely.numpy()[inside])
    self.assertAllEqual(ids.numpy()[~inside], np.zeros(np.sum(~inside)))
    self.assertTrue((~inside).any())

  def test_samples_are_a_function_of_their_seed(self):
    ids = self.decoder.sample(self.codes, 9, [3, 4])
    self.assertAllEqual(ids, tf.function(self.decoder.sample)(self.codes, 9, [3, 4]))
    self.assertNotAllEqual(ids, self.decoder.sample(self.codes, 9, [3, 5]))
    self.assertAllEqual(self.decoder.sample(self.codes, 9, [3, 4], 1e-4), self.decoder.greedy(self.codes, 9))
    self.assertAllEqual(ids, recurrent.cut(ids, END))

  def test_samples_have_the_networks_probabilities(self):
    codes = tf.tile(self.codes[:1], [20000, 1])
    ids = self.decoder.sample(codes, 2, [5, 6], temperature=3.0).numpy()
    first = tf.nn.softmax(self.decoder(ids[:1], codes[:1])[0, 0] / 3).numpy()
    self.assertAllClose(np.bincount(ids[:, 0], minlength=SIZE) / 20000, first, atol=0.02)
    word = int(np.argmax(np.where(np.arange(SIZE) == END, 0, first)))  # the second word after the likeliest first one
    second = tf.nn.softmax(self.decoder(tf.constant([[word, 0]]), codes[:1])[0, 1] / 3).numpy()
    followers = ids[ids[:, 0] == word, 1]
    self.assertAllClose(np.bincount(followers, minlength=SIZE) / len(followers), second, atol=0.04)

  def test_soft_decoding(self):
    probabilities = self.decoder.soft(self.codes, 6)
    self.assertAllClose(tf.reduce_sum(probabilities, axis=2), np.ones([40, 6]), atol=1e-5)
    first = tf.nn.softmax(self.decoder(tf.zeros([40, 1], tf.int32), self.codes)[:, 0])
    self.assertAllClose(probabilities[:, 0], first, atol=1e-5)
    self.assertNotAllClose(probabilities[:, 1], first, atol=1e-2)
    cold = tf.argmax(self.decoder.soft(self.codes, 6, 1e-4), axis=2, output_type=tf.int32)
    self.assertAllEqual(recurrent.cut(cold, END), self.decoder.greedy(self.codes, 6))
    with tf.GradientTape() as tape:
      tape.watch(self.codes)
      last = self.decoder.soft(self.codes, 6)[:, 5, 3]
    self.assertAllGreater(tf.norm(tape.gradient(last, self.codes), axis=1), 0)

  def test_a_shared_output_layer_and_no_code(self):
    other = recurrent.Decoder(SIZE, 5, 7, 6, itertools.count(50), self.decoder.output_layer)
    self.assertIs(other.output_layer.kernel, self.decoder.output_layer.kernel)
    self.assertNotAllClose(other.embedding, self.decoder.embedding)
    plain = sharpen(recurrent.Decoder(SIZE, 5, 7, 0, itertools.count()))
    self.assertIsNone(plain.lstm.context_kernel)
    ids = plain.greedy(tf.zeros([3, 0]), 4)
    self.assertAllEqual(ids[0], ids[1])
    self.assertEqual(plain(ids, tf.zeros([3, 0])).shape, (3, 4, SIZE))


if __name__ == '__main__':
  tf.test.main()
