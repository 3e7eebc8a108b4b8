"""Encoder and decoder of sentences: one LSTM each (ARAE, Zhao et al. 2018, section 5 and the authors' program).

Sentences are [n, steps] int32 ids: words, an end mark, padding (0). The last two ids of a vocabulary are its start and
its end mark. Encoder and decoder both read the start mark and the words; the decoder's targets are words and end mark.

Speed on one core of a CPU (forward and backward, batch 64 of 3 to 10 words, vocabulary 2,004, embedding 100, hidden
128, side by side with other programs on the core): this file's way 27.7 ms; the same with a gradient by hand, one
product for all steps' recurrent weights, 26.8; keras.layers.LSTM unrolled 31.8, not unrolled 35.9; BlockLSTMV2 33.1;
logits of padding, too, 33.3, and then compiled by XLA 29 to 31. So: all steps' inputs in one product, the code's part
of it once a sentence, the recurrence unrolled in Python, and logits only where there is a target. With Adam's step on
top (960,372 weights): 29.0 with the embeddings' gradients made dense first, 29.6 as slices; 11 greedy steps 7.6.
"""

from collections.abc import Iterator

import keras
import tensorflow as tf

RANGE = 0.1  # all weights start at U(-0.1, 0.1), LSTMs' biases included
WIDE = 0.5  # of what multiplies the code, with the other start


def _uniform(seeds, limit=RANGE):
  return keras.initializers.RandomUniform(-limit, limit, next(seeds))


def lengths(ids, end: int) -> tf.Tensor:
  """[n, steps] ids -> [n] int32 number of words before the first end mark; `steps` where there is none."""
  ended = tf.cast(tf.equal(ids, end), tf.int32)
  return tf.reduce_sum(1 - tf.minimum(tf.cumsum(ended, axis=1), 1), axis=1)


def cut(ids, end: int) -> tf.Tensor:
  """[n, steps] ids with padding after the first end mark."""
  return tf.where(tf.range(tf.shape(ids)[1]) <= lengths(ids, end)[:, None], ids, 0)


class LSTM(keras.layers.Layer):
  """Long short-term memory with two bias vectors, as the authors' program has them (both are moved).

  [i, f, g, o] = x W + context C + h U + b1 + b2;  c' = sigma(f) c + sigma(i) tanh(g);  h' = sigma(o) tanh(c').

  Args:
    units: numbers of h and of c.
    inputs: numbers of x.
    context: numbers of what is read at every step alike; 0 is nothing.
    seeds: distinct integers, for the weights.
  """

  def __init__(self, units: int, inputs: int, seeds: Iterator[int], context: int = 0, wide: bool = False,
               name: str = 'lstm'):
    super().__init__(name=name, dtype='float32')

    def weight(name, *shape):
      limit = WIDE if wide and name == 'context_kernel' else RANGE
      return self.add_weight(name=name, shape=(*shape, 4 * units), initializer=_uniform(seeds, limit))

    self.units = units
    self.kernel, self.recurrent_kernel = weight('kernel', inputs), weight('recurrent_kernel', units)
    self.bias, self.recurrent_bias = weight('bias'), weight('recurrent_bias')
    self.context_kernel = weight('context_kernel', context) if context else None
    if wide:
      self.bias.assign_add(tf.repeat([0.0, 1.0, 0.0, 0.0], units))
    self.built = True

  def project(self, inputs, context=None) -> tf.Tensor:
    """x W + context C + b1 + b2 of [..., n, inputs] and [n, context]: what steps need beside their state."""
    flat = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), self.kernel) + (self.bias + self.recurrent_bias)
    projected = tf.reshape(flat, tf.concat([tf.shape(inputs)[:-1], [4 * self.units]], 0))
    return projected if self.context_kernel is None else projected + tf.matmul(context, self.context_kernel)

  def zero_state(self, n) -> tuple[tf.Tensor, tf.Tensor]:
    """(h, c) of n sequences before their first step, [n, units] each."""
    return tf.zeros([n, self.units]), tf.zeros([n, self.units])

  def step(self, projected, state) -> tuple:
    """One step: what `project` gives for it, [n, 4 units], and (h, c) -> the next (h, c)."""
    hidden, cell = state
    gates = projected + tf.matmul(hidden, self.recurrent_kernel)
    enter, forget, new, leave = tf.split(gates, 4, axis=1)
    cell = tf.sigmoid(forget) * cell + tf.sigmoid(enter) * tf.tanh(new)
    return tf.sigmoid(leave) * tf.tanh(cell), cell

  def call(self, inputs, context=None) -> tf.Tensor:
    """[steps, n, inputs], time first and `steps` static, and [n, context] -> [steps, n, units] hidden states."""
    state, states = self.zero_state(tf.shape(inputs)[1]), []
    for projected in tf.unstack(self.project(inputs, context), inputs.shape[0]):
      state = self.step(projected, state)
      states.append(state[0])
    return tf.stack(states)


