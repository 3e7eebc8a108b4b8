"""Paths between two latent codes. Codes are [batch, ...]; coefficient 0 is the first endpoint, 1 the second."""

import math

import tensorflow as tf

# Kinds of paths in closed form; geodesics need a decoder and an optimization. `gaussian` is for latents of N(0, I).
PATHS = ('linear', 'spherical', 'gaussian')
POINTS, STEPS = 16, 100  # of `geodesic`: points per path, optimizer steps
RATE = 0.03  # of `geodesic`: initial learning rate, relative to the distance between the endpoints


def coefficients(alpha, count, dtype=tf.float32) -> tf.Tensor:
  """Converts interpolation coefficients to a tensor and checks them.

  Args:
    alpha: a number, or [count] numbers, in [0, 1].
    count: number of pairs.
    dtype: type of the result.

  Returns:
    [1] or [count] tensor.

  Raises:
    ValueError: type or shape is wrong, or a number is outside [0, 1]. Inside a graph the values are not known, so only
      type and static shape are checked.
  """
  try:
    alpha = tf.convert_to_tensor(alpha)
  except (TypeError, ValueError) as error:
    raise ValueError(f'alpha is a {type(alpha).__name__}; expected numbers in [0, 1].') from error
  if not (alpha.dtype.is_floating or alpha.dtype.is_integer):
    raise ValueError(f'alpha is of type {alpha.dtype.name}; expected numbers in [0, 1].')
  alpha = tf.cast(alpha, dtype)
  if not (alpha.shape.rank == 0 or alpha.shape.is_compatible_with([count])):
    raise ValueError(f'alpha has shape {alpha.shape}; expected a number, or [{count}], one for each pair.')
  known = tf.get_static_value(alpha)
  if known is not None and not ((known >= 0) & (known <= 1)).all():
    raise ValueError(f'alpha goes from {known.min():.4g} to {known.max():.4g}; expected numbers in [0, 1].')
  return tf.reshape(alpha, [-1])


def pair_coefficients(alpha, codes) -> tf.Tensor:
  """Returns the `coefficients` of n pairs as [n], also if n is known only when the graph runs.

  Inside a graph, a wrong number of coefficients raises InvalidArgumentError. Coefficients outside [0, 1] extrapolate
  there, and NaN gives NaN.

  Args:
    alpha: a number, or [n] numbers.
    codes: [n, ...] codes of the pairs.
  """
  return tf.broadcast_to(coefficients(alpha, codes.shape[0], codes.dtype), tf.shape(codes)[:1])


def lerp(first, second, alpha) -> tf.Tensor:
  """Linear interpolation, (1 - alpha) first + alpha second; `alpha` broadcasts against the codes."""
  return first + alpha * (second - first)


def slerp(first, second, alpha) -> tf.Tensor:
  """Spherical interpolation of flattened codes, at an even angular rate (White 2016, section 3).

  Args:
    first: [batch, ...] float.
    second: the same shape.
    alpha: [batch] or a scalar, in [0, 1].

  Returns:
    Codes of the shape of `first`. If two codes are parallel, opposite or zero, the great circle is not defined; value
    and gradient are then those of `lerp`.
  """
  flat_first, flat_second = (tf.reshape(code, [tf.shape(code)[0], -1]) for code in (first, second))  # [batch, d]
  alpha = tf.reshape(alpha, [-1, 1])
  cosine = tf.reduce_sum(  # [batch, 1]
      tf.math.l2_normalize(flat_first, 1) * tf.math.l2_normalize(flat_second, 1), 1, keepdims=True)
  nonzero = tf.norm(flat_first, axis=1, keepdims=True) * tf.norm(flat_second, axis=1, keepdims=True) > 0
  curved = tf.logical_and(1 - tf.square(cosine) > 1e-6, nonzero)
  omega = tf.acos(tf.where(curved, cosine, 0.0))  # The gradient of acos is infinite at 1, and inf * 0 would be NaN.
  great_circle = (tf.sin((1 - alpha) * omega) * flat_first + tf.sin(alpha * omega) * flat_second) / tf.sin(omega)
  return tf.reshape(tf.where(curved, great_circle, lerp(flat_first, flat_second, alpha)), tf.shape(first))


