"""Metrics against closed forms, brute force and NumPy, and on perfect, worst and degenerate input."""

import itertools
import json
import os
import pathlib
import unittest.mock

import numpy as np
import scipy.linalg
import scipy.stats
import skimage.metrics
import tensorflow as tf

from acai_tf.data import lines as lines_data
from acai_tf.metrics import clustering, codebook, distribution, labels, likelihood, lines, path, probe, reconstruction

NAN = np.full([30, 3], np.nan)


def blobs(count=60, classes=3, spread=0.1, seed=0):
  generator = np.random.default_rng(seed)
  labels = np.arange(count) % classes
  centres = generator.normal(size=[classes, 4]) * 5
  return centres[labels] + spread * generator.normal(size=[count, 4]), labels


class ProbeTest(tf.test.TestCase):

  def test_fitted_on_separable_random_and_scarce_codes(self):
    codes, labels = blobs(200)
    self.assertEqual(probe.fitted_accuracy(codes[:100], labels[:100], codes[100:], labels[100:])[0], 1)
    noise = np.random.default_rng(0).normal(size=[600, 2])
    chance, strength = probe.fitted_accuracy(noise[:300], np.arange(300) % 3, noise[300:], np.arange(300) % 3)
    self.assertBetween(chance, 0.2, 0.47)
    self.assertIn(strength, probe.INVERSE_REGULARISATION)

  def test_several_labels_an_image_and_a_single_class(self):
    codes, labels = blobs(200)
    several = np.stack([labels == 0, labels != 1, np.ones(200)], axis=1).astype(int)
    self.assertEqual(probe.fitted_accuracy(codes[:100], several[:100], codes[100:], several[100:])[0], 1)
    self.assertEqual(probe.fitted_accuracy(codes, np.zeros(200), codes, np.arange(200) % 2)[0], 0.5)
    logits = np.array([[1.0, -1.0], [2.0, 3.0]])
    self.assertEqual(probe.accuracy(logits, [[1, 0], [0, 1]]), 0.75)

  def test_equal_codes_give_the_largest_class(self):
    labels = np.arange(100) % 4 // 2 * (np.arange(100) % 4 != 3)  # three quarters of 0
    self.assertEqual(probe.fitted_accuracy(np.ones([100, 3]), labels, np.ones([100, 3]), labels)[0], 0.75)

  def test_regularisation_matters_and_is_chosen(self):
    generator = np.random.default_rng(1)
    codes = generator.normal(size=[260, 100])  # more numbers than examples, one of which counts
    labels = (codes[:, 0] + generator.normal(size=260) > 0).astype(int)
    self.assertLess(probe.fitted_accuracy(codes[:60], labels[:60], codes[60:], labels[60:])[1], 100)

  def test_mistakes(self):
    for call in (lambda: probe.fitted_accuracy(NAN, np.zeros(30), NAN, np.zeros(30)),
                 lambda: probe.fitted_accuracy(np.zeros([5, 2]), np.zeros(5), np.zeros([5, 2]), np.zeros(5)),
                 lambda: probe.fitted_accuracy(np.zeros([30, 2]), np.zeros(3), np.zeros([5, 2]), np.zeros(5))):
      with self.assertRaises(ValueError):
        call()