class _Reader(keras.layers.Layer):
  """An embedding, and an LSTM that starts with the start mark."""

  def __init__(self, vocabulary_size, embedding, units, seeds, context, wide, name):
    super().__init__(name=name, dtype='float32')
    self.start, self.end = vocabulary_size - 2, vocabulary_size - 1
    self.embedding = self.add_weight(
        name='embedding', shape=(vocabulary_size, embedding),
        initializer=keras.initializers.RandomNormal(0.0, 1.0, next(seeds)) if wide else _uniform(seeds))
    self.lstm = LSTM(units, embedding, seeds, context, wide)
    self.built = True

  def read(self, ids, context=None) -> tf.Tensor:
    """[n, steps] ids -> [steps, n, units] hidden states: after the start mark, after the first word, and so on."""
    shifted = tf.pad(ids[:, :-1], [[0, 0], [1, 0]], constant_values=self.start)
    return self.lstm(tf.gather(self.embedding, tf.transpose(shifted)), context)


class Encoder(_Reader):
  """Sentences -> codes on the unit sphere: the hidden state at each sentence's own end, divided by its norm.

  Args:
    vocabulary_size: the four marks included.
    embedding, code: numbers of a word's vector and of a code.
    seeds: distinct integers, for the weights.
    wide: start with word vectors from N(0, 1), forget gates open (bias + 1), and what multiplies a code U(-0.5, 0.5).
  """

  def __init__(self, vocabulary_size: int, embedding: int, code: int, seeds: Iterator[int], wide: bool = False,
               name: str = 'encoder'):
    super().__init__(vocabulary_size, embedding, code, seeds, 0, wide, name)

  def call(self, ids) -> tf.Tensor:
    """[n, steps] ids -> [n, code] float32 of norm 1. An empty sentence has the state after the start mark."""
    return self._code(self.read(ids), lengths(ids, self.end))

  def soft(self, probabilities, words) -> tf.Tensor:
    """Codes of softly decoded sentences, which are read as expected embeddings.

    Args:
      probabilities: [n, steps, vocabulary_size], as `Decoder.soft` gives them.
      words: [n] int32 number of words that each sentence is read for, up to steps - 1.

    Returns:
      [n, code]; for one-hot probabilities of ids and their `lengths` what `call` gives.
    """
    start = tf.tile(self.embedding[None, None, self.start], [1, tf.shape(probabilities)[0], 1])
    vectors = tf.einsum('ntv,ve->tne', probabilities[:, :-1], tf.convert_to_tensor(self.embedding))
    return self._code(self.lstm(tf.concat([start, vectors], 0)), words)

  def _code(self, states, words):
    last = tf.minimum(words, states.shape[0] - 1)
    return tf.math.l2_normalize(tf.gather_nd(states, tf.stack([last, tf.range(tf.shape(last)[0])], axis=1)), axis=1)


