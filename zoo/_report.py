"""One HTML page of all results with tables, curves and pictures. It is self-contained and opens from disk."""

import base64
import html
import io
import pathlib

from PIL import Image

from acai_tf.evaluation import figures
from acai_tf.zoo import _records, _tables, base

FIRST = ('lines', 'mnist')  # the data sets of the ACAI paper's results, before the others
FIRST_MODELS = ('acai', 'autoencoder')
WIDTHS = 800, 640, 480, 320  # pixels of a picture: the first at which it fits its share of `SHARED`
SHARED = 1_000_000  # bytes of the pictures of all definitions, so that the page stays below 2 MB

STYLE = '''
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 75rem; color: #1a1a1a; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.8rem; line-height: 1.35; }
th, td { padding: 0.3rem 0.5rem; border-bottom: 1px solid #ccc; text-align: left; vertical-align: top; }
th { background: #eef2f7; } tr:hover td { background: #f6f8fb; } p { max-width: 60rem; } nav a { margin-right: 1rem; }
summary { cursor: pointer; } .pictures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: start; }
figure { margin: 0; width: 18rem; } figure:has([open]) { width: 100%; } figcaption { font-size: 0.8rem; }
figure summary { list-style: none; } img { display: block; width: 100%; height: auto; max-width: 800px; }
'''


def embedded(data, text, most=SHARED) -> str:
  """Embeds PNG bytes as an HTML figure with a caption: small, and larger once the reader clicks it.

  Args:
    data: the bytes.
    text: the caption.
    most: number of bytes that the picture may have; one that has more at the smallest of `WIDTHS` is embedded, too.
  """
  for width in WIDTHS:
    stream = io.BytesIO()
    with Image.open(io.BytesIO(data)) as picture:
      picture.thumbnail((width, 10 * width))
      picture.convert('RGB').save(stream, 'WEBP', quality=50, method=6)
    if len(stream.getvalue()) <= most:
      break
  source = base64.b64encode(stream.getvalue()).decode()
  return (f'<figure><details><summary><img alt="{html.escape(text)}" src="data:image/webp;base64,{source}"></summary>'
          f'</details><figcaption>{html.escape(text)}</figcaption></figure>')


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
  labels = {name: f'{name}, {run.samples:,} samples, seed {run.seed}' for name, run in chosen.items()}
  parts = []
  for x, y, label in (('alpha', 'distance', 'mean cosine distance to the nearest line'),
                      ('quality_alpha', 'frechet', 'Frechet distance to test images')):
    series = {labels[name]: (run.curves[x], run.curves[y]) for name, run in chosen.items()
              if {x, y} <= run.curves.keys()}
    if series:
      parts.append(plot(series, 'alpha', label, f'{dataset}: {label} along the path'))
  for key, label in (('mean_distance', 'mean distance'), ('probe_accuracy', 'probe accuracy')):
    series = {labels[name]: ([row['samples'] for row in run.history], [row[key] for row in run.history])
              for name, run in chosen.items() if run.history and all(key in row for row in run.history)}
    if series:
      parts.append(plot(series, 'training images', label, f'{dataset}: {label} during training'))
      break
  return parts


def render(folder=_records.FOLDER) -> str:
  """Renders the page as HTML."""
  everything = _records.load_all(folder=folder)
  results = {name: trained for name, runs in everything.items() if (trained := _records.of_recipe(runs, name))}
  defined = base.definitions()
  datasets = sorted({defined[name].dataset for name in everything}, key=lambda name: base.rank(FIRST, name))
  parts = ['<!doctype html><html lang="en"><head><meta charset="utf-8"><title>acai_tf: results</title>',
           '<meta name="viewport" content="width=device-width, initial-scale=1">',
           f'<style>{STYLE}</style></head><body><h1>acai_tf: results</h1>',
           '<p>All figures are in <code>zoo/results</code>, with their configuration, commit, versions and device. '
           'Runs with fewer samples than in the papers are undertrained.</p>',
           '<nav>', *[f'<a href="#{d}">{d}</a>' for d in datasets], '</nav>']
  pictures = {name: path for name in results if (path := pathlib.Path(folder) / f'{name}.png').exists()}
  for dataset in datasets:
    own = {name: runs for name, runs in results.items() if defined[name].dataset == dataset}
    parts.append(f'<h2 id="{dataset}">{dataset}</h2>')
    if own:
      parts.append(wide(_tables.render_brief(dataset, 'html', folder)))
    parts.append('<div class="pictures">')
    for name in sorted(own, key=lambda name: base.rank(FIRST_MODELS, defined[name].model)):
      if name in pictures and (run := _records.reported(own[name], name)):
        recipe, samples, _, seed = run.identity
        caption = f'{name}: interpolations; recipe {recipe}, {samples:,} samples, seed {seed}'
        parts.append(embedded(pictures[name].read_bytes(), caption, SHARED // len(pictures)))
    parts += [*curves(dataset, own), '</div>', '<details><summary>All columns, and how to read them</summary>',
              wide(_tables.render(dataset, 'html', folder)), '</details>']
    for name, runs in everything.items():
      if defined[name].dataset == dataset and len(runs) > len(results.get(name, [])):
        parts += [f'<details><summary>{name}: ablations</summary>',
                  wide(_tables.render_ablation(name, 'html', folder)), '</details>']
  return '\n'.join([*parts, '</body></html>'])
