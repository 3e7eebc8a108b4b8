"""Tables of README and docs against the result files, and the result files and weights against their definitions."""

import tensorflow as tf

from zoo import _card, _readme, _records, _reproduce, _weights, base

RESULTS = _records.load_all()


def files(folder):
  """The files of a folder that may not be there yet."""
  return sorted(folder.iterdir()) if folder.exists() else []


class ResultsTest(tf.test.TestCase):

  def test_tables_are_the_program_s(self):
    found = set()
    for path in _readme.pages():
      with self.subTest(path.name):
        page = path.read_text()
        self.assertEqual(page, _readme.updated(page), 'python -m zoo._readme writes the tables')
        found |= {match[2] for match in _readme.MARKED.finditer(page)}
    self.assertContainsSubset({base.definition(name).dataset for name in RESULTS}, found)

  def test_results_are_whole_and_their_definitions(self):
    for name, records in RESULTS.items():
      for record in records:
        _records.check_definition(record.experiment, name, name)
        _reproduce.check_measured(record, name)
        self.assertNotIn('dirty', record.facts['commit'])
        timed = ('history', 'train_seconds') if record.experiment.training.evaluate_every else ()
        for key in ('versions', 'device', 'date', 'metrics', *timed):
          self.assertTrue(record.to_dict()[key], f'{name}: {key}')
      # Of interpolations, which models of style transfer have none of.
      drawn = _records.reported(records, name) is not None and not base.definition(name).model.endswith('transfer')
      self.assertEqual((_records.FOLDER / f'{name}.png').exists(), drawn, name)

  def test_every_file_is_a_definition_s(self):
    names = set(base.definitions())
    for path in files(_records.FOLDER):
      self.assertIn(path.stem, names)
      self.assertIn(path.suffix, ('.json', '.png'))

  def test_weights_are_those_of_the_reported_runs(self):
    kept = {f'{name}.npz': (name, record) for name, records in RESULTS.items() for record in records
            if record.kept}
    self.assertCountEqual([path.name for path in files(_weights.FOLDER)], kept)
    for name, record in kept.values():
      with self.subTest(name):
        self.assertEqual(record.identity, _records.reported(RESULTS[name], name).identity)
        which = _card.subject_of(name)  # which loads it; made once for the test of the pages, too
        self.assertEqual((which.experiment, which.samples), (record.experiment, record.samples))
        shape = (1, *which.model.image_shape)
        self.assertEqual(which.model(tf.zeros(shape)).shape, shape)


if __name__ == '__main__':
  tf.test.main()
