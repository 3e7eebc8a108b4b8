"""Evaluation, figures, published figures, and the programs' flags and errors."""

import contextlib
import io
import json
import pathlib
import subprocess
import sys
import time
import unittest.mock

import matplotlib.image
import numpy as np
import tensorflow as tf

from acai_tf import evaluate, feature_network, figures, losses, measure, registry, runs
from acai_tf import functions as functions_lib
from acai_tf.config import UserError
from acai_tf.data import base, lines
from acai_tf.metrics import probe, reconstruction
from zoo import base as zoo


def perfect_functions():
  """A model of lines as it should be: its code is the angle, so that a straight path turns the line."""
  angles, templates = lines.templates(2000)

  def encode(images):
    from acai_tf.metrics import lines as metric

    return metric.nearest_lines(images, angles, templates)[1][:, None].astype(np.float32)

  return functions_lib.Functions(encode, lambda codes: lines.render(codes[:, 0]), lambda images: np.eye(10)[
      lines.labels_of(encode(images)[:, 0])])


class MeasureTest(tf.test.TestCase):

  def test_a_perfect_model_of_lines(self):
    dataset = lines.load(lines.Config(test_images=256))
    found = measure.measure(perfect_functions(), dataset, 'lines')
    result = found.metrics
    self.assertAllClose(found.curves['distance'], np.zeros(16), atol=1e-6)
    self.assertEqual(found.arrays['angles'].shape, (256, 16))
    self.assertGreater(result['ssim'], 0.99)
    self.assertLess(result['recon_mse'], 1e-3)
    self.assertGreater(result['probe_accuracy'], 0.98)
    self.assertLess(result['mean_distance'], 1e-6)
    self.assertLess(result['smoothness_strict'], 0.01)

  def test_a_diverged_model_is_told(self):
    dataset = lines.load(lines.Config(test_images=4))
    broken = functions_lib.Functions(lambda x: x, lambda x: x * np.nan)
    with self.assertRaisesRegex(UserError, 'evaluation of mymodel on mnist.*diverged'):
      measure.measure(broken, dataset, 'mnist', model_name='mymodel')

  def test_groups_of_which_none_applies_are_told(self):
    dataset = lines.load(lines.Config(test_images=4))
    with self.assertRaisesRegex(UserError, 'mymodel on lines: no metric of likelihood, codebook applies'):
      measure.measure(perfect_functions(), dataset, 'lines', measure.Settings(('likelihood', 'codebook')), 'mymodel')

  def test_every_group_on_a_perfect_model(self):
    dataset = lines.load(lines.Config(test_images=64))
    settings = measure.Settings(measure.GROUPS, 2, 300, features=lambda images: images[:, ::8, ::8, 0].reshape(-1, 16))
    found = measure.measure(perfect_functions(), dataset, 'lines', settings)
    names = ('fitted_probe_accuracy', 'clustering_nmi', 'frechet_gap', 'kernel_middle', 'coverage', 'pixel_path_length',
             'feature_step_variance')
    self.assertContainsSubset(names, found.metrics)
    self.assertLess(found.metrics['frechet_ends'], 0.2)
    self.assertLen(found.curves['frechet'], measure.QUALITY_STEPS)
    self.assertEqual(found.arrays['confusion'].sum(), 64)
    self.assertNotIn('log_likelihood', found.metrics)
    for group in ('lnes', 'all'):
      with self.assertRaisesRegex(ValueError, 'unknown value of --metrics'):
        measure.Settings((group,))

  def test_groups_of_vae_and_vqvae(self):
    dataset = lines.load(lines.Config(test_images=40))
    for name, keys in (('vae', ('log_likelihood', 'rate', 'distortion')),
                       ('vqvae', ('codebook_usage', 'codebook_perplexity', 'rate_bits'))):
      functions = functions_lib.of_model(runs.create(runs.resolve('lines', name, overrides={'network': {'depth': 2}})))
      found = measure.measure(functions, dataset, 'lines', measure.Settings(('likelihood', 'codebook')))
      self.assertCountEqual(found.metrics, keys)
    model = runs.create(runs.resolve('lines', 'vae', overrides={'network': {'depth': 2}}))
    functions = functions_lib.of_model(model)
    found = measure.measure(functions, dataset, 'lines', measure.Settings(('likelihood',))).metrics
    x = dataset.test()[0]
    self.assertAllClose(found['rate'], losses.gaussian_kl(*model.posterior(x)[:2]), rtol=1e-4)
    # Jensen: more codes give no less than the evidence lower bound of one, up to its noise.
    self.assertGreater(found['log_likelihood'], -found['rate'] - found['distortion'] - 1)

  def test_functions_of_a_model_equal_the_model_at_any_length(self):
    experiment = runs.resolve('lines', 'acai', 'paper', {'network': {'depth': 2}})
    model = runs.create(experiment)
    functions = functions_lib.of_model(model)
    images = lines.render(np.linspace(0, 6, functions_lib.BATCH + 3))
    self.assertAllClose(functions.encode(images), model.encode(images), atol=1e-5)
    self.assertEqual(functions.classify(images).shape, (functions_lib.BATCH + 3, 10))
    strips = measure.strips(functions, images[:3], images[3:6], 5)
    self.assertEqual(strips.shape, (3, 5, 32, 32, 1))
    self.assertAllClose(strips[:, 0], model(images[:3]), atol=1e-5)

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
    experiment = runs.resolve('lines', 'acai', 'fast')
    metrics = {'mean_distance': 0.5, 'smoothness_strict': None}
    text = evaluate.table(experiment, 1 << 18, metrics, {'mean_distance': 0.25})
    self.assertRegex(text, r'mean_distance +0.5 +0.00024 ± 1e-05 +0.25')
    self.assertIn('undefined', text)
    self.assertIn('undertrained: 262,144 samples, 1.6% of', text)
    self.assertNotIn('undertrained', evaluate.table(experiment, 1 << 24, {'mean_distance': 0.5}))


