"""Paths between two codes. Codes are [batch, ...]; a coefficient of 0 is the first end, 1 the second."""

import tensorflow as tf

PATHS = ('linear', 'spherical')


def coefficients(alpha, count, dtype=tf.float32) -> tf.Tensor:
  """`alpha`, a number or [count] of them, as [1] or [count] of `dtype`.

  Raises:
    ValueError: another shape, or a number outside [0, 1]. Inside a graph, where numbers are not known yet, only the
      shape is checked, as far as it is known.
  """
  alpha = tf.cast(alpha, dtype)
  if not (alpha.shape.rank == 0 or alpha.shape.is_compatible_with([count])):
    raise ValueError(f'alpha has shape {alpha.shape}; expected a number, or [{count}], one for each pair.')
  known = tf.get_static_value(alpha)
  if known is not None and not ((known >= 0) & (known <= 1)).all():
    raise ValueError(f'alpha goes from {known.min():.4g} to {known.max():.4g}; expected numbers in [0, 1].')
  return tf.reshape(alpha, [-1])


def of_pairs(alpha, codes) -> tf.Tensor:
  """`coefficients` of n pairs whose codes are [n, ...], as [n] also where n is known only as a graph runs.

  A graph refuses another count of numbers (InvalidArgumentError), and takes numbers outside [0, 1]: they lie beyond
  the ends. NaN gives NaN.
  """
  return tf.broadcast_to(coefficients(alpha, codes.shape[0], codes.dtype), tf.shape(codes)[:1])


def lerp(first, second, alpha) -> tf.Tensor:
  """(1 - alpha) first + alpha second; `alpha` broadcasts against the codes."""
  return first + alpha * (second - first)


def slerp(first, second, alpha) -> tf.Tensor:
  """Spherical interpolation of whole codes: the angle between them is covered evenly (White 2016, section 3).

  Args:
    first: [batch, ...] float.
    second: the same shape.
    alpha: [batch] or a scalar, in [0, 1].

  Returns:
    The shape of `first`. Where the two are parallel, opposite or zero the great circle is not defined; there it is
    `lerp`.
  """
  flat_first, flat_second = (tf.reshape(code, [tf.shape(code)[0], -1]) for code in (first, second))
  alpha = tf.reshape(alpha, [-1, 1])
  cosine = tf.reduce_sum(tf.math.l2_normalize(flat_first, 1) * tf.math.l2_normalize(flat_second, 1), 1, keepdims=True)
  omega = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
  sine = tf.sin(omega)
  known = tf.norm(flat_first, axis=1, keepdims=True) * tf.norm(flat_second, axis=1, keepdims=True) > 0
  curved = tf.logical_and(sine > 1e-3, known)
  safe = tf.where(curved, sine, 1.0)
  great_circle = (tf.sin((1 - alpha) * omega) * flat_first + tf.sin(alpha * omega) * flat_second) / safe
  return tf.reshape(tf.where(curved, great_circle, lerp(flat_first, flat_second, alpha)), tf.shape(first))


def path(first, second, steps, kind='linear') -> tf.Tensor:
  """All of a path: [batch, ...] twice -> [batch, steps, ...], both ends included.

  Raises:
    ValueError: `kind` is neither 'linear' nor 'spherical', or there are fewer than two steps.
  """
  if kind not in PATHS or steps < 2:
    raise ValueError(f'path({kind!r}, {steps} steps); expected one of {PATHS} and at least 2 steps')
  points = []
  for k in range(steps):
    alpha = tf.constant(k / (steps - 1), first.dtype)
    points.append(slerp(first, second, alpha) if kind == 'spherical' else lerp(first, second, alpha))
  return tf.stack(points, axis=1)
