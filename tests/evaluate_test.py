"""Evaluation, figures, published figures, and the programs' flags and errors."""

import json
import pathlib
import subprocess
import sys
import time

import matplotlib.image
import numpy as np
import tensorflow as tf

from acai_tf import evaluate, figures, registry, runs
from acai_tf.config import UserError
from acai_tf.data import lines
from acai_tf.metrics import probe, reconstruction
from zoo import base as zoo


def perfect_functions():
  """A model of lines as it should be: its code is the angle, so that a straight path turns the line."""
  angles, templates = lines.templates(2000)

  def encode(images):
    from acai_tf.metrics import lines as metric

    return metric.nearest_lines(images, angles, templates)[1][:, None].astype(np.float32)

  return evaluate.Functions(encode, lambda codes: lines.render(codes[:, 0]), lambda images: np.eye(10)[
      lines.labels_of(encode(images)[:, 0])])


class MeasureTest(tf.test.TestCase):

  def test_a_perfect_model_of_lines(self):
    dataset = lines.load(lines.Config(test_images=256))
    result = evaluate.measure(perfect_functions(), dataset, 'lines')
    self.assertLess(result['recon_mse'], 1e-3)
    self.assertGreater(result['probe_accuracy'], 0.98)
    self.assertLess(result['mean_distance'], 1e-6)
    self.assertLess(result['smoothness_strict'], 0.01)

  def test_a_diverged_model_is_told(self):
    dataset = lines.load(lines.Config(test_images=4))
    broken = evaluate.Functions(lambda x: x, lambda x: x * np.nan)
    with self.assertRaisesRegex(UserError, 'diverged'):
      evaluate.measure(broken, dataset, 'mnist')

  def test_functions_of_a_model_equal_the_model_at_any_length(self):
    experiment = runs.resolve('lines', 'acai', 'paper', {'network': {'depth': 2}})
    model = runs.create(experiment)
    functions = evaluate.functions_of(model)
    images = lines.render(np.linspace(0, 6, evaluate.BATCH + 3))
    self.assertAllClose(functions.encode(images), model.encode(images), atol=1e-5)
    self.assertEqual(functions.classify(images).shape, (evaluate.BATCH + 3, 10))
    strips = evaluate.strips(functions, images[:3], images[3:6], 5)
    self.assertEqual(strips.shape, (3, 5, 32, 32, 1))
    self.assertAllClose(strips[:, 0], model(images[:3]), atol=1e-5)

  def test_probe_and_reconstruction_on_worst_and_degenerate_input(self):
    self.assertEqual(probe.accuracy(np.eye(3), [0, 1, 2]), 1)
    self.assertEqual(probe.accuracy(np.eye(3), [1, 2, 0]), 0)
    self.assertEqual(reconstruction.mean_squared_error(np.ones([2, 1]), -np.ones([2, 1])), 4)
    for call in (lambda: probe.accuracy(np.eye(3), [0]), lambda: probe.accuracy(np.zeros([0, 3]), []),
                 lambda: probe.accuracy(np.full([1, 3], np.nan), [0]),
                 lambda: reconstruction.mean_squared_error(np.zeros([2, 1]), np.zeros([2])),
                 lambda: reconstruction.mean_squared_error(np.zeros([2]), np.full([2], np.inf))):
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
    self.assertEqual(zoo.published('nothing', 'acai', 64), {})

  def test_every_published_figure_is_of_a_data_set(self):
    for name in registry.names('zoo'):
      if not name.startswith('__'):
        self.assertIn(name, registry.names('acai_tf.data'))
        self.assertNotEmpty(registry.load('zoo', name).PUBLISHED)


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
        (['acai_tf.train', '--dataset', 'lines', '--latent_width', '3'], 'fitting widths'),
        (['acai_tf.evaluate'], '--run DIR is missing'),
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
    """The main job, small: every file that the README names is there, and the module is checked afresh."""
    folder = pathlib.Path(self.get_temp_dir())
    run, module = str(folder / 'run'), str(folder / 'module')
    code, output, errors, _ = self.run_module(
        'acai_tf.train', '--dataset', 'lines', '--recipe', 'fast', '--samples', '64', '--depth', '2', '--run_dir', run,
        '--set', 'dataset.test_images=64', '--set', 'training.evaluate_every=32')
    self.assertEqual((code, errors), (0, ''))
    self.assertIn('pixel cross-fade', output)
    self.assertIn('undertrained', output)
    for name in ('experiment.json', 'history.jsonl', 'metrics.json', 'reconstructions.png', 'interpolation.png'):
      self.assertTrue((folder / 'run' / name).exists(), name)
    self.assertLen(list((folder / 'run').glob('events.out.tfevents.*')), 1)
    self.assertEqual([row['samples'] for row in runs.read_history(run)], [32, 64])
    first = json.loads((folder / 'run' / 'metrics.json').read_text())
    self.assertEqual(first['samples'], 64)
    code, _, errors, _ = self.run_module('acai_tf.evaluate', '--run', run, '--checkpoint', 'last')
    self.assertEqual((code, errors), (0, ''))
    again = json.loads((folder / 'run' / 'metrics.json').read_text())
    for name, value in first['metrics'].items():
      if value is not None:
        self.assertAllClose(again['metrics'][name], value, rtol=1e-4, atol=1e-6)
    code, output, errors, _ = self.run_module('export', '--run', run, '--to', module)
    self.assertEqual((code, errors), (0, ''))
    self.assertIn('5 outputs of 5 images agree to 1e-05', output)
    code, output, errors, _ = self.run_module('export.demo', '--module', module, '--picture', str(folder / 'p.png'))
    self.assertEqual((code, errors), (0, ''))
    self.assertTrue((folder / 'p.png').exists())


if __name__ == '__main__':
  tf.test.main()