class ClusteringTest(tf.test.TestCase):

  def test_whitening_against_svd(self):
    generator = np.random.default_rng(0)
    train, test = generator.normal(size=[50, 4]) * [1, 2, 3, 4], generator.normal(size=[7, 4])
    mean = train.mean(axis=0)
    _, singular, vectors = np.linalg.svd(train - mean, full_matrices=False)
    ours = clustering.whiten(train, test)
    for codes, found in zip((train, test), ours, strict=True):
      expected = (codes - mean) @ vectors.T / (singular + 1e-5)
      self.assertAllClose(np.abs(found[:, ::-1]), np.abs(expected), atol=1e-5)  # order and signs are free
    self.assertAllClose(ours[0].T @ ours[0], np.eye(4), atol=1e-3)

  def test_matching_against_all_permutations(self):
    generator = np.random.default_rng(0)
    for _ in range(5):
      labels, clusters = generator.integers(4, size=[2, 30])
      best = max(np.mean(np.array(names)[clusters] == labels) for names in itertools.permutations(range(4)))
      share, names, table = clustering.matched_accuracy(clusters, labels, 4)
      self.assertAllClose(share, best)
      self.assertAllClose(np.mean(names[clusters] == labels), best)
      self.assertEqual(table.sum(), 30)

  def test_perfect_random_and_degenerate_codes(self):
    codes, labels = blobs()
    found, table = clustering.score(codes, codes, labels, 3, restarts=5)
    self.assertAllClose(list(found.values()), [1, 1, 1])
    self.assertAllEqual(table, 20 * np.eye(3))
    noise = np.random.default_rng(0).normal(size=[600, 4])
    found, _ = clustering.score(noise, noise, np.arange(600) % 3, 3, restarts=2)
    self.assertLess(found['clustering_accuracy'], 0.45)
    self.assertLess(abs(found['clustering_ari']), 0.05)
    one, _ = clustering.score(codes, codes, np.zeros(60, int), 3, restarts=9)  # a single class among three clusters
    self.assertAllClose(one['clustering_accuracy'], 1 / 3, atol=0.01)
    same, table = clustering.score(np.ones([60, 4]), np.ones([60, 4]), labels, 3, restarts=1)  # a collapsed model
    self.assertAllClose(list(same.values()), [1 / 3, 0, 0])
    self.assertEqual(np.count_nonzero(table.sum(axis=0)), 1)
    for bad in ((NAN, codes), (codes[:2], codes), (codes, codes[:, :2])):
      with self.assertRaises(ValueError):
        clustering.score(bad[0], bad[1], labels, 3, restarts=1)


  def test_k_means_keeps_the_tightest_of_all_restarts_and_tells_how_many_are_done(self):
    codes = np.random.default_rng(0).normal(size=[300, 3]).astype(np.float32)
    told = []
    many = clustering.k_means(codes, 8, 25, progress=lambda *far: told.append(far))
    self.assertEqual(told, [(10, 25), (20, 25), (25, 25)])
    few = [clustering.k_means(codes, 8, 1, seed).inertia_ for seed in range(10)]
    self.assertLessEqual(many.inertia_, min(few) + 0.5)
    self.assertLess(many.inertia_, np.mean(few) - 0.5)
    distances = ((codes[:, None] - many.cluster_centers_[many.labels_][:, None])**2).sum()
    self.assertAllClose(many.inertia_, distances, rtol=1e-5)
    with unittest.mock.patch.object(os, 'sched_getaffinity', lambda _: {0}):
      self.assertEqual(clustering.k_means(codes, 8, 25).inertia_, many.inertia_)


class DistributionTest(tf.test.TestCase):

  def test_frechet_against_the_closed_form_of_gaussians_and_scipy(self):
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=[4000, 3]), generator.normal(size=[4000, 3]) * [1, 2, 3] + [1, 0, 0]
    exact = 1 + sum((1 - s)**2 for s in (1, 2, 3))
    self.assertAllClose(distribution.frechet(first, second), exact, rtol=0.05)
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    shift = first.mean(axis=0) - second.mean(axis=0)
    expected = shift @ shift + np.trace(one + two - 2 * scipy.linalg.sqrtm(one @ two).real)
    self.assertAllClose(distribution.frechet(first, second), expected, rtol=1e-9)

  def test_frechet_of_equal_constant_and_few(self):
    points = np.random.default_rng(0).normal(size=[50, 4])
    self.assertAllClose(distribution.frechet(points, points), 0, atol=1e-8)
    self.assertAllClose(distribution.frechet(np.zeros([5, 2]), np.full([5, 2], 3.0)), 18)
    for bad in (points[:1], points[:, 0], NAN):
      with self.assertRaises(ValueError):
        distribution.frechet(bad, points)

  def test_kernel_against_the_double_sum(self):
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=[6, 2]), generator.normal(size=[5, 2]) + 1

    def k(x, y):
      return (x @ y / 2 + 1)**3

    expected = (np.mean([k(a[i], a[j]) for i, j in itertools.permutations(range(6), 2)])
                + np.mean([k(b[i], b[j]) for i, j in itertools.permutations(range(5), 2)])
                - 2 * np.mean([k(x, y) for x in a for y in b]))
    self.assertAllClose(distribution.kernel(a, b), expected)

  def test_coverage_against_loops_and_at_its_limits(self):
    generator = np.random.default_rng(0)
    real, fake = generator.normal(size=[12, 2]), generator.normal(size=[9, 2]) + 0.5

    def radius(points, i):
      return sorted(np.linalg.norm(points - points[i], axis=1))[2]

    inside = np.array([[np.linalg.norm(r - f) <= radius(real, i) for f in fake] for i, r in enumerate(real)])
    other = np.array([[np.linalg.norm(r - f) <= radius(fake, j) for j, f in enumerate(fake)] for r in real])
    found = distribution.coverage(real, fake, 2)
    self.assertAllClose(found, {'precision': inside.any(0).mean(), 'recall': other.any(1).mean(),
                                'density': inside.sum(0).mean() / 2, 'coverage': inside.any(1).mean()})
    same = distribution.coverage(real, real, 2)
    self.assertAllClose([same[key] for key in ('precision', 'recall', 'coverage')], [1, 1, 1])
    self.assertAllClose(list(distribution.coverage(real, real + 100, 2).values()), [0, 0, 0, 0])
    with self.assertRaises(ValueError):
      distribution.coverage(real[:2], fake, 2)

  def test_mixtures_with_neighbours_against_loops(self):
    generator = np.random.default_rng(0)
    codes, references = generator.normal(size=[7, 3]), generator.normal(size=[11, 3])
    expected = []
    for code in codes:
      squares = [sum((x - y)**2 for x, y in zip(code, reference, strict=True)) for reference in references]
      expected.append(0.75 * code + 0.25 * references[squares.index(min(squares))])
    self.assertAllClose(distribution.between_neighbours(codes, references, 0.25), expected, rtol=1e-12)
    middles = distribution.between_neighbours(codes, references)
    self.assertAllClose(middles, codes + 2 * (np.array(expected) - codes), rtol=1e-12)
    self.assertAllClose(distribution.between_neighbours(codes, codes[::-1]), codes)  # each is its own neighbour
    self.assertAllClose(distribution.between_neighbours(np.ones([5, 2]), np.full([4, 2], 3)), np.full([5, 2], 2))
    for bad in (codes[:1], codes[:, 0], NAN):
      for pair in ((bad, references), (codes, bad)):
        with self.assertRaisesRegex(ValueError, '^codes [^\n]*$'):
          distribution.between_neighbours(*pair)


