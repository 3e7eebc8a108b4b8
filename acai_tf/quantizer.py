"""A vector quantiser whose codebook follows moving averages (van den Oord et al. 2017, appendix A.1)."""

import keras
import tensorflow as tf


class Quantizer(keras.layers.Layer):
  """Replaces each vector by the nearest of `size` codebook vectors.

  Every code keeps a moving count N and a moving sum m of the vectors that chose it, and is m / N, with N smoothed by
  epsilon. Counts start at 1, so that a code that nobody chooses decays in both and stays where it is.

  With `restart` above 0, codes whose count has sunk below it start anew (Dhariwal et al. 2020, section 3): each step
  the least used of them, at most as many as there are vectors, become this step's vectors (the first replica's), with
  a count of 1. At 0 this never happens, as in the original.
  """

  def __init__(self, size, dimension, decay=0.999, epsilon=1e-5, restart=0.0, seed=0):
    super().__init__(name='quantizer', dtype='float32')
    self.size, self.dimension, self.decay, self.epsilon, self.restart = size, dimension, decay, epsilon, restart

    def weight(name, shape, initializer):
      return self.add_weight(
          name=name, shape=shape, initializer=initializer, trainable=False, aggregation='only_first_replica')

    self.codebook = weight(
        'codebook', (size, dimension), keras.initializers.RandomNormal(stddev=dimension**-0.5, seed=seed))
    self.sums = weight('sums', (size, dimension), 'zeros')
    self.sums.assign(self.codebook)
    self.counts = weight('counts', (size,), 'ones')
    self.built = True

  def call(self, vectors):
    """[n, dimension] -> (the nearest codes, alike, whose gradient passes straight to `vectors`; [n] indices)."""
    codebook = tf.convert_to_tensor(self.codebook)
    distances = tf.reduce_sum(tf.square(codebook), axis=1) - 2 * tf.matmul(vectors, codebook, transpose_b=True)
    indices = tf.argmin(distances, axis=1, output_type=tf.int32)
    nearest = tf.gather(codebook, indices)
    return vectors + tf.stop_gradient(nearest - vectors), indices

  def update(self, vectors, indices):
    """Moves the averages towards all replicas' [n, dimension] vectors, which chose codes [n]; returns [size] counts."""
    vectors = tf.stop_gradient(vectors)
    counts = tf.math.unsorted_segment_sum(tf.ones_like(indices, tf.float32), indices, self.size)
    sums = tf.math.unsorted_segment_sum(vectors, indices, self.size)
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
      counts, sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [counts, sums])
    self.counts.assign(self.decay * self.counts + (1 - self.decay) * counts)
    self.sums.assign(self.decay * self.sums + (1 - self.decay) * sums)
    if self.restart:
      self._restart(vectors)
    total = tf.reduce_sum(self.counts)
    smoothed = (self.counts + self.epsilon) / (total + self.size * self.epsilon) * total
    self.codebook.assign(self.sums / smoothed[:, None])
    return counts

  def _restart(self, vectors):
    """The least used codes with a count below `restart` become the vectors [n, dimension]."""
    counts = tf.convert_to_tensor(self.counts)
    number = tf.minimum(tf.shape(vectors)[0], self.size)
    negated, least = tf.math.top_k(-counts, number)
    number = tf.math.count_nonzero(-negated < self.restart, dtype=tf.int32)  # they come first
    least = least[:number, None]
    self.counts.assign(tf.tensor_scatter_nd_update(counts, least, tf.ones([number])))
    self.sums.assign(tf.tensor_scatter_nd_update(tf.convert_to_tensor(self.sums), least, vectors[:number]))


def perplexity(counts):
  """exp(entropy) of how often codes were chosen, [size] -> scalar: from 1 (one code) to size (all alike)."""
  shares = counts / tf.reduce_sum(counts)
  return tf.exp(-tf.reduce_sum(tf.math.multiply_no_nan(tf.math.log(tf.maximum(shares, 1e-30)), shares)))
