"""Program: `python -m zoo._readme` puts the present tables into README.md, between their marks."""

import pathlib
import re

from zoo import _tables

README = pathlib.Path(__file__).parents[1] / 'README.md'
MARKED = re.compile(r'(<!-- python -m zoo table (\w+) --format markdown -->\n).*?(<!-- end -->)', re.S)


def main():
  """Rewrites the tables."""
  text = README.read_text()
  README.write_text(MARKED.sub(lambda m: m[1] + _tables.render(m[2], 'markdown') + m[3], text))


if __name__ == '__main__':
  main()
