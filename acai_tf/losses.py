"""Losses as pure functions of tensors. All are means, so that the paper's weights hold (protocol: lambda with the
mean squared error over pixels)."""

import tensorflow as tf


def mean_squared_error(targets, predictions) -> tf.Tensor:
  """Mean over all elements of (targets - predictions)^2; same shapes, scalar float32.

  Raises:
    ValueError: static shapes that differ, which would otherwise broadcast.
  """
  targets.shape.assert_is_compatible_with(predictions.shape)
  return tf.reduce_mean(tf.square(tf.cast(targets, tf.float32) - tf.cast(predictions, tf.float32)))


def mean_square(values) -> tf.Tensor:
  """Mean over all elements of values^2: what pulls a critic's answer to 0. Any shape -> scalar."""
  return tf.reduce_mean(tf.square(values))


@tf.custom_gradient
def with_gradient(value, point, slope) -> tuple:
  """A scalar whose gradient is given: `value`, of which `slope` is the gradient by `point`; both of the same shape."""
  return tf.identity(value), lambda upstream: (None, upstream * slope, None)


def classification(labels, logits) -> tuple[tf.Tensor, tf.Tensor]:
  """Mean cross-entropy in nats and mean accuracy of labels under [batch, classes] logits.

  [batch] int labels are classes (softmax); [batch, classes] ones are 0 or 1, several for an image (sigmoid), and their
  accuracy is the mean over images and labels.
  """
  if labels.shape.rank == 2:
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, logits.dtype), logits)
    hits = tf.equal(logits > 0, labels > 0)
  else:
    labels = tf.cast(labels, tf.int32)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    hits = tf.equal(tf.argmax(logits, 1, tf.int32), labels)
  return tf.reduce_mean(entropy), tf.reduce_mean(tf.cast(hits, tf.float32))


def gaussian_kl(mean, log_variance) -> tf.Tensor:
  """KL(N(mean, exp(log_variance)) || N(0, I)) in nats: [n, d] twice -> mean over n (Kingma and Welling, appendix B)."""
  divergence = 0.5 * (tf.square(mean) + tf.exp(log_variance) - log_variance - 1)
  return tf.reduce_mean(tf.reduce_sum(divergence, axis=1))


def bernoulli(images, logits) -> tf.Tensor:
  """-log p in nats of pixels (images + 1) / 2 in [0, 1]: summed over pixels, mean over images; [n, ...] twice."""
  images.shape.assert_is_compatible_with(logits.shape)
  entropy = tf.nn.sigmoid_cross_entropy_with_logits((images + 1) / 2, logits)
  return tf.reduce_mean(tf.reduce_sum(entropy, axis=list(range(1, len(images.shape)))))


def two_classes(images, logits) -> tf.Tensor:
  """Cross-entropy in nats of pixels under a softmax over black (0) and white (1), mean over pixels and images.

  Args:
    images: [n, ...] in [-1, 1]; (images + 1) / 2 is the share of white, 0 or 1 for binary images.
    logits: [n, ..., 2].
  """
  images.shape.assert_is_compatible_with(logits.shape[:-1])
  white = (images + 1) / 2
  return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(tf.stack([1 - white, white], -1), logits))


def squared_norms(values) -> tf.Tensor:
  """[n, ...] -> [n], the sum of squares of each row."""
  return tf.reduce_sum(tf.square(values), list(range(1, len(values.shape))))


def mean_absolute_error(targets, predictions) -> tf.Tensor:
  """Mean over all elements of |targets - predictions|; same shapes, scalar.

  Raises:
    ValueError: static shapes that differ.
  """
  targets.shape.assert_is_compatible_with(predictions.shape)
  return tf.reduce_mean(tf.abs(targets - predictions))


def squared_mmd(first, second, widths=(2, 5, 10, 20, 40, 80)) -> tf.Tensor:
  """Unbiased estimate of the squared maximum mean discrepancy between two samples (Gretton et al. 2012, eq. 3).

  Args:
    first, second: [m, d] and [n, d] float32, m and n at least 2.
    widths: the kernel is the sum over s of exp(-distance^2 / (2 s^2)).

  Returns:
    Scalar; it may be below 0.
  """
  def kernel(a, b):
    squares = tf.reduce_sum(tf.square(a[:, None] - b[None]), 2)
    return tf.add_n([tf.exp(-squares / (2 * width**2)) for width in widths])

  def within(a):
    count = tf.cast(tf.shape(a)[0], a.dtype)
    return (tf.reduce_sum(kernel(a, a)) - len(widths) * count) / (count * (count - 1))

  return within(first) + within(second) - 2 * tf.reduce_mean(kernel(first, second))


def real_or_fake(logits, real) -> tf.Tensor:
  """Mean cross-entropy in nats of a discriminator's logits, of any shape, against 'real' (1) or 'fake' (0) for all."""
  targets = tf.ones_like(logits) if real else tf.zeros_like(logits)
  return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))


def gradient_penalty(critic, points, whole=False) -> tf.Tensor:
  """How far a critic's slope is from 1 (Gulrajani et al. 2017, equation 3): mean over n of (|slope| - 1)^2.

  Args:
    critic: function [n, d] -> [n, 1].
    points: [n, d], mixed of real and generated ones.
    whole: as ARAE's authors have it: the slope of the *mean* answer, over the global batch, by each point. Without
      batch norm that is a point's own slope divided by the number of points.

  Returns:
    Scalar.
  """
  with tf.GradientTape() as tape:
    tape.watch(points)
    answers = critic(points)
    # Batch norm joins replicas, so that a gradient is of the sum of what all of them differentiate.
    count = tf.distribute.get_replica_context().num_replicas_in_sync
    answer = tf.reduce_mean(answers) / count if whole else tf.reduce_sum(answers)
  slopes = tf.sqrt(tf.reduce_sum(tape.gradient(answer, points)**2, axis=1) + 1e-12)
  return tf.reduce_mean((slopes - 1)**2)