class PathTest(tf.test.TestCase):

  def test_even_jump_and_motionless_paths(self):
    def score(points):
      return path.summary(path.steps(points))

    even = np.linspace(0, 1, 5)[None, :, None] * np.ones([1, 1, 9])
    self.assertAllClose(score(even), {'path_length': 1, 'step_variance': 0})
    jump = np.array([0, 0, 0, 1, 1.0])[None, :, None] * np.ones([1, 1, 9])
    self.assertAllClose(score(jump), {'path_length': 1, 'step_variance': 3})
    self.assertAllClose(score(np.concatenate([even, jump]))['step_variance'], 1.5)
    self.assertEqual(score(np.ones([2, 4, 3])), {'path_length': 0, 'step_variance': None})
    for bad in (np.zeros([2, 2, 3]), np.full([1, 4, 2], np.nan)):
      with self.assertRaises(ValueError):
        path.steps(bad)

  def test_gain_by_hand(self):
    found = path.gain(np.array([4.0, 2.0, 0.0]), np.array([1.0, 2.0, 0.0]), np.array([1.0, 1.0, 1.0]))
    interval = scipy.stats.t.ppf(0.975, 1) * np.std([0.75, 0], ddof=1) / np.sqrt(2)
    self.assertAllClose(found, {'geodesic_gain': 0.375, 'geodesic_gain_ci95': interval, 'straight_length': 2,
                                'geodesic_length': 1, 'direct_length': 1})
    self.assertIsNone(path.gain(np.zeros(3), np.zeros(3), np.zeros(3))['geodesic_gain'])


class ReconstructionTest(tf.test.TestCase):

  def test_noise_ratio_by_hand(self):
    self.assertAllClose(reconstruction.squared_errors(np.zeros([2, 8, 8, 1]), np.full([2, 8, 8, 1], 0.2)), [0.04, 0.04])
    self.assertAllClose(reconstruction.peak_signal_to_noise(np.array([0.04, 0.0])), [20, 100])

  def test_similarity_against_scikit_image(self):
    """Its range is 1: on [-1, 1] with range 2 the dark halves, whose means are below 0, would count otherwise."""
    generator = np.random.default_rng(0)
    for channels in (1, 3):
      first = generator.uniform(-1, 0.2, [3, 24, 20, channels])
      second = first + generator.normal(size=first.shape) * 0.3
      expected = [skimage.metrics.structural_similarity(
          *(np.clip((x + 1) / 2, 0, 1) for x in pair), data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5,
          use_sample_covariance=False) for pair in zip(first, second, strict=True)]
      self.assertAllClose(reconstruction.structural_similarity(first, second), expected, atol=1e-5)
      self.assertAllClose(reconstruction.structural_similarity(first, first), np.ones(3))
    small = np.zeros([1, 8, 8, 1])
    self.assertAllClose(reconstruction.structural_similarity(small, small), [1])

  def test_parts_of_any_length_give_the_mean_over_images(self):
    generator = np.random.default_rng(0)
    first = generator.uniform(-1, 1, [7, 16, 16, 1])
    second = first + generator.normal(size=first.shape) * np.linspace(0, 1, 7)[:, None, None, None]
    whole = reconstruction.score([(first, second)])
    self.assertAllClose(whole['recon_mse'], np.mean((first - second)**2))
    parts = reconstruction.score((first[i:i + 3], second[i:i + 3]) for i in range(0, 7, 3))
    self.assertAllClose(parts, whole, rtol=1e-6)
    with self.assertRaisesRegex(ValueError, 'no images'):
      reconstruction.score([])


