"""Evaluation, figures, published figures, and the programs' flags and errors."""

import contextlib
import dataclasses
import importlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest.mock
import weakref

import matplotlib.image
import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import tensorflow as tf
from absl import flags

from acai_tf import __main__ as acai
from acai_tf import cli, evaluate, losses, train
from acai_tf.data import image_base, lines
from acai_tf.evaluation import codes as codes_lib
from acai_tf.evaluation import feature_network, figures, groups, pictures, report, subject
from acai_tf.evaluation import images as measure
from acai_tf.evaluation.modality import IMAGES
from acai_tf.experiment import module_card, registry, run
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.experiment.run import Run
from acai_tf.export import module as module_lib
from acai_tf.metrics import probe, reconstruction
from acai_tf.training import build
from acai_tf.training.checkpoints import Checkpoints
from acai_tf.training.session import better
from acai_tf.zoo import __main__ as zoo_program
from acai_tf.zoo import base as zoo

# Settings of the smallest images and network: 8x8, 2x2x2 latents.
TINY = {'dataset': {'size': 8, 'test_images': 40}, 'network': {'latent_width': 2, 'latent': 2, 'depth': 2}}


def tiny(name, recipe='fast', **training):
  """A new model on TINY."""
  return build.create(resolve('lines', name, recipe, {**TINY, 'training': training}))


def new_folder(test):
  """An empty folder below the test's."""
  return pathlib.Path(tempfile.mkdtemp(dir=test.get_temp_dir()))


def perfect_functions():
  """A model of lines as it should be: its code is the angle, so that a straight path turns the line."""
  angles, templates = lines.templates(2000)

  def encode(images):
    from acai_tf.metrics import lines as metric

    return metric.nearest_lines(images, angles, templates)[1][:, None].astype(np.float32)

  return subject.Functions(encode, lambda codes: lines.render(codes[:, 0]), lambda images: np.eye(10)[
      lines.labels_of(encode(images)[:, 0])])


