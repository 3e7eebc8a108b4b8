"""Pictures: rows of images with captions. Images are [-1, 1]; nothing needs a screen."""

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402  After the backend has been chosen.
import numpy as np  # noqa: E402
import threadpoolctl

MARKERS = 'os^vDPX*'


def to_uint8(images) -> np.ndarray:
  """[-1, 1] (clipped) -> 0 ... 255."""
  return np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)


def tile(images, gap=2) -> np.ndarray:
  """[rows, columns, height, width, channels] -> one [H, W, channels] image, `gap` grey pixels between images."""
  images = np.pad(np.asarray(images), [(0, 0), (0, 0), (0, gap), (0, gap), (0, 0)])
  rows, columns, height, width, channels = images.shape
  return images.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)[:-gap, :-gap]


def save_rows(path, panels, caption) -> None:
  """Writes a PNG of panels below one another.

  Args:
    path: the file.
    panels: dict: heading -> [rows, columns, height, width, channels] images in [-1, 1].
    caption: model, data and samples, above all.
  """
  tiles = {heading: to_uint8(tile(images)) for heading, images in panels.items()}
  heights = [image.shape[0] for image in tiles.values()]
  width = max(image.shape[1] for image in tiles.values())
  inches = 10
  figure, axes = plt.subplots(
      len(tiles), 1, squeeze=False, layout='constrained', height_ratios=heights,
      figsize=(inches, inches * sum(heights) / width + 0.35 * len(tiles) + 0.4))
  figure.suptitle(caption, fontsize=10, wrap=True)
  for axis, (heading, image) in zip(axes[:, 0], tiles.items(), strict=True):
    axis.imshow(np.repeat(image, 3, 2) if image.shape[2] == 1 else image, interpolation='nearest')
    axis.set_title(heading, fontsize=9, loc='left')
    axis.axis('off')
  figure.savefig(path, dpi=120)
  plt.close(figure)


def save_curves(path, x, curves, x_label, y_label, caption) -> None:
  """Writes a PNG of lines over one axis; `curves`: dict: name -> numbers along `x`."""
  save_series(path, {name: (x, y) for name, y in curves.items()}, x_label, y_label, caption)


def save_series(path, series, x_label, y_label, caption, points=None, log=False, metadata=None) -> None:
  """Writes a PNG of lines over one pair of axes.

  Args:
    path: a file or a stream.
    series: dict: name -> (x values, y values).
    x_label, y_label, caption: texts.
    points: dict: name of a series -> (x, y, error of y), drawn as a star in that series' colour.
    log: whether both axes are logarithmic.
    metadata: dict of texts for the file.
  """
  figure, axis = plt.subplots(figsize=(8, 5), layout='constrained')
  for i, (name, (x, y)) in enumerate(series.items()):
    colour = plt.cm.tab20(2 * i % 20 + i // 10)
    axis.plot(x, y, marker=MARKERS[i % len(MARKERS)], markersize=4, label=name, color=colour)
    if points and name in points:
      at, value, error = points[name]
      axis.errorbar([at], [value], yerr=[error], marker='*', markersize=12, capsize=3, color=colour)
  axis.set(xlabel=x_label, ylabel=y_label)
  if log:
    axis.set(xscale='log', yscale='log')
  axis.grid(alpha=0.3)
  if len(series) > 1:
    axis.legend(fontsize=8, ncols=2)
  figure.suptitle(caption, fontsize=10, wrap=True)
  figure.savefig(path, dpi=120, format='png', metadata=metadata)
  plt.close(figure)


def save_table(path, counts, x_label, y_label, caption) -> None:
  """Writes a PNG of a [rows, columns] table of counts, shaded by each row's shares."""
  counts = np.asarray(counts)
  shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
  figure, axis = plt.subplots(figsize=(7, 6.5), layout='constrained')
  axis.imshow(shares, cmap='Blues', vmin=0, vmax=1)
  for row, column in np.ndindex(*counts.shape):
    axis.text(column, row, str(counts[row, column]), ha='center', va='center', fontsize=8,
              color='white' if shares[row, column] > 0.5 else 'black')
  axis.set(xlabel=x_label, ylabel=y_label, xticks=range(counts.shape[1]), yticks=range(counts.shape[0]))
  figure.suptitle(caption, fontsize=10, wrap=True)
  figure.savefig(path, dpi=120)
  plt.close(figure)


def save_scatter(path, points, labels, caption) -> None:
  """Writes a PNG of [n, 2] points, coloured by [n] labels."""
  figure, axis = plt.subplots(figsize=(7, 6.5), layout='constrained')
  for label in np.unique(labels):
    chosen = np.asarray(labels) == label
    x, y = np.asarray(points)[chosen].T
    axis.scatter(x, y, s=6, label=str(label), color=plt.cm.tab10(int(label) % 10))
  axis.set(xticks=[], yticks=[])
  axis.legend(title='label', fontsize=8, markerscale=2)
  figure.suptitle(caption, fontsize=10, wrap=True)
  figure.savefig(path, dpi=120)
  plt.close(figure)


def embedding(codes, seed=0) -> np.ndarray | None:
  """[n, d] codes -> [n, 2] points of t-SNE; None for fewer than 50 codes, or equal ones."""
  from sklearn import manifold

  codes = np.asarray(codes)
  if len(codes) < 50 or (codes == codes[0]).all():
    return None
  with threadpoolctl.threadpool_limits(1):  # On two busy cores several threads took 4 to 20 times as long.
    return manifold.TSNE(init='pca', random_state=seed).fit_transform(codes)
