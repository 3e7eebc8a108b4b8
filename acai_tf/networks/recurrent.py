"""LSTM encoder and decoder of sentences (ARAE, Zhao et al. 2018, section 5, and the authors' program).

Sentences are [n, steps] int32 ids: words, an end token and padding (0). The last two ids of a vocabulary are its start
and end token. Encoder and decoder both read the start token and the words. The decoder's targets are the words and the
end token.

Four choices make this implementation fast. The inputs of all steps are multiplied in a single product. The product with
the code is computed once per sentence. The recurrence is unrolled in Python. Logits are computed only where there is a
target.

Milliseconds for a forward and backward pass (one CPU core, shared with other programs; mini-batch of 64 sentences of 3
to 10 words, vocabulary 2,004, embedding 100, hidden 128):

    27.7        this file
    26.8        this file with a custom gradient: a single product for the recurrent kernel over all steps
    31.8        keras.layers.LSTM, unrolled
    35.9        keras.layers.LSTM, not unrolled
    33.1        BlockLSTMV2
    33.3        this file with logits of padding; 29 to 31 if compiled by XLA
    29.0        this file and a step of Adam (960,372 weights), embedding gradients converted to dense tensors
    29.6        this file and a step of Adam, embedding gradients as IndexedSlices
     7.6        11 steps of greedy decoding
"""

from collections.abc import Iterator

import keras
import tensorflow as tf

RANGE = 0.1  # all weights, LSTM biases included, are initialized from U(-0.1, 0.1)
WIDE = 0.5  # the same limit for the kernel of the code, with `wide` initialization


def _uniform(seeds, limit=RANGE):
  return keras.initializers.RandomUniform(-limit, limit, next(seeds))


def lengths(ids, end: int) -> tf.Tensor:
  """[n, steps] ids -> [n] int32 number of words before the first end token; `steps` without end token."""
  ended = tf.cast(tf.equal(ids, end), tf.int32)
  return tf.reduce_sum(1 - tf.minimum(tf.cumsum(ended, axis=1), 1), axis=1)


def cut(ids, end: int) -> tf.Tensor:
  """[n, steps] ids -> [n, steps] ids with padding after the first end token."""
  return tf.where(tf.range(tf.shape(ids)[1]) <= lengths(ids, end)[:, None], ids, 0)


class LSTM(keras.layers.Layer):
  """LSTM with two trainable bias vectors, as in the authors' program.

  [i, f, g, o] = x W + context C + h U + b1 + b2;  c' = sigma(f) c + sigma(i) tanh(g);  h' = sigma(o) tanh(c').

  Args:
    units: dimension of h and c.
    inputs: dimension of x.
    seeds: distinct integers, for the weights.
    context: dimension of an input that is the same at every step; 0 for none.
    wide: whether C is initialized from U(-0.5, 0.5), and b1 of the forget gates is increased by 1.
  """

  def __init__(self, units: int, inputs: int, seeds: Iterator[int], context: int = 0, wide: bool = False):
    super().__init__(name='lstm', dtype='float32')

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
    """Computes x W + context C + b1 + b2, the part of the gates that does not depend on the state.

    Args:
      inputs: [..., n, inputs].
      context: [n, context], or None.

    Returns:
      [..., n, 4 units].
    """
    flat = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), self.kernel) + (self.bias + self.recurrent_bias)
    projected = tf.reshape(flat, tf.concat([tf.shape(inputs)[:-1], [4 * self.units]], 0))
    return projected if self.context_kernel is None else projected + tf.matmul(context, self.context_kernel)

  def zero_state(self, n) -> tuple[tf.Tensor, tf.Tensor]:
    """Initial state (h, c) of n sequences, [n, units] each."""
    return tf.zeros([n, self.units]), tf.zeros([n, self.units])

  def step(self, projected, state) -> tuple:
    """Runs one step.

    Args:
      projected: [n, 4 units], as returned by `project`.
      state: (h, c), [n, units] each.

    Returns:
      The next (h, c).
    """
    hidden, cell = state
    gates = projected + tf.matmul(hidden, self.recurrent_kernel)
    input_gate, forget_gate, candidate, output_gate = tf.split(gates, 4, axis=1)  # i, f, g, o
    cell = tf.sigmoid(forget_gate) * cell + tf.sigmoid(input_gate) * tf.tanh(candidate)
    return tf.sigmoid(output_gate) * tf.tanh(cell), cell

  def call(self, inputs, context=None) -> tf.Tensor:
    """Runs all steps.

    Args:
      inputs: [steps, n, inputs], time-major, `steps` static.
      context: [n, context], or None.

    Returns:
      [steps, n, units] hidden states.
    """
    state, states = self.zero_state(tf.shape(inputs)[1]), []
    for projected in tf.unstack(self.project(inputs, context), inputs.shape[0]):
      state = self.step(projected, state)
      states.append(state[0])
    return tf.stack(states)


