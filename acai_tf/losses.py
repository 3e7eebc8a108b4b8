"""Losses as pure functions of tensors. All are means, so that the paper's weights hold (protocol: lambda with the
mean squared error over pixels)."""

import tensorflow as tf


def mean_squared_error(targets, predictions):
  """Mean over all elements of (targets - predictions)^2; same shapes, scalar float32.

  Raises:
    ValueError: static shapes that differ, which would otherwise broadcast.
  """
  targets.shape.assert_is_compatible_with(predictions.shape)
  return tf.reduce_mean(tf.square(tf.cast(targets, tf.float32) - tf.cast(predictions, tf.float32)))


def mean_square(values):
  """Mean over all elements of values^2: what pulls a critic's answer to 0. Any shape -> scalar."""
  return tf.reduce_mean(tf.square(values))


def classification(labels, logits):
  """Mean softmax cross-entropy in nats and mean accuracy of [batch] int labels under [batch, classes] logits."""
  entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
  hits = tf.cast(tf.equal(tf.argmax(logits, 1, tf.int32), tf.cast(labels, tf.int32)), tf.float32)
  return tf.reduce_mean(entropy), tf.reduce_mean(hits)


def gaussian_kl(mean, log_variance):
  """KL(N(mean, exp(log_variance)) || N(0, I)) in nats: [n, d] twice -> mean over n (Kingma and Welling, appendix B)."""
  divergence = 0.5 * (tf.square(mean) + tf.exp(log_variance) - log_variance - 1)
  return tf.reduce_mean(tf.reduce_sum(divergence, axis=1))


def bernoulli(images, logits):
  """-log p in nats of pixels (images + 1) / 2 in [0, 1]: summed over pixels, mean over images; [n, ...] twice."""
  images.shape.assert_is_compatible_with(logits.shape)
  entropy = tf.nn.sigmoid_cross_entropy_with_logits((images + 1) / 2, logits)
  return tf.reduce_mean(tf.reduce_sum(entropy, axis=list(range(1, len(images.shape)))))


def real_or_fake(logits, real):
  """Mean cross-entropy in nats of a discriminator's [n, 1] logits against 'real' (1) or 'fake' (0) for all."""
  targets = tf.ones_like(logits) if real else tf.zeros_like(logits)
  return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))
