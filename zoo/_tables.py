"""Tables of results beside published figures and tables of ablations, as text, Markdown and HTML."""

import html
import re

import numpy as np
from rich import box
from rich import table as rich_table

from acai_tf import cli
from acai_tf.evaluation import ranges
from acai_tf.evaluation.report import PAPER_RESTARTS
from acai_tf.experiment import registry
from acai_tf.experiment.config import PAPER_SAMPLES
from acai_tf.experiment.errors import UserError, unknown
from acai_tf.metrics import labels
from acai_tf.zoo import _compare, _records, base

SOURCES = {'': 'the sampler', **{end: labels.SUBJECTS[end] for end in (
    '_prior', '_gaussian', '_sphere', '_untrained', '_real_codes', '_language_model', '_real_text')}}
SOURCE_COLUMNS = tuple(map(labels.of, ('reverse_perplexity', 'forward_perplexity', 'distinct_share', 'copied_share')))
SPREAD = 'mean ± population standard deviation over seeds'
INTERVAL = "[95 % confidence interval of the mean, Student's t, within the range of the metric]"
FORMATS = ('text', 'markdown', 'html')
WEIGHTS = {'average': 'EMA', 'raw': 'raw'}
# How the names of metrics begin that depend on the feature network.
FEATURES = ('frechet', 'kernel', 'precision', 'recall', 'density', 'coverage', 'feature', 'class_kept')
NO_MEDIANS = 'no medians'
MILESTONES = (1 << 16, 1 << 18)  # numbers of samples at which ablations are compared, beside their ends
WIDTH = 400  # maximum width of a text table: no table needs so much, so no cell is wrapped and grep finds it


def figure(column, summary, interval=False) -> str:
  """Formats a `_records.Summary` as 'mean ± deviation' in the column's unit, with '[low, high]' if `interval`."""
  if summary is None:
    return ''
  text = column.number(summary.mean)
  if summary.half is not None:
    text += f' ± {column.number(summary.deviation)}'
    if interval:
      low, high = ranges.range_of(column.metric)
      ends = (column.number(min(max(summary.mean + side * summary.half, low), high)) for side in (-1, 1))
      text += f' [{", ".join(ends)}]'
  return text + (f' ({summary.count} of {summary.seeds} seeds)' if summary.count < summary.seeds else '')


def published_text(column, paper) -> str:
  """Formats a `base.Published` in the column's unit, with a star if it has a single source; '' for None."""
  if paper is None:
    return ''
  spread = '' if paper.spread is None else f' ± {column.number(paper.spread)}'
  return column.number(paper.value) + spread + ('' if paper.confirmed else ' *')


def common(runs) -> list:
  """[recipe, weights and precision, samples, seeds, minutes, samples per second] of a group of runs, as texts."""
  if not runs:
    return [''] * len(COMMON)
  precisions = {run.experiment.training.precision.removeprefix('mixed_') for run in runs}
  weights = f'{" or ".join(sorted({WEIGHTS[run.weights] for run in runs}))}, {" or ".join(sorted(precisions))}'
  samples = runs[0].samples
  seconds = [run.train_seconds for run in runs if run.train_seconds] if len(precisions) == 1 else []
  time = [f'{np.mean(seconds) / 60:.0f}', f'{samples / np.mean(seconds):.0f}'] if seconds else ['', '']
  return [runs[0].experiment.training.recipe, weights,
          f'{samples:,}', seeds_of(runs), *time]


COMMON = ['recipe', 'weights', 'samples', 'seeds', 'minutes', 'samples/s']


def seeds_of(runs) -> str:
  """Formats the seeds of runs as '0', '0, 1, 2' or, if they are consecutive, '0 to 9'."""
  seeds = sorted(run.seed for run in runs)
  if len(seeds) > 3 and seeds == list(range(seeds[0], seeds[-1] + 1)):
    return f'{seeds[0]} to {seeds[-1]}'
  return ', '.join(map(str, seeds))


