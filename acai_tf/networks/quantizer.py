"""A vector quantizer whose codebook is an exponential moving average (van den Oord et al. 2017, appendix A.1)."""

import math

import keras
import tensorflow as tf


class Quantizer(keras.layers.Layer):
  """Replaces each vector by the nearest codebook vector.

  EMA updates: Each code has an exponential moving average N of the number of vectors assigned to it per step, and m
  of the sum of these vectors. The code is m / N', where N' = T (N + epsilon) / (T + size epsilon) is the smoothed count
  and T the sum of all N.

  Initialization: As in the original, codes are e ~ U(+-sqrt(3 / size)), counts are 0 and sums are e. The first
  update therefore moves the codes far away from the data. A code that has not been chosen in t steps is decay^t e / N'
  with N' < epsilon, more than decay^t / epsilon times its initial value. It then decays towards 0, passes through the
  data (after some 7,000 steps with the original's settings), and may be chosen on its way. Until then all vectors are
  assigned to the few codes chosen in the first steps.

  Restarts (after Dhariwal et al. 2020, section 3): Even use is the number of vectors per step / size. If `restart`
  is positive, the codes whose count is below restart x even use are replaced, least used first, by random vectors of
  the step, and their count is set to even use. At most ceil(size (1 - decay)) codes are replaced per step, so the
  codebook does not change faster than the moving averages. A new code that is never chosen falls below this threshold
  after ln(1 / restart) / (1 - decay) steps: 2,303 steps for restart 0.1 and decay 0.999. A code is kept if it is chosen
  more often than every 1 / (restart x even use) steps: 1,024 steps for 160 vectors and 16,384 codes.

  Args:
    size: number of codes.
    dimension: dimension of a code.
    decay: decay of the moving averages.
    epsilon: smoothing of the counts.
    restart: share of even use below which codes are replaced; 0 never replaces codes, as in the original.
    seed: seed of the initial codebook.
  """

  def __init__(self, size, dimension, decay=0.999, epsilon=1e-5, restart=0.0, seed=0):
    super().__init__(name='quantizer', dtype='float32')
    self.size, self.dimension, self.decay, self.epsilon, self.restart = size, dimension, decay, epsilon, restart

    def weight(name, shape, initializer):
      return self.add_weight(
          name=name, shape=shape, initializer=initializer, trainable=False, aggregation='only_first_replica')

    limit = math.sqrt(3 / size)
    self.codebook = weight('codebook', (size, dimension), keras.initializers.RandomUniform(-limit, limit, seed))
    self.sums = weight('sums', (size, dimension), 'zeros')
    self.sums.assign(self.codebook)
    self.counts = weight('counts', (size,), 'zeros')
    self.built = True

  def call(self, vectors) -> tuple:
    """Quantizes vectors, with a straight-through gradient.

    Args:
      vectors: [n, dimension].

    Returns:
      ([n, dimension] nearest codes, [n] int32 indices of these codes).
    """
    codebook = tf.convert_to_tensor(self.codebook)
    # [n, size] squared distances up to a constant per vector
    distances = tf.reduce_sum(tf.square(codebook), axis=1) - 2 * tf.matmul(vectors, codebook, transpose_b=True)
    indices = tf.argmin(distances, axis=1, output_type=tf.int32)
    nearest = tf.gather(codebook, indices)
    return vectors + tf.stop_gradient(nearest - vectors), indices

  def update(self, vectors, indices, seed) -> tf.Tensor:
    """Updates the moving averages and the codebook.

    Args:
      vectors: [n, dimension] vectors of the global batch.
      indices: [n] indices of the codes assigned to them.
      seed: [2] ints, which select the vectors that replace rarely used codes.

    Returns:
      [size] float32 number of vectors assigned to each code.
    """
    vectors = tf.stop_gradient(vectors)
    chosen = tf.math.unsorted_segment_sum(tf.ones_like(indices, tf.float32), indices, self.size)
    counts = self.decay * self.counts + (1 - self.decay) * chosen
    sums = self.decay * self.sums + (1 - self.decay) * tf.math.unsorted_segment_sum(vectors, indices, self.size)
    if self.restart:
      counts, sums = self._restart(counts, sums, vectors, seed)
    self.counts.assign(counts)
    self.sums.assign(sums)
    total = tf.reduce_sum(counts)
    smoothed = (counts + self.epsilon) / (total + self.size * self.epsilon) * total
    self.codebook.assign(sums / smoothed[:, None])
    return chosen

  def _restart(self, counts, sums, vectors, seed):
    """Returns (counts, sums) in which the least used codes are replaced."""
    vectors = tf.random.experimental.stateless_shuffle(vectors, seed)
    even = tf.cast(tf.shape(vectors)[0], tf.float32) / self.size
    most = tf.minimum(math.ceil(self.size * (1 - self.decay)), tf.shape(vectors)[0])  # maximum number of replaced codes
    negative_counts, rarest = tf.math.top_k(-counts, most)  # the least used codes first
    number = tf.math.count_nonzero(-negative_counts < self.restart * even, dtype=tf.int32)
    rarest = rarest[:number, None]
    return (tf.tensor_scatter_nd_update(counts, rarest, tf.fill([number], even)),
            tf.tensor_scatter_nd_update(sums, rarest, even * vectors[:number]))


def perplexity(counts) -> tf.Tensor:
  """Perplexity, exp(entropy), of [size] code counts: scalar from 1 (one code is used) to size (uniform use)."""
  shares = counts / tf.reduce_sum(counts)
  return tf.exp(-tf.reduce_sum(tf.math.multiply_no_nan(tf.math.log(tf.maximum(shares, 1e-30)), shares)))
