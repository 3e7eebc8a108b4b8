"""Plots with captions: image grids, curves, tables and scatter plots.

Images are in [-1, 1]. No display is needed.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import threadpoolctl

MARKERS = 'os^vDPX*'
GAP = 2  # pixels between tiled images
WRITTEN = 40  # rows and columns of a table of counts up to which the numbers are written


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


def tile(images) -> np.ndarray:
  """Tiles [rows, columns, height, width, channels] images into one [H, W, channels] image, with grey gaps."""
  images = np.pad(np.asarray(images), [(0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)])
  rows, columns, height, width, channels = images.shape
  return images.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)[:-GAP, :-GAP]


def save_rows(path, panels, caption, alpha=False) -> None:
  """Writes a PNG of vertically stacked panels.

  Args:
    path: output file.
    panels: dict: heading -> [rows, columns, height, width, channels] images in [-1, 1].
    caption: title of the figure: model, data set and number of training samples.
    alpha: whether rows are paths, from alpha = 0 to 1; then alpha stands above their columns.
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
      axis.set(xticks=[], yticks=[])
      axis.spines[:].set_visible(False)
      if alpha:
        _label_alpha(axis, *panels[heading].shape[1:4:2])


def _label_alpha(axis, columns, width):
  """Writes alpha above the columns of tiled paths: evenly, and above nine columns at most."""
  last = max(columns - 1, 1)
  labelled = np.arange(0, columns, next(step for step in range(1, last + 1) if last % step == 0 and last // step <= 8))
  texts = [f'{value:.3g}' for value in labelled / last]
  axis.set_xticks(labelled * (width + GAP) + (width - 1) / 2, ['alpha = 0', *texts[1:]], fontsize=7)
  axis.xaxis.tick_top()
  axis.tick_params(length=0)


def save_curves(path, x, curves, x_label, y_label, caption, even='') -> None:
  """Writes a PNG of curves over a common x axis.

  Args:
    path: output file.
    x: x values.
    curves: dict: name -> y values.
    x_label, y_label, caption, even: texts, as in `save_series`.
  """
  save_series(path, {name: (x, y) for name, y in curves.items()}, x_label, y_label, caption, even=even)


def save_series(path, series, x_label, y_label, caption, points=None, log=False, metadata=None, even='') -> None:
  """Writes a PNG of several series in one plot. Linear axes start at 0 if no value is negative.

  Args:
    path: output file or stream.
    series: dict: name -> (x values, y values).
    x_label, y_label, caption: texts.
    points: dict: name of a series -> (x, y, error of y), drawn as a star in the colour of that series.
    log: whether both axes are logarithmic.
    metadata: dict of texts, stored in the file.
    even: label of a dashed straight line from the first to the last point of each series; '' for no such lines.
  """
  with _figure(path, caption, (8, 5), metadata=metadata) as figure:
    axis = figure.subplots()
    for i, (name, (x, y)) in enumerate(series.items()):
      colour = _colour('tab20', 2 * i % 20 + i // 10)
      axis.plot(x, y, marker=MARKERS[i % len(MARKERS)], markersize=4, label=name, color=colour)
      if points and name in points:
        point_x, point_y, error = points[name]
        axis.errorbar([point_x], [point_y], yerr=[error], marker='*', markersize=12, capsize=3, color=colour)
      if even:
        axis.plot([x[0], x[-1]], [y[0], y[-1]], '--', linewidth=1, color=colour, zorder=1)
    if even:
      axis.plot([], [], '--', linewidth=1, color='grey', label=even)
    axis.set(xlabel=x_label, ylabel=y_label)
    if log:
      axis.set(xscale='log', yscale='log')
    elif not any(np.any(np.asarray(y, float) < 0) for _, y in series.values()):
      axis.update_datalim([(0, 0)], updatex=False)
      axis.autoscale_view(scalex=False)
      axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    if len(axis.get_legend_handles_labels()[1]) > 1:
      axis.legend(fontsize=8, ncols=2)


def save_table(path, counts, x_label, y_label, caption) -> None:
  """Writes a PNG of a [rows, columns] table of counts. Cells are shaded by their share of the row.

  Larger tables than WRITTEN rows and columns have no room for numbers; they are only shaded.
  """
  counts = np.asarray(counts)
  shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
  with _figure(path, caption, (7, 6.5)) as figure:
    axis = figure.subplots()
    axis.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape) if max(counts.shape) <= WRITTEN else ():
      axis.text(column, row, str(counts[row, column]), ha='center', va='center', fontsize=8,
                color='white' if shares[row, column] > 0.5 else 'black')
    axis.set(xlabel=x_label, ylabel=y_label)
    if max(counts.shape) <= WRITTEN:
      axis.set(xticks=range(counts.shape[1]), yticks=range(counts.shape[0]))


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


def embedding(codes) -> np.ndarray | None:
  """t-SNE of codes, [n, d] -> [n, 2]; None if there are fewer than 50 codes, all are equal, or d is 1."""
  from sklearn import manifold

  codes = np.asarray(codes)
  if len(codes) < 50 or codes.shape[1] < 2 or (codes == codes[0]).all():
    return None
  with threadpoolctl.threadpool_limits(1):  # On two busy cores, several threads took 4 to 20 times as long.
    return manifold.TSNE(init='pca', random_state=0).fit_transform(codes)
