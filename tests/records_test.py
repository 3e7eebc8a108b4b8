"""Result files, tables, the report, and `zoo reproduce`: filing, means over seeds, marks, and going on."""

import contextlib
import dataclasses
import io
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest.mock
from concurrent import futures

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from absl.testing import parameterized

from acai_tf.data import lines
from acai_tf.evaluation import feature_network, subject, text
from acai_tf.experiment import config
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.overrides import make
from acai_tf.experiment.resolve import parse_experiment, resolve
from acai_tf.experiment.run import Run
from acai_tf.models import acai
from acai_tf.training import build
from acai_tf.zoo import _compare, _publish, _readme, _records, _report, _reproduce, _tables, _weights, base

SERIAL = iter(range(1, 1 << 30))  # of records: no two trainings have the same metrics


def record(seed=0, samples=1 << 18, distance=1e-3, name='lines_acai', recipe='fast', medians=True, settings=(),
           **metrics):
  """A `Record` of a run of `samples` images."""
  definition = base.definition(name)
  precision = [] if recipe == 'paper' else ['training.precision=float32']  # as a run's record has it, never 'auto'
  experiment = _reproduce.experiment_of(definition, seed, recipe, samples, [*precision, *settings])
  metrics = {'mean_distance': distance, 'smoothness_published': 0.1, **metrics}
  return _records.Record(
      experiment=experiment, samples=experiment.training.steps * experiment.training.batch,
      weights='average' if experiment.training.average else 'raw',
      metrics={**metrics, 'recon_mse': 1e-9 * next(SERIAL)},
      medians={key: metrics[key] for key in _compare.MEDIANS if key in metrics} if medians else {},
      curves={'alpha': [0, 1], 'distance': [0.0, distance]}, train_seconds=120.0,
      history=[{'samples': samples // 2, 'mean_distance': 2 * distance},
               {'samples': samples, 'mean_distance': distance}])


KEPT = {'file': 'x.npz', 'sha256': 'a' * 64, 'bytes': 3, 'dtype': 'float32', 'float16_changes': {'psnr': None}}


class RecordsTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
    # On lines, ACAI's `fast` recipe is not the paper's model; most tests here want one that is compared with its paper.
    own = acai.Config.DATA_RECIPES
    self.enter_context(unittest.mock.patch.dict(own, clear=True))

  def file(self, name, *records):
    for each in records:
      _records.add(name, each, self.folder)

  def row(self, dataset, name, **more):
    """Dict: heading (with the one before it, for columns named alike) -> cell, of a definition's only row."""
    headings, body = _tables.rows(dataset, _records.load_all(dataset, self.folder), **more)
    cells, = (cells for cells in body if cells[0] == name)
    return dict(zip([f'{a}|{b}' for a, b in zip(['', *headings], headings, strict=False)], cells, strict=True))

  def test_a_table_that_would_mix_feature_networks_refuses(self):
    for name, network in (('mnist_acai_d32', 'aaa'), ('mnist_vae_d32', 'bbb')):
      self.file(name, dataclasses.replace(record(name=name, frechet_gap=2.0), facts={'feature_network': network}))
    with self.assertRaisesRegex(UserError, '2 feature networks .aaa: mnist_acai_d32; bbb: mnist_vae_d32.; exp'):
      _tables.render('mnist', folder=self.folder)
    self.file('mnist_vae_d32', dataclasses.replace(
        record(name='mnist_vae_d32', frechet_gap=2.0), facts={'feature_network': 'aaa'}))
    self.assertIn('mnist_acai_d32', _tables.render('mnist', folder=self.folder))

  def test_filing_replaces_the_same_run_only(self):
    self.file('lines_acai', *(record(seed, distance=d) for seed, d in ((1, 2e-3), (0, 1e-3), (1, 3e-3))))
    self.file('lines_acai', record(0, 1 << 19), record(0, settings=['training.clipnorm=3']),
              record(0, settings=['training.evaluate_every=7']))
    found = _records.load('lines_acai', self.folder)
    usual = found[0].experiment.training.clipnorm
    self.assertCountEqual([(run.samples, run.seed, run.experiment.training.clipnorm) for run in found], [
        (1 << 18, 0, usual), (1 << 18, 0, 3.0), (1 << 18, 1, usual), (1 << 19, 0, usual)])
    own = _records.of_recipe(found, 'lines_acai')
    self.assertLen(own, 3)
    self.assertEqual({run.metrics['mean_distance'] for run in own if run.seed == 1}, {3e-3})
    self.assertEqual([len(g) for g in _records.groups(own)], [1, 2])
    self.assertEqual([[run.samples for run in group] for group in _records.longest(found, 'lines_acai')], [[1 << 19]])
    self.assertEqual(_records.reported(found, 'lines_acai').identity, record(0, 1 << 19).identity)
    other_test_data = record(0, 1 << 20, settings=['dataset.test_images=64'])  # belongs to the ablations
    self.assertLen(_records.of_recipe([*found, other_test_data], 'lines_acai'), 3)
    self.assertEqual(list(_records.load_all('lines', self.folder)), ['lines_acai'])

  @parameterized.parameters(
      'broken', '[]', '7', 'null', '{}', '{"runs": 3}', '{"runs": [null]}', '{"runs": [3]}', '{"runs": [{}]}',
      '{"definition": "lines_acai", "runs": []}')
  def test_a_file_that_is_no_result_file(self, text):
    (self.folder / 'lines_aae.json').write_text(text)
    with self.assertRaisesRegex(UserError, r'^\S*lines_aae.json[^\n]* cannot be read [^\n]*reproduce it\.$'):
      _records.load_all('lines', self.folder)

  @parameterized.parameters(
      ({'experiment': None}, "'experiment' is not of type dict"), ({'samples': '64'}, "'samples' is not of type int"),
      ({'samples': 0}, "'samples' is 0"), ({'metrics': []}, "'metrics' is not of type dict"),
      ({'metrics': {'mean_distance': '1'}}, "'metrics' has a"), ({'medians': 3}, "'medians' has a"),
      ({'train_seconds': 'long'}, "'train_seconds' has a"), ({'weights': 'best'}, "'weights' is 'best'"),
      ({'history': [3]}, "'history' is"), ({'curves': {'alpha': 1}}, "'curves' has a"),
      ({'history': [{'samples': 1, 'seconds': 'x'}]}, "'history' is"), ({'curves': {'alpha': ['x']}}, "'curves' has a"),
      ({'metrics': {'mean_distance': True}}, "'metrics' has a"),
      ({'kept': {**KEPT, 'file': '../x.npz'}}, "'kept' is not"), ({'kept': {**KEPT, 'sha256': ''}}, "'kept' is not"),
      ({'kept': 1}, "'kept' is not"), ({'kept': {**KEPT, 'dtype': 'int8'}}, "'kept' is not"),
      ({'experiment': {}}, "'experiment.dataset' is not an object"),
      ({'metrics': {'mean_distance': -1}}, 'mean_distance is -1, outside'),
      ({'metrics': {'class_kept_straight_end': 1.1}}, 'class_kept_straight_end is 1.1, outside'),
      ({'metrics': {'psnr': 10**400}}, "'metrics' has a"),
      ({'metrics': {'probe_accuracy': 7}}, 'probe_accuracy is 7'), ({'medians': {'ssim': -5}}, 'ssim is -5'),
      ({'history': [{'samples': 1, 'recon_mse': -1}]}, 'recon_mse is -1'), ({'train_seconds': -1}, 'seconds is -1'),
      ({'kept': {**KEPT, 'bytes': -1}}, "'kept' is not"))
  def test_a_record_with_a_wrong_part(self, part, message):
    path = self.folder / 'lines_acai.json'
    path.write_text(json.dumps({'runs': [record().to_dict(), {**record(1).to_dict(), **part}]}))
    with self.assertRaisesRegex(UserError, f'lines_acai.json, run 2 cannot be read .{message}'):
      _records.load('lines_acai', self.folder)

  def test_what_a_record_must_have(self):
    whole = {**record().to_dict(), 'commit': 'abc', 'kept': KEPT}
    found = _records.parse(whole, 'here')
    self.assertEqual((found.to_dict(), found.facts), (whole, {'commit': 'abc'}))
    self.assertEqual(found.kept.version, int('a' * 8, 16))
    for key in whole.keys() - {'history', 'commit', 'kept'}:
      with self.assertRaisesRegex(UserError, f"^here cannot be read .'{key}' is missing"):
        _records.parse({name: value for name, value in whole.items() if name != key}, 'here')
    whole['experiment']['training']['momentum'] = 3
    with self.assertRaisesRegex(UserError, "cannot read its experiment: unknown key of training 'momentum'"):
      _records.parse(whole, 'here')

  def test_files_are_written_again_as_they_are(self):
    for name, found in _records.load_all().items():
      _records._write(name, found, self.folder)
      self.assertEqual((self.folder / f'{name}.json').read_text(), (_records.FOLDER / f'{name}.json').read_text())

  def test_a_file_of_another_definition_s_runs(self):
    (self.folder / 'lines_vae.json').write_text(json.dumps({'runs': [record().to_dict()]}))
    with self.assertRaisesRegex(UserError, 'lines_vae.json, run 1 has model_name acai; expected vae'):
      _records.load('lines_vae', self.folder)
    wide = dataclasses.replace(record(), experiment=resolve('mnist', 'acai', 'fast', {'network': {'latent': 16}}))
    (self.folder / 'mnist_acai_d32.json').write_text(json.dumps({'runs': [wide.to_dict()]}))
    with self.assertRaisesRegex(UserError, 'mnist_acai_d32.json, run 1 cannot be read .it is a run of mnist_acai_d256'):
      _records.load('mnist_acai_d32', self.folder)

  def test_records_that_are_added_at_once_are_all_kept(self):
    records = [record(seed) for seed in range(16)]
    with futures.ThreadPoolExecutor(8) as pool:
      list(pool.map(lambda each: _records.add('lines_acai', each, self.folder), records))
    self.assertEqual([run.seed for run in _records.load('lines_acai', self.folder)], list(range(16)))

  def test_weights_are_of_one_run(self):
    runs = [{**record(seed).to_dict(), 'kept': KEPT} for seed in (0, 1)]
    (self.folder / 'lines_acai.json').write_text(json.dumps({'runs': runs}))
    with self.assertRaisesRegex(UserError, "more than one run has 'kept'"):
      _records.load('lines_acai', self.folder)

  def test_one_run_filed_thrice_is_not_three_seeds(self):
    first = record()
    copy = dataclasses.replace(record(1), metrics=first.metrics)
    self.file('lines_acai', first, first)
    self.assertLen(_records.load('lines_acai', self.folder), 1)
    # A metric that is counted may be the same for two seeds; its history and the times are then not.
    other = dataclasses.replace(copy, history=[{'samples': 1 << 18, 'seconds': 7.0}])
    _records.add('lines_acai', other, pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir())))
    _records._refuse_duplicates([first, other], 'here')
    with self.assertRaisesRegex(UserError, 'seeds 0 and 1 have the same metrics'):
      _records.add('lines_acai', copy, self.folder)
    for other in (copy, dataclasses.replace(first, metrics={'mean_distance': 2.0})):
      (self.folder / 'lines_acai.json').write_text(json.dumps({'runs': [first.to_dict(), other.to_dict()]}))
      with self.assertRaisesRegex(UserError, 'have the same metrics|occurs twice'):
        _records.load('lines_acai', self.folder)

  def test_summaries_against_scipy(self):
    values = [1.0, 2.0, 4.0]
    records = [record(i, distance=v) for i, v in enumerate(values)]
    found = _records.summary(records, 'mean_distance')
    low, high = scipy.stats.t.interval(0.95, 2, np.mean(values), scipy.stats.sem(values))
    self.assertAllClose((found.mean - found.half, found.mean + found.half), (low, high))
    self.assertAllClose(found.deviation, np.sqrt(np.mean(np.square(values)) - np.mean(values)**2))
    self.assertEqual(_records.summary(records[:1], 'mean_distance'), _records.Summary(1.0, 0.0, None, 1, 1))
    self.assertIsNone(_records.summary(records, 'probe_accuracy'))
    records[0].metrics['mean_distance'] = math.nan
    records[1].metrics['mean_distance'] = None
    self.assertEqual(_records.summary(records, 'mean_distance'), _records.Summary(4.0, 0.0, None, 1, 3))
    records[2].medians['mean_distance'] = 3.0
    self.assertAllClose(_records.summary(records, 'mean_distance', 'medians').mean, 2.0)

  def test_marks(self):
    distance, accuracy = _compare.LINES[0], _compare.IMAGES[0]
    paper = base.Published('', 0.5, 0.1, '')
    for column, mean, half, expected in (
        (distance, 0.55, 0.0, 'agrees'), (distance, 0.69, 0.0, 'agrees'), (distance, 0.71, 0.0, 'worse'),
        (distance, 0.29, 0.0, 'better'), (distance, 0.9, 0.36, 'unclear'), (distance, 0.9, 0.34, 'worse'),
        (distance, 0.7, 0.24, 'agrees'), (distance, 0.7, 0.26, 'unclear'),
        (accuracy, 0.71, 0.01, 'better'), (accuracy, 0.29, 0.01, 'worse')):
      self.assertEqual(_compare.mark(column, _records.Summary(mean, 0.1, half, 3, 3), paper), expected, (mean, half))
    exact = base.Published('', 0.98, None, '')
    self.assertEqual(_compare.mark(accuracy, _records.Summary(0.97, 0.1, 0.03, 2, 2), exact), 'unclear')
    self.assertEqual(_compare.mark(accuracy, _records.Summary(0.97, 0.1, 0.005, 2, 2), exact), 'worse')
    self.assertEqual(_compare.mark(distance, _records.Summary(0.1, 0.0, None, 1, 1), paper), 'one seed')
    for ours, theirs in ((None, paper), (_records.Summary(0.1, 0, 0.1, 2, 2), None),
                         (_records.Summary(0.1, 0, 0.1, 2, 3), paper)):
      self.assertEqual(_compare.mark(distance, ours, theirs), '')
    self.assertEqual(_tables.seeds_of([record(seed) for seed in range(5)]), '0 to 4')
    self.assertEqual(_tables.seeds_of([record(2), record(0)]), '0, 2')

  def test_medians_are_what_is_compared(self):
    for seed, (last, median) in enumerate(((9e-3, 2.0e-4), (8e-3, 2.1e-4))):
      run = record(seed, distance=last)
      run.medians['mean_distance'] = median
      self.file('lines_acai', run)
    row = self.row('lines', 'lines_acai')
    self.assertEqual(row['samples/s|mean distance, 1e-3'], '8.50 ± 0.50')
    self.assertEqual(row['mean distance, 1e-3|median of 20'], '0.20 ± 0.00 [0.14, 0.27]')
    self.assertEqual(row['median of 20|published'], '0.100 ± 0.010 *, agrees')  # the last of that name: smoothness
    self.assertIn('0.24 ± 0.01, agrees', _tables.render('lines', 'markdown', self.folder))
    self.file('lines_vae', *(record(seed, name='lines_vae', distance=1e-4, medians=False) for seed in (0, 1)))
    row = self.row('lines', 'lines_vae')
    self.assertEqual(row['mean distance, 1e-3|median of 20'], 'no medians')
    self.assertIn('| no medians | 1.21 ± 0.17 * |', _tables.render('lines', 'markdown', self.folder))

  def test_no_mark_without_a_number_or_a_second_seed(self):
    unknown = [record(0), record(1)]
    for run in unknown:
      run.metrics['mean_distance'] = run.medians['mean_distance'] = None
    self.file('lines_acai', *unknown)
    self.file('lines_vae', record(name='lines_vae', distance=1e-9))
    text = _tables.render('lines', 'markdown', self.folder)
    self.assertIn('| 0.24 ± 0.01 |', text)
    self.assertNotIn('None', text)
    self.assertIn('| 0.00 | 0.00 | 1.21 ± 0.17 *, one seed |', text)

  def test_other_settings_than_the_paper_s_are_told_not_marked(self):
    fast, paper = (resolve('lines', 'aae', recipe).model for recipe in ('fast', 'paper'))
    self.assertNotEqual(fast, paper)  # what this test is about
    for seed in (0, 1):
      self.file('lines_aae', record(seed, name='lines_aae', distance=1e-9 * (seed + 1)))
    text = _tables.render('lines', 'markdown', self.folder)
    self.assertIn('3.26 ± 0.19 *, other settings', text)
    self.assertIn(f'lines_aae: model.adversarial {fast.adversarial} (paper: {paper.adversarial})', text)
    for seed in (0, 1):
      self.file('lines_aae', record(seed, 1 << 19, name='lines_aae', distance=1e-9 * (seed + 1), recipe='paper'))
    text = _tables.render('lines', 'markdown', self.folder)
    self.assertIn('3.26 ± 0.19 *, better', text)
    self.assertNotIn('other settings', text)

  def test_another_estimate_of_the_same_objective_is_compared(self):
    fast, paper = (resolve('lines', 'acai', recipe).model for recipe in ('fast', 'paper'))
    self.assertEqual({f.name for f in dataclasses.fields(fast) if getattr(fast, f.name) != getattr(paper, f.name)},
                     set(fast.ESTIMATION))  # what this test is about
    run = record()
    self.assertEqual(run.experiment.model.partners, fast.partners)
    self.assertEqual(_compare.other_settings(run, 'lines_acai'), [])
    run = record(settings=['model.gamma=0.3'])
    self.assertEqual([key for key, *_ in _compare.other_settings(run, 'lines_acai')], ['model.gamma'])

  def test_a_motionless_model_is_not_smooth(self):
    self.file('lines_acai', *(record(s, smoothness_published=0.0, smoothness_undefined=256) for s in (0, 1)))
    row = self.row('lines', 'lines_acai')
    self.assertIn('0.000 ± 0.000 (motionless)', row['published|smoothness'])
    self.assertIn('| 0.100 ± 0.010 * |', _tables.render('lines', 'markdown', self.folder))

  def test_tables_in_three_formats(self):
    self.file('lines_acai', *(record(seed, distance=d) for seed, d in enumerate((1e-3, 1.2e-3))))
    self.file('lines_vae', record(name='lines_vae', distance=1.21e-3))
    text, markdown, page = (_tables.render('lines', kind, self.folder) for kind in _tables.FORMATS)
    for rendered in (text, markdown, page):
      for part in ('262,144', '1.10 ± 0.10', '[0.00, 2.37]', '0.24 ± 0.01, unclear', '1.21 ± 0.17 *'):
        self.assertIn(part, rendered)
      self.assertIn('Not trained, and without published figures: lines_acai_invariant, lines_aeai',
                    ' '.join(rendered.split()))
      for part in ('Recipe `paper` trains on 16,777,216 samples (1,000,000 for arae_image).', 'have not been trained.'):
        self.assertIn(part, ' '.join(rendered.split()))
    weights = f'{_tables.WEIGHTS[record().weights]}, {record().experiment.training.precision.removeprefix("mixed_")}'
    self.assertIn('| lines_acai | 262,144 | 0, 1 | 1.10 ± 0.10 |', markdown)
    self.assertIn('| lines_aae |  |  |  |  | 3.26 ± 0.19 * |  |  | 0.140 ± 0.020 * |', markdown)
    measured, trained = markdown.split('<summary>How they were trained</summary>')
    self.assertIn('| mean distance, 1e\N{NON-BREAKING HYPHEN}3 | median of 20 |', measured)  # No browser breaks it.
    self.assertIn(f'| lines_acai | fast | {weights} | 262,144 | 0, 1 | 2 | 2185 |\n', trained)
    self.assertNotIn('lines_aae', trained.split('</details>')[0])  # It has no training.
    self.assertIn('<td>lines_vae</td>', page)
    self.assertIn('published', _tables.render('svhn', 'text', self.folder))
    self.assertNotIn('Published', _tables.render('celeba', 'text', self.folder))

  def test_a_brief_table_has_what_is_trained(self):
    with self.assertRaisesRegex(UserError, 'lines has no results; expected some'):
      _tables.render_brief('lines', folder=self.folder)
    self.file('lines_acai', *(record(seed, distance=d) for seed, d in enumerate((1e-3, 1.2e-3))))
    self.file('lines_acai', record(0, 64, distance=9e-3))
    self.file('lines_miae', record(name='lines_miae', distance=2e-3))
    text = _tables.render_brief('lines', 'markdown', self.folder)
    acai, = (line for line in text.splitlines() if 'lines_acai' in line)
    self.assertStartsWith(acai, '| lines_acai | 262,144 | 0, 1 | 1.10 ± 0.10 [0.00, 2.37] | 0.24 ± 0.01, unclear |')
    self.assertLen([line for line in text.splitlines() if line.startswith('|')], 4)
    self.assertEndsWith(
        text, 'Recipe `paper` trains on 16,777,216 samples. Models with fewer samples are undertrained.\n')
    self.file('yelp_arae', record(0, 64, name='yelp_arae', reverse_perplexity=40.0))
    text = _tables.render_brief('yelp', 'markdown', self.folder)
    self.assertStartsWith(text, '| definition | samples | seeds | reverse perplexity |\n')
    self.assertIn('Recipe `paper` trains on 9,520,000 samples. Models with fewer samples are undertrained.', text)
    text = _tables.render_published('lines', 'markdown', self.folder)
    self.assertIn(acai, text)
    self.assertNotIn('lines_miae', text)  # It has no published figures.
    readme = '<!-- acai zoo table lines --brief --format markdown -->\nold\n<!-- end -->'
    with unittest.mock.patch.object(_tables, 'render_brief', return_value='new\n'):
      self.assertEqual(_readme.updated(readme), readme.replace('old', 'new'))

  def test_a_pattern_chooses_the_rows(self):
    for name in ('mnist_acai_d32', 'mnist_acai_d256', 'mnist_vae_d32'):
      self.file(name, record(name=name, probe_accuracy=0.9, recon_mse=0.01))
    for table in (_tables.render('mnist_*_d32', 'markdown', self.folder),
                  _tables.render_brief('mnist_*_d32', 'markdown', self.folder),
                  _tables.render_metrics('mnist_*_d32', ['recon_mse'], 'markdown', self.folder)):
      self.assertIn('| mnist_vae_d32 |', table)
      self.assertNotIn('d256', table)
    published = _tables.render_published('mnist_acai_d32', 'markdown', self.folder)
    self.assertStartsWith(published, '| definition | samples | seeds | probe, % | published |\n')
    self.assertNotIn('vae', published)
    for target, error in (('*acai*', 'several data sets .*; expected one'), ('mnits', "did you mean 'mnist'"),
                          ('lines_acia', "did you mean 'lines_acai'"), ('lines_ac*i_', 'no definition matches'),
                          ('folder', 'has no definitions')):
      with self.assertRaisesRegex(UserError, error):
        _tables.render(target, folder=self.folder)

  def test_the_longest_trainings_alone_unless_all_are_asked_for(self):
    self.file('lines_acai', record(0, distance=2e-3), record(1, distance=3e-3), record(0, 1 << 19))
    self.assertIn('524,288', self.row('lines', 'lines_acai')['weights|samples'])
    text = _tables.render('lines', 'markdown', self.folder)
    self.assertIn('1 shorter trainings are not shown. To show them: acai zoo table lines --all', text)
    everything = _tables.render('lines', 'markdown', self.folder, everything=True)
    # Each training has two rows: what was measured, how it was trained.
    self.assertEqual((text.count('| lines_acai |'), everything.count('| lines_acai |')), (2, 4))
    self.assertNotIn('shorter', everything)

  def test_ranks(self):
    for name, distance in (('acai', 1e-3), ('vae', 2e-3), ('aae', 3e-3), ('dropout', 4e-3)):
      self.file(f'lines_{name}', record(name=f'lines_{name}', distance=distance))
    line, = _compare.ranks('lines', _records.load_all('lines', self.folder))
    self.assertIn('Ours: acai, vae, (aae), dropout. Published: acai, vae, dropout, (aae).', line)
    self.assertIn("Kendall's tau is 0.67 over 4 models", line)  # 5 of 6 pairs alike: (5 - 1) / 6
    self.assertIn('other settings', line)
    self.assertIn(line, _tables.render('lines', 'markdown', self.folder))
    for model, accuracy in (('acai', 0.9), ('vae', 0.8), ('dropout', 0.7)):
      self.file(f'svhn_{model}_d32', record(name=f'svhn_{model}_d32', probe_accuracy=accuracy))
    line, = _compare.ranks('svhn', _records.load_all('svhn', self.folder))
    self.assertStartsWith(line, 'Ranking by probe_accuracy at d32, best first. Ours: acai, vae, dropout.')
    self.assertIn('tau is 1.00', line)

  def test_either_precision_is_that_of_a_recipe_which_leaves_it_to_the_device(self):
    definition, name = base.definition('lines_acai'), 'lines_acai'
    self.file(name, record(0), record(0, settings=['training.precision=mixed_bfloat16']))
    found = _records.load(name, self.folder)
    self.assertLen(_records.of_recipe(found, name), 2)
    self.assertLen(_records.longest(found, name), 2)  # one seed in both precisions compares them: two rows
    other = record(1, settings=['training.precision=mixed_bfloat16'])
    paper = [record(0, recipe='paper'), record(1, recipe='paper', settings=['training.precision=mixed_bfloat16'])]
    self.assertLen(_records.groups(paper), 2)  # Here the precision is a setting that was changed.
    for runs, expected in (([*found, other], [[0, 1], [0]]), ([record(0), other], [[0, 1]])):
      self.assertEqual([[run.seed for run in group] for group in _records.groups(runs)], expected)
    auto = _reproduce.identities(_reproduce.experiment_of(definition, 0, 'fast'))
    self.assertEqual(auto, {run.identity for run in found})
    for precision in ('float32', 'mixed_bfloat16'):
      settings = [f'training.precision={precision}']
      one, = _reproduce.identities(_reproduce.experiment_of(definition, 0, 'fast', None, settings))
      self.assertIn(one, auto)
    paper = record(0, recipe='paper', settings=['training.precision=mixed_bfloat16'])
    self.assertEqual(_records.changes(paper.experiment, name), [('training.precision', 'mixed_bfloat16', 'float32')])

  def test_ablations_have_their_own_table(self):
    with self.assertRaisesRegex(UserError, 'no training with other settings'):
      _tables.render_ablation('lines_acai', 'text', self.folder)
    self.file('lines_acai', *(record(seed, 64, distance=(1 + seed) * 1e-3) for seed in (0, 1)))
    self.file('lines_acai', record(0, 128, distance=7e-3))
    for settings in (['model.gamma=0.9'], ['model.gamma=0.9', 'model.lambda_=0.1']):
      self.file('lines_acai', *(record(s, 64, distance=(3 + s) * 1e-3, settings=settings) for s in (0, 1)))
    text = _tables.render_ablation('lines_acai', 'markdown', self.folder)
    self.assertNotIn('restarts', text)  # Tables of lines have no clustering.
    changed = [line.split(' | ')[0].removeprefix('| ') for line in text.splitlines()[2:5]]
    self.assertEqual(changed, ['none (the recipe)', 'model.gamma 0.9 (recipe: 0.2)',
                               'model.gamma 0.9 (recipe: 0.2), model.lambda_ 0.1 (recipe: 0.5)'])
    self.assertIn('1.50 ± 0.50 [0.00, 7.85]', text)
    self.assertNotIn('128', text)  # nothing was changed at that length
    self.assertNotIn('3.50', _tables.render('lines', 'markdown', self.folder, everything=True))
    readme = '<!-- acai zoo table lines_acai --ablation --format markdown -->\nold\n<!-- end -->'
    with unittest.mock.patch.object(_tables, 'render_ablation', return_value='new\n') as rendered:
      self.assertEqual(_readme.updated(readme), readme.replace('old', 'new'))
    rendered.assert_called_with('lines_acai', 'markdown')
    self.assertIn('lines_acai: ablations', _report.render(self.folder))

  def test_a_longer_run_is_compared_on_its_way(self):
    def long(seed, schedule):
      run = record(seed, distance=seed * 1e-3, settings=['model.gamma=0.9', f'training.schedule={schedule}'])
      return dataclasses.replace(
          run, history=[{'samples': 1 << 16, 'seconds': 8.0, 'mean_distance': (2 + seed) * 1e-3}])

    self.file('lines_acai', *(long(seed, 'constant') for seed in (0, 1)), long(0, 'cosine'))
    self.file('lines_acai', record(1, 1 << 16, distance=7e-3, settings=['model.gamma=0.9']))
    text = _tables.render_ablation('lines_acai', 'markdown', self.folder)
    row, _ = (line for line in text.splitlines() if '65,536' in line)  # what was measured, how it was trained
    self.assertStartsWith(row, '| model.gamma 0.9 (recipe: 0.2) |')
    self.assertIn('4.50 ± 2.50', row)  # seed 0 on its way, and the run of seed 1 that ended there

  def test_a_run_whose_regularizer_falls_stands_for_no_shorter_one(self):
    for setting, found in (('model.anneal_to=1', 1), ('model.anneal_to=0.02', 0)):
      run = dataclasses.replace(record(settings=[setting]), history=[
          {'samples': 1 << 16, 'seconds': 8.0, 'mean_distance': 2e-3}])
      self.assertLen(_records.shorter_training(run, 1 << 16), found)

  def test_sources_of_sentences_have_their_own_table(self):
    with self.assertRaisesRegex(UserError, 'yelp_arae has no figures of sources; expected a run'):
      _tables.render_sources('yelp_arae', folder=self.folder)
    for seed, figures in enumerate(((40.0, 50.0), (42.0, 50.0))):
      self.file('yelp_arae', record(seed, 64 * 1000, name='yelp_arae', **{
          f'{metric}{place}': value for place, value in zip(('', '_sphere'), figures, strict=True)
          for metric in ('reverse_perplexity', 'forward_perplexity')}))
    text = _tables.render_sources('yelp_arae', 'markdown', self.folder)
    self.assertIn('| the sampler | 41.0 ± 1.0 [28.3, 53.7] | 41.0 ± 1.0', text)
    self.assertIn('| uniform points on the sphere | 50.0 ± 0.0 | 50.0 ± 0.0 |  |  |', text)
    self.assertNotIn('Gaussian', text)
    self.assertIn('64,000 samples, recipe fast, seeds 0, 1.', text)
    named = _tables.render_metrics('yelp', ['reverse_perplexity_sphere', 'reverse_perplexity'], 'markdown', self.folder)
    self.assertIn('| yelp_arae', named)
    self.assertStartsWith(named, '| definition | samples | seeds | reverse perplexity sphere | reverse perplexity |')
    self.assertIn('| 64,000 | 0, 1 | 50 ± 0 | 41 ± 1 |', named)
    with self.assertRaisesRegex(UserError, "in the results of yelp 'reverse_perplexty'; did you mean 'reverse_perp"):
      _tables.render_metrics('yelp', ['reverse_perplexity', 'reverse_perplexty'], folder=self.folder)
    for brief in (False, True):
      flag = ' --brief' * brief
      readme = f'<!-- acai zoo table yelp{flag} --metrics a,b_1 --format markdown -->\nold\n<!-- end -->'
      with unittest.mock.patch.object(_tables, 'render_metrics', return_value='new\n') as rendered:
        self.assertEqual(_readme.updated(readme), readme.replace('old', 'new'))
      rendered.assert_called_once_with('yelp', ['a', 'b_1'], 'markdown', brief=brief)
    self.file('yelp_arae', record(0, 64, name='yelp_arae', reverse_perplexity=7.0))
    everything, short = (_tables.render_metrics('yelp', ['reverse_perplexity'], 'markdown', self.folder, brief)
                         for brief in (False, True))
    self.assertIn('| yelp_arae | 64 | 0 | 7 |', everything)
    self.assertNotIn('| 64 |', short)

  def test_the_report_is_one_file(self):
    _records.add('lines_acai', record(), self.folder)
    from acai_tf.evaluation import figures

    figures.save_rows(self.folder / 'lines_acai.png', {'x': np.zeros([1, 2, 8, 8, 1])}, 'caption')
    page = _report.render(self.folder)
    self.assertEqual(page.count('data:image/webp;base64'), 3)  # the picture, along the path, during training
    for part in ('<h2 id="lines">', 'lines_acai: interpolations', 'width=device-width', 'during training'):
      self.assertIn(part, page)
    self.assertNotRegex(page, r'(src|href)="(?!data:|#)')
    before, full = page.split('<details><summary>All columns')  # The brief table and the pictures come first.
    self.assertLess(before.index('<table>'), before.index('lines_acai: interpolations'))
    self.assertLess(before.index('lines_acai: interpolations'), before.index('during training'))
    self.assertIn('<table>', full)

  @pytest.mark.slow
  def test_the_report_of_all_results_begins_with_acai_and_is_small(self):
    page = _report.render()
    self.assertLess(len(page.encode()), 50_000 * len(_records.load_all()))
    self.assertStartsWith(page[page.index('<h2'):], '<h2 id="lines">')
    captions = re.findall('<figcaption>(.*?)</figcaption>', page)
    self.assertStartsWith(captions[0], 'lines_acai: interpolations')


