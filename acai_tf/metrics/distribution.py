"""How far a set of images is from another, on features of both: [n, d] arrays, computed in float64."""

import numpy as np

NEIGHBOURS = 5  # k of precision, recall, density and coverage (Naeem et al. 2020, section 4)


def frechet(first, second) -> float:
  """Frechet distance of the Gaussians fitted to both (Heusel et al. 2017, equation 6): >= 0, 0 for equal moments.

  Raises:
    ValueError: features of other shapes, fewer than two, or not finite.
  """
  first, second = _checked(first), _checked(second)
  shift = first.mean(axis=0) - second.mean(axis=0)
  one, two = (np.cov(x, rowvar=False).reshape(x.shape[1], -1) for x in (first, second))
  # trace sqrt(one two) from the symmetric matrix sqrt(one) two sqrt(one), which has the same eigenvalues.
  values, vectors = np.linalg.eigh(one)
  root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
  cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ two @ root), 0)).sum()
  return float(max(shift @ shift + np.trace(one) + np.trace(two) - 2 * cross, 0))


def kernel(first, second) -> float:
  """Squared MMD with k(x, y) = (x.y / d + 1)^3, unbiased (Binkowski et al. 2018, section 4); may be below 0.

  Raises:
    ValueError: as `frechet`.
  """
  first, second = _checked(first), _checked(second)

  def similarity(a, b):
    return (a @ b.T / a.shape[1] + 1)**3

  def within(a):
    table = similarity(a, a)
    return (table.sum() - np.trace(table)) / (len(a) * (len(a) - 1))

  return float(within(first) + within(second) - 2 * similarity(first, second).mean())


def coverage(real, fake, neighbours=NEIGHBOURS) -> dict[str, float]:
  """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

  Args:
    real, fake: [n, d] and [m, d] features.
    neighbours: k; a point's ball reaches to its k-th nearest neighbour of its own set.

  Returns:
    Dict of `precision` (share of fakes in some real ball), `recall` (share of reals in some fake ball), `density`
    (real balls that a fake lies in, over k) and `coverage` (share of real balls that hold a fake).

  Raises:
    ValueError: as `frechet`, or not more than k features of either.
  """
  from sklearn import metrics

  real, fake = _checked(real), _checked(fake)
  if min(len(real), len(fake)) <= neighbours:
    raise ValueError(f'{len(real)} and {len(fake)} features; expected more than {neighbours} of each.')

  def radii(points):
    return np.partition(metrics.pairwise_distances(points), neighbours, axis=1)[:, neighbours]

  between = metrics.pairwise_distances(real, fake)
  in_real, in_fake = between <= radii(real)[:, None], between <= radii(fake)[None]
  return {'precision': float(in_real.any(axis=0).mean()), 'recall': float(in_fake.any(axis=1).mean()),
          'density': float(in_real.sum(axis=0).mean() / neighbours), 'coverage': float(in_real.any(axis=1).mean())}


def _checked(features):
  features = np.asarray(features, np.float64)
  if features.ndim != 2 or len(features) < 2:
    raise ValueError(f'features have shape {features.shape}; expected [n, d], n at least 2.')
  if not np.isfinite(features).all():
    raise ValueError('features hold NaN or infinite values; the model that made the images has diverged.')
  return features
