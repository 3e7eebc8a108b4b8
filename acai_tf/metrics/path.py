"""Length of interpolation paths and evenness of their steps, in pixels or in features."""

import numpy as np

from acai_tf.metrics import lines


def steps(points) -> np.ndarray:
  """Computes the root mean squared difference between neighbouring points of each path.

  This is the Euclidean distance divided by the square root of a point's size, so it does not depend on the resolution.

  Args:
    points: [n, k, ...] points along n paths, k >= 3.

  Returns:
    [n, k - 1] float64.

  Raises:
    ValueError: a path has fewer than three points, or points are not finite.
  """
  points = np.asarray(points, np.float64)
  if points.ndim < 3 or points.shape[1] < 3:
    raise ValueError(f'paths have shape {points.shape}; expected [n, k >= 3, ...].')
  if not np.isfinite(points).all():
    raise ValueError('paths hold NaN or infinite values; the model that made them has diverged.')
  flat = points.reshape(*points.shape[:2], -1)
  return np.linalg.norm(np.diff(flat, axis=1), axis=2) / np.sqrt(flat.shape[2])


def summary(sizes) -> dict:
  """Length and evenness of paths.

  Args:
    sizes: [n, k - 1] step sizes, as returned by `steps`.

  Returns:
    Dict of `path_length` (sum of the steps, averaged over paths) and `step_variance` (variance of the steps divided by
    their squared mean, averaged over paths: 0 is even, k - 2 is a single jump). Constant paths are left out of
    `step_variance`; it is None if all paths are constant.
  """
  means = sizes.mean(axis=1)
  moving = means > 0
  variance = sizes[moving].var(axis=1) / means[moving]**2
  return {'path_length': float(sizes.sum(axis=1).mean()),
          'step_variance': float(variance.mean()) if moving.any() else None}


def gain(straight, shortest, direct) -> dict:
  """Measures how much shorter geodesics are than straight latent paths (Michelis, Becker 2021).

  Lengths are those of the decoded images: sums of `steps`.

  Args:
    straight: [n] lengths of straight paths in latent space.
    shortest: [n] lengths of the shortest known paths between the same endpoints.
    direct: [n] lengths of straight lines in pixel space. They are lower bounds, and leave the decoder's image manifold.

  Returns:
    Dict of `geodesic_gain` (mean of 1 - shortest / straight), `geodesic_gain_ci95` (half width of its 95 % confidence
    interval over pairs) and the mean lengths `straight_length`, `geodesic_length` and `direct_length`. Pairs whose
    straight path is constant are left out of the gain; it is None if all are.
  """
  moving = straight > 0
  gains = 1 - shortest[moving] / straight[moving]
  return {'geodesic_gain': float(gains.mean()) if moving.any() else None, 'geodesic_gain_ci95': lines.half_width(gains),
          'straight_length': float(straight.mean()), 'geodesic_length': float(shortest.mean()),
          'direct_length': float(direct.mean())}