class MeasureTest(tf.test.TestCase):

  def test_a_perfect_model_of_lines(self):
    dataset = lines.load(lines.Config(test_images=256))
    found = IMAGES.measure(perfect_functions(), dataset, 'lines')
    result = found.metrics
    self.assertAllClose(found.curves['distance'], np.zeros(16), atol=1e-6)
    self.assertEqual(found.arrays['angles'].shape, (256, 16))
    self.assertGreater(result['ssim'], 0.99)
    self.assertLess(result['recon_mse'], 1e-3)
    self.assertGreater(result['probe_accuracy'], 0.98)
    self.assertLess(result['mean_distance'], 1e-6)
    self.assertLess(result['smoothness_strict'], 0.01)

  def test_paths_that_are_encoded_again(self):
    def snap(images):
      return lines.render(measure.nearest_lines(images, 2000)[1])

    dataset = lines.load(lines.Config(test_images=512))
    settings = measure.Settings(('lines', 'reencoded'), features=lambda images: images[:, ::4, ::4, 0].reshape(-1, 64))
    # The decoder of the first model shows cross-fades, which its encoder takes to the nearest lines.
    snapped, faded = (IMAGES.measure(subject.Functions(encode, lambda codes: codes), dataset, 'lines', settings).metrics
                      for encode in (snap, lambda images: images))
    self.assertGreater(snapped['mean_distance'], 5e-3)
    self.assertLess(snapped['mean_distance_reencoded'], 1e-5)
    for name in ('mean_distance', 'smoothness_published', 'mean_distance_ci95'):
      place = '_reencoded_ci95' if name.endswith('_ci95') else '_reencoded'
      self.assertAllClose(faded[name.removesuffix('_ci95') + place], faded[name], rtol=1e-5)
    self.assertLess(snapped['frechet_gap_reencoded'], faded['frechet_gap_reencoded'] / 2)

  def test_paths_that_keep_the_class(self):
    dataset = lines.load(lines.Config(test_images=256))
    settings = measure.Settings(('same_class',), features=lambda images: images[:, ::4, ::4, 0].reshape(-1, 64))

    def metrics(same_class):
      functions = dataclasses.replace(perfect_functions(), same_class=same_class)
      return IMAGES.measure(functions, dataset, 'lines', settings).metrics

    stays = metrics(lambda first, second, alpha: first)
    self.assertAllClose([stays[f'class_kept_{name}'] for name in ('middle', 'end', 'change')], [1, 1, 0], atol=0.01)
    self.assertBetween(stays['class_kept_straight_end'], 0.05, 0.2)  # ten classes
    jumps = metrics(lambda first, second, alpha: second)
    self.assertEqual(jumps['class_kept_end'], stays['class_kept_straight_end'])
    self.assertAllClose(jumps['class_kept_change'], 1, atol=1e-2)
    collapsed = subject.Functions(perfect_functions().encode, lambda latents: np.zeros([len(latents), 32, 32, 1]),
                                  same_class=lambda first, second, alpha: np.zeros_like(first))
    self.assertIsNone(IMAGES.measure(collapsed, dataset, 'lines', settings).metrics['class_kept_change'])

  def test_a_diverged_model_is_reported(self):
    dataset = lines.load(lines.Config(test_images=4))
    broken = subject.Functions(lambda x: x, lambda x: x * np.nan)
    with self.assertRaisesRegex(UserError, 'evaluation of mymodel on mnist.*diverged'):
      IMAGES.measure(broken, dataset, 'mnist', model_name='mymodel')

  def test_groups_of_which_none_applies_are_refused(self):
    dataset = lines.load(lines.Config(test_images=4))
    with self.assertRaisesRegex(UserError, 'mymodel on lines: no metric of likelihood, codebook applies'):
      IMAGES.measure(perfect_functions(), dataset, 'lines', measure.Settings(('likelihood', 'codebook')), 'mymodel')
    with contextlib.redirect_stdout(io.StringIO()) as out:
      settings, dataset.classes = measure.Settings(('reconstruction', 'probe', 'codebook')), 0
      found = IMAGES.measure(dataclasses.replace(perfect_functions(), classify=lambda images: np.eye(10)[:1]), dataset,
                             'lines', settings, 'mymodel').metrics
    self.assertIn('recon_mse', found)
    self.assertNotIn('probe_accuracy', found)
    self.assertEqual(out.getvalue(), 'skipping probe, codebook: not applicable to mymodel on lines.\n')

  def test_every_group_on_a_perfect_model(self):
    dataset = lines.load(lines.Config(test_images=64))
    settings = measure.Settings(tuple(measure.GROUPS), 2, 300,
                                features=lambda images: images[:, ::8, ::8, 0].reshape(-1, 16))
    sampled = []

    def sample(count, seed):
      sampled.append((count, seed))
      return lines.render(np.random.default_rng(seed).uniform(0, 2 * np.pi, count))

    functions = dataclasses.replace(perfect_functions(), sample=sample)
    found = IMAGES.measure(functions, dataset, 'lines', settings)
    self.assertEqual([count for count, _ in sampled], [64])
    self.assertLess(found.metrics['frechet_samples'], 0.6)  # of 64 lines against 64 others; a cross-fade: 0.9
    self.assertAllEqual(found.arrays['samples'], sample(*sampled[0])[:48])
    names = ('fitted_probe_accuracy', 'clustering_nmi', 'frechet_gap', 'kernel_middle', 'coverage', 'pixel_path_length',
             'feature_step_variance', 'frechet_interpolated')
    self.assertContainsSubset(names, found.metrics)
    self.assertLess(found.metrics['frechet_ends'], 0.3)  # of 64 lines against 64 others; a cross-fade's middle: 0.9
    self.assertLen(found.curves['frechet'], measure.QUALITY_STEPS)
    self.assertEqual(found.arrays['confusion'].sum(), 64)
    self.assertNotIn('log_likelihood', found.metrics)
    for group in ('lnes', 'all'):
      with self.assertRaisesRegex(ValueError, 'unknown value of --metrics'):
        measure.Settings((group,))

  def test_interpolated_frechet_of_good_bad_and_collapsed_models(self):
    """On points of two classes, whose neighbours have the same class."""
    corners = np.array([[-1.0, -1.0], [1.0, 1.0]])  # of the classes, as images of two pixels, 1x2
    generator = np.random.default_rng(0)

    def points(count):
      labels = np.arange(count) % 2
      return (corners[labels] + 0.1 * generator.normal(size=[count, 2])).reshape(-1, 1, 2, 1).astype('f'), labels

    (train, train_labels), (test, test_labels) = points(400), points(40)
    dataset = image_base.ArrayDataset({'train_images': train, 'train_labels': train_labels, 'test_images': test,
                                       'test_labels': test_labels}, 2)

    def score(functions, data=dataset, **settings):
      settings = measure.Settings(('quality',), features=lambda images: images.reshape(len(images), -1), **settings)
      return IMAGES.measure(functions, data, 'points', settings, 'mymodel').metrics['frechet_interpolated']

    order = np.argsort(test_labels, kind='stable')  # sorted by class: the first half has one class only
    ordered = image_base.ArrayDataset({'train_images': train, 'train_labels': train_labels, 'test_images': test[order],
                                       'test_labels': test_labels[order]}, 2, ordered=True)
    same = subject.Functions(lambda images: images, lambda codes: codes)
    with unittest.mock.patch.object(measure, 'REAL', 20):
      self.assertLess(score(same, ordered), 0.1)  # Between the corners of the classes: 4.

    def frechet(fakes):  # by scipy
      real, fake = (x.reshape(-1, 2).astype(np.float64) for x in (test, fakes))
      one, two = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
      root = scipy.linalg.sqrtm(one @ two).real
      return np.square(real.mean(0) - fake.mean(0)).sum() + np.trace(one + two - 2 * root)

    same = subject.Functions(lambda images: images, lambda codes: codes)
    distances = np.square(test[:, None] - train[None]).sum(axis=(2, 3, 4))
    middles = (test + train[distances.argmin(axis=1)]) / 2
    self.assertAllClose(score(same), frechet(middles), rtol=1e-3)
    self.assertLess(score(same), 0.01)
    few = (test + train[distances[:, :20].argmin(axis=1)]) / 2
    self.assertAllClose(score(same, train_images=20), frechet(few), rtol=1e-3)

    def swap(points):  # mirrors the points whose second pixel is beyond 1, so that neighbours are of both classes
      return points * np.where(np.abs(points[..., 1:, :]) > 1, -1, 1).astype('f')

    swapped = subject.Functions(swap, swap)
    codes, others = swap(test), swap(train)
    nearest = np.square(codes[:, None] - others[None]).sum(axis=(2, 3, 4)).argmin(axis=1)
    self.assertAllClose(score(swapped), frechet(swap((codes + others[nearest]) / 2)), rtol=1e-3)
    self.assertGreater(score(swapped), 5 * score(same))
    collapsed = subject.Functions(lambda images: 0 * images, lambda codes: codes)  # one code, one image
    real = test.reshape(-1, 2)
    self.assertAllClose(score(collapsed), np.square(real.mean(0)).sum() + np.trace(np.cov(real, rowvar=False)),
                        rtol=1e-3)
    # The posterior's mean is interpolated, not a sample.
    noisy = dataclasses.replace(same, encode_sample=lambda images, seed: images + 5)
    self.assertAllClose(score(noisy), score(same))
    single = image_base.ArrayDataset({'train_images': train, 'train_labels': train_labels, 'test_images': test[:1],
                                      'test_labels': test_labels[:1]}, 2)
    with self.assertRaisesRegex(UserError, '^evaluation of mymodel on points: no metric of quality applies[^\n]*$'):
      score(same, single)

  def test_geodesics_are_decoded_in_float32_whatever_the_model(self):
    dataset, models = lines.load(lines.Config(size=8, test_images=8)), []
    for precision in ('float32', 'mixed_bfloat16'):
      models.append(tiny('autoencoder', precision=precision))
      models[-1].decoder.set_weights([2 * weight for weight in models[-1].decoder.get_weights()])  # not a new model's
    functions = subject.of_model(models[1])
    with unittest.mock.patch.multiple(measure, GEODESIC_PAIRS=3, GEODESIC_BLOCK=2):
      found = IMAGES.measure(functions, dataset, 'lines', measure.Settings(('geodesic',)))
    first, second = (functions.encode(ends) for ends in dataset.pairs(3, measure.PAIR_SEED))
    codes = tf.concat([first + alpha * (second - first) for alpha in np.linspace(0, 1, 241)], axis=0)
    images = models[0].decode(codes).numpy().reshape(241, 3, 8, 8, 1).swapaxes(0, 1)
    flat = images.reshape(3, 241, -1).astype(np.float64)
    sizes = np.sqrt(np.square(np.diff(flat, axis=1)).mean(axis=2))
    direct = np.sqrt(np.square(flat[:, -1] - flat[:, 0]).mean(axis=1))
    metrics, straight, shortest = found.metrics, found.arrays['straight'], found.arrays['geodesic']
    self.assertAllClose(metrics['straight_length'], sizes.sum(axis=1).mean(), rtol=1e-4)
    self.assertAllClose(metrics['direct_length'], direct.mean(), rtol=1e-4)
    self.assertGreater(metrics['geodesic_gain'], 1e-3)
    self.assertBetween(metrics['geodesic_length'], metrics['direct_length'], metrics['straight_length'])
    self.assertAllClose(straight, images[:, ::16], atol=1e-4)
    self.assertAllClose(shortest[:, [0, -1]], images[:, [0, -1]], atol=1e-4)
    self.assertAllClose(metrics['geodesic_distance'], measure.score_lines(shortest)['mean_distance'])

  def test_groups_of_vae_and_vqvae(self):
    dataset = lines.load(lines.Config(size=8, test_images=40))
    for name, keys in (('vqvae', ('codebook_usage', 'codebook_perplexity', 'rate_bits')),
                       ('vae', ('log_likelihood', 'rate', 'distortion'))):
      model = tiny(name)
      functions = subject.of_model(model)
      found = IMAGES.measure(functions, dataset, 'lines', measure.Settings(('likelihood', 'codebook'))).metrics
      self.assertCountEqual(found, keys)
      self.assertEqual(functions.geodesics is None, name == 'vqvae')
    x = dataset.test()[0]
    self.assertAllClose(found['rate'], losses.gaussian_kl(*model.posterior(x)[:2]), rtol=1e-4)
    # Jensen: more codes give no less than the evidence lower bound of one, up to its noise.
    self.assertGreater(found['log_likelihood'], -found['rate'] - found['distortion'] - 1)

  def test_functions_of_a_model_equal_the_model_at_any_length(self):
    """The last batch is a short one."""
    self.enterContext(unittest.mock.patch.object(subject, 'BATCH_PIXELS', 16 * 8 * 8))
    for name in ('acai', 'vae', 'vqvae'):
      model = tiny(name, 'paper')
      functions = subject.of_model(model)
      images = lines.render(np.linspace(0, 6, 16 + 3), 8)
      codes = model.encode(images)
      self.assertAllClose(functions.encode(images), codes, atol=1e-5)
      self.assertAllClose(functions.decode(codes.numpy()), model.decode(codes), atol=1e-5)
      self.assertAllClose(functions.represent(images), model.represent(images), atol=1e-5)
      self.assertAllClose(functions.classify(images), model.classifier(model.represent(images)), atol=1e-5)
      self.assertEqual(functions.sample is None, not model.has_prior)
      self.assertEqual(functions.gaussian, name == 'vae')
      if name == 'vae':
        drawn = functions.sample(20, 7)
        self.assertEqual(drawn.shape, (20, 8, 8, 1))
        self.assertAllEqual(drawn, functions.sample(20, 7))
        self.assertNotAllClose(drawn[:4], drawn[16:], atol=1e-4)  # each batch has a seed of its own
        self.assertAllClose(functions.posterior(images), tf.stack(model.posterior(images)[:2], axis=1), atol=1e-5)
        flat = codes.numpy().reshape(len(images), -1)
        self.assertAllClose(functions.logits(flat), model.decoder(codes), atol=1e-5)
      if name == 'vqvae':
        self.assertAllEqual(functions.indices(images), tf.reshape(model.bottleneck(codes)[2], [len(images), -1]))
    strips = measure.strips(functions, images[:3], images[3:6], 5)
    self.assertEqual(strips.shape, (3, 5, 8, 8, 1))
    self.assertAllClose(strips[:, 0], model(images[:3]), atol=1e-5)

  def test_a_batch_is_as_many_pixels_whatever_the_images_size(self):
    self.assertEqual([subject.batch_of((n, n, 3)) for n in (32, 64, 128, 1024)], [256, 64, 16, 1])

  def test_samples_are_of_the_posterior_and_independent_for_every_image(self):
    self.enterContext(unittest.mock.patch.object(subject, 'BATCH_PIXELS', 64 * 8 * 8))
    model = tiny('vae', 'paper')
    functions = subject.of_model(model)
    self.assertIsNone(subject.of_model(tiny('acai')).encode_sample)
    images = np.repeat(lines.render([1.0], 8), 3 * 64 - 5, axis=0)
    mean, log_variance, _ = model.posterior(images[:1])
    noise = (functions.encode_sample(images, [7]).reshape(len(images), -1) - mean) / tf.exp(log_variance / 2)
    self.assertLen(np.unique(noise, axis=0), len(images))  # over batches, too
    self.assertGreater(scipy.stats.kstest(noise.numpy().ravel(), 'norm').pvalue, 1e-3)
    self.assertAllEqual(functions.encode_sample(images[:9], [7]), functions.encode_sample(images[:9], [7]))
    self.assertNotAllClose(functions.encode_sample(images[:9], [7]), functions.encode_sample(images[:9], [7, 1]))

  def test_lines_are_measured_on_samples_and_on_means(self):
    """A posterior so wide that its samples are other lines; the mean is the line itself."""
    self.enterContext(unittest.mock.patch.object(measure, 'PAIRS', 32))
    dataset, perfect, seeds = lines.load(lines.Config(test_images=8)), perfect_functions(), []

    def encode_sample(images, seed):
      seeds.append(tuple(seed))
      return np.random.default_rng(seed).uniform(0, 6, [len(images), 1]).astype(np.float32)

    noisy = subject.Functions(perfect.encode, lambda codes: lines.render(codes[:, 0]) * 0.5 + 0.5,
                               encode_sample=encode_sample)
    found = IMAGES.measure(noisy, dataset, 'lines', measure.Settings(('lines',), seeds=(3, 4)))
    self.assertEqual(seeds, [(3, 4, 0), (3, 4, 1)])  # both ends for themselves
    ends = [encode_sample(np.zeros([measure.PAIRS, 1]), seed)[:, 0] for seed in seeds[:2]]
    turns = found.arrays['angles'][:, -1] - found.arrays['angles'][:, 0]
    self.assertAllClose(np.cos(turns), np.cos(ends[1] - ends[0]), atol=0.06)  # greyer lines, a little off
    first, second = (perfect.encode(images)[:, 0] for images in dataset.pairs(measure.PAIRS, (3, 4)))
    paths = first[:, None] + (second - first)[:, None] * np.linspace(0, 1, measure.STEPS)
    images = (lines.render(paths.ravel()) * 0.5 + 0.5).reshape(measure.PAIRS, measure.STEPS, 32, 32, 1)
    expected = measure.score_lines(images)
    for name in ('mean_distance', 'smoothness_published', 'smoothness_strict', 'smoothness_undefined'):
      self.assertAllClose(found.metrics[f'{name}_of_means'], expected[name], rtol=1e-3, atol=1e-6)
    self.assertIn('mean_distance_of_means_ci95', found.metrics)
    self.assertLen(found.curves['distance_of_means'], measure.STEPS)
    alone = IMAGES.measure(perfect, dataset, 'lines', measure.Settings(('lines',)))
    self.assertNoCommonElements(alone.metrics, ['mean_distance_of_means'])

  def test_clustering_sees_encode_and_the_probe_sees_represent(self):
    dataset, perfect = lines.load(lines.Config(test_images=200)), perfect_functions()

    def told(images):
      return np.eye(10, dtype=np.float32)[lines.labels_of(perfect.encode(images)[:, 0])]

    def mute(images):
      return np.random.default_rng(len(images)).normal(size=[len(images), 10]).astype(np.float32)

    settings = measure.Settings(('fitted_probe', 'clustering'), 5, 400)
    for encode, represent, clustered, probed in ((told, mute, 0.95, 0), (mute, told, 0, 0.95)):
      found = IMAGES.measure(subject.Functions(encode, None, represent=represent), dataset, 'lines', settings)
      scores = found.metrics
      for value, least in ((scores['clustering_accuracy'], clustered), (scores['fitted_probe_accuracy'], probed),
                           (scores['clustering_accuracy_of_features'], probed)):
        self.assertBetween(value, least, 1 if least else 0.5)
    drawn = subject.Functions(mute, None, encode_sample=lambda images, _: told(images))
    scores = IMAGES.measure(drawn, dataset, 'lines', settings).metrics
    self.assertGreater(scores['clustering_accuracy'], 0.95)
    self.assertLess(scores['clustering_accuracy_of_means'], 0.5)
    self.assertLess(scores['fitted_probe_accuracy'], 0.5)
    self.assertNotIn('clustering_accuracy_of_features', scores)
    same = subject.Functions(told, None, represent=told)
    self.assertNotIn('clustering_accuracy_of_features', IMAGES.measure(same, dataset, 'lines', settings).metrics)

  def test_codes_are_cached_until_weights_or_images_change(self):
    folder, calls, weights = new_folder(self), [], ['a']

    def encode(images):
      calls.append(len(images))
      return images.reshape(len(images), -1)[:, :40]

    functions = subject.Functions(encode, None, identity=lambda: weights[0])
    dataset = lines.load(lines.Config(test_images=50))

    def codes(data=dataset, count=100):
      calls.clear()
      return codes_lib.encode(functions, data, count, folder=folder)

    first = codes()
    self.assertEqual(calls, [100, 50])
    self.assertAllClose(first['train']['codes'], dataset.train(100)[0].reshape(100, -1)[:, :40])
    self.assertAllEqual(first['test']['labels'], dataset.test_labels)
    again = codes()
    self.assertEqual(calls, [])
    for part in codes_lib.PARTS:
      self.assertCountEqual(again[part], first[part])
      for name, array in first[part].items():
        self.assertAllEqual(again[part][name], array)
    weights[0] = 'b'
    codes()
    self.assertLen(calls, 2)
    codes(count=99)
    self.assertLen(calls, 2)
    codes(lines.load(lines.Config(test_images=50, test_seed=1)), 99)
    self.assertLen(calls, 2)
    kept = folder / codes_lib.FILE
    kept.write_bytes(kept.read_bytes()[:3000])
    codes(lines.load(lines.Config(test_images=50, test_seed=1)), 99)
    self.assertLen(calls, 2)
    self.assertEqual([path.name for path in folder.iterdir()], [codes_lib.FILE])
    model = tiny('acai')
    identity = subject.of_model(model).identity
    before = identity()
    model.encoder.trainable_variables[0].assign_add(tf.ones_like(model.encoder.trainable_variables[0]))
    self.assertNotEqual(identity(), before)
    functions = subject.Functions(encode, None, identity=identity)
    with self.assertRaisesRegex(UserError, 'codes.npz cannot be written'):
      codes_lib.encode(functions, dataset, 20, folder=kept / 'below')  # `kept` is a file

  def test_blocks_of_a_data_set_add_up_to_the_whole(self):
    images = np.random.default_rng(0).integers(256, size=[23, 8, 8, 3]).astype(np.uint8)
    arrays = image_base.ArrayDataset({'train_images': images, 'train_labels': np.arange(23), 'test_images': images[:9],
                                      'test_labels': np.arange(9)}, 23)
    drawn = lines.load(lines.Config(test_images=9))
    for dataset, size in ((arrays, 8 * 8 * 3 * 4), (drawn, 32 * 32 * 4)):
      with unittest.mock.patch.object(image_base, 'BLOCK', 5 * size):
        for part, count, total in (('train', 12, 12), ('test', None, 9), ('test', 7, 7)):
          blocks = list(dataset.blocks(part, count))
          whole = (dataset.train if part == 'train' else dataset.test)(count)
          self.assertEqual([len(x) for x, _ in blocks], [5, *[5] * (total > 10), total % 5 or 5])
          for column in range(2):
            self.assertAllEqual(np.concatenate([block[column] for block in blocks]), whole[column])
    self.assertLen(list(arrays.blocks('train', 100))[0][0], 23)  # there are no more

  def test_probe_and_reconstruction_on_worst_and_degenerate_input(self):
    self.assertEqual(probe.accuracy(np.eye(3), [0, 1, 2]), 1)
    self.assertEqual(probe.accuracy(np.eye(3), [1, 2, 0]), 0)
    self.assertAllEqual(reconstruction.squared_errors(np.ones([2, 1]), -np.ones([2, 1])), [4, 4])
    for call in (lambda: probe.accuracy(np.eye(3), [0]), lambda: probe.accuracy(np.zeros([0, 3]), []),
                 lambda: probe.accuracy(np.full([1, 3], np.nan), [0]),
                 lambda: reconstruction.squared_errors(np.zeros([2, 1]), np.zeros([2])),
                 lambda: reconstruction.squared_errors(np.zeros([2]), np.full([2], np.inf))):
      with self.assertRaises(ValueError):
        call()

  def test_table_has_both_figures_and_says_undertrained(self):
    experiment = resolve('lines', 'acai', 'fast')
    metrics = {'mean_distance': 0.5, 'smoothness_strict': None}
    published = zoo.published_for(experiment)
    text = report.table(experiment, 1 << 18, metrics, {'mean_distance': 0.25}, published=published)
    self.assertRegex(
        text, r'mean distance, 1e-3 \(lower is better\) +500.00 +0.24 ± 0.01 † +250.00')
    self.assertIn("† not compared: the model has other settings than the paper's.", text)
    self.assertIn('undefined', text)
    self.assertIn('undertrained: 262,144 samples, 1.6% of', text)
    self.assertNotIn('undertrained', report.table(experiment, 1 << 24, {'mean_distance': 0.5}))
    other = resolve('binarized_mnist', 'arae_image', 'fast')  # whose paper has 1,000,000 samples
    self.assertIn('undertrained: 250,000 samples, 25.0% of', report.table(other, 250_000, {'recon_mse': 0.5}))

  @pytest.mark.slow
  def test_paths_that_keep_the_prior_or_the_class(self):
    dataset = lines.load(lines.Config(size=8, test_images=16))
    ends = dataset.pairs(6, measure.PAIR_SEED)
    for name, kind, title in (('vae', 'gaussian', 'keep the prior'), ('acai', 'same_class', 'with the class')):
      model, folder = tiny(name), str(new_folder(self) / 'module')
      module_lib.save(model, folder)
      if name == 'vae':  # Its posterior is sampled for a module, too, as for a run.
        live, loaded = subject.of_model(model), subject.of_module(folder)[0]
        codes = live.encode_sample(ends[0], [1])
        self.assertNotAllClose(codes, live.encode(ends[0]))
        for ours, theirs in ((codes, loaded.encode_sample(ends[0], [1])),
                             (live.posterior(ends[0]), loaded.posterior(ends[0])),
                             (live.logits(codes.reshape(6, -1)), loaded.logits(codes.reshape(6, -1)))):
          self.assertAllClose(ours, theirs, atol=1e-5)
      for functions in (subject.of_model(model), subject.of_module(folder)[0]):
        self.assertEqual(functions.gaussian, name == 'vae')
        with unittest.mock.patch.object(figures, 'save_rows') as save:
          pictures.save_pictures(functions, dataset, groups.Measured({}, {}, {}), 'a title', new_folder(self))
        shown = save.call_args_list[1].args[1]
        self.assertLen(shown, 5)
        strip, = (strip for text, strip in shown.items() if title in text)
        for step in (0, 5, 15):
          self.assertAllClose(strip[:, step], model.interpolate(*ends, step / 15, kind), atol=1e-5)
        self.assertNotAllClose(strip[:, 5], model.interpolate(*ends, 5 / 15), atol=1e-6)
        if name == 'vae':
          self.assertAllClose(strip[:, [0, -1]], np.stack([model(column) for column in ends], axis=1), atol=1e-5)


