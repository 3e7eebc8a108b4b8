"""README's tables against the result files, and the result files against their definitions."""

import pathlib
import re

import tensorflow as tf

from acai_tf import runs
from zoo import _records, _reproduce, _tables, base

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = _records.load_all()


class ResultsTest(tf.test.TestCase):

  def test_readme_s_tables_are_the_program_s(self):
    readme = (ROOT / 'README.md').read_text()
    found = dict(re.findall(r'<!-- python -m zoo table (\w+) --format markdown -->\n(.*?)<!-- end -->', readme, re.S))
    self.assertCountEqual(found, {base.definition(name).dataset for name in RESULTS})
    for dataset, text in found.items():
      self.assertEqual(text, _tables.render(dataset, 'markdown'), f'python -m zoo._readme writes {dataset}')

  def test_results_are_whole_and_their_definitions(self):
    self.assertNotEmpty(RESULTS)
    for name, records in RESULTS.items():
      self.assertLen(set(map(_records.identity, records)), len(records))
      for record in records:
        _reproduce.check(record, base.definition(name))
        experiment = runs.parse_experiment(record['experiment'])
        batch = experiment.training.batch
        self.assertEqual(record['samples'], -(-experiment.training.samples // batch) * batch)
        self.assertNotIn('dirty', record['commit'])
        for key in ('versions', 'device', 'date', 'history', 'metrics'):
          self.assertTrue(record[key], f'{name}: {key}')
      self.assertTrue((_records.FOLDER / f'{name}.png').exists() or 'curves' not in records[-1])

  def test_every_file_is_a_definition_s(self):
    names = set(base.definitions())
    for path in _records.FOLDER.iterdir():
      self.assertIn(path.stem, names)
      self.assertIn(path.suffix, ('.json', '.png'))


if __name__ == '__main__':
  tf.test.main()