def gaussian(first, second, alpha) -> tf.Tensor:
  """Linear interpolation whose points follow the distribution of its endpoints, N(0, C) (Bodin et al. 2025, LOL).

  If z_1 and z_2 are independent samples of N(m, C), then y = w_1 z_1 + w_2 z_2 follows N(a m, b^2 C), with
  a = w_1 + w_2 and b^2 = w_1^2 + w_2^2. The map y -> m + (y - a m) / b therefore returns it to N(m, C). Here the
  weights are 1 - alpha and alpha, and m is 0, so that the point is y / b. Without the division the variance would be
  half as large in the middle of the path.

  Args:
    first, second: codes of the same shape.
    alpha: broadcasts against the codes. 0 and 1 give `first` and `second` exactly.
  """
  rest = 1 - alpha
  return (rest * first + alpha * second) / tf.sqrt(rest**2 + alpha**2)


def with_logits_of(first, second, kernel) -> tf.Tensor:
  """The points nearest to `second` at which a linear classifier has the logits that it has at `first`.

  Logits are linear in the codes, so they change only along the span of the kernel's columns. With an orthonormal basis
  B of this span, the points are second - B B^T (second - first).

  Args:
    first, second: [n, d].
    kernel: [d, classes]. Its columns are linearly independent, or span all of the space.

  Returns:
    [n, d]; if there are d classes or more, `first`.
  """
  basis, _ = tf.linalg.qr(kernel)  # [d, min(d, classes)]
  return second - (second - first) @ basis @ tf.transpose(basis)


def between(first, second, alpha, kind) -> tf.Tensor:
  """The points at `alpha` on paths.

  Args:
    first, second: [n, ...] codes.
    alpha: scalar, [1] or [n].
    kind: one of `PATHS`.
  """
  if kind == 'spherical':
    return slerp(first, second, alpha)
  mix = {'linear': lerp, 'gaussian': gaussian}[kind]
  return mix(first, second, tf.reshape(alpha, [-1] + [1] * (len(first.shape) - 1)))


def path(first, second, steps, kind='linear') -> tf.Tensor:
  """Computes evenly spaced points along a path, endpoints included.

  Args:
    first, second: [batch, ...] codes.
    steps: number of points.
    kind: one of `PATHS`.

  Returns:
    [batch, steps, ...].

  Raises:
    ValueError: `kind` is unknown, or `steps` is less than 2.
  """
  if kind not in PATHS or steps < 2:
    raise ValueError(f'path({kind!r}, {steps} steps); expected one of {PATHS} and at least 2 steps')
  points = []
  for k in range(steps):
    alpha = tf.constant(k / (steps - 1), first.dtype)
    points.append(between(first, second, alpha, kind))
  return tf.stack(points, axis=1)