class RunsTest(tf.test.TestCase):

  def trained_run(self, average=0.0, model='acai'):
    """A run of lines whose last and best checkpoints, and whose averages, differ."""
    folder = new_folder(self)
    experiment = resolve('lines', model, 'fast', {
        **TINY, 'training': {'average': average, 'precision': 'float32', 'batch': 2}})
    Run(folder).claim(experiment)
    model = build.create(experiment)
    checkpoints = Checkpoints(model, Run(folder).checkpoints, 3)
    weight = model.encoder.trainable_variables[0]
    for step, value, save in ((5, 0.25, lambda: checkpoints.save(checkpoints.best)), (7, 0.75, checkpoints.save)):
      model.step.assign(step)
      weight.assign(tf.fill(weight.shape, value))
      for variable, mean in model.averages():
        mean.assign(tf.fill(mean.shape, 0.5) if variable is weight else variable)
      save()
    return folder, experiment

  def test_best_and_last_are_different_checkpoints(self):
    folder, _ = self.trained_run()
    for name, step, value in (('best', 5, 0.25), ('last', 7, 0.75)):
      _, model, found = build.load_model(Run(folder), name)
      self.assertEqual(found, step)
      weight = model.encoder.trainable_variables[0]
      self.assertAllEqual(weight, tf.fill(weight.shape, value))

  def test_weights_and_settings_are_on_record(self):
    network = feature_network.Features(lambda images: images[:, ::2, ::2, 0].reshape(-1, 16), '0123456789ab')
    for average, weights, value, label, features in (
        (0.9, 'average', 0.5, 'EMA of the weights', network), (0.9, 'raw', 0.75, 'raw weights', None),
        (0.0, 'average', 0.75, 'raw weights', None)):
      folder, experiment = self.trained_run(average)
      _, model, step = build.load_model(Run(folder), weights=weights)
      self.assertAllEqual(tf.unique(tf.reshape(model.encoder.trainable_variables[0], [-1]))[0], [value])
      groups = ('reconstruction', 'clustering') + (('quality',) if features else ())
      with contextlib.redirect_stdout(io.StringIO()) as out:
        report.report(experiment, model, lines.load(experiment.dataset), step * 2, Run(folder),
                      measure.Settings(groups, 3, 60, features=features), weights)
      text, record = out.getvalue(), json.loads(Run(folder).metrics.read_text())
      self.assertRegex(text, f'acai on lines, .*14 samples, .*seed 0, {label}\n')
      self.assertIn(f'measured with the {label}.', text)
      self.assertIn('the best of 3 restarts of k-means; the paper: 1,000', text)
      self.assertIn('encoding train images 0 of 60', text)
      self.assertEqual(record['weights'], {'EMA of the weights': 'average', 'raw weights': 'raw'}[label])
      self.assertEqual((record['kmeans_restarts'], record['feature_network']),
                       (3, '0123456789ab' if features else None))
      self.assertTrue((folder / 'codes.npz').exists())

  def test_experiments_that_lack_a_key_are_refused(self):
    folder, experiment = self.trained_run()
    old = experiment.to_dict()
    del old['dataset']['drawing']
    (folder / run.EXPERIMENT).write_text(json.dumps(old))
    (folder / module_card.FILE).write_text(json.dumps({'experiment': old, 'samples': 14}))
    for call in (lambda: build.load_model(Run(folder)), lambda: module_card.load(folder)):
      with self.assertRaisesRegex(UserError, r'json: .*dataset.drawing missing; expected every key'):
        call()
    (folder / module_card.FILE).write_text(json.dumps({'experiment': experiment.to_dict(), 'samples': 14}))
    self.assertEqual(module_card.load(folder), (experiment, 14))
    self.assertIsNone(module_card.load('https://nowhere.example/module'))
    (folder / module_card.FILE).write_text('{}')
    with self.assertRaisesRegex(UserError, 'training.json cannot be read'):
      module_card.load(folder)

  def test_the_better_evaluation(self):
    """By distance on lines, else by the probe, else by reconstruction; whatever the others say."""
    for name, good, bad in (('mean_distance', 1, 2), ('probe_accuracy', 0.9, 0.5), ('recon_mse', 1, 2)):
      first, second = {name: good}, {name: bad}
      if name != 'recon_mse':
        first, second = first | {'recon_mse': 9}, second | {'recon_mse': 1}
      if name == 'mean_distance':
        first, second = first | {'probe_accuracy': 0.1}, second | {'probe_accuracy': 0.9}
      self.assertTrue(better(first, second, IMAGES.better), name)
      self.assertFalse(better(second, first, IMAGES.better), name)
      self.assertFalse(better(first, first, IMAGES.better), name)


