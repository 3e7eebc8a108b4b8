"""Plots with captions: image grids, curves, tables and scatter plots.

Images are in [-1, 1]. No display is needed.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import threadpoolctl

MARKERS = 'os^vDPX*'


@contextlib.contextmanager
def _figure(path, caption, size, **saved) -> Iterator:
  """A context manager that gives a new `matplotlib.figure.Figure` of `size` inches, and writes it as a PNG at the end.

  Args:
    path: output file or stream.
    caption: title of the figure.
    size: width and height in inches.
    **saved: further arguments of `Figure.savefig`.
  """
  from matplotlib.figure import Figure

  figure = Figure(size, layout='constrained')
  figure.suptitle(caption, fontsize=10, wrap=True)
  yield figure
  figure.savefig(path, dpi=120, format='png', **saved)


def _colour(palette, number):
  """Colour `number` of a palette of Matplotlib."""
  from matplotlib import colormaps

  return colormaps[palette](number)


def to_uint8(images) -> np.ndarray:
  """Converts images in [-1, 1], clipped, to uint8 in [0, 255]."""
  return np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)


def tile(images, gap=2) -> np.ndarray:
  """Tiles [rows, columns, height, width, channels] images into one [H, W, channels] image, with grey gaps of `gap`."""
  images = np.pad(np.asarray(images), [(0, 0), (0, 0), (0, gap), (0, gap), (0, 0)])
  rows, columns, height, width, channels = images.shape
  return images.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)[:-gap, :-gap]


def save_rows(path, panels, caption) -> None:
  """Writes a PNG of vertically stacked panels.

  Args:
    path: output file.
    panels: dict: heading -> [rows, columns, height, width, channels] images in [-1, 1].
    caption: title of the figure: model, data set and number of training samples.
  """
  tiles = {heading: to_uint8(tile(images)) for heading, images in panels.items()}
  heights = [image.shape[0] for image in tiles.values()]
  width = max(image.shape[1] for image in tiles.values())
  inches = 10
  with _figure(path, caption, (inches, inches * sum(heights) / width + 0.35 * len(tiles) + 0.4)) as figure:
    axes = figure.subplots(len(tiles), 1, squeeze=False, height_ratios=heights)
    for axis, (heading, image) in zip(axes[:, 0], tiles.items(), strict=True):
      axis.imshow(np.repeat(image, 3, 2) if image.shape[2] == 1 else image, interpolation='nearest')
      axis.set_title(heading, fontsize=9, loc='left')
      axis.axis('off')


def save_curves(path, x, curves, x_label, y_label, caption) -> None:
  """Writes a PNG of curves over a common x axis.

  Args:
    path: output file.
    x: x values.
    curves: dict: name -> y values.
    x_label, y_label, caption: texts.
  """
  save_series(path, {name: (x, y) for name, y in curves.items()}, x_label, y_label, caption)


def save_series(path, series, x_label, y_label, caption, points=None, log=False, metadata=None) -> None:
  """Writes a PNG of several series in one plot.

  Args:
    path: output file or stream.
    series: dict: name -> (x values, y values).
    x_label, y_label, caption: texts.
    points: dict: name of a series -> (x, y, error of y), drawn as a star in the colour of that series.
    log: whether both axes are logarithmic.
    metadata: dict of texts, stored in the file.
  """
  with _figure(path, caption, (8, 5), metadata=metadata) as figure:
    axis = figure.subplots()
    for i, (name, (x, y)) in enumerate(series.items()):
      colour = _colour('tab20', 2 * i % 20 + i // 10)
      axis.plot(x, y, marker=MARKERS[i % len(MARKERS)], markersize=4, label=name, color=colour)
      if points and name in points:
        point_x, point_y, error = points[name]
        axis.errorbar([point_x], [point_y], yerr=[error], marker='*', markersize=12, capsize=3, color=colour)
    axis.set(xlabel=x_label, ylabel=y_label)
    if log:
      axis.set(xscale='log', yscale='log')
    axis.grid(alpha=0.3)
    if len(series) > 1:
      axis.legend(fontsize=8, ncols=2)


def save_table(path, counts, x_label, y_label, caption) -> None:
  """Writes a PNG of a [rows, columns] table of counts. Cells are shaded by their share of the row."""
  counts = np.asarray(counts)
  shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
  with _figure(path, caption, (7, 6.5)) as figure:
    axis = figure.subplots()
    axis.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
      axis.text(column, row, str(counts[row, column]), ha='center', va='center', fontsize=8,
                color='white' if shares[row, column] > 0.5 else 'black')
    axis.set(xlabel=x_label, ylabel=y_label, xticks=range(counts.shape[1]), yticks=range(counts.shape[0]))


def save_scatter(path, points, labels, caption) -> None:
  """Writes a PNG of [n, 2] points, coloured by their [n] labels."""
  with _figure(path, caption, (7, 6.5)) as figure:
    axis = figure.subplots()
    for label in np.unique(labels):
      chosen = np.asarray(labels) == label
      x, y = np.asarray(points)[chosen].T
      axis.scatter(x, y, s=6, label=str(label), color=_colour('tab10', int(label) % 10))
    axis.set(xticks=[], yticks=[])
    axis.legend(title='label', fontsize=8, markerscale=2)


def embedding(codes, seed=0) -> np.ndarray | None:
  """t-SNE of codes, [n, d] -> [n, 2]; None if there are fewer than 50 codes or all are equal."""
  from sklearn import manifold

  codes = np.asarray(codes)
  if len(codes) < 50 or (codes == codes[0]).all():
    return None
  with threadpoolctl.threadpool_limits(1):  # On two busy cores, several threads took 4 to 20 times as long.
    return manifold.TSNE(init='pca', random_state=seed).fit_transform(codes)