def geodesic(decode, first, second, points=POINTS, steps=STEPS) -> tf.Tensor:
  """Approximates geodesics: latent paths whose decoded images form a short path.

  Objective: the energy sum_k |g(z_k+1) - g(z_k)|^2. At its minimum the images follow a shortest path at constant speed
  (Shao, Kumar, Fletcher 2018; Arvanitidis, Hansen, Hauberg 2018).

  Optimization: Adam starts from straight paths. The learning rate decays from `RATE` to 0 along half a cosine. The best
  points of each path are returned, so no path has more energy than the straight one. The minimum may be local.

  Parameters: the amplitudes a_m of sine waves, as many as there are inner points,

      z_k = straight_k + |last - first| sum_m a_m sin(pi m t) sqrt(2) / (pi m),    t = k / (points - 1).

  For an isometric decoder the energy is equally steep in all of these parameters. If the points were the parameters, a
  bend of the whole path would form slowly, since neighbouring points hold each other back. (On 16 paths of ACAI on
  lines, whose mean length is 162, 100 steps reached 24 with waves and 52 with points.)

  Args:
    decode: the decoder g, a differentiable function of [n, ...] codes, in float32; lower precision adds jitter.
    first: [batch, ...] float32 codes.
    second: the same shape.
    points: number of points per path, endpoints included.
    steps: number of optimizer steps.

  Returns:
    [batch, points, ...] codes.

  Raises:
    ValueError: `points` is less than 3.
  """
  if points < 3:
    raise ValueError(f'geodesic({points} points); expected at least 3.')
  straight = path(first, second, points)
  shape = tf.shape(straight)
  straight = tf.reshape(straight, [shape[0], points, math.prod(first.shape[1:])])  # [batch, points, d]
  distance = tf.norm(straight[:, -1:] - straight[:, :1], axis=2, keepdims=True)  # [batch, 1, 1]
  phase, frequency = tf.linspace(0.0, math.pi, points), tf.range(1.0, points - 1)
  waves = tf.sin(phase[:, None] * frequency) * (math.sqrt(2) / math.pi / frequency)  # [points, points - 2]

  def codes_of(amplitudes):
    return straight + distance * tf.einsum('pw,bwd->bpd', waves, amplitudes)

  def energy_of(amplitudes):
    images = decode(tf.reshape(codes_of(amplitudes), [-1, *first.shape[1:]]))
    images = tf.reshape(images, [shape[0], points, math.prod(images.shape[1:])])  # [batch, points, pixels]
    return tf.reduce_sum(tf.square(images[:, 1:] - images[:, :-1]), [1, 2])  # [batch]

  @tf.function
  def minimize(amplitudes):
    first_moment, second_moment, best = (tf.zeros_like(amplitudes) for _ in range(3))
    start = energy_of(amplitudes)  # [batch]
    least = start
    for step in tf.range(1.0, steps + 1):
      with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(amplitudes)
        energy = energy_of(amplitudes)
        relative = tf.math.divide_no_nan(energy, start)
      lower = energy < least
      least, best = tf.where(lower, energy, least), tf.where(lower[:, None, None], amplitudes, best)
      gradient = tape.gradient(relative, amplitudes)
      first_moment = 0.9 * first_moment + 0.1 * gradient
      second_moment = 0.99 * second_moment + 0.01 * tf.square(gradient)
      rate = RATE * (1 + tf.cos(math.pi * (step - 1) / steps)) / 2
      # Adam, with beta_1 = 0.9, beta_2 = 0.99 and epsilon = 1e-6.
      amplitudes -= rate * (first_moment / (1 - 0.9**step)) / (tf.sqrt(second_moment / (1 - 0.99**step)) + 1e-6)
    return best

  shortest = codes_of(minimize(tf.zeros([shape[0], points - 2, straight.shape[2]])))
  return tf.reshape(shortest, shape)


def along(points, alpha) -> tf.Tensor:
  """Computes the points at `alpha` of piecewise linear paths, whose segments cover equal ranges of alpha.

  Args:
    points: [batch, k, ...] float.
    alpha: [batch] or [1], in [0, 1].

  Returns:
    [batch, ...].
  """
  segments = points.shape[1] - 1
  position = tf.broadcast_to(alpha * segments, tf.shape(points)[:1])
  before = tf.clip_by_value(tf.cast(position, tf.int32), 0, segments - 1)
  rest = tf.reshape(position - tf.cast(before, position.dtype), [-1] + [1] * (points.shape.rank - 2))
  return lerp(tf.gather(points, before, batch_dims=1), tf.gather(points, before + 1, batch_dims=1), rest)


def refined(points, parts) -> tf.Tensor:
  """Splits each segment of a path into `parts`: [batch, k, ...] -> [batch, (k - 1) parts + 1, ...]."""
  share = tf.reshape(tf.range(parts, dtype=points.dtype) / parts, [1, 1, parts] + [1] * (points.shape.rank - 2))
  inner = lerp(points[:, :-1, None], points[:, 1:, None], share)  # [batch, k - 1, parts, ...]
  inner = tf.reshape(inner, [tf.shape(points)[0], (points.shape[1] - 1) * parts, *points.shape[2:]])
  return tf.concat([inner, points[:, -1:]], axis=1)
