"""Result files, tables, the report, and `zoo reproduce`: filing, means over seeds, marks, and going on."""

import importlib.util
import json
import pathlib
import subprocess
import sys
import unittest.mock

import numpy as np
import scipy.stats
import tensorflow as tf

from acai_tf import config, feature_network, runs
from acai_tf.config import UserError
from acai_tf.data import lines
from zoo import _records, _report, _reproduce, _tables, base


def record(seed=0, samples=1 << 18, distance=1e-3, name='lines_acai', **metrics):
  definition = base.definition(name)
  experiment = runs.resolve(definition.dataset, definition.model, 'fast', {
      **definition.overrides, 'training': {'seed': seed, 'samples': samples}}).to_dict()
  return {'experiment': experiment, 'samples': samples,
          'metrics': {'mean_distance': distance, 'smoothness_published': 0.1, **metrics},
          'curves': {'alpha': [0, 1], 'distance': [0.0, distance]},
          'history': [{'samples': samples // 2, 'mean_distance': 2 * distance},
                      {'samples': samples, 'mean_distance': distance}]}


class RecordsTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir())

  def create_tempdir(self):
    import tempfile

    return tempfile.mkdtemp(dir=self.get_temp_dir())

  def test_filing_replaces_the_same_run_only(self):
    for seed, distance in ((1, 2e-3), (0, 1e-3), (1, 3e-3)):
      _records.add('lines_acai', record(seed, distance=distance), self.folder)
    _records.add('lines_acai', record(0, 1 << 19), self.folder)
    found = _records.load('lines_acai', self.folder)
    self.assertEqual([_records.identity(r) for r in found],
                     [('fast', 1 << 18, 0), ('fast', 1 << 18, 1), ('fast', 1 << 19, 0)])
    self.assertEqual(found[1]['metrics']['mean_distance'], 3e-3)
    self.assertEqual([len(g) for g in _records.groups(found).values()], [1, 2])
    self.assertEqual(list(_records.load_all('lines', self.folder)), ['lines_acai'])
    (self.folder / 'lines_aae.json').write_text('broken')
    with self.assertRaisesRegex(UserError, 'lines_aae.json cannot be read'):
      _records.load_all('lines', self.folder)

  def test_means_against_scipy(self):
    values = [1.0, 2.0, 4.0]
    records = [record(i, distance=v) for i, v in enumerate(values)]
    mean, half = _records.mean(records, 'mean_distance')
    low, high = scipy.stats.t.interval(0.95, 2, np.mean(values), scipy.stats.sem(values))
    self.assertAllClose((mean - half, mean + half), (low, high))
    self.assertEqual(_records.mean(records[:1], 'mean_distance'), (1.0, None))
    self.assertEqual(_records.mean(records, 'probe_accuracy'), (None, None))

  def test_marks(self):
    distance, accuracy = _tables.LINES[0], _tables.IMAGES[0]
    paper = base.Published('', 0.5, 0.1, '')
    for column, value, interval, expected in (
        (distance, 0.55, None, 'agrees'), (distance, 0.7, None, 'worse'), (distance, 0.3, None, 'better'),
        (distance, 0.7, 0.15, 'agrees'), (distance, 0.7, 0.51, 'unclear'),
        (accuracy, 0.7, None, 'better'), (accuracy, 0.3, 0.05, 'worse')):
      self.assertEqual(_tables.mark(column, value, interval, paper), expected)
    self.assertEqual(_tables.seeds_of([record(seed) for seed in range(5)]), '0 to 4')
    self.assertEqual(_tables.seeds_of([record(2), record(0)]), '0, 2')

  def test_a_motionless_model_is_not_smooth(self):
    still = record(smoothness_published=0.0, smoothness_undefined=256)
    _records.add('lines_acai', still, self.folder)
    self.assertIn('| 0.000 (motionless) | 0.100 ± 0.010 * |', _tables.render('lines', 'markdown', self.folder))

  def test_tables_in_three_formats(self):
    for seed, distance in enumerate((1e-3, 1.2e-3)):
      _records.add('lines_acai', record(seed, distance=distance), self.folder)
    _records.add('lines_vae', record(name='lines_vae', distance=1.21e-3), self.folder)
    text, markdown, page = (_tables.render('lines', kind, self.folder) for kind in _tables.FORMATS)
    for rendered in (text, markdown, page):
      for part in ('262,144 (undertrained)', '1.10 ± 1.27', '0.24 ± 0.01, unclear', '1.21 ± 0.17 *, agrees'):
        self.assertIn(part, rendered)
      self.assertIn('Not trained either: lines_aeai', rendered)
    self.assertIn('| lines_acai | fast | 262,144 (undertrained) | 0, 1 | 1.10 ± 1.27 |', markdown)
    self.assertIn('| lines_aae |  | not trained |  |  | 3.26 ± 0.19 * |  | 0.140 ± 0.020 * |', markdown)
    self.assertIn('<td>lines_vae</td>', page)
    self.assertIn('published', _tables.render('svhn', 'text', self.folder))

  def test_the_report_is_one_file(self):
    _records.add('lines_acai', record(), self.folder)
    from acai_tf import figures

    figures.save_rows(self.folder / 'lines_acai.png', {'x': np.zeros([1, 2, 8, 8, 1])}, 'caption')
    page = _report.render(self.folder)
    self.assertEqual(page.count('data:image/png;base64'), 3)  # along the path, while training, the picture
    for part in ('<h2 id="lines">', 'lines_acai: interpolations', 'width=device-width', 'while training'):
      self.assertIn(part, page)
    self.assertNotRegex(page, r'(src|href)="(?!data:|#)')


