"""README's tables against the result files that the evaluation wrote."""

import json
import pathlib
import re

import numpy as np
import tensorflow as tf

from acai_tf import runs

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / 'zoo' / 'results').glob('*.json'))}


def rows(name):
  """The cells of README's table rows whose first cell is `name`."""
  lines = [line for line in (ROOT / 'README.md').read_text().splitlines() if line.startswith(f'| {name} |')]
  return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]


class ResultsTest(tf.test.TestCase):

  def test_every_result_has_its_row_and_every_figure_is_the_files(self):
    self.assertNotEmpty(RESULTS)
    for name, result in RESULTS.items():
      metrics = result['metrics']
      if 'mean_distance' in metrics:
        figures = [f'{metrics["mean_distance"] * 1e3:.2f}', f'{metrics["smoothness_published"]:.3f}']
      else:
        figures = [f'{metrics["probe_accuracy"]:.2%}'.replace('%', ' %'), f'{metrics["recon_mse"]:.4f}']
      found = rows(name)
      self.assertLen(found, 1, name)
      for figure in [f'{result["samples"]:,}', *figures]:
        self.assertIn(figure, found[0], name)

  def test_means_over_seeds(self):
    lines = [r['metrics'] for r in RESULTS.values() if 'mean_distance' in r['metrics']]
    cells = rows('mean of ten seeds')[0]
    distances = [1e3 * m['mean_distance'] for m in lines]
    smoothness = [m['smoothness_published'] for m in lines]
    self.assertIn(f'{np.mean(distances):.2f} ± {np.std(distances):.2f}', cells)
    self.assertIn(f'{np.mean(smoothness):.3f} ± {np.std(smoothness):.3f}', cells)

  def test_results_are_whole(self):
    for name, result in RESULTS.items():
      experiment = runs.parse_experiment(result['experiment'])
      self.assertLen(re.findall(experiment.model_name, name), 1)
      self.assertEqual(result['samples'], experiment.training.samples)
      self.assertNotIn('dirty', result['commit'])
      for key in ('versions', 'device', 'date'):
        self.assertTrue(result[key])


if __name__ == '__main__':
  tf.test.main()
