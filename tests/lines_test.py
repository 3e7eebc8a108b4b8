"""The lines renderer and metric: the authors' own images and scores, geometry by hand, and the known limits."""

import pathlib

import numpy as np
import tensorflow as tf

from acai_tf.data import lines as data
from acai_tf.metrics import lines

ALPHA = np.arange(16) / 15
FOLDER = pathlib.Path(__file__).parent / 'data'  # lines.npz: drawn and scored by the authors' program (design, data)
ALL = pathlib.Path(__file__).parents[2] / 'shared' / 'data' / 'lines' / 'reference.npz'


def ends(count=512, seed=0):
  angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, [count, 2])
  return angles, *(data.render(column)[:, None] for column in angles.T)


def crossfade(first, second):
  alpha = ALPHA[:, None, None, None]
  return (1 - alpha) * first + alpha * second


def score(interpolations):
  return lines.score(interpolations, *data.templates())


class RenderTest(tf.test.TestCase):

  def test_the_authors_own_lines(self):
    for path in (FOLDER / 'lines.npz', ALL):
      if path.exists():
        reference = np.load(path)
        self.assertAllClose(data.render(reference['angles'])[..., 0], reference['images'], atol=1e-6, rtol=0)

  def test_a_horizontal_line_by_hand(self):
    image = (data.render([0.0])[0, :, :, 0] + 1) / 2  # coverage in [0, 1]
    expected = np.zeros([32, 32])
    expected[15:17, 16:31] = 1  # two rows about the centre, fifteen columns to the right of it
    self.assertAllClose(image, expected, atol=1e-6)

  def test_width_is_two_along_the_minor_axis(self):
    """A steep line covers two pixels of every row that it crosses, however it leans."""
    rows = ((data.render(np.linspace(1, 2, 20))[..., 0] + 1) / 2)[:, 4:15].sum(axis=2)
    self.assertAllClose(rows, np.full([20, 11], 2.0), atol=1e-5)

  def test_range_and_other_sizes(self):
    images = data.render(np.linspace(0, 6.28, 100), size=64)
    self.assertEqual(images.shape, (100, 64, 64, 1))
    self.assertEqual(images.dtype, np.float32)
    self.assertEqual((images.min(), images.max()), (-1, 1))

  def test_labels_are_tenths_of_the_circle(self):
    angles = np.array([0, 0.62, 0.63, 2 * np.pi - 1e-3, 2 * np.pi, -1e-3])
    self.assertAllEqual(data.labels_of(angles), [0, 0, 1, 9, 0, 9])


class CalibrationTest(tf.test.TestCase):
  """What the authors' scorer gave, and protocol.md's limits measured with it."""

  def test_the_authors_scores_of_a_cross_fade(self):
    reference = np.load(FOLDER / 'lines.npz')
    result = score(crossfade(*(data.render(column)[:, None] for column in reference['crossfade_angles'].T)))
    distance, smoothness = reference['crossfade_scores']
    self.assertAllClose(result['mean_distance'], distance, rtol=1e-6)
    self.assertAllClose(result['smoothness_published'], smoothness, rtol=1e-6)

  def test_perfect_arc(self):
    angles, _, _ = ends()
    shorter = (angles[:, 1] - angles[:, 0] + np.pi) % (2 * np.pi) - np.pi
    arc = data.render((angles[:, :1] + shorter[:, None] * ALPHA).ravel()).reshape(-1, 16, 32, 32, 1)
    result = score(arc)
    self.assertBetween(result['mean_distance'], 0.00016e-3, 0.0002e-3)
    self.assertBetween(result['smoothness_strict'], 0.0004, 0.0015)
    self.assertEqual(result['smoothness_published'], result['smoothness_strict'])

  def test_cross_fade(self):
    result = score(crossfade(*ends()[1:]))
    self.assertBetween(result['mean_distance'], 6.2e-3, 6.5e-3)
    self.assertBetween(result['smoothness_strict'], 0.87, 0.902)

  def test_abrupt_switch(self):
    _, first, second = ends()
    result = score(np.where(ALPHA[:, None, None, None] < 0.5, first, second))
    self.assertLess(result['mean_distance'], 0.0002e-3)
    self.assertAllClose(result['smoothness_strict'], 14 / 15, atol=1e-9)

  def test_motionless_rows_are_perfect_as_published_and_undefined_strictly(self):
    _, first, second = ends(64)
    still = np.repeat(first, 16, axis=1)
    half = score(np.concatenate([still[:32], np.where(ALPHA[:, None, None, None] < 0.5, first, second)[32:]]))
    self.assertAllClose(half['smoothness_published'], 7 / 15, atol=1e-9)
    self.assertAllClose(half['smoothness_strict'], 14 / 15, atol=1e-9)
    self.assertEqual(half['smoothness_undefined'], 32)

  def test_a_model_that_never_moves_is_undefined(self):
    """The authors' program divides by no row and gives NaN."""
    result = score(np.repeat(ends(8)[1], 16, axis=1))
    self.assertEqual(result['smoothness_undefined'], 8)
    for name in ('smoothness_published', 'smoothness_strict', 'smoothness_published_ci95'):
      self.assertIsNone(result[name], name)

  def test_the_long_way_round_is_smooth(self):
    """What smoothness does not see, by its definition."""
    turn = data.render(np.linspace(0, 1.9 * np.pi, 16))[None]
    self.assertLess(score(turn)['smoothness_strict'], 0.001)