class Decoder(_Reader):
  """Codes -> sentences: an LSTM that reads [word ; code] at every step from a zero state, and a linear output layer.

  Without a code (`code` 0) it is a language model; codes are then [n, 0].

  Args:
    vocabulary_size: the four marks included.
    embedding, units: numbers of a word's vector and of the hidden state.
    code: numbers of a code.
    seeds: distinct integers, for the weights.
    output: the output layer of another decoder, to share it; None makes one.
    wide: as of `Encoder`.
  """

  def __init__(self, vocabulary_size: int, embedding: int, units: int, code: int, seeds: Iterator[int],
               output: keras.layers.Layer | None = None, wide: bool = False, name: str = 'decoder'):
    super().__init__(vocabulary_size, embedding, units, seeds, code, wide, name)
    if output is None:
      output = keras.layers.Dense(vocabulary_size, kernel_initializer=_uniform(seeds), dtype='float32', name='output')
      output.build((None, units))
    self.output_layer = output

  def call(self, ids, codes) -> tf.Tensor:
    """Teacher forcing: [n, steps] ids, [n, code] -> [n, steps, vocabulary_size] logits of each word given those before.

    Those at and after the padding mean nothing; `targets` leaves them out.
    """
    return tf.transpose(self.output_layer(self.read(ids, codes)), [1, 0, 2])

  def targets(self, ids, codes) -> tuple:
    """Teacher forcing where there is something to say: at the m words and end marks of all sentences together.

    Returns:
      ([m, vocabulary_size] logits, [m] int32 the ids they are of, [m] int64 which sentence each is in).
    """
    places = tf.where(tf.transpose(ids) > 0)  # rows of (step, sentence)
    states = tf.gather_nd(self.read(ids, codes), places)
    return self.output_layer(states), tf.gather_nd(tf.transpose(ids), places), places[:, 1]

  def greedy(self, codes, steps: int) -> tf.Tensor:
    """[n, code] -> [n, steps] int32: the most likely word each time, with padding after the first end mark."""
    return self._decode(codes, steps, lambda logits, _: tf.argmax(logits, axis=1, output_type=tf.int32))

  def sample(self, codes, steps: int, seed, temperature=1.0) -> tf.Tensor:
    """[n, code] -> [n, steps] int32: words drawn from softmax(logits / temperature), padding after the end mark.

    A function of codes, weights and `seed`, [2] ints; `temperature` is above 0, towards 0 it is `greedy`.
    """
    def draw(logits, step):
      # By Gumbel noise: tf.random.stateless_categorical gives other words with another number of threads.
      key = tf.random.experimental.stateless_fold_in(seed, step)
      uniform = tf.random.stateless_uniform(tf.shape(logits), key, minval=1e-30)
      return tf.argmax(logits / temperature - tf.math.log(-tf.math.log(uniform)), axis=1, output_type=tf.int32)

    return self._decode(codes, steps, draw)

  def soft(self, codes, steps: int, temperature=1.0) -> tf.Tensor:
    """[n, code] -> [n, steps, vocabulary_size] softmax(logits / temperature), whose expected embeddings are fed back.

    Differentiable, and never cut: what follows a likely end mark means nothing. Towards temperature 0 it is `greedy`.
    """
    def expect(logits, _):
      return tf.nn.softmax(logits / temperature)

    return tf.stack(self._unroll(codes, steps, expect, lambda p: tf.matmul(p, self.embedding)), axis=1)

  def _decode(self, codes, steps, choose):
    ids = self._unroll(codes, steps, choose, lambda words: tf.gather(self.embedding, words))
    return cut(tf.stack(ids, axis=1), self.end)

  def _unroll(self, codes, steps, choose, embed):
    """What `choose`(logits, step) gives at each step, which `embed` makes the next step's input."""
    n = tf.shape(codes)[0]
    state, words, chosen = self.lstm.zero_state(n), tf.gather(self.embedding, tf.fill([n], self.start)), []
    for step in range(steps):
      state = self.lstm.step(self.lstm.project(words, codes), state)
      chosen.append(choose(self.output_layer(state[0]), step))
      words = embed(chosen[-1])
    return chosen