def cells_of(column, runs, paper, other) -> list:
  """Cells of a metric with published figures: last checkpoint, median (if the paper's is one), published figure.

  Args:
    column: `labels.Label`.
    runs: the group of runs; may be empty.
    paper: `base.Published` or None.
    other: whether the model's settings differ from the paper's.
  """
  ours, cells = _compare.summary(runs, column.metric), []
  still = column.metric == 'smoothness_published' and _compare.motionless(runs)
  if column.metric in _compare.MEDIANS:
    last = _records.summary(runs, column.metric)
    cells.append(figure(column, last) + (' (motionless)' if still else ''))
    cells.append(figure(column, ours, True) if ours or not last else NO_MEDIANS)
  else:
    cells.append(figure(column, ours, True))
  word = '' if still else 'other settings' if other and paper and ours else _compare.mark(column, ours, paper)
  return [*cells, published_text(column, paper) + (f', {word}' if word else '')]


def chosen(target) -> tuple[str, dict]:
  """Returns the definitions of a table: (data set, dict name -> `base.Definition`).

  Args:
    target: name of a data set, or the name or pattern ('mnist_*_d32') of definitions.

  Raises:
    UserError: nothing has that name, the data set has no definitions, or the definitions have several data sets.
  """
  datasets, known = registry.names('acai_tf.data'), base.definitions()
  if target in datasets:
    found = base.definitions(target)
  elif base.is_pattern(target) or target in known:
    found = base.matching([target])
  else:
    raise UserError(unknown('data set or definition', target, [*datasets, *known]))
  if not found:
    raise UserError(f'{target} has no definitions, so it has no table; expected another data set: see acai zoo list.')
  if len(theirs := sorted({definition.dataset for definition in found.values()})) > 1:
    raise UserError(f'{target!r} matches definitions of several data sets ({", ".join(theirs)}); expected one: a table '
                    'has the metrics of one data set.')
  return theirs[0], found


def results_of(target, folder=_records.FOLDER) -> tuple[str, dict]:
  """(data set, results as from `_records.load_all`) of the definitions of `chosen(target)`."""
  dataset, defined = chosen(target)
  return dataset, {name: runs for name in defined if (runs := _records.load(name, folder))}


def rows(target, results, everything=False) -> tuple[list[str], list]:
  """(headings, list of rows of texts) with a row for the longest training of each definition with its own settings.

  A definition without results has a row if there are published figures for it.

  Args:
    target: as in `chosen`.
    results: from `results_of(target)`.
    everything: whether shorter trainings have rows, too.
  """
  dataset, defined = chosen(target)
  shown, body = _compare.columns(dataset), []
  compared = {metric for d in defined.values() for metric in base.published(dataset, d.model, d.latent_dimension)}
  for name, definition in defined.items():
    published = base.published(dataset, definition.model, definition.latent_dimension)
    runs = results.get(name, [])
    grouped = (_records.groups(_records.of_recipe(runs, name)) if everything
               else _records.longest(runs, name))
    for group in grouped or ([[]] if published else []):
      other = bool(group) and bool(_compare.other_settings(group[0], name))
      cells = [name, *common(group)]
      for column in shown:
        cells += (cells_of(column, group, published.get(column.metric), other) if column.metric in compared
                  else [figure(column, _records.summary(group, column.metric))])
      body.append(cells)
  headings = ['definition', *COMMON]
  for column in shown:
    headings.append(column.heading)
    if column.metric in compared:
      headings += ['median of 20'] * (column.metric in _compare.MEDIANS) + ['published']
  return headings, body


def undertrained(names) -> str:
  """Sentences on the number of samples of recipe `paper`.

  Args:
    names: names of the definitions in a table.
  """
  counts: dict[int, set] = {}
  for definition in map(base.definition, names):
    counts.setdefault(definition.resolve().training.samples, set()).add(definition.model)
  usual = max(counts, key=lambda count: len(counts[count]))
  others = '; '.join(f'{count:,} for {", ".join(sorted(models))}' for count, models in sorted(counts.items())
                     if count != usual)
  return (f'Recipe `paper` trains on {usual:,} samples{f" ({others})" if others else ""}. '
          'Models with fewer samples are undertrained.')


