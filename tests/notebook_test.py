"""The notebooks of examples/: every cell runs, and what is kept of their outputs is fit to be read."""

import copy
import re

import nbclient
import notebooks
import pytest
import tensorflow as tf
from absl.testing import parameterized


class NotebookTest(tf.test.TestCase, parameterized.TestCase):

  @parameterized.parameters(notebooks.NAMES)
  @pytest.mark.slow
  def test_every_cell_runs(self, name):
    notebook = notebooks.read(name)
    kinds = [kinds_of(cell) for cell in notebook.cells]
    notebooks.execute(notebook, self.get_temp_dir())
    self.assertEqual([kinds_of(cell) for cell in notebook.cells], kinds, 'other outputs than those that are kept')

  @pytest.mark.slow
  def test_a_cell_that_raises_is_told(self):
    notebook = notebooks.read(notebooks.NAMES[0])
    cell = next(cell for cell in notebook.cells if cell.cell_type == 'code')
    cell.source, notebook.cells = 'print(1 / 0)', [cell]
    with self.assertRaisesRegex(nbclient.exceptions.CellExecutionError, 'ZeroDivisionError'):
      notebooks.execute(notebook, self.get_temp_dir())

  @parameterized.parameters(notebooks.NAMES)
  def test_what_is_kept_has_outputs_and_nothing_of_a_machine(self, name):
    notebook = notebooks.read(name)
    tidied = copy.deepcopy(notebook)
    notebooks.tidy(tidied)
    self.assertEqual(notebook, tidied, 'write it by python tests/notebooks.py')
    text = ''.join(str(output) for cell in notebook.cells if cell.cell_type == 'code' for output in cell.outputs)
    self.assertIn('image/png', text)
    self.assertNotIn("'stderr'", text)
    self.assertNotRegex(re.sub(r"'image/png': '[^']*'", '', text), r'/(home|root|tmp|work|Users)/|[Ww]arning')
    self.assertLess((notebooks.EXAMPLES / name).stat().st_size, 400_000)


def kinds_of(cell) -> list:
  """What a cell shows: 'stream' or the kinds of its data, in order."""
  return [tuple(sorted(output.get('data', {output.output_type: None}))) for output in cell.get('outputs', [])]


if __name__ == '__main__':
  tf.test.main()