class FiguresTest(tf.test.TestCase):

  def test_tile_by_hand(self):
    images = np.arange(4).reshape(2, 2, 1, 1, 1)
    self.assertAllEqual(figures.tile(images, gap=1)[..., 0], [[0, 0, 1], [0, 0, 0], [2, 0, 3]])
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
    with unittest.mock.patch.dict(sys.modules, umap=None):  # As where umap-learn is not installed; records_test has it.
      found = figures.embeddings(codes)
    self.assertEqual(list(found), ['t-SNE'])
    points = found['t-SNE']
    figures.save_scatter(folder + '/s.png', points, np.arange(60) % 3, 'caption')
    for name in 'cts':
      self.assertGreater(matplotlib.image.imread(f'{folder}/{name}.png').std(), 0.02)
    self.assertEqual(figures.embeddings(codes[:10]), {})
    self.assertEqual(figures.embeddings(np.ones([60, 5])), {})


class FeatureNetworkTest(tf.test.TestCase):

  def test_it_learns_the_classes_and_is_trained_once(self):
    labels = np.arange(200, dtype=np.int32) % 2
    images = (255 * labels[:, None, None, None] * np.ones([1, 8, 8, 1])).astype(np.uint8)
    dataset = base.ArrayDataset({'train_images': images, 'train_labels': labels, 'test_images': images[:9],
                                 'test_labels': labels[:9]}, 2)
    first = feature_network.load(dataset, 'toy', self.get_temp_dir())(dataset.test()[0])
    again = feature_network.load(dataset, 'toy', self.get_temp_dir())(dataset.test()[0])
    self.assertEqual(first.shape, (9, feature_network.WIDTH))
    self.assertAllClose(first, again)
    self.assertNotAllClose(first[0], first[1])
    kept = feature_network.path_of(dataset, 'toy', self.get_temp_dir())
    kept.write_bytes(kept.read_bytes()[:5000])
    with self.assertRaisesRegex(UserError, 'cannot be read.*delete it'):
      feature_network.load(dataset, 'toy', self.get_temp_dir())
    dataset.classes = 0
    with self.assertRaisesRegex(UserError, 'toy has no labels'):
      feature_network.load(dataset, 'toy', self.get_temp_dir())

  def test_a_module_of_the_user_s(self):
    root = tf.train.Checkpoint()
    root.__call__ = tf.function(lambda x: tf.reduce_mean(x, [1, 2]), [tf.TensorSpec([None, 16, 16, 3], tf.float32)])
    tf.saved_model.save(root, self.get_temp_dir() + '/inception')
    features = feature_network.of_module(self.get_temp_dir() + '/inception', 16)
    self.assertAllClose(features(np.zeros([3, 8, 8, 1], np.float32)), np.full([3, 3], 0.5))
    with self.assertRaisesRegex(UserError, '--features /nowhere cannot be used'):
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
    for name in registry.names('zoo'):
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
    self.assertRegex(text, r'mean_distance +0\.00[67]\d* ± 0\.000')  # the published calibration: 6.3e-3 to 7.2e-3
    self.assertRegex(text, r'smoothness_published +0\.[89]')
    turn = np.linspace(0, 1, 16)[None] * 2 + angles[0][:, None]
    text = self.score(lines.render(turn.ravel()).reshape(64, 16, 32, 32, 1).astype(np.float64))
    self.assertRegex(text, r'mean_distance +[\d.]+e-0[678]')

  def test_what_does_not_fit_is_told(self):
    good = measure.crossfade(lines.render([1.0]), lines.render([2.0]))
    for array, message in (
        (good[0], r'shape \(16, 32, 32, 1\); expected \[n, k'), (good[:, :, ::2], 'expected'), (good[:, :2], 'k >= 3'),
        ((good + 1) / 2, 'give 2 x - 1'), (good * 127, 'scale them'), (good * np.nan, 'NaN'),
        (np.array(['a']), 'no array of numbers')):
      with self.assertRaisesRegex(UserError, message):
        self.score(array)


