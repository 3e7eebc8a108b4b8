"""Writes tables, pictures and cards into README.md and docs/, and draws plots: `python -m acai_tf.zoo._readme`."""

import pathlib
import re
from collections.abc import Callable

from acai_tf.zoo import _card, _plots, _records, _tables

ROOT = pathlib.Path(__file__).parents[2]
# <!-- acai zoo table DATASET|PATTERN --format markdown --> ... <!-- end -->, also with --all, --brief, --published or
# --metrics NAME,..., or the last two; with --ablation or --sources it has a DEFINITION.
MARKED = re.compile(r'(<!-- acai zoo table ([\w*]+)( --all| --brief| --published| --ablation| --sources'
                    r'|(?: --brief)? --metrics [\w,]+)? --format markdown -->\n).*?(<!-- end -->)', re.S)

# <!-- pictures --> ... <!-- end -->: the pictures of all results, in docs/records, which is a link to zoo/results.
PICTURES = re.compile(r'(<!-- pictures -->\n).*?(<!-- end -->)', re.S)

# <!-- overview --> ... <!-- end -->: a table of all pretrained models.
OVERVIEW = re.compile(r'(<!-- overview -->\n).*?(<!-- end -->)', re.S)

# <!-- cards --> ... <!-- end -->: the cards of all pretrained models.
CARDS = re.compile(r'(<!-- cards -->\n).*?(<!-- end -->)', re.S)


def pages() -> list[pathlib.Path]:
  """Paths of README and of the pages in docs/."""
  return [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]


def table(match) -> str:
  """Renders the table for a match of `MARKED`."""
  if ' --metrics ' in (match[3] or ''):
    return _tables.render_metrics(match[2], match[3].split()[-1].split(','), 'markdown', brief='--brief' in match[3])
  kinds: dict[str, Callable[[str, str], str]] = {
      ' --ablation': _tables.render_ablation, ' --sources': _tables.render_sources, ' --brief': _tables.render_brief,
      ' --published': _tables.render_published}
  if special := kinds.get(match[3]):
    return special(match[2], 'markdown')
  return _tables.render(match[2], 'markdown', everything=bool(match[3]))


def pictures() -> str:
  """Markdown of the pictures of all results, each a small picture that links to the large one."""
  names = sorted(path.stem for path in _records.FOLDER.glob('*.png'))
  return ''.join(f'[![{name}](records/{name}.png){{ width="320" }}](records/{name}.png)\n' for name in names)


def updated(text) -> str:
  """Returns a page's text with up-to-date tables, pictures and cards."""
  text = OVERVIEW.sub(lambda match: match[1] + _card.overview() + match[2], text)
  text = CARDS.sub(lambda match: match[1] + _card.page() + match[2], text)
  text = PICTURES.sub(lambda match: match[1] + pictures() + match[2], text)
  return MARKED.sub(lambda match: match[1] + table(match) + match[4], text)


def main() -> None:
  """Draws the plots and rewrites all pages."""
  _plots.draw()
  for path in pages():
    path.write_text(updated(path.read_text()))


if __name__ == '__main__':
  main()