def restarts(dataset, groups) -> list[str]:
  """[sentences on the number of k-means restarts behind a table's clustering figures], or [] if it has none."""
  if not any(column.metric.startswith('clustering') for column in _compare.columns(dataset)):
    return []
  counts: dict[int, set] = {}
  for name, runs in groups:
    for run in runs:
      if 'clustering_accuracy' in run.metrics:
        counts.setdefault(run.facts.get('kmeans_restarts', 0), set()).add(name)
  if not counts:
    return []
  usual = max(counts, key=lambda count: len(counts[count]))
  others = '; '.join(f'{count:,} for {", ".join(sorted(names))}' for count, names in sorted(counts.items())
                     if count != usual)
  paper = (', as in the paper' if usual == PAPER_RESTARTS and not others else f'. The paper uses {PAPER_RESTARTS:,} '
           'restarts')
  return [f'Clustering is the best of {usual:,} restarts of k-means{f" ({others})" if others else ""}{paper}.']


def restarts_of(runs) -> str:
  """The number of k-means restarts of runs, '1,000' or '10, 1,000'; '' if none of them has clustering."""
  return ', '.join(f'{count:,}' for count in sorted({
      run.facts.get('kmeans_restarts', 0) for run in runs if 'clustering_accuracy' in run.metrics}))


def note(target, results, body, everything=False) -> list:
  """Paragraphs below a table: how to read it, what is not compared and why, rankings, and what has no results."""
  dataset, defined = chosen(target)
  flat = ' | '.join(cell for row in body for cell in row)
  parts = [f'{undertrained(defined)} Definitions without samples have not been trained.']
  if any(base.published(dataset, d.model, d.latent_dimension) for d in defined.values()):
    parts += [
        f'Published figures: mean ± population standard deviation after {PAPER_SAMPLES:,} samples. The papers do not '
        'report the number of runs. Distance, smoothness and probe are medians of the last 20 evaluations (20/256 of '
        'the training). * marks a published figure that was not checked against a second source.',
        'Our figures: mean ± population standard deviation over seeds, [95 % confidence interval of the mean, '
        'Student\'s t]. They are from the last checkpoint, except in the columns "median of 20", which compare to '
        'published medians.',
        '"agrees": the means differ by at most √(h² + (1.96 s)²), where h is the half-width of our interval and s the '
        'published deviation. "better" or "worse": they differ by more. "unclear": they agree, but h is larger than '
        'half the published figure (for an accuracy, also if it is larger than half the distance to 100 %). Intervals '
        'end where the range of a metric ends.']
  parts += restarts(dataset, [(name, group) for name, runs in results.items() for group in (
      _records.groups(_records.of_recipe(runs, name)) if everything else _records.longest(runs, name))])
  if 'one seed' in flat:
    parts.append('"one seed": a single run has no interval, so it is not compared.')
  if NO_MEDIANS in flat:
    parts.append(f'"{NO_MEDIANS}": the last 20/256 of the training have fewer than 20 evaluations, or undefined ones. '
                 'The figure is not compared.')
  others = {name: _compare.text_of(_compare.other_settings(group[0], name), 'paper') for name, runs in results.items()
            for group in _records.longest(runs, name)[:1]}
  if any(others.values()):
    parts.append('"other settings": the model differs from the paper\'s, so it is not compared. The settings are '
                 + '; '.join(f'{name}: {text}' for name, text in others.items() if text) + '.')
  if len(defined) == len(base.definitions(dataset)):
    parts += _compare.ranks(dataset, results)
  shorter = sum(len(_records.groups(_records.of_recipe(runs, name))) - len(_records.longest(runs, name))
                for name, runs in results.items())
  if shorter and not everything:
    parts.append(f'{shorter} shorter trainings are not shown. To show them: acai zoo table {target} --all.')
  missing = [name for name, d in defined.items() if not _records.of_recipe(results.get(name, []), name)
             and not base.published(dataset, d.model, d.latent_dimension)]
  if missing:
    parts.append(f'Not trained, and without published figures: {", ".join(missing)}.')
  return parts