class ProgramsTest(tf.test.TestCase):

  def run_module(self, *arguments):
    began = time.monotonic()
    done = subprocess.run([sys.executable, '-m', *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr.strip(), time.monotonic() - began

  def test_help_is_short_grouped_and_needs_no_tensorflow(self):
    for module in ('acai_tf.train', 'acai_tf.evaluate', 'export', 'export.demo'):
      code, output, _, _ = self.run_module(module, '--help')
      self.assertEqual(code, 0)
      self.assertLess(output.count('\n'), 40)
      self.assertIn('What\n', output)
    check = 'import sys, acai_tf.train, acai_tf.evaluate, export.__main__; sys.exit("tensorflow" in sys.modules)'
    self.assertEqual(subprocess.run([sys.executable, '-c', check], check=False).returncode, 0)

  def test_mistakes_get_one_line_and_an_exit_status(self):
    folder = pathlib.Path(self.get_temp_dir())
    for arguments, message in (
        (['acai_tf.train'], '--dataset is missing'),
        (['acai_tf.train', '--dataset', 'linse'], "did you mean 'lines'"),
        (['acai_tf.train', '--datset', 'lines'], 'Did you mean: dataset'),
        (['acai_tf.train', 'lines'], "unexpected argument 'lines'"),
        (['acai_tf.train', '--dataset', 'lines', '--batch', '0'], 'batch'),
        (['acai_tf.train', '--dataset', 'lines', '--set', 'model.lamda=1'], "did you mean 'lambda_'"),
        (['acai_tf.train', '--dataset', 'lines', '--latent_width', '3'], 'widths that fit it'),
        (['acai_tf.evaluate'], 'expected one of --run DIR'),
        (['acai_tf.evaluate', '--interpolations', str(folder / 'no.npy')], 'cannot be read'),
        (['acai_tf.evaluate', '--module', str(folder), '--dataset', 'lines'], 'cannot be loaded'),
        (['acai_tf.evaluate', '--module', str(folder)], '--dataset is missing'),
        (['acai_tf.evaluate', '--run', str(folder / 'none')], 'is no run folder'),
        (['export', '--run', str(folder / 'none'), '--to', str(folder / 'x')], 'is no run folder'),
        (['export', '--run', str(folder), '--to', str(folder)], 'exists already'),
        (['export.demo', '--module', str(folder)], 'is no module')):
      code, _, errors, _ = self.run_module(*arguments)
      self.assertEqual(code, 2, arguments)
      self.assertStartsWith(errors, 'error: ')
      self.assertIn(message, errors)
      self.assertNotIn('\n', errors)

  def test_train_evaluate_export_and_load(self):
    """The main job, small: every file that the README names is there, and the module is checked afresh.

    48 test images are too few for t-SNE and UMAP, which take half a minute; records_test draws them.
    """
    folder = pathlib.Path(self.get_temp_dir())
    run, module = str(folder / 'run'), str(folder / 'module')
    code, output, errors, _ = self.run_module(
        'acai_tf.train', '--dataset', 'lines', '--recipe', 'fast', '--samples', '64', '--depth', '2', '--run_dir', run,
        '--set', 'dataset.test_images=48', '--set', 'training.evaluate_every=32')
    self.assertEqual((code, errors), (0, ''))
    self.assertIn('pixel cross-fade', output)
    self.assertIn('undertrained', output)
    for name in ('experiment.json', 'history.jsonl', 'metrics.json', 'reconstructions.png', 'interpolation.png'):
      self.assertTrue((folder / 'run' / name).exists(), name)
    self.assertLen(list((folder / 'run').glob('events.out.tfevents.*')), 1)
    self.assertEqual([row['samples'] for row in runs.read_history(run)], [32, 64])
    first = json.loads((folder / 'run' / 'metrics.json').read_text())
    self.assertEqual(first['samples'], 64)
    self.assertEqual(first['trained_by'], [
        {'samples': 0, **{key: first[key] for key in ('commit', 'versions', 'device')}}])
    groups, few = 'reconstruction,probe,lines,clustering,codebook', ('--restarts', '1', '--train_images', '500')
    code, _, errors, _ = self.run_module('acai_tf.evaluate', '--run', run, '--metrics', groups, *few)
    self.assertEqual((code, errors), (0, ''))
    again = json.loads((folder / 'run' / 'metrics.json').read_text())
    for name, value in first['metrics'].items():
      if value is not None:
        self.assertAllClose(again['metrics'][name], value, rtol=1e-4, atol=1e-6)
    code, output, errors, _ = self.run_module('export', '--run', run, '--to', module)
    self.assertEqual((code, errors), (0, ''))
    self.assertIn('6 outputs of 5 images agree to 1e-05', output)
    code, output, errors, _ = self.run_module(
        'acai_tf.evaluate', '--module', module, '--dataset', 'lines', '--set', 'dataset.test_images=48', '--metrics',
        groups, *few, '--to', str(folder / 'of_module'))
    self.assertEqual((code, errors), (0, ''))
    through_hub = json.loads((folder / 'of_module' / 'metrics.json').read_text())['metrics']
    self.assertCountEqual(through_hub, again['metrics'])
    for name, value in again['metrics'].items():
      if value is not None:
        self.assertAllClose(through_hub[name], value, rtol=2e-3, atol=1e-5, msg=name)
    code, output, errors, _ = self.run_module('export.demo', '--module', module, '--picture', str(folder / 'p.png'))
    self.assertEqual((code, errors), (0, ''))
    self.assertTrue((folder / 'p.png').exists())


if __name__ == '__main__':
  tf.test.main()