class ReproduceTest(tf.test.TestCase):

  def test_patterns(self):
    self.assertLen(_reproduce.all_of(['mnist_acai_*']), 2)
    self.assertEqual(list(_reproduce.all_of(['lines_vae', 'lines_acai'])), ['lines_vae', 'lines_acai'])
    with self.assertRaisesRegex(UserError, "did you mean 'lines_vae'"):
      _reproduce.all_of(['lines_va'])

  def test_only_the_definition_s_own_runs_are_filed(self):
    definition = base.definition('lines_acai')
    _reproduce.check(record(seed=3, samples=99), definition)
    other = record()
    other['experiment']['model']['lambda_'] = 0.4
    with self.assertRaisesRegex(UserError, 'model.lambda_ 0.4; expected 0.5'):
      _reproduce.check(other, definition)
    with self.assertRaisesRegex(UserError, 'metrics.json cannot be read'):
      _reproduce.gather(self.get_temp_dir(), definition, self.get_temp_dir())

  def test_the_picture_is_of_the_longest_run_and_lowest_seed(self):
    run, results = (pathlib.Path(self.get_temp_dir()) / name for name in ('run', 'results'))
    run.mkdir()
    picture = results / 'lines_acai.png'
    runs_in_turn = ((64, 1, True), (64, 0, True), (64, 2, False), (64, 0, True), (128, 3, True))
    for number, (samples, seed, shown) in enumerate(runs_in_turn):
      (run / 'metrics.json').write_text(json.dumps(record(seed=seed, samples=samples)))
      (run / 'interpolation.png').write_text(str(number))
      _reproduce.gather(run, base.definition('lines_acai'), results)
      self.assertEqual(picture.read_text() == str(number), shown, (samples, seed))

  def test_a_failed_training_is_named_and_a_stop_ends_all(self):
    definition = base.definition('lines_acai')
    for status in (2, 130):
      with unittest.mock.patch.object(_reproduce.subprocess, 'Popen') as run:
        run.return_value.wait.return_value = status
        self.assertEqual(_reproduce.reproduce(definition, 0, 'fast', 64, 'runs', self.get_temp_dir()), status)
        self.assertEqual(run.call_count, 1)

  def test_an_interrupt_waits_for_the_training_to_save(self):
    with unittest.mock.patch.object(_reproduce.subprocess, 'Popen') as run:
      run.return_value.wait.side_effect = [KeyboardInterrupt, 130]
      self.assertEqual(_reproduce.reproduce(
          base.definition('lines_acai'), 0, 'fast', 64, 'runs', self.get_temp_dir()), 130)
      self.assertEqual(run.return_value.wait.call_count, 2)

  def test_the_program_trains_evaluates_and_files_once(self):
    folder = pathlib.Path(self.get_temp_dir())
    command = [sys.executable, '-m', 'zoo', 'reproduce', 'lines_autoencoder', '--samples', '40', '--restarts', '1',
               '--train_images', '500', '--runs', str(folder / 'runs'), '--results', str(folder / 'results'),
               '--data_dir', str(folder / 'data')]
    dataset = lines.load(lines.Config())
    features = feature_network.path_of(dataset, 'lines', folder / 'data')
    features.parent.mkdir(parents=True)
    feature_network.build(dataset.shape, 10).save(features)  # Untrained: training one takes a minute.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    self.assertEqual(done.returncode, 0, done.stderr[-1500:])
    self.assertNotIn('training a feature network', done.stdout)
    self.assertRegex(done.stdout, r'lines_autoencoder +fast +48 \(undertrained\) +0 ')
    filed = json.loads((folder / 'results' / 'lines_autoencoder.json').read_text())['runs'][0]
    self.assertEqual((filed['samples'], filed['kmeans_restarts'], filed['train_images']), (48, 1, 500))
    for metric in ('mean_distance', 'fitted_probe_accuracy', 'clustering_nmi', 'frechet_gap'):
      self.assertIn(metric, filed['metrics'])
    for key in ('commit', 'versions', 'device', 'date', 'train_seconds', 'history'):
      self.assertIn(key, filed)
    config.make(config.Training, filed['experiment']['training'], 'training')
    self.assertTrue((folder / 'results' / 'lines_autoencoder.png').exists())
    drawn = {path.stem for path in (folder / 'runs').glob('*/*.png')}
    extra = {'UMAP'} if importlib.util.find_spec('umap') else set()
    self.assertContainsSubset({'angles', 'quality', 'clusters', 't-SNE'} | extra, drawn)
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    self.assertEqual(again.returncode, 0, again.stderr)
    self.assertIn('there already', again.stdout)


if __name__ == '__main__':
  tf.test.main()