def brief_rows(target, results, published_only=False) -> tuple[list[str], list]:
  """(headings, rows) like `rows`, but only definitions with results, and one figure per metric beside the published.

  With `published_only`, definitions and metrics without published figures are left out, too.
  """
  dataset, defined = chosen(target)
  published = {name: base.published(dataset, d.model, d.latent_dimension) for name, d in defined.items()}
  if published_only and not any(published.values()):
    raise UserError(f'no figures are published for {target}; expected other definitions, or --brief.')
  if published_only:
    results = {name: runs for name, runs in results.items() if published[name]}
  compared = {metric for figures in published.values() for metric in figures}
  shown = [column for column in _compare.columns(dataset) if column.metric in compared or not published_only
           if any(_records.summary(runs, column.metric) for runs in results.values())]
  body = []
  for name, runs in results.items():
    for group in _records.longest(runs, name)[:1]:
      cells, other = [name, f'{group[0].samples:,}', seeds_of(group)], bool(_compare.other_settings(group[0], name))
      for column in shown:
        cells += (cells_of(column, group, published[name].get(column.metric), other)[-2:] if column.metric in compared
                  else [figure(column, _records.summary(group, column.metric))])
      body.append(cells)
  headings = ['definition', 'samples', 'seeds']
  for column in shown:
    headings += [column.heading] + ['published'] * (column.metric in compared)
  return headings, body


def ablation_rows(name, results) -> tuple[list[str], list]:
  """(headings, rows) of an ablation table.

  For each recipe and number of samples it has the runs with the recipe's settings first, then those that change one
  setting, then those that change several. Longer runs also have a row at each of MILESTONES.

  Args:
    name: name of a definition.
    results: its records.
  """
  shown, body, changed = _compare.columns(base.definition(name).dataset), [], {}
  known = {run.identity for run in results}
  results = results + [shorter for run in results for samples in MILESTONES
                       for shorter in _records.shorter_training(run, samples) if shorter.identity not in known]
  for group in _records.groups(results):
    changed.setdefault((group[0].samples, group[0].experiment.training.recipe), []).append(
        (_records.changes(group[0].experiment, name), group))
  clustered = any(column.metric.startswith('clustering') for column in shown)
  medians = [column.metric in _compare.MEDIANS and any(column.metric in run.medians for run in results)
             for column in shown]
  for kinds in changed.values():
    if not any(differences for differences, _ in kinds):
      continue
    for differences, group in sorted(kinds, key=lambda kind: (len(kind[0]), str(kind[0]))):
      cells = [_compare.text_of(differences, 'recipe') or 'none (the recipe)', *common(group)]
      cells += [restarts_of(group)] if clustered else []
      for column, also in zip(shown, medians, strict=True):
        cells.append(figure(column, _records.summary(group, column.metric), not also))
        if also:
          cells.append(figure(column, _compare.summary(group, column.metric), True) or NO_MEDIANS)
      body.append(cells)
  headings = ['changed', *COMMON] + ['restarts of k-means'] * clustered
  for column, also in zip(shown, medians, strict=True):
    headings += [column.heading] + ['median of 20'] * also
  return headings, body


def render(target, kind='text', folder=_records.FOLDER, everything=False) -> str:
  """Renders the table of `chosen(target)` as text, Markdown or HTML. `everything`: also shorter trainings."""
  dataset, results = results_of(target, folder)
  headings, body = rows(target, results, everything)
  check_networks(dataset, results, everything)
  return render_table(headings, body, note(target, results, body, everything), kind)


def render_brief(target, kind='text', folder=_records.FOLDER, published_only=False) -> str:
  """Renders a short table of the results of `chosen(target)`, or only of those beside published figures.

  Raises:
    UserError: there are no results.
  """
  dataset, results = results_of(target, folder)
  headings, body = brief_rows(target, results, published_only)
  if not body:
    raise UserError(f'{target} has no results; expected some from acai zoo reproduce NAME.')
  results = {row[0]: results[row[0]] for row in body}
  check_networks(dataset, results)
  starred = ('* marks a published figure that was not checked against a second source.'
             * any(' *' in cell for row in body for cell in row))
  medians = [column.heading.split(',')[0] for column in _compare.columns(dataset)
             if column.metric in _compare.MEDIANS and column.heading in headings]
  compared = (f'{" and ".join(medians).capitalize()}: medians of the last 20 evaluations, like the published figures.'
              * bool(medians and 'published' in headings))
  spread = over_seeds(body, headings)
  return render_table(headings, body, [
      *filter(None, [' '.join(filter(None, [*spread, compared, starred]))]),
      undertrained(row[0] for row in body),
      *restarts(dataset, [(name, group) for name, runs in results.items()
                          for group in _records.longest(runs, name)[:1]])], kind)