class ReproduceTest(tf.test.TestCase):

  def test_programs_keep_the_user_s_pythonpath(self):
    with unittest.mock.patch.dict(os.environ, PYTHONPATH='/somewhere'):
      self.assertEndsWith(_reproduce.environment()['PYTHONPATH'], f'{os.pathsep}/somewhere')
    with unittest.mock.patch.dict(os.environ):
      os.environ.pop('PYTHONPATH', None)
      self.assertNotIn(os.pathsep, _reproduce.environment()['PYTHONPATH'])

  def test_a_signal_also_stops_the_program_that_runs(self):
    threading.Timer(1.0, os.kill, [os.getpid(), signal.SIGTERM]).start()
    began = time.monotonic()
    with contextlib.redirect_stderr(io.StringIO()) as printed:
      status = _reproduce._call(['timeit', '-n1', '-r1', '-s', 'import time', 'time.sleep(60)'], 'a run')
    self.assertEqual(status, 128 + signal.SIGTERM)
    self.assertLess(time.monotonic() - began, 30)  # The program slept for 60 seconds otherwise.
    self.assertStartsWith(printed.getvalue(), 'a run: stopped by signal 15. To resume it, run the same')

  def test_patterns(self):
    self.assertLen(base.matching(['mnist_acai_d*']), 2)
    self.assertEqual(list(base.matching(['lines_vae', 'lines_acai'])), ['lines_vae', 'lines_acai'])
    with self.assertRaisesRegex(UserError, "did you mean 'lines_vae'"):
      base.matching(['lines_va'])
    with self.assertRaisesRegex(UserError, 'no figures are published for celeba'):
      _tables.render_published('celeba')

  def test_only_the_definition_s_own_data_and_code_are_filed(self):
    definition = base.definition('lines_acai')
    changed = record(seed=3, settings=['model.lambda_=0.4', 'dataset.test_images=64']).experiment
    _records.check_definition(changed, 'lines_acai', 'it')
    for section, key, value in (('dataset', 'size', 64), ('network', 'latent', 4), ('network', 'latent_width', 4)):
      other = resolve('lines', 'acai', 'fast', {section: {key: value}})
      with self.assertRaisesRegex(UserError, f'{section}.{key} {value}; expected'):
        _records.check_definition(other, 'lines_acai', 'it')
    with self.assertRaisesRegex(UserError, 'model_name acai; expected vae'):
      _records.check_definition(record().experiment, 'lines_vae', 'it')
    with self.assertRaisesRegex(UserError, 'metrics.json cannot be read'):
      _reproduce.gather(Run(self.get_temp_dir()), definition, self.get_temp_dir())

  def test_only_whole_trainings_with_their_reported_weights_are_filed(self):
    run = record()
    _reproduce.check_measured(run, 'run')
    with self.assertRaisesRegex(UserError, 'after 16 of 262,144 samples'):
      _reproduce.check_measured(dataclasses.replace(run, samples=16), 'run')
    other = 'raw' if run.weights == 'average' else 'average'
    with self.assertRaisesRegex(UserError, f'{other} weights; expected {run.weights}, which are reported'):
      _reproduce.check_measured(dataclasses.replace(run, weights=other), 'run')

  def test_experiments_are_the_definition_s_with_what_is_set(self):
    definition = base.definition('mnist_amr_d32')
    resolve = _reproduce.experiment_of
    whole = resolve(definition, 2, 'fast', 100, ['model.lam=3', 'training.batch=64'])
    self.assertEqual((whole.training.seed, whole.training.steps, whole.model.lam, whole.network.latent),
                     (2, 2, 3.0, 2))  # two batches of the batch that was set, not the recipe's
    for settings, message in ((['training.seed=1'], 'expected --seeds'), (['training.samples=1'], 'expected --samples'),
                              (['network.latent=4'], 'network.latent 4; expected 2'), (['model.x=1'], 'unknown key'),
                              (['lam=3'], 'expected SECTION.KEY=VALUE')):
      with self.assertRaisesRegex(UserError, message):
        resolve(definition, 0, 'fast', 64, settings)

  def test_the_picture_is_of_the_longest_run_and_lowest_seed(self):
    run, results = (pathlib.Path(self.get_temp_dir()) / name for name in ('run', 'results'))
    run.mkdir()
    picture = results / 'lines_acai.png'
    runs_in_turn = ((64, 1, (), True), (64, 0, (), True), (64, 2, (), False), (64, 0, (), True), (128, 3, (), True),
                    (256, 0, ['model.gamma=0.9'], False))
    for number, (samples, seed, settings, shown) in enumerate(runs_in_turn):
      (run / 'metrics.json').write_text(json.dumps(record(seed, samples, settings=settings).to_dict()))
      (run / 'interpolation.png').write_text(str(number))
      _reproduce.gather(Run(run), base.definition('lines_acai'), results)
      self.assertEqual(picture.read_text() == str(number), shown, (samples, seed))
    (run / 'metrics.json').write_text(json.dumps(record(0, 512).to_dict()))
    (run / 'interpolation.png').rename(run / 'paths.png')  # as of sentences
    _reproduce.gather(Run(run), base.definition('lines_acai'), results)
    self.assertEqual(picture.read_text(), '5')

  def call(self, settings=()):
    definition, folder = base.definition('lines_acai'), pathlib.Path(self.get_temp_dir())
    return _reproduce.reproduce(definition, _reproduce.experiment_of(definition, 0, 'fast', 64, settings), settings,
                                folder / 'runs', folder / 'results', folder / 'weights')

  def test_a_failed_training_is_named_and_a_stop_ends_all(self):
    for status in (2, 130):
      with unittest.mock.patch.object(_reproduce.subprocess, 'Popen') as run:
        run.return_value.wait.return_value = status
        self.assertEqual(self.call(), status)
        self.assertEqual(run.call_count, 1)

  def test_an_interrupt_waits_for_the_training_to_save(self):
    def wait(timeout):
      if run.return_value.wait.call_count == 1:
        os.kill(os.getpid(), signal.SIGINT)
        raise subprocess.TimeoutExpired('train', timeout)
      return 0

    with unittest.mock.patch.object(_reproduce.subprocess, 'Popen') as run:
      run.return_value.wait.side_effect = wait
      self.assertEqual(self.call(), 130)
      self.assertEqual(run.return_value.wait.call_count, 2)
      run.return_value.send_signal.assert_called_once_with(signal.SIGINT)

  def test_settings_are_handed_on_and_have_a_folder_of_their_own(self):
    folders = []
    for settings in ((), ('model.gamma=0.9',), ('model.gamma=0.8',)):
      with unittest.mock.patch.object(_reproduce.subprocess, 'Popen') as run:
        run.return_value.wait.return_value = 2
        self.call(settings)
        command = run.call_args[0][0]
        self.assertEqual([word for word in command if word.startswith('--set')], [f'--set={text}' for text in settings])
        folders.append(command[command.index('--run_dir') + 1])
    self.assertLen(set(folders), 3)

  @pytest.mark.slow
  def test_the_program_trains_evaluates_and_files_once(self):
    folder = pathlib.Path(self.get_temp_dir())
    (folder / 'results').mkdir()
    command = [sys.executable, '-m', 'acai_tf.zoo', 'reproduce', 'lines_autoencoder', '--samples', '40',
               '--restarts', '1', '--train_images', '500',
               '--metrics', 'reconstruction,lines,fitted_probe,clustering,quality', '--runs',
               str(folder / 'runs'), '--results', str(folder / 'results'),
               '--weights', str(folder / 'weights'), '--data_dir', str(folder / 'data')]
    dataset = lines.load(lines.Config())
    features = feature_network.path_of(dataset, 'lines', folder / 'data')
    features.parent.mkdir(parents=True)
    feature_network.build(dataset.shape, 10).save(features)  # Untrained: training one takes a minute.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    self.assertEqual(done.returncode, 0, done.stderr[-1500:])
    self.assertNotIn('training a feature network', done.stdout)
    self.assertRegex(done.stdout, r'lines_autoencoder +fast +\w+, \w+ +48 +0 ')
    filed = json.loads((folder / 'results' / 'lines_autoencoder.json').read_text())['runs'][0]
    self.assertEqual((filed['samples'], filed['kmeans_restarts'], filed['train_images']), (48, 1, 500))
    for metric in ('mean_distance', 'fitted_probe_accuracy', 'clustering_nmi', 'frechet_gap'):
      self.assertIn(metric, filed['metrics'])
    for key in ('commit', 'versions', 'device', 'date', 'train_seconds', 'history'):
      self.assertIn(key, filed)
    make(config.Training, filed['experiment']['training'], 'training')
    self.assertTrue((folder / 'results' / 'lines_autoencoder.png').exists())
    experiment, model, samples = _weights.load(
        'lines_autoencoder', results=folder / 'results', folder=folder / 'weights')
    self.assertEqual((experiment, samples), (parse_experiment(filed['experiment']), 48))
    images, _ = dataset.test()
    again = np.mean(np.square(images - model(images)))
    self.assertAllClose(again, filed['metrics']['recon_mse'], rtol=0.01)
    drawn = {path.stem for path in (folder / 'runs').glob('*/*.png')}
    self.assertContainsSubset({'angles', 'quality', 'clusters', 't-SNE'}, drawn)
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    self.assertEqual(again.returncode, 0, again.stderr)
    self.assertIn('already has a result', again.stdout)

  @pytest.mark.slow
  def test_sentences_are_kept_loaded_and_measured_again_where_the_terms_allow_it(self):
    """By the program, twice; with text of other terms it keeps nothing, and says why."""
    folder = pathlib.Path(self.get_temp_dir())
    results, archives = folder / 'results', folder / 'weights'
    results.mkdir(parents=True)
    rest = ['--samples', '640', '--metrics', 'reconstruction,codes', '--runs', str(folder / 'runs'), '--results',
            str(results), '--weights', str(archives)]

    def program(*words):
      return subprocess.run([sys.executable, '-m', 'acai_tf.zoo', *words], capture_output=True, text=True, check=False)

    done = program('reproduce', 'grammar_text_autoencoder', *rest)
    self.assertEqual((done.returncode, done.stderr), (0, ''))
    self.assertIn(f'wrote {archives}/grammar_text_autoencoder.npz', done.stdout)
    again = program('reproduce', 'grammar_text_autoencoder', *rest)
    self.assertEqual((again.returncode, again.stderr), (0, ''))
    self.assertStartsWith(again.stdout, 'grammar_text_autoencoder, seed 0: already has a result\n')
    experiment, model, samples = _weights.load('grammar_text_autoencoder', results=results, folder=archives)
    filed, = _records.load('grammar_text_autoencoder', results)
    self.assertEqual((samples, filed.kept.file), (640, 'grammar_text_autoencoder.npz'))
    dataset = build.load_data(experiment)
    self.assertEqual(model.vocabulary.words, dataset.vocabulary.words)
    functions = subject.of_text_model(model)
    nll = -functions.log_probability(*[text.texts_of(dataset, dataset.test_ids[:text.RECONSTRUCTED])] * 2).mean()
    self.assertAllClose(nll, filed.metrics['recon_nll'], rtol=0.01)
    for call in (lambda: _weights.keep('yelp_arae', Run(folder), results, archives),
                 lambda: _publish.publish('yelp_arae', 'kaggle', 'me')):
      with self.assertRaisesRegex(UserError, "^yelp_arae: weights are neither stored .*since Yelp's terms"):
        call()


if __name__ == '__main__':
  tf.test.main()