class _Reader(keras.layers.Layer):
  """A word embedding and an LSTM that reads the start token and the words."""

  def __init__(self, vocabulary_size, embedding, units, seeds, context, wide, name):
    super().__init__(name=name, dtype='float32')
    self.start, self.end = vocabulary_size - 2, vocabulary_size - 1
    self.embedding = self.add_weight(
        name='embedding', shape=(vocabulary_size, embedding),
        initializer=keras.initializers.RandomNormal(0.0, 1.0, next(seeds)) if wide else _uniform(seeds))
    self.lstm = LSTM(units, embedding, seeds, context, wide)
    self.built = True

  def read(self, ids, context=None) -> tf.Tensor:
    """[n, steps] ids -> [steps, n, units] hidden states: after the start token, after the first word, and so on."""
    shifted = tf.pad(ids[:, :-1], [[0, 0], [1, 0]], constant_values=self.start)
    return self.lstm(tf.gather(self.embedding, tf.transpose(shifted)), context)


class Encoder(_Reader):
  """Encodes sentences as codes on the unit sphere: the hidden state after the last word, divided by its norm.

  Args:
    vocabulary_size: number of ids, the four special tokens included.
    embedding, code: dimensions of word embeddings and codes.
    seeds: distinct integers, for the weights.
    wide: whether to use the wide initialization: embeddings from N(0, 1), forget gate biases increased by 1, and the
      kernel that multiplies a code from U(-0.5, 0.5).
  """

  def __init__(self, vocabulary_size: int, embedding: int, code: int, seeds: Iterator[int], wide: bool = False,
               name: str = 'encoder'):
    super().__init__(vocabulary_size, embedding, code, seeds, 0, wide, name)

  def call(self, ids) -> tf.Tensor:
    """[n, steps] ids -> [n, code] float32 of norm 1. An empty sentence has the state after the start token."""
    return self._code(self.read(ids), lengths(ids, self.end))

  def soft(self, probabilities, words) -> tf.Tensor:
    """Encodes softly decoded sentences: each input is the expected embedding under the word probabilities.

    For one-hot probabilities of ids, and `words` equal to their `lengths`, the result is that of `call`.

    Args:
      probabilities: [n, steps, vocabulary_size], as returned by `Decoder.soft`.
      words: [n] int32 number of words to read of each sentence, at most steps - 1.

    Returns:
      [n, code] float32 of norm 1.
    """
    start = tf.tile(self.embedding[None, None, self.start], [1, tf.shape(probabilities)[0], 1])  # [1, n, embedding]
    vectors = tf.einsum('ntv,ve->tne', probabilities[:, :-1], tf.convert_to_tensor(self.embedding))
    return self._code(self.lstm(tf.concat([start, vectors], 0)), words)

  def _code(self, states, words):
    last = tf.minimum(words, states.shape[0] - 1)
    return tf.math.l2_normalize(tf.gather_nd(states, tf.stack([last, tf.range(tf.shape(last)[0])], axis=1)), axis=1)