class ScoreTest(tf.test.TestCase):

  def test_nearest_line_against_brute_force(self):
    generator = np.random.default_rng(0)
    angles, templates = data.templates()
    images = data.render(generator.uniform(0, 6.28, 600))  # without noise neighbours are hardest to tell apart
    images[:20] += generator.normal(size=[20, 32, 32, 1]) * 0.2
    flat = images.reshape(len(images), -1).astype(np.float64)
    lines64 = templates.reshape(len(templates), -1).astype(np.float64)
    cosines = flat @ lines64.T / np.linalg.norm(flat, axis=1)[:, None] / np.linalg.norm(lines64, axis=1)
    distances, nearest = lines.nearest_lines(images, angles, templates)
    self.assertAllClose(distances, 1 - cosines.max(axis=1), atol=1e-7)
    self.assertAllEqual(nearest, angles[cosines.argmax(axis=1)])

  def test_black_image_has_distance_one(self):
    distances, _ = lines.nearest_lines(np.zeros([1, 32, 32, 1]), *data.templates())
    self.assertAllEqual(distances, [1])

  def test_bad_input_is_named(self):
    good = np.repeat(data.render([0, 1])[:, None], 3, axis=1)
    for bad, message in (
        (good[0], 'shape'), (good[:, :2], 'shape'), (good[:, :, :16], 'shape'), (good * np.nan, 'NaN')):
      with self.assertRaisesRegex(ValueError, message):
        score(bad)
    lines.check_range(good)
    for bad, message in (((good - 1) / 2, r'none is above 0, .*give 2 x \+ 1'), (good * 0 - 1, 'there is no line'),
                         ((good + 1) / 2, 'give 2 x - 1'), (good * 99, 'scale them first')):
      with self.assertRaisesRegex(ValueError, message):
        lines.check_range(bad)
    good[0, 1] = -1
    self.assertEqual(lines.without_line(good), 1)


class DatasetTest(tf.test.TestCase):

  def test_a_batch_is_a_function_of_seed_and_step(self):
    dataset = data.load(data.Config(test_images=8))
    rows = np.arange(16)
    first, again, other = dataset.batch(1, 5, 16, rows), dataset.batch(1, 5, 16, rows), dataset.batch(1, 6, 16, rows)
    self.assertAllEqual(first[0], again[0])
    self.assertNotAllClose(first[0], other[0])
    self.assertAllEqual(dataset.batch(1, 5, 16, rows[4:6])[0], first[0][4:6])

  def test_test_lines_are_fixed_and_labelled(self):
    first, second = data.load(data.Config()), data.load(data.Config())
    self.assertAllEqual(first.test_images, second.test_images)
    _, nearest = lines.nearest_lines(first.test_images, *data.templates())
    self.assertGreater(np.mean(data.labels_of(nearest) == first.test_labels), 0.995)  # but for angles on a border

  def test_every_evaluation_has_lines_of_its_own(self):
    dataset = data.load(data.Config(test_images=8))
    first, second = dataset.pairs(256, (0, 5))
    self.assertEqual(first.shape, (256, 32, 32, 1))
    self.assertLen(np.unique(np.concatenate([first, second]).reshape(512, -1), axis=0), 512)
    self.assertAllEqual(first, dataset.pairs(256, (0, 5))[0])
    self.assertAllEqual(second[10:12], dataset.pairs(256, (0, 5), slice(10, 12))[1])
    for other in ((0, 6), (1, 5)):
      self.assertNotAllClose(first, dataset.pairs(256, other)[0])

  def test_sizes_that_make_no_sense(self):
    with self.assertRaisesRegex(ValueError, 'dataset.size'):
      data.load(data.Config(size=2))


if __name__ == '__main__':
  tf.test.main()