class SettingsTest(tf.test.TestCase):

  def settings(self, *arguments, recipe='fast'):
    evaluate.FLAGS.unparse_flags()
    evaluate.FLAGS(['evaluate', *arguments])
    return evaluate.settings_of('images', recipe, lines.load(lines.Config(test_images=4)), 'lines', self.get_temp_dir())

  def test_quick_is_the_default_and_the_paper_s_restarts_are_its_recipe_s(self):
    self.assertEqual(self.settings().groups, measure.QUICK)
    self.assertEqual((self.settings().restarts, self.settings(recipe='paper').restarts), (10, 1000))
    self.assertEqual(self.settings('--metrics', 'clustering', '--restarts', '3', recipe='paper').restarts, 3)
    self.assertEqual(self.settings('--metrics', 'clustering,probe').groups, ('clustering', 'probe'))
    network = feature_network.Features(lambda images: images, '0123456789ab')
    with unittest.mock.patch.object(feature_network, 'load', lambda *_, **__: network):
      found = self.settings('--metrics', 'all')
    self.assertEqual((found.groups, found.features), (tuple(measure.GROUPS), network))


  def test_figures_of_a_module_or_of_pretrained_weights_replace_no_metrics_of_a_run(self):
    folder = pathlib.Path(self.get_temp_dir())
    evaluate.FLAGS.unparse_flags()
    evaluate.FLAGS(['evaluate', '--zoo', 'lines_acai', '--to', str(folder)])
    evaluate.check_to()
    (folder / 'experiment.json').touch()
    with self.assertRaisesRegex(UserError, 'is the run folder of a training'):
      evaluate.check_to()

  def test_flags_that_do_not_apply_are_refused(self):
    for arguments, message in (
        ('--metrics prob', "did you mean 'probe'.*quick, all"), ('--metrics qick', "did you mean 'quick'"),
        ('--metrics quick,probe', 'expected quick or all by itself'), ('--restarts 3', '--restarts does not apply'),
        ('--metrics probe --features x', '--features does not apply to --metrics probe of images; it is for quality'),
        ('--metrics quality --feature_size 9', '--feature_size applies only with --features'),
        ('--run x --dataset lines', '--dataset does not apply with --run; expected no other flags than --run'),
        ('--zoo lines_acai --weights raw', '--weights does not apply'), ('--run x --to y', '--to does not apply'),
        ('--interpolations x --dataset lines', '--dataset does not apply'), ('--paths x --metrics all', '--metrics'),
        ('--dataset grammar --sentences x --set training.batch=3', 'training.batch does not apply'),
        ('--run x --zoo y', 'expected one of --run')):
      with self.assertRaisesRegex(UserError, message):
        if '--run' in arguments or '--zoo' in arguments or 'x' in arguments.split() and 'features' not in arguments:
          evaluate.FLAGS.unparse_flags()
          evaluate.FLAGS(['evaluate', *arguments.split()])
          evaluate.main()
        else:
          self.settings(*arguments.split())


