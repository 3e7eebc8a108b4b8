"""The lines benchmark of the ACAI paper (section 4.1, table 1): are interpolants lines, and does the line turn evenly?

It takes images, so that it scores interpolations made by any program.
"""

import numpy as np

UNDEFINED_BELOW = 1e-4  # radians (first against last) below which smoothness has no denominator
RANGE = 10.0  # pixels beyond it are in another unit
CANDIDATES = 20  # templates best in float32 that are compared again in float64: neighbours differ by 2e-6
CHUNK = 512  # images compared at a time: 20 MB of cosines


def nearest_lines(images, angles, templates) -> tuple:
  """Finds every image's nearest template by cosine distance over raw pixels.

  Args:
    images: [n, ...] pixels in [-1, 1].
    angles: [m] the templates' angles in radians.
    templates: [m, ...] pixels in [-1, 1], as many an image as `images` has.

  Returns:
    ([n] cosine distances in [0, 2], [n] angles of the nearest templates in radians). An all-zero image has no
    direction; its distance is 1.
  """
  images = np.asarray(images, np.float32).reshape(len(images), -1)
  templates = np.asarray(templates, np.float32).reshape(len(templates), -1)
  norms = np.sqrt(np.einsum('ij,ij->i', templates, templates, dtype=np.float64))
  directions = (templates / norms[:, None].astype(np.float32)).T
  found = np.empty([2, len(images)])
  for start in range(0, len(images), CHUNK):
    chunk = images[start:start + CHUNK]
    candidates = np.argpartition(chunk @ directions, -CANDIDATES, axis=1)[:, -CANDIDATES:]
    exact = chunk.astype(np.float64)
    cosines = np.einsum('ij,ikj->ik', exact, templates[candidates], dtype=np.float64) / norms[candidates]
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    cosines = np.divide(cosines, lengths, out=np.zeros_like(cosines), where=lengths > 0)
    choice = np.arange(len(chunk)), cosines.argmax(axis=1)
    found[:, start:start + CHUNK] = 1 - cosines[choice], np.asarray(angles)[candidates[choice]]
  return found[0], found[1]


def smoothness(angles) -> np.ndarray:
  """How much the largest step along each interpolation exceeds an even one: 0 is best, (k - 2) / (k - 1) one jump.

  Args:
    angles: [n, k] radians, the nearest lines' angles along n interpolations of k images.

  Returns:
    [n]: max |step| / |last - first| - 1 / (k - 1) of the unwrapped angles; NaN where first and last agree to 1e-4.
  """
  angles = np.unwrap(np.asarray(angles, np.float64), axis=1)
  span = np.abs(angles[:, -1] - angles[:, 0])
  largest = np.abs(np.diff(angles, axis=1)).max(axis=1)
  defined = span > UNDEFINED_BELOW
  return np.where(defined, largest / np.where(defined, span, 1.0) - 1 / (angles.shape[1] - 1), np.nan)


def score(interpolations, angles, templates) -> dict:
  """Scores interpolations of lines: `summary` of `follow`."""
  return summary(*follow(interpolations, angles, templates))


def follow(interpolations, angles, templates) -> tuple:
  """Every image's distance to the nearest line, and that line's angle.

  Args:
    interpolations: [n, k, height, width, 1], k >= 3 images an interpolation with both ends, pixels in [-1, 1].
    angles: [m] the reference lines' angles in radians.
    templates: [m, height, width, 1] the reference lines.

  Returns:
    [n, k] cosine distances and [n, k] angles in radians.

  Raises:
    ValueError: wrong rank or size, or pixels that are not finite.
  """
  interpolations = np.asarray(interpolations)
  if (interpolations.ndim != 5 or interpolations.shape[2:] != templates.shape[1:] or interpolations.shape[1] < 3
      or not len(interpolations)):
    wanted = ', '.join(map(str, templates.shape[1:]))
    raise ValueError(f'interpolations have shape {interpolations.shape}; expected [n >= 1, k >= 3, {wanted}]')
  if not np.isfinite(interpolations).all():
    raise ValueError('interpolations hold NaN or infinite pixels; the model that made them has diverged')
  n, k = interpolations.shape[:2]
  distances, nearest = nearest_lines(interpolations.reshape(n * k, -1), angles, templates)
  return distances.reshape(n, k), nearest.reshape(n, k)


def summary(distances, nearest) -> dict:
  """The benchmark's figures from `follow`'s two arrays.

  Returns:
    Dict of Python numbers: `mean_distance` (cosine, over all images), `smoothness_published` (undefined rows left
    out of the sum but counted in the denominator, as the authors' program does), `smoothness_strict` (mean over
    defined rows), both None if no row is defined (the authors' is NaN then), `smoothness_undefined` (how many rows are
    not), and the half width of the 95 % confidence interval over interpolations for the first three, under `..._ci95`
    (None for a single one).
  """
  rows = smoothness(nearest)
  undefined = np.isnan(rows)
  counted, moves = np.where(undefined, 0.0, rows), not undefined.all()
  return {
      'mean_distance': float(distances.mean()),
      'smoothness_published': float(counted.mean()) if moves else None,
      'smoothness_strict': float(rows[~undefined].mean()) if moves else None,
      'smoothness_undefined': int(undefined.sum()),
      'mean_distance_ci95': half_width(distances.mean(axis=1)),
      'smoothness_published_ci95': half_width(counted) if moves else None,
      'smoothness_strict_ci95': half_width(rows[~undefined]),
  }


def check_range(interpolations) -> None:
  """ValueError where pixels are in another unit than [-1, 1], as those of another program may be."""
  low, high, middle = np.min(interpolations), np.max(interpolations), np.median(interpolations)
  found = f'pixels go from {low:.4g} to {high:.4g}; expected [-1, 1], background -1 and line 1'
  if max(-low, high) > RANGE:
    raise ValueError(f'{found}, give or take what a decoder overshoots: scale them first')
  if middle > -0.5:  # Most pixels are background.
    raise ValueError(f'{found}; half are above {middle:.2g}: if yours are in [0, 1], give 2 x - 1')
  if high <= 0:
    raise ValueError(f'{found}; none is above 0, so that there is no line: if yours are in [-1, 0], give 2 x + 1')


def without_line(interpolations) -> int:
  """How many images of [n, k, height, width, 1] have no pixel above 0, and so no line."""
  return int((np.max(interpolations, axis=(2, 3, 4)) <= 0).sum())


def half_width(values) -> float | None:
  """Half the 95 % confidence interval of the mean of [n] values by Student's t; None for fewer than two."""
  import scipy.stats

  if len(values) < 2:
    return None
  return float(scipy.stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