class Decoder(_Reader):
  """Decodes codes to sentences: an LSTM that reads [word ; code] at every step, and a linear output layer.

  The initial state is zero. With `code` 0 the decoder is a language model, and codes are [n, 0].

  Args:
    vocabulary_size: number of ids, the four special tokens included.
    embedding, units, code: dimensions of word embeddings, hidden states and codes.
    seeds: distinct integers, for the weights.
    output: output layer of another decoder, to be shared; None creates a new one.
    wide: as in `Encoder`.
  """

  def __init__(self, vocabulary_size: int, embedding: int, units: int, code: int, seeds: Iterator[int],
               output: keras.layers.Layer | None = None, wide: bool = False, name: str = 'decoder'):
    super().__init__(vocabulary_size, embedding, units, seeds, code, wide, name)
    if output is None:
      output = keras.layers.Dense(vocabulary_size, kernel_initializer=_uniform(seeds), dtype='float32', name='output')
      output.build((None, units))
    self.output_layer = output

  def call(self, ids, codes) -> tf.Tensor:
    """Computes the logits of each word given the words before it (teacher forcing).

    Args:
      ids: [n, steps].
      codes: [n, code].

    Returns:
      [n, steps, vocabulary_size] logits. Those of padding have no meaning; `targets` leaves them out.
    """
    return tf.transpose(self.output_layer(self.read(ids, codes)), [1, 0, 2])

  def targets(self, ids, codes) -> tuple:
    """Teacher forcing without padding: logits of the m words and end tokens of all sentences together.

    Args:
      ids: [n, steps].
      codes: [n, code].

    Returns:
      ([m, vocabulary_size] logits, [m] int32 target ids, [m] int64 index of each target's sentence).
    """
    positions = tf.where(tf.transpose(ids) > 0)  # [m, 2]: step, sentence
    states = tf.gather_nd(self.read(ids, codes), positions)  # [m, units]
    return self.output_layer(states), tf.gather_nd(tf.transpose(ids), positions), positions[:, 1]

  def greedy(self, codes, steps: int) -> tf.Tensor:
    """Greedy decoding: [n, code] -> [n, steps] int32 ids, with padding after the first end token."""
    return self._decode(codes, steps, lambda logits, _: tf.argmax(logits, axis=1, output_type=tf.int32))

  def sample(self, codes, steps: int, seed, temperature=1.0) -> tf.Tensor:
    """Samples words from softmax(logits / temperature).

    The result depends only on codes, weights and seed. As the temperature approaches 0, it approaches `greedy`.

    Args:
      codes: [n, code].
      steps: maximum number of words and end token.
      seed: [2] ints.
      temperature: > 0.

    Returns:
      [n, steps] int32 ids, with padding after the first end token.
    """
    def draw(logits, step):
      # Gumbel noise, because the result of tf.random.stateless_categorical depends on the number of threads.
      key = tf.random.experimental.stateless_fold_in(seed, step)
      uniform = tf.random.stateless_uniform(tf.shape(logits), key, minval=1e-30)
      return tf.argmax(logits / temperature - tf.math.log(-tf.math.log(uniform)), axis=1, output_type=tf.int32)

    return self._decode(codes, steps, draw)

  def soft(self, codes, steps: int, temperature=1.0) -> tf.Tensor:
    """Differentiable decoding: the next input is the expected embedding under the probabilities of the current step.

    As the temperature approaches 0, it approaches `greedy`. Sentences are not cut: probabilities after a likely end
    token have no meaning.

    Args:
      codes: [n, code].
      steps: number of steps.
      temperature: > 0.

    Returns:
      [n, steps, vocabulary_size], softmax(logits / temperature).
    """
    def expect(logits, _):
      return tf.nn.softmax(logits / temperature)

    return tf.stack(self._unroll(codes, steps, expect, lambda p: tf.matmul(p, self.embedding)), axis=1)

  def _decode(self, codes, steps, choose):
    ids = self._unroll(codes, steps, choose, lambda words: tf.gather(self.embedding, words))
    return cut(tf.stack(ids, axis=1), self.end)

  def _unroll(self, codes, steps, choose, embed):
    """Decodes step by step.

    Args:
      codes: [n, code].
      steps: number of steps.
      choose: function ([n, vocabulary_size] logits, step) -> output of the step.
      embed: function: output of a step -> [n, embedding] input of the next step.

    Returns:
      List of `steps` outputs of `choose`.
    """
    n = tf.shape(codes)[0]
    state, outputs = self.lstm.zero_state(n), []
    inputs = tf.gather(self.embedding, tf.fill([n], self.start))  # [n, embedding]
    for step in range(steps):
      state = self.lstm.step(self.lstm.project(inputs, codes), state)
      outputs.append(choose(self.output_layer(state[0]), step))
      inputs = embed(outputs[-1])
    return outputs
