"""Program: `python -m zoo._readme` puts the present tables into README.md, between their marks."""

import pathlib
import re

from acai_tf.experiment.errors import UserError
from zoo import _tables

README = pathlib.Path(__file__).parents[1] / 'README.md'
# <!-- python -m zoo table DATASET --format markdown --> (or DEFINITION --ablation, --sources), each until <!-- end -->.
MARKED = re.compile(
    r'(<!-- python -m zoo table (\w+)( --all| --ablation| --sources)? --format markdown -->\n).*?(<!-- end -->)', re.S)


def table(match) -> str:
  """The table that a match of `MARKED` asks for."""
  special = {' --ablation': _tables.render_ablation, ' --sources': _tables.render_sources}.get(match[3])
  if not special:
    return _tables.render(match[2], 'markdown', everything=bool(match[3]))
  try:
    return special(match[2], 'markdown')
  except UserError as error:  # Nothing filed yet: README says so itself, instead of failing.
    return f'{error}\n'


def filled(text) -> str:
  """README's text with the present tables."""
  return MARKED.sub(lambda match: match[1] + table(match) + match[4], text)


def main() -> None:
  """Rewrites the tables."""
  README.write_text(filled(README.read_text()))


if __name__ == '__main__':
  main()
