"""Distances between two sets of images. Inputs are [n, d] features; all computations are in float64."""

import numpy as np

NEIGHBOURS = 5  # k in precision, recall, density and coverage (Naeem et al. 2020, section 4)


def frechet(first, second) -> float:
  """Frechet distance between Gaussians fitted to both sets (Heusel et al. 2017, equation 6).

  Args:
    first, second: [n, d] and [m, d] features.

  Returns:
    Float >= 0; 0 if mean and covariance are equal.

  Raises:
    ValueError: features are not [n, d], are fewer than two, or are not finite.
  """
  first, second = _checked(first), _checked(second)
  shift = first.mean(axis=0) - second.mean(axis=0)
  one, two = (np.cov(x, rowvar=False).reshape(x.shape[1], -1) for x in (first, second))
  # tr sqrt(A B) = tr sqrt(sqrt(A) B sqrt(A)), since A B and the symmetric matrix on the right have equal eigenvalues.
  values, vectors = np.linalg.eigh(one)
  root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
  cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ two @ root), 0)).sum()
  return float(max(shift @ shift + np.trace(one) + np.trace(two) - 2 * cross, 0))


def kernel(first, second) -> float:
  """Unbiased squared MMD with the kernel (x.y / d + 1)^3, as in KID (Binkowski et al. 2018, section 4).

  Args:
    first, second: [n, d] and [m, d] features.

  Returns:
    Float, which may be below 0.

  Raises:
    ValueError: as in `frechet`.
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

  Each point has a ball, whose radius is the distance to its k-th nearest neighbour in its own set.

  Args:
    real, fake: [n, d] and [m, d] features.
    neighbours: k.

  Returns:
    Dict of `precision` (share of fakes in at least one real ball), `recall` (share of reals in at least one fake ball),
    `density` (mean number of real balls around a fake, divided by k) and `coverage` (share of real balls that contain
    a fake).

  Raises:
    ValueError: as in `frechet`, or one of the sets has at most k features.
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


def between_neighbours(codes, references, alpha=0.5) -> np.ndarray:
  """Linear mixtures of each code and its nearest reference, whose images iFID compares with data (Xu et al. 2026).

  Args:
    codes: [n, d].
    references: [m, d], for example the codes of the training images. None of them should come from the image of a code,
      whose nearest reference it would be.
    alpha: share of the reference; the paper's main results are for 0.5.

  Returns:
    [n, d]: (1 - alpha) code + alpha reference, where the reference has the smallest Euclidean distance to the code.

  Raises:
    ValueError: codes or references are not [n, d], are fewer than two, or are not finite.
  """
  from sklearn import metrics

  codes, references = _checked(codes, 'codes'), _checked(references, 'codes')
  return (1 - alpha) * codes + alpha * references[metrics.pairwise_distances_argmin(codes, references)]


def _checked(features, what='features'):
  features = np.asarray(features, np.float64)
  if features.ndim != 2 or len(features) < 2:
    raise ValueError(f'{what} have shape {features.shape}; expected [n, d], n at least 2.')
  if not np.isfinite(features).all():
    raise ValueError(f'{what} hold NaN or infinite values; the model that made the images has diverged.')
  return features