class ErrorsTest(tf.test.TestCase):

  def told(self, *arguments):
    known = flags.FlagValues()
    flags.DEFINE_string('text', None, '', flag_values=known)
    flags.DEFINE_list('names', ['a'], '', flag_values=known)
    flags.DEFINE_integer('count', None, '', flag_values=known)
    with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit) as ended, \
         unittest.mock.patch.object(sys, 'argv', ['program', *arguments]):
      cli.run(lambda: cli.only(known, ['text'], 'here'), '', {}, flag_values=known)
    return ended.exception.code, errors.getvalue()

  def test_flags_with_nothing_behind_them_or_out_of_place(self):
    self.assertEqual(self.told('--text', 'a'), (0, ''))
    for arguments, message in (
        ('--text=', 'error: --text is empty; expected a value, or omit the flag.\n'),
        ('--names=', 'error: --names is empty; expected a value, or omit the flag.\n'),
        ('--count=x', "error: flag --count=x: expected a number, not 'x'\n"),
        ('--count=3', 'error: --count does not apply here; expected no other flags than --text.\n')):
      self.assertEqual(self.told(arguments), (2, message))

  def test_an_unknown_flag_is_answered_with_the_likely_one(self):
    for name, answer in (('lr', 'did you mean --learning_rate'), ('sampls', 'did you mean --samples'),
                         ('weight-decay', '. --help lists'), ('verbosty', '. --help lists'),
                         ('beta2', 'did you mean --set training.beta_2=VALUE')):
      with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit), \
           unittest.mock.patch.object(sys, 'argv', ['acai train', f'--{name}=3']):
        train.program()
      self.assertEqual(errors.getvalue().count('\n'), 1)
      self.assertStartsWith(errors.getvalue(), f'error: unknown flag --{name}')
      self.assertIn(answer, errors.getvalue())

  def test_control_characters_and_kilobytes_do_not_reach_the_terminal(self):
    def main():
      raise UserError('a\x1b[2Jfile\x07 of\nlines \x9b31m' + 'x' * 10_000)

    with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit), \
         unittest.mock.patch.object(sys, 'argv', ['program']):
      cli.run(main, '', {}, flag_values=flags.FlagValues())
    self.assertStartsWith(errors.getvalue(), 'error: a[2Jfile of lines 31mxxx')
    self.assertLess(len(errors.getvalue()), 2100)
    self.assertEqual([c for c in errors.getvalue() if not c.isprintable()], ['\n'])

  def test_a_home_folder_is_expanded_behind_an_equals_sign_too(self):
    known = flags.FlagValues()
    flags.DEFINE_string('run_dir', None, '', flag_values=known)
    flags.DEFINE_multi_string('set', [], '', flag_values=known)

    def run(*arguments):
      with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit), \
           unittest.mock.patch.object(sys, 'argv', ['program', *arguments]), \
           unittest.mock.patch.dict(os.environ, {'HOME': '/h'}):
        cli.run(lambda: None, '', {}, flag_values=known)
      return errors.getvalue()

    self.assertEqual(run('--run_dir=~/x', '--set=dataset.path=~/a,b,~/c', '--set=model.text=a~b'), '')
    self.assertEqual((known.run_dir, known.set), ('/h/x', ['dataset.path=/h/a,b,/h/c', 'model.text=a~b']))
    self.assertRegex(run('--run_dir=~nobody-here/x'), '^error: --run_dir: ~nobody-here/x is in the home folder .*\n$')

  def test_nothing_that_an_error_s_frames_hold_outlives_the_message(self):
    class Held:
      pass

    held = []

    def main():
      iterator = Held()
      held.append(weakref.ref(iterator))
      try:
        raise ValueError('within')
      except ValueError as error:
        raise UserError('without') from error

    with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit) as ended, \
         unittest.mock.patch.object(sys, 'argv', ['program']):
      cli.run(main, '', {}, flag_values=flags.FlagValues())
    self.assertEqual((ended.exception.code, errors.getvalue()), (2, 'error: without\n'))
    self.assertIsNone(held[0]())

  def test_the_remedy_fits_the_error(self):
    full, memory, files = 'a disk with free space', 'more free memory', 'expected readable files'
    for error, message in (
        (OSError(28, 'No space left on device'), full), (PermissionError(13, 'Permission denied'), files),
        (tf.errors.ResourceExhaustedError(None, None, 'x; No space left on device'), full),
        (tf.errors.NotFoundError(None, None, 'no such file'), files),
        (tf.errors.DataLossError(None, None, 'x'), files),
        (tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating tensor'), memory),
        (MemoryError('Unable to allocate 16 TiB'), memory)):
      self.assertIn(message, cli.expected_of(error), error)
    for error in (tf.errors.InternalError(None, None, 'x'), tf.errors.InvalidArgumentError(None, None, 'x'),
                  ValueError('x')):
      self.assertEqual(cli.expected_of(error), '', error)


class StatusTest(tf.test.TestCase):

  def test_without_a_terminal_each_task_prints_one_line_and_seldom_more(self):
    with contextlib.redirect_stdout(io.StringIO()) as out, cli.Status(3600) as status:
      for text, done in (('codes', 0), ('codes', 10), ('codes', 20), ('lines', None)):
        status(text, done, None if done is None else 2000)
    self.assertEqual(out.getvalue(), '  codes 0 of 2,000 ...\n  lines ...\n')
    with contextlib.redirect_stdout(io.StringIO()) as out, cli.Status(0) as status:
      status('codes', 0, 20)
      status('codes', 10, 20)
    self.assertEqual(out.getvalue(), '  codes 0 of 20 ...\n  codes 10 of 20 ...\n')

  def test_a_terminal_has_one_line_that_changes(self):
    stream = io.StringIO()
    stream.isatty = lambda: True
    with unittest.mock.patch.dict(os.environ, TERM='xterm'), contextlib.redirect_stdout(stream), (
        cli.Status()) as status:
      status('codes', 10, 20)
      status.bar.refresh()
    self.assertIn('codes 10 of 20', stream.getvalue())
    self.assertIn('\x1b[', stream.getvalue())


class FiguresTest(tf.test.TestCase):

  def test_tile_by_hand(self):
    images = np.arange(4).reshape(2, 2, 1, 1, 1)
    self.assertAllEqual(figures.tile(images)[..., 0], [
        [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [2, 0, 0, 3]])
    self.assertAllEqual(figures.to_uint8(np.array([-2.0, -1.0, 0.0, 1.0, 2.0])), [0, 0, 128, 255, 255])

  def test_rows_are_written(self):
    path = self.get_temp_dir() + '/rows.png'
    figures.save_rows(path, {'grey': np.zeros([2, 3, 8, 8, 1]), 'colour': np.zeros([1, 3, 8, 8, 3])}, 'caption')
    self.assertGreater(matplotlib.image.imread(path).shape[1], 800)


  def test_curves_tables_and_scatters_are_written(self):
    folder = self.get_temp_dir()
    figures.save_curves(folder + '/c.png', [0, 1], {'a': [1, 2], 'b': [2, 3]}, 'x', 'y', 'caption')
    figures.save_table(folder + '/t.png', np.eye(3, dtype=int), 'x', 'y', 'caption')
    codes = np.random.default_rng(0).normal(size=[60, 5])
    figures.save_scatter(folder + '/s.png', figures.embedding(codes), np.arange(60) % 3, 'caption')
    for name in 'cts':
      self.assertGreater(matplotlib.image.imread(f'{folder}/{name}.png').std(), 0.02)
    self.assertIsNone(figures.embedding(codes[:10]))
    self.assertIsNone(figures.embedding(np.ones([60, 5])))
    self.assertIsNone(figures.embedding(codes[:, :1]))
    with unittest.mock.patch('matplotlib.axes.Axes.text', side_effect=AssertionError('a text per cell')):
      figures.save_table(folder + '/large.png', np.eye(300, dtype=int), 'x', 'y', 'caption')


class FeatureNetworkTest(tf.test.TestCase):

  def toy(self, count=600):
    """Images with one bright quarter, whose number is the label, under noise."""
    generator, labels = np.random.default_rng(0), np.arange(count, dtype=np.int32) % 4
    images = generator.normal(100, 40, [count, 8, 8, 1])
    for image, label in zip(images, labels, strict=True):
      image[label // 2 * 4:label // 2 * 4 + 4, label % 2 * 4:label % 2 * 4 + 4] += 40
    images = np.clip(images, 0, 255).astype(np.uint8)
    arrays = {'train_images': images[100:], 'train_labels': labels[100:], 'test_images': images[:100],
              'test_labels': labels[:100]}
    return image_base.ArrayDataset(arrays, 4)

  def test_it_learns_the_classes(self):
    """By far better than chance, 0.25, on images that it has not seen: a network of 0 epochs would not."""
    dataset = self.toy()
    logits = feature_network.train(dataset).predict(dataset.test()[0], verbose=0)[1]
    self.assertGreater(probe.accuracy(logits, dataset.test_labels), 0.8)

  def test_it_is_trained_once_and_has_an_identity(self):
    dataset, folder = self.toy(164), new_folder(self)
    images, told = dataset.test()[0], []
    first = feature_network.load(dataset, 'toy', folder, progress=lambda *far: told.append(far))
    self.assertEqual(told[0], ('training a feature network, once', 0, 64 * feature_network.EPOCHS))
    told.clear()
    again = feature_network.load(dataset, 'toy', folder, progress=lambda *far: told.append(far))
    self.assertEmpty(told)
    self.assertEqual(first(images).shape, (100, feature_network.WIDTH))
    self.assertAllClose(first(images), again(images))
    self.assertNotAllClose(first(images)[0], first(images)[1])
    self.assertRegex(first.identity, '^[0-9a-f]{12}$')
    self.assertEqual(first.identity, again.identity)
    self.assertNotEqual(first.identity, feature_network.load(dataset, 'toy', folder, seed=1).identity)
    kept = feature_network.path_of(dataset, 'toy', folder)
    for name, value in (('EPOCHS', 0), ('WIDTH', 32), ('CHANNELS', (8, 8, 8)), ('IMAGES', 10)):
      with unittest.mock.patch.object(feature_network, name, value):
        self.assertNotEqual(feature_network.path_of(dataset, 'toy', folder), kept, name)
    kept.write_bytes(kept.read_bytes()[:5000])
    with self.assertRaisesRegex(UserError, 'cannot be read.*delete it'):
      feature_network.load(dataset, 'toy', folder)
    for other in (feature_network.build((32, 32, 1), 7), feature_network.build((16, 16, 1), 4)):
      other.save(kept)
      with self.assertRaisesRegex(UserError, 'cannot be read.*delete it'):
        feature_network.load(dataset, 'toy', folder)
    dataset.classes = 0
    with self.assertRaisesRegex(UserError, 'toy has no labels'):
      feature_network.load(dataset, 'toy', folder)

  def test_a_feature_module_of_the_user(self):
    root = tf.train.Checkpoint()
    root.__call__ = tf.function(lambda x: tf.reduce_mean(x, [1, 2]), [tf.TensorSpec([None, 16, 16, 3], tf.float32)])
    tf.saved_model.save(root, self.get_temp_dir() + '/inception')
    features = feature_network.of_module(self.get_temp_dir() + '/inception', 16)
    self.assertAllClose(features(np.zeros([3, 8, 8, 1], np.float32)), np.full([3, 3], 0.5))
    self.assertRegex(features.identity, '^[0-9a-f]{12}$')
    self.assertEqual(feature_network.of_module(self.get_temp_dir() + '/inception', 16).identity, features.identity)
    with self.assertRaisesRegex(UserError, 'module /nowhere cannot be loaded'):
      feature_network.of_module('/nowhere', 16)


class ZooTest(tf.test.TestCase):

  def test_published_figures(self):
    """Against protocol.md's tables, whose confirmed figures are 6.88 and 0.24."""
    acai = zoo.published('lines', 'acai', 64)
    self.assertAllClose((acai['mean_distance'].value, acai['mean_distance'].spread), (0.24e-3, 0.01e-3))
    self.assertTrue(acai['mean_distance'].confirmed)
    self.assertFalse(acai['smoothness_published'].confirmed)
    self.assertAllClose(zoo.published('mnist', 'acai', 32)['probe_accuracy'].value, 0.9825)
    self.assertAllClose(zoo.published('mnist', 'autoencoder', 256)['probe_accuracy'].value, 0.9394)
    self.assertEqual(zoo.published('mnist', 'acai', 7), {})
    self.assertEqual(zoo.published('fashion_mnist', 'acai', 64), {})
    with self.assertRaisesRegex(UserError, 'unknown data set'):
      zoo.published('nothing', 'acai', 64)

  def test_every_published_figure_is_of_a_data_set(self):
    for name in registry.names('acai_tf.zoo'):
      if not name.startswith('__'):
        self.assertIn(name, registry.names('acai_tf.data'))


class ScorerTest(tf.test.TestCase):

  def score(self, array):
    path = self.get_temp_dir() + '/file.npy'
    np.save(path, array)
    with contextlib.redirect_stdout(io.StringIO()) as out:
      evaluate.score_file(path)
    return out.getvalue()

  def test_a_cross_fade_and_a_perfect_turn(self):
    angles = np.random.default_rng(0).uniform(0, 6.28, [2, 64])
    ends = lines.render(angles[0]), lines.render(angles[1])
    text = self.score(measure.crossfade(*ends))
    self.assertRegex(text, r'64 interpolations of 16 images')
    self.assertRegex(text, r'mean distance, 1e-3 .* +[567]\.\d\d ± 0\.')  # the calibration: 6.3e-3, of 64 pairs
    self.assertRegex(text, r'smoothness .lower is better. +0\.[89]')
    turn = np.linspace(0, 1, 16)[None] * 2 + angles[0][:, None]
    text = self.score(lines.render(turn.ravel()).reshape(64, 16, 32, 32, 1).astype(np.float64))
    self.assertRegex(text, r'mean distance, 1e-3 .* 0\.00 ')

  def test_a_file_that_does_not_fit_is_refused(self):
    good = measure.crossfade(lines.render([1.0]), lines.render([2.0]))
    for array, message in (
        (good[0], r'shape \(16, 32, 32, 1\); expected \[n, k'), (good[:, :, ::2], 'expected'), (good[:, :2], 'k >= 3'),
        ((good + 1) / 2, 'give 2 x - 1'), (good * 127, 'scale them'), (good * np.nan, 'NaN'),
        (np.array(['a']), 'not a .npy file of numbers'), (good[:0], 'n >= 1')):
      with self.assertRaisesRegex(UserError, message):
        self.score(array)


class ProgramsTest(tf.test.TestCase):

  def run_module(self, *arguments):
    """Runs `python -m` in a new process: (exit status, output, errors)."""
    done = subprocess.run([sys.executable, '-m', *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr.strip()

  def run_here(self, module, *arguments):
    """As `run_module`, in this process."""
    program = importlib.import_module({'acai_tf.export': 'acai_tf.export.__main__'}.get(module, module))
    known = getattr(program, 'FLAGS', flags.FLAGS)
    with (unittest.mock.patch.object(sys, 'argv', [module, *arguments]),
          unittest.mock.patch.object(cli, 'start_tensorflow'), contextlib.redirect_stdout(io.StringIO()) as output,
          contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit) as ended):
      try:
        getattr(program, 'program', lambda: cli.run(program.main, '', {}, flag_values=known))()
      finally:
        known.unparse_flags()
        for name in known:
          known[name].unparse()
    return ended.exception.code, output.getvalue(), errors.getvalue().strip()

  def test_help_is_short_grouped_and_needs_no_tensorflow(self):
    for module in ('acai_tf.train', 'acai_tf.evaluate', 'acai_tf.export', 'acai_tf.zoo._demo'):
      code, output, _ = self.run_module(module, '--help')
      self.assertEqual(code, 0)
      self.assertLess(output.count('\n'), 50)
      self.assertLessEqual(max(map(len, output.splitlines())), 120)
      self.assertIn('\nWhat', output)
    check = ('import sys, acai_tf.train, acai_tf.evaluate, acai_tf.export.__main__, acai_tf.zoo.__main__; '
             '[entry.latent_dimension for entry in acai_tf.zoo.base.definitions().values()]; '
             'sys.exit("tensorflow" in sys.modules)')
    self.assertEqual(subprocess.run([sys.executable, '-c', check], check=False).returncode, 0)

  def test_the_command_acai(self):
    def call(*words):
      with (unittest.mock.patch.object(sys, 'argv', ['acai', *words]), contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as errors):
        try:
          acai.main()
          status = 0
        except SystemExit as ended:
          status = ended.code
        zoo_program.FLAGS.unparse_flags()
        for name in zoo_program.FLAGS:
          zoo_program.FLAGS[name].unparse()
      return status, out.getvalue(), errors.getvalue()

    self.assertEqual(call('--version'), (0, 'acai_tf 0.1.0\n', ''))
    self.assertRegex(call('--help')[1], '(?s)train .*evaluate .*export .*zoo ')
    for name in acai.COMMANDS:
      status, out, _ = call(name, '--help')
      self.assertEqual(status, 0)
      self.assertStartsWith(out, f'acai {name} ')
    for name in zoo_program.COMMANDS:
      status, out, _ = call('zoo', name, '--help')
      self.assertStartsWith(out, f'acai zoo {name}')
      self.assertLess(out.count('\n'), 20)
    self.assertEqual(call('zoo', 'list', '--model', 'acai', '--dataset', 'lines')[0], 0)
    for words, message in (((), 'no command; expected one of train, '), (('trian',), "did you mean 'train'"),
                           (('zoo',), 'no command; expected one of list, '), (('zoo', 'lst'), "did you mean 'list'"),
                           (('zoo', 'show'), 'expected acai zoo show NAME')):
      status, out, errors = call(*words)
      self.assertEqual((status, out, errors.count('\n')), (2, '', 1))
      self.assertIn(message, errors)

  def test_mistakes_get_one_line_and_an_exit_status(self):
    folder = pathlib.Path(self.get_temp_dir())
    for arguments, message in (
        (['acai_tf.train'], '--dataset is missing'),
        (['acai_tf.train', '--dataset', 'linse'], "did you mean 'lines'"),
        (['acai_tf.train', '--datset', 'lines'], 'did you mean --dataset'),
        (['acai_tf.train', 'lines'], "unexpected argument 'lines'"),
        (['acai_tf.train', '--dataset', 'lines', '--batch', '0'], 'batch'),
        (['acai_tf.train', '--dataset', 'lines', '--set', 'model.lamda=1'], "did you mean 'lambda_'"),
        (['acai_tf.train', '--dataset', 'lines', '--latent_width', '3'], 'widths that fit it'),
        (['acai_tf.train', '--dataset', 'lines', '--manual_dir', str(folder)], '--manual_dir does not apply'),
        (['acai_tf.train', '--dataset', 'mnist', '--manual_dir', str(folder / 'none')], 'there is no such folder'),
        (['acai_tf.train', '--dataset', 'mnist', '--model', 'arae_image', '--latent', '7'], 'network.latent does not'),
        (['acai_tf.evaluate'], 'expected one of --run DIR'),
        (['acai_tf.evaluate', '--interpolations', str(folder / 'no.npy')], 'cannot be read'),
        (['acai_tf.evaluate', '--module', str(folder), '--dataset', 'lines'], 'cannot be loaded'),
        (['acai_tf.evaluate', '--module', str(folder)], '--dataset is missing'),
        (['acai_tf.evaluate', '--run', str(folder / 'none')], 'is not a run folder'),
        (['acai_tf.export', '--run', str(folder / 'none'), '--to', str(folder / 'x')], 'is not a run folder'),
        (['acai_tf.export', '--run', str(folder), '--to', str(folder)], 'exists already'),
        (['acai_tf.zoo._demo', '--module', str(folder)], 'is not a module')):
      code, _, errors = self.run_here(*arguments)
      self.assertEqual(code, 2, arguments)
      self.assertStartsWith(errors, 'error: ')
      self.assertIn(message, errors)
      self.assertNotIn('\n', errors)

  @pytest.mark.slow
  def test_train_evaluate_export_and_load(self):
    """The main job, small: every file that the README names is there, and the module is checked afresh.

    48 test images are too few for t-SNE; records_test draws them.
    """
    folder = pathlib.Path(self.get_temp_dir())
    run_module, run, module = self.run_module, str(folder / 'run'), str(folder / 'module')
    code, output, errors = run_module(
        'acai_tf.train', '--dataset', 'lines', '--model', 'autoencoder', '--recipe', 'fast', '--samples', '64',
        '--depth', '2', '--latent', '2', '--latent_width', '2', '--set', 'dataset.size=8', '--run_dir', run,
        '--precision', 'float32', '--set', 'dataset.test_images=48', '--set', 'training.evaluate_every=32')
    self.assertEqual((code, errors), (0, ''))
    self.assertIn('pixel cross-fade', output)
    self.assertIn('undertrained', output)
    for name in ('experiment.json', 'history.jsonl', 'metrics.json', 'reconstructions.png', 'interpolation.png'):
      self.assertTrue((folder / 'run' / name).exists(), name)
    self.assertLen(list((folder / 'run').glob('events.out.tfevents.*')), 1)
    self.assertEqual([row['samples'] for row in Run(run).history()], [32, 64])
    first = json.loads((folder / 'run' / 'metrics.json').read_text())
    self.assertEqual(first['samples'], 64)
    self.assertEqual(first['trained_by'], [
        {'samples': 0, 'devices': '1 device(s), without XLA',
         **{key: first[key] for key in ('commit', 'versions', 'device')}}])
    theirs = folder / 'module.part' / 'of somebody else'
    theirs.parent.mkdir()
    theirs.touch()
    code, output, errors = run_module('acai_tf.export', '--run', run, '--to', module)
    self.assertEqual((code, errors), (0, ''))
    self.assertTrue(theirs.exists())
    self.assertEqual([path.name for path in folder.glob('*.part')], ['module.part'])
    self.assertIn('8 callables at batches of 1, 7, 64 and 6 signatures agree to 1e-05', output)
    code, output, errors = run_module(
        'acai_tf.evaluate', '--module', module, '--dataset', 'lines', '--set', 'dataset.size=8', '--set',
        'dataset.test_images=48', '--metrics', 'reconstruction,probe,lines', '--to', str(folder / 'of_module'))
    self.assertEqual((code, errors), (0, ''))
    through_hub = json.loads((folder / 'of_module' / 'metrics.json').read_text())['metrics']
    self.assertCountEqual(through_hub, first['metrics'])
    for name, value in first['metrics'].items():
      if value is not None and not name.endswith('_ci95'):
        # The distance is of other lines, since the module does not know the step from which a run draws its own.
        rtol = 0.1 if name == 'mean_distance' else 2e-3
        self.assertAllClose(through_hub[name], value, rtol=rtol, atol=1e-5, msg=name)
    self.assertEqual(report.number(through_hub['probe_accuracy']), report.number(first['metrics']['probe_accuracy']))
    code, output, errors = run_module('acai_tf.zoo._demo', '--module', module, '--picture', str(folder / 'p.png'))
    self.assertEqual((code, errors), (0, ''))
    self.assertTrue((folder / 'p.png').exists())


if __name__ == '__main__':
  tf.test.main()