def check_networks(dataset, results, everything=False) -> None:
  """Raises UserError if a table's Frechet figures come from several feature networks and are not comparable."""
  if any(column.metric == 'frechet_gap' for column in _compare.columns(dataset)):
    _one_network(dataset, [(name, run) for name, runs in results.items() for run in (
        _records.of_recipe(runs, name) if everything else sum(_records.longest(runs, name), []))])


def _one_network(dataset, runs):
  networks = {}
  for name, run in runs:
    if any(metric.startswith(FEATURES) for metric in run.metrics):
      networks.setdefault(run.facts.get('feature_network'), []).append(name)
  if len(networks) > 1:
    kinds = '; '.join(f'{network or "unknown"}: {", ".join(sorted(set(names)))}' for network, names in networks.items())
    raise UserError(f'the Frechet figures of {dataset} were measured with {len(networks)} feature networks ({kinds}); '
                    'expected one. Measure them again with one: acai evaluate --run DIR --metrics all.')


def render_ablation(name, kind='text', folder=_records.FOLDER) -> str:
  """Renders the table of a definition's ablations.

  Raises:
    UserError: there are no ablations.
  """
  base.definition(name)
  headings, body = ablation_rows(name, _records.load(name, folder))
  if not body:
    raise UserError(f'{name} has no training with other settings than its recipe\'s; expected some from '
                    f'acai zoo reproduce {name} --set SECTION.KEY=VALUE.')
  return render_table(headings, body, [' '.join([
      *over_seeds(body, headings),
      'All settings that are not named in a row are those of its recipe.'])], kind)


def render_sources(name, kind='text', folder=_records.FOLDER) -> str:
  """Renders a table that compares the samples of a definition with sentences from other sources.

  Some of these sources are decoded by the same decoder, others are not decoded.

  Raises:
    UserError: the definition's longest training has no such figures.
  """
  base.definition(name)
  runs = sum(_records.longest(_records.load(name, folder), name), [])
  body, noisy = [], False
  for place, text in SOURCES.items():
    for end in ('', '_noise'):
      summaries = [_records.summary(runs, column.metric + place + end) for column in SOURCE_COLUMNS] if runs else []
      if any(summaries):
        noisy = noisy or bool(end)
        body.append([text + ', with noise' * bool(end), *(
            figure(column, each, place in ('', '_prior', '_gaussian'))
            for column, each in zip(SOURCE_COLUMNS, summaries, strict=True))])
  if len(body) < 2:
    raise UserError(f'{name} has no figures of sources; expected a run of sentences that was measured with them: '
                    'acai evaluate --run DIR --metrics all.')
  return render_table(['sentences from', *(column.heading for column in SOURCE_COLUMNS)], body, [
      f'{name}: {runs[0].samples:,} samples, recipe {runs[0].experiment.training.recipe}, '
      f'seed{"s" * (len(runs) > 1)} {seeds_of(runs)}. '
      + f'Figures are {SPREAD}, {INTERVAL}. ' * (len(runs) > 1)
      + 'For real sentences and their latents, forward perplexity and copies are measured on held-out sentences.'
      + (f' "with noise": N(0, {runs[0].facts.get("source_noise")}²) is added to every component of the latents '
         'before decoding.' if noisy else '')], kind)


def render_published(target, kind='text', folder=_records.FOLDER) -> str:
  """Renders `render_brief` without definitions and metrics that have no published figures."""
  return render_brief(target, kind, folder, published_only=True)


