"""A vector quantiser whose codebook follows moving averages (van den Oord et al. 2017, appendix A.1)."""

import math

import keras
import tensorflow as tf


class Quantizer(keras.layers.Layer):
  """Replaces each vector by the nearest of `size` codebook vectors.

  Every code keeps a moving count N (a step) and a moving sum m of the vectors that chose it, and is m / N', with the
  smoothed count N' = T (N + epsilon) / (T + size epsilon), T the sum of all N. As in the original, codes start as
  e ~ U(+-sqrt(3 / size)), counts at 0 and sums at e. So the first update throws the codes far out: one that nobody has
  chosen in t steps is decay^t e / N' with N' < epsilon, more than decay^t / epsilon times its start. From there it
  falls, at the rate of the decay, through the data (with the original's values after some 7,000 steps) and on to 0,
  unless it is chosen on its way. Until then the few codes of the first steps serve all vectors.

  With `restart` above 0, codes whose count is below that share of even use (vectors a step / size) start anew (after
  Dhariwal et al. 2020, section 3): the least used of them become vectors of the step, drawn at random, with the count
  of even use. At most ceil(size (1 - decay)) do in a step, so that the codebook is not renewed faster than averages
  move, the start included. A new code that is never chosen sinks below the share s after ln(1 / s) / (1 - decay) steps,
  2,303 at 0.1 and 0.999; one that is chosen more often than every 1 / (s x even use) steps, 1,024 with 160 vectors for
  16,384 codes, stays. At 0 codes never start anew, as in the original.
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
    """[n, dimension] -> (the nearest codes, alike, whose gradient passes straight to `vectors`; [n] indices)."""
    codebook = tf.convert_to_tensor(self.codebook)
    distances = tf.reduce_sum(tf.square(codebook), axis=1) - 2 * tf.matmul(vectors, codebook, transpose_b=True)
    indices = tf.argmin(distances, axis=1, output_type=tf.int32)
    nearest = tf.gather(codebook, indices)
    return vectors + tf.stop_gradient(nearest - vectors), indices

  def update(self, vectors, indices, seed) -> tf.Tensor:
    """Moves the averages towards vectors [n, dimension], which chose codes [n]; on several replicas the global batch's.

    Args:
      vectors, indices: as above.
      seed: [2] ints; draws the vectors that take the place of little used codes.

    Returns:
      [size] how often each code was chosen.
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
    """(counts, sums) in which the least used codes have started anew."""
    vectors = tf.random.experimental.stateless_shuffle(vectors, seed)
    even = tf.cast(tf.shape(vectors)[0], tf.float32) / self.size
    negated, least = tf.math.top_k(-counts, tf.minimum(math.ceil(self.size * (1 - self.decay)), tf.shape(vectors)[0]))
    number = tf.math.count_nonzero(-negated < self.restart * even, dtype=tf.int32)  # they come first
    least = least[:number, None]
    return (tf.tensor_scatter_nd_update(counts, least, tf.fill([number], even)),
            tf.tensor_scatter_nd_update(sums, least, even * vectors[:number]))


def perplexity(counts) -> tf.Tensor:
  """exp(entropy) of how often codes were chosen, [size] -> scalar: from 1 (one code) to size (all alike)."""
  shares = counts / tf.reduce_sum(counts)
  return tf.exp(-tf.reduce_sum(tf.math.multiply_no_nan(tf.math.log(tf.maximum(shares, 1e-30)), shares)))
