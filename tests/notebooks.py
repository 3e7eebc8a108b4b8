"""Runs the notebooks of examples/, for notebook_test; as a program, with their outputs written into them.

`python tests/notebooks.py` is run where the package is installed with its extra `test`.
"""

import os
import pathlib
import tempfile

import ipykernel  # noqa: F401  What nbclient starts, in a process of its own.
import nbclient
import nbformat

EXAMPLES = pathlib.Path(__file__).parents[1] / 'examples'
NAMES = sorted(path.name for path in EXAMPLES.glob('*.ipynb'))
SECONDS = 600  # that a cell may take


def read(name):
  """A notebook as it lies there."""
  return nbformat.read(EXAMPLES / name, as_version=4)


def execute(notebook, folder) -> None:
  """Runs all cells in a fresh kernel with working directory `folder`; outputs go into `notebook`.

  Raises:
    nbclient.exceptions.CellExecutionError: a cell that raises.
  """
  folder = pathlib.Path(folder)
  # Nothing outside the folder is written, and ours is the package that is found.
  environment = {**os.environ, 'PYTHONPATH': str(EXAMPLES.parent), 'ACAI_TF_CACHE': str(folder / 'cache'),
                 'IPYTHONDIR': str(folder / 'ipython')}
  client = nbclient.NotebookClient(
      notebook, timeout=SECONDS, startup_timeout=SECONDS, coalesce_streams=True,
      resources={'metadata': {'path': str(folder)}})
  client.execute(env=environment)


def tidy(notebook) -> None:
  """Takes out what differs between two executions that show the same: times, counts, versions, addresses."""
  notebook.metadata = nbformat.from_dict({
      'kernelspec': {'display_name': 'Python 3', 'language': 'python', 'name': 'python3'},
      'language_info': {'name': 'python'}})
  for cell in notebook.cells:
    cell.metadata = nbformat.from_dict({})
    if cell.cell_type == 'code':
      cell.execution_count = None
      for output in cell.outputs:
        if 'metadata' in output:
          output.metadata = nbformat.from_dict({})
        if 'execution_count' in output:
          output.execution_count = None


def main() -> None:
  """Executes every notebook and writes it with its outputs."""
  for name in NAMES:
    notebook = read(name)
    with tempfile.TemporaryDirectory() as folder:
      execute(notebook, folder)
    tidy(notebook)
    nbformat.write(notebook, EXAMPLES / name)
    print(f'wrote examples/{name}')


if __name__ == '__main__':
  main()