def render_metrics(target, metrics, kind='text', folder=_records.FOLDER, brief=False) -> str:
  """Renders a table of chosen metrics for every training of `chosen(target)` that has at least one of them.

  With `brief`, only the longest training of each definition with its own settings is shown.

  Raises:
    UserError: no record has a metric of that name, or the figures come from several feature networks.
  """
  (dataset, results), body = results_of(target, folder), []
  known = sorted({metric for runs in results.values() for run in runs for metric in run.metrics})
  for metric in metrics:
    if metric not in known:
      raise UserError(unknown(f'metric in the results of {target}', metric, known))
  if any(metric.startswith(FEATURES) for metric in metrics):
    _one_network(dataset, [(name, run) for name, runs in results.items() for run in runs])
  clustered = any(metric.startswith('clustering') for metric in metrics)
  for name, runs in results.items():
    for group in _records.longest(runs, name)[:1] if brief else _records.groups(runs):
      summaries = [_records.summary(group, metric) for metric in metrics]
      if any(summaries):
        changed = _compare.text_of(_records.changes(group[0].experiment, name), 'recipe')
        body.append([name + (f': {changed}' if changed else ''), f'{group[0].samples:,}', seeds_of(group),
                     *[restarts_of(group)] * clustered, *(plain(summary) for summary in summaries)])
  headings = metrics if kind == 'text' else [metric.replace('_', ' ') for metric in metrics]  # Pages break at spaces.
  headings = ['definition', 'samples', 'seeds', *['restarts of k-means'] * clustered, *headings]
  return render_table(headings, body, over_seeds(body, headings), kind)


def over_seeds(body, headings) -> list[str]:
  """[how the figures of several seeds are summarized], or [] if each row of a table has one seed."""
  several = any(re.search(r'\D', row[headings.index('seeds')]) for row in body)
  intervals = any(' [' in cell for row in body for cell in row)
  return [f'Figures are {SPREAD}{f", {INTERVAL}" if intervals else ""}.'] * several


def plain(summary) -> str:
  """Formats a `_records.Summary` with four digits and without a unit; '' for None."""
  if summary is None:
    return ''
  return f'{summary.mean:.4g}' + (f' ± {summary.deviation:.2g}' if summary.half is not None else '')


def render_table(headings, body, under, kind) -> str:
  """Renders a table and the paragraphs below it as text, Markdown or HTML.

  Text has one wide table. In Markdown and HTML, where it would not fit a page, how the models were trained is a second
  table that the reader opens.
  """
  if kind == 'text':
    grid = rich_table.Table(*headings, box=box.SIMPLE_HEAD)
    for row in body:
      grid.add_row(*row)
    return '\n\n'.join([cli.text_of(grid, WIDTH), *under])
  drawn = {'markdown': markdown, 'html': html_table}[kind]
  headings = [heading.replace('1e-', '1e\N{NON-BREAKING HYPHEN}') for heading in headings]
  parts = [drawn(headings, body)]
  if 'recipe' in headings:
    measured = [i for i, heading in enumerate(headings) if heading not in COMMON or heading in ('samples', 'seeds')]
    trained = [0, *map(headings.index, COMMON)]
    with_runs = [row for row in body if row[headings.index('recipe')]]
    parts = [drawn(*columns_of(headings, body, measured)),
             '<details markdown="1"><summary>How they were trained</summary>',
             drawn(*columns_of(headings, with_runs, trained)), '</details>']
  if kind == 'markdown':
    return '\n'.join(f'{part.rstrip()}\n' for part in (*parts, *under))
  return ''.join([*parts, *(f'<p>{html.escape(text)}</p>' for text in under)])


def columns_of(headings, body, chosen) -> tuple[list, list]:
  """(headings, rows) of the chosen columns, a list of their numbers."""
  return [headings[i] for i in chosen], [[row[i] for i in chosen] for row in body]


def markdown(headings, body) -> str:
  """Renders rows of texts as a Markdown table."""
  return ''.join(f'| {" | ".join(row)} |\n' for row in [headings, ['---'] * len(headings), *body])


def html_table(headings, body) -> str:
  """Renders rows of texts as a table in HTML."""
  def line(cells, tag):
    return '<tr>' + ''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells) + '</tr>'

  return f'<table>{line(headings, "th")}{"".join(line(row, "td") for row in body)}</table>'
