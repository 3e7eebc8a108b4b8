"""Reads from the result files how long models train until lines interpolate well.

`python benchmarks/time_to_quality.py` prints a row for each definition on lines, recipe and settings with results. It
has the samples and minutes of training after which an evaluation first had a mean distance of at most each of LEVELS.
These are medians over the seeds that reached the level, followed by the number of these seeds. The minutes are on one
core of the named CPUs, with other programs running beside.
"""

import statistics

from absl import app

from acai_tf.zoo import _compare, _records, _tables

LEVELS = (2.5e-3, 1e-3, 0.6e-3, 0.35e-3, 0.25e-3)


def reached(run, level):
  """The first row of a run's history with a mean distance of at most `level`; None if there is none."""
  return next((row for row in run.history if (row.get('mean_distance') or 1.0) <= level), None)


def cell(group, level) -> str:
  """Formats runs that differ in their seeds as '65,536, 12 min, 3 of 3'."""
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
  for name, runs in _records.load_all('lines').items():
    for group in _records.groups(runs):
      cells = [cell(group, level) for level in LEVELS]
      if any(cells):
        changed = _compare.text_of(_records.changes(group[0].experiment, name), 'recipe')
        devices = sorted({part['device'] for run in group for part in run.facts['trained_by']})
        body.append([name + (f': {changed}' if changed else ''), f'{group[0].samples:,}', _tables.seeds_of(group),
                     *cells, '; '.join(devices)])
  headings = ['definition', 'samples in all', 'seeds', *(f'to {level * 1e3:g}e-3' for level in LEVELS), 'CPUs']
  note = 'Each cell: samples, minutes of training, number of seeds that reached the level.'
  print(_tables.render_table(headings, body, [note], 'text'))


if __name__ == '__main__':
  app.run(main)
