"""Losses as pure functions of tensors.

Losses are means, so that the papers' weights apply: ACAI's lambda is relative to the mean squared error over pixels.
"""

import tensorflow as tf


def mean_squared_error(targets, predictions) -> tf.Tensor:
  """Mean of (targets - predictions)^2 over all elements: two tensors of the same shape -> scalar float32.

  Raises:
    ValueError: the static shapes differ, which would otherwise broadcast.
  """
  targets.shape.assert_is_compatible_with(predictions.shape)
  return tf.reduce_mean(tf.square(tf.cast(targets, tf.float32) - tf.cast(predictions, tf.float32)))


def mean_square(values) -> tf.Tensor:
  """Mean of values^2 over all elements, a loss that pulls a critic's output to 0. Any shape -> scalar."""
  return tf.reduce_mean(tf.square(values))


@tf.custom_gradient
def with_gradient(value, point, slope) -> tuple:
  """Returns the scalar `value` with a given gradient: `slope` with respect to `point`, which has the same shape."""
  return tf.identity(value), lambda upstream: (None, upstream * slope, None)


def classification(labels, logits) -> tuple[tf.Tensor, tf.Tensor]:
  """Mean cross-entropy and accuracy of a classifier.

  Args:
    labels: [batch] int classes (softmax), or [batch, classes] of 0 and 1 for multi-label classification (sigmoid).
    logits: [batch, classes].

  Returns:
    (cross-entropy in nats, accuracy), scalars. With multiple labels both are means over images and labels.
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
  """KL(N(mean, exp(log_variance)) || N(0, I)) in nats (Kingma and Welling, appendix B).

  Args:
    mean, log_variance: [n, d].

  Returns:
    Scalar: summed over d, mean over n.
  """
  divergence = 0.5 * (tf.square(mean) + tf.exp(log_variance) - log_variance - 1)
  return tf.reduce_mean(tf.reduce_sum(divergence, axis=1))


def bernoulli(images, logits) -> tf.Tensor:
  """Negative Bernoulli log-likelihood of images in nats.

  Args:
    images: [n, ...] in [-1, 1]; (images + 1) / 2 are the targets.
    logits: the same shape.

  Returns:
    Scalar: summed over pixels, mean over images.
  """
  images.shape.assert_is_compatible_with(logits.shape)
  entropy = tf.nn.sigmoid_cross_entropy_with_logits((images + 1) / 2, logits)
  return tf.reduce_mean(tf.reduce_sum(entropy, axis=list(range(1, len(images.shape)))))


def two_classes(images, logits) -> tf.Tensor:
  """Cross-entropy of pixels in nats under a softmax over black (class 0) and white (class 1).

  Args:
    images: [n, ...] in [-1, 1]; (images + 1) / 2 is the probability of white, 0 or 1 for binary images.
    logits: [n, ..., 2].

  Returns:
    Scalar: mean over pixels and images.
  """
  images.shape.assert_is_compatible_with(logits.shape[:-1])
  white = (images + 1) / 2
  return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(tf.stack([1 - white, white], -1), logits))


def squared_norms(values) -> tf.Tensor:
  """[n, ...] -> [n] sum of squares of each row."""
  return tf.reduce_sum(tf.square(values), list(range(1, len(values.shape))))


def mean_absolute_error(targets, predictions) -> tf.Tensor:
  """Mean of |targets - predictions| over all elements: two tensors of the same shape -> scalar.

  Raises:
    ValueError: the static shapes differ.
  """
  targets.shape.assert_is_compatible_with(predictions.shape)
  return tf.reduce_mean(tf.abs(targets - predictions))


def squared_mmd(first, second, widths=(2, 5, 10, 20, 40, 80)) -> tf.Tensor:
  """Unbiased estimate of the squared maximum mean discrepancy between two samples (Gretton et al. 2012, eq. 3).

  Args:
    first, second: [m, d] and [n, d] float32, m and n at least 2.
    widths: bandwidths s of the kernel, the sum over s of exp(-distance^2 / (2 s^2)).

  Returns:
    Scalar, which may be below 0.
  """
  def kernel(a, b):
    squares = tf.reduce_sum(tf.square(a[:, None] - b[None]), 2)
    return tf.add_n([tf.exp(-squares / (2 * width**2)) for width in widths])

  def within(a):
    count = tf.cast(tf.shape(a)[0], a.dtype)
    return (tf.reduce_sum(kernel(a, a)) - len(widths) * count) / (count * (count - 1))

  return within(first) + within(second) - 2 * tf.reduce_mean(kernel(first, second))


def real_or_fake(logits, real) -> tf.Tensor:
  """Mean cross-entropy in nats of a discriminator's logits.

  Args:
    logits: any shape.
    real: whether the target of all logits is real (1) or fake (0).

  Returns:
    Scalar.
  """
  targets = tf.ones_like(logits) if real else tf.zeros_like(logits)
  return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))


def gradient_penalty(critic, points, of_mean=False) -> tf.Tensor:
  """Gradient penalty of a critic (Gulrajani et al. 2017, equation 3): mean over n of (|gradient| - 1)^2.

  Args:
    critic: function [n, d] -> [n, 1].
    points: [n, d] interpolations between real and generated points.
    of_mean: whether to differentiate the critic's *mean* output over the global batch with respect to each point, as
      ARAE's authors do. Without batch norm this is the gradient at the point divided by the number of points.

  Returns:
    Scalar.
  """
  with tf.GradientTape() as tape:
    tape.watch(points)
    outputs = critic(points)
    # Batch norm couples replicas, so a gradient is that of the sum of the targets of all replicas.
    count = tf.distribute.get_replica_context().num_replicas_in_sync
    output = tf.reduce_mean(outputs) / count if of_mean else tf.reduce_sum(outputs)
  norms = tf.sqrt(tf.reduce_sum(tape.gradient(output, points)**2, axis=1) + 1e-12)  # [n]
  return tf.reduce_mean((norms - 1)**2)
