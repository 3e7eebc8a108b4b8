"""Samples and minutes until a model's interpolated lines are good, read from the histories in the result files.

`python benchmarks/time_to_quality.py` prints, for every definition on lines, recipe and setting that was filed, the
samples and the minutes of training after which the mean distance was first no more than each of LEVELS at one of the
run's evaluations: the median over the seeds that got there, and how many did. Minutes are of the processors named,
one core each, with other programs beside.
"""

import statistics

from absl import app

from zoo import _compare, _records, _tables

LEVELS = (2.5e-3, 1e-3, 0.6e-3, 0.35e-3, 0.25e-3)


def reached(run, level):
  """The first row of a run's history that is at `level` or below; None if none is."""
  return next((row for row in run.history if (row.get('mean_distance') or 1.0) <= level), None)


def cell(group, level) -> str:
  """'65,536 samples, 12 min, 3 of 3' of runs that differ in their seeds."""
  rows = [row for run in group if (row := reached(run, level))]
  if not rows:
    return ''
  samples = statistics.median(row['samples'] for row in rows)
  seconds = [row['seconds'] for row in rows if row.get('seconds')]
  minutes = f', {statistics.median(seconds) / 60:.0f} min' if seconds else ''
  return f'{samples:,.0f}{minutes}, {len(rows)} of {len(group)}'


def main(_):
  """Prints the table."""
  body = []
  for name, found in _records.load_all('lines').items():
    for group in _records.groups(found).values():
      cells = [cell(group, level) for level in LEVELS]
      if any(cells):
        changed = _compare.text_of(_records.changes(group[0].experiment, name), 'recipe')
        devices = sorted({part['device'] for run in group for part in run.facts['trained_by']})
        body.append([name + (f': {changed}' if changed else ''), f'{group[0].samples:,}', _tables.seeds_of(group),
                     *cells, '; '.join(devices)])
  headings = ['definition', 'samples in all', 'seeds', *(f'to {level * 1e3:g}e-3' for level in LEVELS), 'processors']
  print(_tables.laid_out(headings, body, ['Samples, minutes of training, how many seeds got there.'], 'text'))


if __name__ == '__main__':
  app.run(main)
