"""What the pages show: plots of the result files, and the example images of pictures and gallery."""

import contextlib
import pathlib
import tempfile
import unittest.mock

import numpy as np
import shared_data
import tensorflow as tf
from matplotlib.figure import Figure

from acai_tf.evaluation import figures
from acai_tf.experiment import registry
from acai_tf.experiment.resolve import resolve_dataset
from acai_tf.zoo import _examples, _plots


class FigureTest(tf.test.TestCase):
  """What is drawn, read from Matplotlib's objects."""

  def setUp(self):
    super().setUp()
    self.drawn = []

    @contextlib.contextmanager
    def figure(path, caption, size, **saved):
      del path, caption, saved
      self.drawn.append(Figure(size))
      yield self.drawn[-1]

    self.enterContext(unittest.mock.patch.object(figures, '_figure', figure))

  def test_alpha_stands_over_the_columns_of_paths(self):
    for columns, texts in ((16, ['alpha = 0', '0.2', '0.4', '0.6', '0.8', '1']), (3, ['alpha = 0', '0.5', '1'])):
      figures.save_rows('', {'x': np.zeros([2, columns, 8, 8, 1])}, '', alpha=True)
      axis, = self.drawn[-1].axes
      self.assertEqual([label.get_text() for label in axis.get_xticklabels()], texts)
      step = (columns - 1) // (len(texts) - 1)
      self.assertAllClose(axis.get_xticks(), 3.5 + 10 * step * np.arange(len(texts)))  # the middles of the images
    figures.save_rows('', {'x': np.zeros([2, 3, 8, 8, 1])}, '')
    self.assertEmpty(self.drawn[-1].axes[0].get_xticks())

  def test_an_even_turn_is_dashed_and_axes_start_at_0(self):
    figures.save_curves('', [0, 0.5, 1], {'a': [2, 3, 6]}, 'x', 'y', '', even='an even turn')
    axis, = self.drawn[-1].axes
    dashed, _ = (line for line in axis.lines if line.get_linestyle() == '--')  # and the one of the legend
    self.assertAllEqual(dashed.get_xydata(), [[0, 2], [1, 6]])
    self.assertEqual([text.get_text() for text in axis.get_legend().get_texts()], ['a', 'an even turn'])
    self.assertEqual(axis.get_ylim()[0], 0)
    figures.save_curves('', [0, 1], {'a': [-1, 5], 'b': [None, 2]}, 'x', 'y', '')
    self.assertLess(self.drawn[-1].axes[0].get_ylim()[0], -1)


class PlotTest(tf.test.TestCase):

  def test_series_are_the_reported_runs(self):
    plot = _plots.distance_of_lines()
    self.assertEqual([*plot['series']], ['autoencoder', 'dropout', 'denoising', 'vae', 'aae', 'vqvae', 'acai'])
    self.assertAllClose(plot['points']['acai'], (1 << 24, 0.24, 0.01))  # table 1
    samples, distances = plot['series']['acai']
    self.assertEqual(samples, sorted(samples))
    self.assertLess(distances[-1], distances[0])
    for alpha, frechet in _plots.quality_of_digits()['series'].values():
      self.assertAllClose(alpha, np.linspace(0, 1, len(frechet)))

  def test_plots_of_the_pages_are_of_the_present_results(self):
    for name, plot in _plots.PLOTS.items():
      self.assertEqual(_plots.stored_digest(_plots.FOLDER / name), _plots.digest(plot()),
                       f'{name} is out of date: python -m acai_tf.zoo._readme')

  def test_a_plot_is_drawn_again_where_its_figures_changed_only(self):
    folder, empty = (pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir())) for _ in range(2))
    _plots.draw(folder, empty)
    path = folder / 'distance.png'
    before = path.stat().st_mtime_ns
    _plots.draw(folder, empty)
    self.assertEqual(path.stat().st_mtime_ns, before)
    _plots.draw(folder)
    self.assertEqual(_plots.stored_digest(path), _plots.digest(_plots.distance_of_lines()))


class ExamplesTest(tf.test.TestCase):

  def test_pairs_are_the_images_of_the_sheet_in_order(self):
    images = np.random.default_rng(0).integers(0, 256, [_examples.PAIRS, 2, 4, 8, 3])
    folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
    with unittest.mock.patch.object(_examples, 'FOLDER', folder):
      _examples.save_sheet(folder / 'toy.png', images / 127.5 - 1)
      first, second = _examples.pairs('toy', (4, 8, 3))
      self.assertIsNone(_examples.pairs('toy', (8, 4, 3)))
      self.assertIsNone(_examples.pairs('other', (4, 8, 3)))
    self.assertAllClose(first, images[:, 0] / 127.5 - 1)
    self.assertAllClose(second, images[:, 1] / 127.5 - 1)

  def test_kept_sheets_fit_their_data_sets(self):
    for path in _examples.FOLDER.glob('*.png'):
      shape = registry.load('acai_tf.data', path.stem).shape(resolve_dataset(path.stem))
      self.assertIsNotNone(_examples.pairs(path.stem, shape), path.stem)

  def test_digits_are_of_the_official_test_set(self):
    official = {image.tobytes() for image in shared_data.mnist_test_images()}
    for images in _examples.pairs('mnist', (32, 32, 1)):
      inner = np.rint((images[:, 2:-2, 2:-2, 0] + 1) * 127.5).astype(np.uint8)
      self.assertTrue(all(image.tobytes() in official for image in inner))


if __name__ == '__main__':
  tf.test.main()
