"""Paths between two codes. Codes are [batch, ...]; a coefficient of 0 is the first end, 1 the second."""

import math

import tensorflow as tf

PATHS = ('linear', 'spherical')  # in closed form; `geodesic` needs a decoder, and time
POINTS, STEPS, RATE = 16, 100, 0.03  # of `geodesic`; its largest step, relative to the distance of the ends


def coefficients(alpha, count, dtype=tf.float32) -> tf.Tensor:
  """`alpha`, a number or [count] of them, as [1] or [count] of `dtype`.

  Raises:
    ValueError: another type or shape, or a number outside [0, 1]. Inside a graph, where numbers are not known yet, only
      type and shape are checked, as far as they are known.
  """
  alpha = tf.convert_to_tensor(alpha)
  if not (alpha.dtype.is_floating or alpha.dtype.is_integer):
    raise ValueError(f'alpha is of type {alpha.dtype.name}; expected numbers in [0, 1].')
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
    `lerp`, and so are its gradients.
  """
  flat_first, flat_second = (tf.reshape(code, [tf.shape(code)[0], -1]) for code in (first, second))
  alpha = tf.reshape(alpha, [-1, 1])
  cosine = tf.reduce_sum(tf.math.l2_normalize(flat_first, 1) * tf.math.l2_normalize(flat_second, 1), 1, keepdims=True)
  known = tf.norm(flat_first, axis=1, keepdims=True) * tf.norm(flat_second, axis=1, keepdims=True) > 0
  curved = tf.logical_and(1 - tf.square(cosine) > 1e-6, known)
  omega = tf.acos(tf.where(curved, cosine, 0.0))  # At 1 acos has an infinite slope, and inf x 0 is NaN.
  great_circle = (tf.sin((1 - alpha) * omega) * flat_first + tf.sin(alpha * omega) * flat_second) / tf.sin(omega)
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


def geodesic(decode, first, second, points=POINTS, steps=STEPS) -> tf.Tensor:
  """Paths whose decoded images are short: straight ones, whose inner points are moved to lower the energy.

  The energy is sum_k |g(z_k+1) - g(z_k)|^2; where it is least, the points follow a shortest path of images at even
  speed (Shao, Kumar, Fletcher 2018; Arvanitidis, Hansen, Hauberg 2018). `steps` of Adam lower it, from a rate of
  `RATE` along half a cosine to 0, and a path's best points are kept: no path has more energy than the straight one. A
  shorter path may remain to be found.

  What Adam moves are amplitudes a_m of waves, z_k = straight_k + |z_1 - z_0| sum_m a_m sin(pi m t) sqrt(2) / (pi m), t
  from 0 to 1 along the path, as many as there are inner points. In these the energy of an isometric decoder is equally
  steep in all directions; in the points themselves a bend of the whole path is slow to form, as each is held by its
  neighbours (of 16 paths of ACAI on lines, 162 long on average, 100 steps made 24 in waves and 52 in points).

  Args:
    decode: the decoder g: a differentiable function of [n, ...] codes. One that is not in float32 jitters.
    first: [batch, ...] float32 codes.
    second: the same shape.
    points: of a path, both ends included.
    steps: of the optimiser.

  Returns:
    [batch, points, ...] codes.

  Raises:
    ValueError: fewer than three points.
  """
  if points < 3:
    raise ValueError(f'geodesic({points} points); expected at least 3.')
  straight = path(first, second, points)
  shape = tf.shape(straight)
  straight = tf.reshape(straight, [shape[0], points, math.prod(first.shape[1:])])
  distance = tf.norm(straight[:, -1:] - straight[:, :1], axis=2, keepdims=True)
  place, wave = tf.linspace(0.0, math.pi, points), tf.range(1.0, points - 1)
  waves = tf.sin(place[:, None] * wave) * (math.sqrt(2) / math.pi / wave)  # [points, points - 2]

  def codes_of(amplitudes):
    return straight + distance * tf.einsum('pw,bwd->bpd', waves, amplitudes)

  def energy_of(amplitudes):
    images = decode(tf.reshape(codes_of(amplitudes), [-1, *first.shape[1:]]))
    images = tf.reshape(images, [shape[0], points, math.prod(images.shape[1:])])
    return tf.reduce_sum(tf.square(images[:, 1:] - images[:, :-1]), [1, 2])

  @tf.function
  def minimise(amplitudes):
    mean, square, best = (tf.zeros_like(amplitudes) for _ in range(3))
    start = energy_of(amplitudes)
    least = start
    for step in tf.range(1.0, steps + 1):
      with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(amplitudes)
        energy = energy_of(amplitudes)
        relative = tf.math.divide_no_nan(energy, start)
      lower = energy < least
      least, best = tf.where(lower, energy, least), tf.where(lower[:, None, None], amplitudes, best)
      gradient = tape.gradient(relative, amplitudes)
      mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * tf.square(gradient)
      rate = RATE * (1 + tf.cos(math.pi * (step - 1) / steps)) / 2
      amplitudes -= rate * (mean / (1 - 0.9**step)) / (tf.sqrt(square / (1 - 0.99**step)) + 1e-6)
    return best

  found = codes_of(minimise(tf.zeros([shape[0], points - 2, straight.shape[2]])))
  return tf.reshape(found, shape)


def along(points, alpha) -> tf.Tensor:
  """The places `alpha` of the way along paths of straight pieces, each of which takes the same share of the way.

  Args:
    points: [batch, k, ...] float.
    alpha: [batch] or [1], in [0, 1].

  Returns:
    [batch, ...].
  """
  pieces = points.shape[1] - 1
  place = tf.broadcast_to(alpha * pieces, tf.shape(points)[:1])
  before = tf.clip_by_value(tf.cast(place, tf.int32), 0, pieces - 1)
  rest = tf.reshape(place - tf.cast(before, place.dtype), [-1] + [1] * (points.shape.rank - 2))
  return lerp(tf.gather(points, before, batch_dims=1), tf.gather(points, before + 1, batch_dims=1), rest)


def refined(points, parts) -> tf.Tensor:
  """Each piece of a path in `parts`: [batch, k, ...] -> [batch, (k - 1) parts + 1, ...]."""
  share = tf.reshape(tf.range(parts, dtype=points.dtype) / parts, [1, 1, parts] + [1] * (points.shape.rank - 2))
  inner = lerp(points[:, :-1, None], points[:, 1:, None], share)
  inner = tf.reshape(inner, [tf.shape(points)[0], (points.shape[1] - 1) * parts, *points.shape[2:]])
  return tf.concat([inner, points[:, -1:]], axis=1)