class LikelihoodTest(tf.test.TestCase):

  def test_a_linear_gaussian_model_whose_likelihood_is_known(self):
    generator = np.random.default_rng(0)
    weights, noise = generator.normal(size=[2, 3]), 0.5
    images = generator.normal(size=[4, 3])
    exact = scipy.stats.multivariate_normal(np.zeros(3), weights.T @ weights + noise**2 * np.eye(3)).logpdf(images)
    precision = np.eye(2) + weights @ weights.T / noise**2
    true_mean = images @ weights.T @ np.linalg.inv(precision) / noise**2
    log_variance = np.broadcast_to(-np.log(np.diag(precision)), [4, 2])

    def log_decoder(x, z):
      return scipy.stats.norm.logpdf(x, z @ weights, noise).sum(axis=1)

    many = likelihood.log_likelihood(images, lambda x: (true_mean, log_variance), log_decoder, 20_000)
    self.assertAllClose(many, exact, atol=0.1)
    few = likelihood.log_likelihood(images, lambda x: (true_mean, log_variance), log_decoder, 1)
    self.assertLess(few.mean(), exact.mean())
    with self.assertRaises(ValueError):
      likelihood.log_likelihood(images, lambda x: (true_mean * np.nan, log_variance), log_decoder, 1)


class CodebookTest(tf.test.TestCase):

  def test_even_single_and_wrong(self):
    self.assertAllClose(codebook.score(np.arange(4), 8, 10),
                        {'codebook_usage': 0.5, 'codebook_perplexity': 4, 'rate_bits': 20})
    self.assertAllClose(codebook.score(np.zeros(5, int), 8, 10),
                        {'codebook_usage': 1 / 8, 'codebook_perplexity': 1, 'rate_bits': 0})
    for bad in ([], [8], [-1]):
      with self.assertRaises(ValueError):
        codebook.score(np.array(bad, int), 8, 1)


class LinesIntervalTest(tf.test.TestCase):

  def test_intervals_against_scipy(self):
    generator = np.random.default_rng(0)
    images = lines_data.render(generator.uniform(0, 6, 5 * 4)).reshape(5, 4, 32, 32, 1)
    images = images + 0.2 * generator.normal(size=images.shape)
    angles, templates = lines_data.templates()
    found = lines.score(images, angles, templates)
    rows = lines.nearest_lines(images.reshape(20, -1), angles, templates)[0].reshape(5, 4).mean(axis=1)
    low, high = scipy.stats.t.interval(0.95, 4, rows.mean(), scipy.stats.sem(rows))
    self.assertAllClose(found['mean_distance_ci95'], (high - low) / 2)
    self.assertIsNone(lines.score(images[:1], angles, templates)['mean_distance_ci95'])

  def test_other_units_are_told(self):
    lines.check_range(np.array([-1.1, -0.9, 1.2]))
    for values, message in (([0, 0, 1], 'give 2 x - 1'), ([-0.01, 0, 1], 'give 2 x - 1'), ([0, 0, 255], 'scale them'),
                            ([-80, -1, 1], 'scale them')):
      with self.assertRaisesRegex(ValueError, message):
        lines.check_range(np.array(values, float))


class LabelsTest(tf.test.TestCase):

  def test_unit_and_direction(self):
    label = labels.of('mean_distance')
    self.assertEqual((label.text, label.number(0.00052)), ('mean distance, 1e-3 (lower is better)', '0.52'))
    self.assertEqual(labels.of('probe_accuracy').number(0.975), '97.50')
    self.assertEqual(label.number(None), 'undefined')

  def test_other_subjects(self):
    self.assertEqual(labels.of('reverse_perplexity_gaussian_noise').text,
                     'reverse perplexity: a Gaussian fitted to the latents, with noise (lower is better)')
    self.assertEqual(labels.of('mean_distance_of_means').number(0.00123), '1.23')
    self.assertEqual(labels.of('unheard_of').text, 'unheard_of')

  def test_every_recorded_metric_has_one(self):
    for file in (pathlib.Path(__file__).parents[1] / 'zoo' / 'results').glob('*.json'):
      for name in {name for run in json.loads(file.read_text())['runs'] for name in run['metrics']}:
        if not name.endswith('_ci95'):
          self.assertNotEqual(labels.of(name), labels.Label(name, name), file.name)


if __name__ == '__main__':
  tf.test.main()
