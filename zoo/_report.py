"""One HTML page of all results with tables, curves and pictures. It is self-contained and opens from disk."""

import base64
import html
import io
import pathlib

from acai_tf.evaluation import figures
from zoo import _records, _tables, base

STYLE = '''
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 72rem; color: #1a1a1a; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.85rem; white-space: nowrap; }
th, td { padding: 0.3rem 0.7rem; border-bottom: 1px solid #ccc; text-align: left; }
th { background: #eef2f7; } tr:hover td { background: #f6f8fb; } img { max-width: 100%; height: auto; }
p { max-width: 60rem; } nav a { margin-right: 1rem; } figure { margin: 1.5rem 0; } figcaption { font-size: 0.85rem; }
'''


def embedded(data, text) -> str:
  """Embeds PNG bytes as an HTML figure with a caption."""
  source = base64.b64encode(data).decode()
  return (f'<figure><img alt="{html.escape(text)}" src="data:image/png;base64,{source}">'
          f'<figcaption>{html.escape(text)}</figcaption></figure>')


def wide(table) -> str:
  """Makes the HTML of a table, with its notes below, scroll sideways if the window is narrower than the table."""
  return table.replace('<table>', '<div class="wide"><table>').replace('</table>', '</table></div>')


def plot(series, x_label, y_label, text) -> str:
  """Plots a curve per model as an HTML figure. `series`: dict name -> (x, y)."""
  stream = io.BytesIO()
  figures.save_series(stream, series, x_label, y_label, text)
  return embedded(stream.getvalue(), text)


def curves(dataset, results) -> list:
  """Plots over alpha and over training samples, with a curve for the reported run of each definition."""
  chosen = {name: run for name, runs in results.items() if (run := _records.reported(runs, name))}
  seeds = sorted({str(run.seed) for run in chosen.values()})
  counts = sorted({f'{run.samples:,}' for run in chosen.values()})
  parts, after = [], f'seed {", ".join(seeds)}, {" or ".join(counts)} samples'
  for x, y, label in (('alpha', 'distance', 'mean cosine distance to the nearest line'),
                      ('quality_alpha', 'frechet', 'Frechet distance to test images')):
    series = {name: (run.curves[x], run.curves[y]) for name, run in chosen.items()
              if {x, y} <= run.curves.keys()}
    if series:
      parts.append(plot(series, 'alpha', label, f'{dataset}: {label} along the path; {after}'))
  for key, label in (('mean_distance', 'mean distance'), ('probe_accuracy', 'probe accuracy')):
    series = {name: ([row['samples'] for row in run.history], [row[key] for row in run.history])
              for name, run in chosen.items() if run.history and all(key in row for row in run.history)}
    if series:
      parts.append(plot(series, 'training images', label, f'{dataset}: {label} during training; {after}'))
      break
  return parts


def render(folder=_records.FOLDER) -> str:
  """Renders the page as HTML."""
  everything = _records.load_all(folder=folder)
  results = {name: trained for name, runs in everything.items() if (trained := _records.of_recipe(runs, name))}
  defined = base.definitions()
  datasets = sorted({defined[name].dataset for name in everything})
  parts = ['<!doctype html><html lang="en"><head><meta charset="utf-8"><title>acai_tf: results</title>',
           '<meta name="viewport" content="width=device-width, initial-scale=1">',
           f'<style>{STYLE}</style></head><body><h1>acai_tf: results</h1>',
           '<p>All figures are in <code>zoo/results</code>, with their configuration, commit, versions and device. '
           'Runs with fewer samples than in the papers are undertrained.</p>',
           '<nav>', *[f'<a href="#{d}">{d}</a>' for d in datasets], '</nav>']
  for dataset in datasets:
    own = {name: runs for name, runs in results.items() if defined[name].dataset == dataset}
    parts += [f'<h2 id="{dataset}">{dataset}</h2>', wide(_tables.render(dataset, 'html', folder)),
              *curves(dataset, own)]
    for name, runs in own.items():
      picture = pathlib.Path(folder) / f'{name}.png'
      if picture.exists() and (run := _records.reported(runs, name)):
        recipe, samples, _, seed = run.identity
        parts.append(embedded(picture.read_bytes(), f'{name}: interpolations; recipe {recipe}, {samples:,} samples, '
                                                    f'seed {seed}'))
    for name, runs in everything.items():
      if defined[name].dataset == dataset and len(runs) > len(results.get(name, [])):
        parts += [f'<h3>{name}: ablations</h3>', wide(_tables.render_ablation(name, 'html', folder))]
  return '\n'.join([*parts, '</body></html>'])
