"""Tables of results beside published figures, as text, Markdown and HTML."""

import dataclasses
import html

from acai_tf import measure, program
from zoo import _records, base

FORMATS = ('text', 'markdown', 'html')


@dataclasses.dataclass(frozen=True)
class Column:
  """A metric: its heading with unit, what it is multiplied by, its decimals, and whether more is better."""

  metric: str
  heading: str
  scale: float
  decimals: int
  more: bool


LINES = (Column('mean_distance', 'mean distance, 1e-3', 1e3, 2, False),
         Column('smoothness_published', 'smoothness', 1, 3, False))
IMAGES = (Column('probe_accuracy', 'probe, %', 100, 2, True),
          Column('fitted_probe_accuracy', 'fitted probe, %', 100, 2, True),
          Column('clustering_accuracy', 'clustering, %', 100, 2, True),
          Column('frechet_gap', 'Frechet gap', 1, 2, False),
          Column('recon_mse', 'recon. error', 1, 4, False))


def columns(dataset):
  """The metrics that a data set's table shows."""
  return LINES if dataset == 'lines' else IMAGES


def mark(column, value, interval, published):
  """'agrees' where the intervals overlap ('unclear' if ours is wider than the figure), else 'better' or 'worse'."""
  if abs(value - published.value) <= (interval or 0) + (published.spread or 0):
    return 'agrees' if (interval or 0) <= published.value else 'unclear'
  return 'better' if (value > published.value) == column.more else 'worse'


def motionless(runs):
  """Whether half of the interpolations of some run do not move: the published smoothness calls them perfect."""
  return any(2 * run['metrics'].get('smoothness_undefined', 0) >= measure.PAIRS for run in runs)


def figure(column, value, interval):
  """A number with its interval, in the column's unit."""
  if value is None:
    return ''
  spread = '' if interval is None else f' ± {interval * column.scale:.{column.decimals}f}'
  return f'{value * column.scale:.{column.decimals}f}{spread}'


def rows(dataset, results):
  """(headings, list of rows of texts): one row for each definition, recipe and number of samples.

  Definitions without results have a row where there are published figures of them.

  Args:
    dataset: its name.
    results: as `_records.load_all(dataset)`.
  """
  shown, body, defined = columns(dataset), [], base.definitions(dataset)
  compared = {metric for d in defined.values() for metric in base.published(dataset, d.model, d.latent_dimension)}
  for name, definition in defined.items():
    published = base.published(dataset, definition.model, definition.latent_dimension)
    for (recipe, samples), runs in (_records.groups(results.get(name, [])) or {('', 0): []}).items():
      if not runs and not published:
        continue
      count = f'{samples:,}{" (undertrained)" if samples < base.PAPER_SAMPLES else ""}' if runs else 'not trained'
      cells = [name, recipe, count, seeds_of(runs)]
      for column in shown:
        value, interval = _records.mean(runs, column.metric)
        still = column.metric == 'smoothness_published' and motionless(runs)
        cells.append(figure(column, value, interval) + (' (motionless)' if still else ''))
        if column.metric in compared:
          paper = published.get(column.metric)
          text = figure(column, paper.value, paper.spread) + ('' if paper.confirmed else ' *') if paper else ''
          comparable = paper and value is not None and not still
          cells.append(text + (f', {mark(column, value, interval, paper)}' if comparable else ''))
      body.append(cells)
  headings = ['definition', 'recipe', 'samples', 'seeds']
  for column in shown:
    headings.append(column.heading)
    if column.metric in compared:
      headings.append('published')
  return headings, body


def seeds_of(runs):
  """'0' or '0, 1, 2', or '0 to 9' where they follow one another."""
  seeds = sorted(run['experiment']['training']['seed'] for run in runs)
  if len(seeds) > 3 and seeds == list(range(seeds[0], seeds[-1] + 1)):
    return f'{seeds[0]} to {seeds[-1]}'
  return ', '.join(map(str, seeds))


def note(dataset, results):
  """What stands under a table: how to read it, and which definitions have no result."""
  missing = [name for name, d in base.definitions(dataset).items()
             if name not in results and not base.published(dataset, d.model, d.latent_dimension)]
  published = ', the median of the last 20 evaluations' if dataset == 'lines' else ''
  text = ('Ours: the last checkpoint; ± is half the 95 % interval of the mean over seeds. Published: after '
          f'{base.PAPER_SAMPLES:,} samples{published}; ± as there. "agrees": the intervals overlap; '
          '"unclear": they do, but the half of ours is wider than the published figure itself. '
          '* from a single secondary source.')
  return text + (f' Not trained either: {", ".join(missing)}.' if missing else '')


def render(dataset, kind='text', folder=_records.FOLDER):
  """The data set's table as text, Markdown or HTML."""
  results = _records.load_all(dataset, folder)
  headings, body = rows(dataset, results)
  under = note(dataset, results)
  if kind == 'markdown':
    lines = [headings, ['---'] * len(headings), *body]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines) + f'\n\n{under}\n'
  if kind == 'html':
    def line(cells, tag):
      return '<tr>' + ''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells) + '</tr>'

    return ('<table>' + line(headings, 'th') + ''.join(line(row, 'td') for row in body)
            + f'</table><p>{html.escape(under)}</p>')
  from rich import box
  from rich import table as rich_table

  grid = rich_table.Table(*headings, box=box.SIMPLE_HEAD)
  for row in body:
    grid.add_row(*row)
  return program.text_of(grid, 200) + f'\n\n{under}'
