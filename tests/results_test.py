"""Tables of README and docs against the result files, and the result files and weights against their definitions."""

import pytest
import tensorflow as tf

from acai_tf.experiment.resolve import parse_experiment
from acai_tf.training import weights
from acai_tf.zoo import _card, _readme, _records, _reproduce, _weights, base

RESULTS = _records.load_all()
PAGES = {path.name: path.read_text() for path in _readme.pages()}


def files(folder):
  """The files of a folder, or none if it does not exist."""
  return sorted(folder.iterdir()) if folder.exists() else []


def kept_of(name):
  """The entry of a definition's archive of weights in its record, or None."""
  return next((record.kept for record in RESULTS[name] if record.kept), None)


class ResultsTest(tf.test.TestCase):

  def test_pages_have_the_current_tables_and_pictures(self):
    found = set()
    for name, page in PAGES.items():
      if not _readme.CARDS.search(page):
        with self.subTest(name):
          self.assert_current(page)
          found |= {match[2] for match in _readme.MARKED.finditer(page)}
    self.assertContainsSubset({base.definition(name).dataset for name in RESULTS}, found)

  def test_the_page_of_cards_has_every_pretrained_model(self):
    page, = (page for page in PAGES.values() if _readme.CARDS.search(page))
    names = [name for name in RESULTS if kept_of(name)]
    self.assertEqual([line.removeprefix('## ') for line in page.splitlines() if line.removeprefix('## ') in names],
                     names)
    for name in names:
      self.assertIn(f'{kept_of(name).file}`, {kept_of(name).bytes:,} bytes, sha256 `{kept_of(name).sha256}`', page)

  @pytest.mark.slow
  def test_cards_are_current(self):
    for page in PAGES.values():
      if _readme.CARDS.search(page):
        self.assert_current(page)

  def assert_current(self, page):
    self.assertEqual(page, _readme.updated(page), 'python -m acai_tf.zoo._readme updates the pages')

  def test_results_are_complete_and_match_their_definitions(self):
    for name, records in RESULTS.items():
      for record in records:
        _records.check_definition(record.experiment, name, name)
        _reproduce.check_measured(record, name)
        self.assertNotIn('dirty', record.facts['commit'])
        timed = ('history', 'train_seconds') if record.experiment.training.evaluate_every else ()
        for key in ('versions', 'device', 'date', 'metrics', *timed):
          self.assertTrue(record.to_dict()[key], f'{name}: {key}')
      # The picture is of interpolations. Models of style transfer have none.
      drawn = _records.reported(records, name) is not None and not base.definition(name).model.endswith('transfer')
      self.assertEqual((_records.FOLDER / f'{name}.png').exists(), drawn, name)

  def test_every_file_belongs_to_a_definition(self):
    names = set(base.definitions())
    for path in files(_records.FOLDER):
      self.assertIn(path.stem, names)
      self.assertIn(path.suffix, ('.json', '.png'))

  def test_archives_are_those_of_the_reported_runs(self):
    kept = {f'{name}.npz': (name, record) for name, records in RESULTS.items() for record in records if record.kept}
    self.assertCountEqual([path.name for path in files(_weights.FOLDER)], kept)
    for name, record in kept.values():
      with self.subTest(name):
        self.assertEqual(record.identity, _records.reported(RESULTS[name], name).identity)
        about = weights.read(_weights.kept(name)[1])[1]  # after comparing the checksum
        self.assertEqual((parse_experiment(about['experiment']), about['samples']), (record.experiment, record.samples))

  @pytest.mark.slow
  def test_archives_fit_their_models(self):
    for name in RESULTS:
      if kept_of(name):
        with self.subTest(name):
          model = _card.subject_of(name).model  # Cached for `test_cards_are_current`.
          decoder, = (c for c in model.callables() if c.name == 'decoder')
          decoded = decoder.function(tf.ones([2, *decoder.inputs['codes'].shape[1:]]))
          self.assertEqual(decoded.shape, (2, *getattr(model, 'image_shape', ())))  # images, or sentences as strings


if __name__ == '__main__':
  tf.test.main()
