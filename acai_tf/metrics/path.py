"""How a path moves: its length and the evenness of its steps, in pixels or in any features."""

import numpy as np

from acai_tf.metrics import lines


def steps(points) -> np.ndarray:
  """[n, k, ...] points along n paths -> [n, k - 1] Euclidean distances between neighbours, per square root of size.

  Divided by the square root of a point's numbers, a distance does not depend on the images' size.

  Raises:
    ValueError: fewer than three points a path, or points that are not finite.
  """
  points = np.asarray(points, np.float64)
  if points.ndim < 3 or points.shape[1] < 3:
    raise ValueError(f'paths have shape {points.shape}; expected [n, k >= 3, ...].')
  if not np.isfinite(points).all():
    raise ValueError('paths hold NaN or infinite values; the model that made them has diverged.')
  flat = points.reshape(*points.shape[:2], -1)
  return np.linalg.norm(np.diff(flat, axis=1), axis=2) / np.sqrt(flat.shape[2])


def score(points) -> dict:
  """`summary` of `steps`: length and evenness of paths, [n, k >= 3, ...] points."""
  return summary(steps(points))


def summary(sizes) -> dict:
  """Length and evenness of paths.

  Args:
    sizes: [n, k - 1] what `steps` gives.

  Returns:
    Dict of `path_length` (mean over paths of the sum of steps) and `step_variance` (mean over paths of the variance
    of the steps over their squared mean: 0 is even, k - 2 is one jump; paths that stand still are left out, and
    where all do it is None).
  """
  means = sizes.mean(axis=1)
  moving = means > 0
  variance = sizes[moving].var(axis=1) / means[moving]**2
  return {'path_length': float(sizes.sum(axis=1).mean()),
          'step_variance': float(variance.mean()) if moving.any() else None}


def gain(straight, shortest, direct) -> dict:
  """How much shorter the images of other paths are than those of straight ones (Michelis, Becker 2021).

  Args:
    straight: [n] lengths of the straight paths, sums of `steps`.
    shortest: [n] of the shortest paths that were found between the same ends.
    direct: [n] of the straight lines in pixels, which leave the decoder's images: no path is shorter.

  Returns:
    Dict of `geodesic_gain`, the mean of 1 - shortest / straight (pairs whose straight path stands still are left out,
    and where all do it is None), `geodesic_gain_ci95`, half the width of its 95 % confidence interval over pairs, and
    the mean lengths, `straight_length`, `geodesic_length` and `direct_length`.
  """
  moving = straight > 0
  gains = 1 - shortest[moving] / straight[moving]
  return {'geodesic_gain': float(gains.mean()) if moving.any() else None, 'geodesic_gain_ci95': lines.half_width(gains),
          'straight_length': float(straight.mean()), 'geodesic_length': float(shortest.mean()),
          'direct_length': float(direct.mean())}
