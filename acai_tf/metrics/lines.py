"""The lines benchmark of the ACAI paper (section 4.1, table 1).

It measures whether interpolants look like lines, and whether the line rotates at an even rate. Its inputs are images,
so it can score the interpolations of any program.
"""

import numpy as np

UNDEFINED_BELOW = 1e-4  # radians between first and last angle; smoothness divides by it
RANGE = 10.0  # larger pixels, in absolute value, must be in another unit
CANDIDATES = 20  # nearest templates in float32, compared again in float64: neighbours differ by only 2e-6
CHUNK = 512  # images compared at a time, which takes 20 MB of cosines


def nearest_lines(images, angles, templates) -> tuple:
  """Finds the nearest template of each image, by cosine distance of raw pixels.

  Args:
    images: [n, ...] pixels in [-1, 1].
    angles: [m] angles of the templates in radians.
    templates: [m, ...] pixels in [-1, 1], of the images' size.

  Returns:
    ([n] cosine distances in [0, 2], [n] angles of the nearest templates in radians). The distance of an all-zero image,
    which has no direction, is 1.
  """
  images = np.asarray(images, np.float32).reshape(len(images), -1)
  templates = np.asarray(templates, np.float32).reshape(len(templates), -1)
  norms = np.sqrt(np.einsum('ij,ij->i', templates, templates, dtype=np.float64))
  directions = (templates / norms[:, None].astype(np.float32)).T
  distances, nearest = np.empty([2, len(images)])
  count = min(CANDIDATES, len(templates))
  for start in range(0, len(images), CHUNK):
    chunk = images[start:start + CHUNK]
    candidates = np.argpartition(chunk @ directions, -count, axis=1)[:, -count:]  # [chunk, count]
    exact = chunk.astype(np.float64)
    cosines = np.einsum('ij,ikj->ik', exact, templates[candidates], dtype=np.float64) / norms[candidates]
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    cosines = np.divide(cosines, lengths, out=np.zeros_like(cosines), where=lengths > 0)
    choice = np.arange(len(chunk)), cosines.argmax(axis=1)
    distances[start:start + CHUNK] = 1 - cosines[choice]
    nearest[start:start + CHUNK] = np.asarray(angles)[candidates[choice]]
  return distances, nearest


def smoothness(angles) -> np.ndarray:
  """Measures by how much the largest step of each interpolation exceeds an even step.

  Args:
    angles: [n, k] radians: angles of the nearest lines along n interpolations of k images.

  Returns:
    [n] max |step| / |last - first| - 1 / (k - 1) of the unwrapped angles. 0 is best; a single jump has (k - 2) /
    (k - 1). NaN if first and last angle differ by at most 1e-4 radians.
  """
  angles = np.unwrap(np.asarray(angles, np.float64), axis=1)
  span = np.abs(angles[:, -1] - angles[:, 0])
  largest = np.abs(np.diff(angles, axis=1)).max(axis=1)
  defined = span > UNDEFINED_BELOW
  return np.where(defined, largest / np.where(defined, span, 1.0) - 1 / (angles.shape[1] - 1), np.nan)


def score(interpolations, angles, templates) -> dict:
  """Scores interpolations of lines; arguments and errors as in `follow`, result as in `summary`."""
  return summary(*follow(interpolations, angles, templates))


def follow(interpolations, angles, templates) -> tuple:
  """Computes the distance of each image to its nearest line, and the angle of that line.

  Args:
    interpolations: [n, k, height, width, 1] pixels in [-1, 1]: n interpolations of k >= 3 images, endpoints included.
    angles: [m] angles of the reference lines in radians.
    templates: [m, height, width, 1] reference lines.

  Returns:
    ([n, k] cosine distances, [n, k] angles in radians).

  Raises:
    ValueError: rank or size is wrong, or pixels are not finite.
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
  """Computes the benchmark's figures.

  Args:
    distances, nearest: [n, k] distances and angles, as returned by `follow`.

  Returns:
    Dict of Python numbers:
      `mean_distance`: mean cosine distance over all images.
      `smoothness_published`: sum over the defined rows divided by the number of all rows, as in the authors' program.
        None if no row is defined, where the authors' program gives NaN.
      `smoothness_strict`: mean over the defined rows; None if there are none.
      `smoothness_undefined`: number of undefined rows.
      `<name>_ci95` for the first three: half width of the 95 % confidence interval over interpolations; None for fewer
        than two values.
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
  """Checks that pixels are in [-1, 1]; those of another program may not be.

  Raises:
    ValueError: the pixels seem to have another range.
  """
  low, high, middle = np.min(interpolations), np.max(interpolations), np.median(interpolations)
  problem = f'pixels go from {low:.4g} to {high:.4g}; expected [-1, 1], background -1 and line 1'
  if max(-low, high) > RANGE:
    raise ValueError(f'{problem}, with a tolerance for the overshoot of decoders: scale them first')
  if middle > -0.5:  # Most pixels are background.
    raise ValueError(f'{problem}; half are above {middle:.2g}: if yours are in [0, 1], give 2 x - 1')
  if high <= 0:
    raise ValueError(f'{problem}; none is above 0, so that there is no line: if yours are in [-1, 0], give 2 x + 1')


def without_line(interpolations) -> int:
  """Counts the images of [n, k, height, width, 1] that have no pixel above 0, and hence no line."""
  return int((np.max(interpolations, axis=(2, 3, 4)) <= 0).sum())


def half_width(values) -> float | None:
  """Half width of the 95 % confidence interval of the mean of [n] values (Student's t); None if n < 2."""
  import scipy.stats

  if len(values) < 2:
    return None
  return float(scipy.stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
