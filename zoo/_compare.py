"""Comparison of results with published figures: marks, settings that rule out a comparison, and rankings."""

import math

from acai_tf.evaluation.images import PAIRS
from acai_tf.evaluation.modality import IMAGES as OF_IMAGES
from acai_tf.experiment import registry
from acai_tf.metrics import labels
from acai_tf.zoo import _records, base

# The papers publish these as medians of the last 20 evaluations (tables 1 and 2), but not clustering (table 3).
MEDIANS = OF_IMAGES.medians
NORMAL = 1.96  # 95 % of a normal distribution is within so many standard deviations of its mean

LINES = tuple(map(labels.of, ('mean_distance', 'smoothness_published')))
IMAGES = tuple(map(labels.of, ('probe_accuracy', 'fitted_probe_accuracy', 'clustering_accuracy', 'frechet_gap',
                               'frechet_samples', 'recon_mse')))
SENTENCES = tuple(map(labels.of, ('reverse_perplexity', 'forward_perplexity', 'distinct_share', 'recon_nll',
                                  'path_perplexity_gap', 'path_largest_step', 'transfer_accuracy', 'transfer_bleu')))
COLUMNS = {'lines': LINES}  # by benchmark of the data set; data sets without one have the columns of their kind


def columns(dataset):
  """Columns of a data set's table."""
  kind = {'images': IMAGES, 'sentences': SENTENCES}[registry.kind_of('acai_tf.data', dataset)]
  return COLUMNS.get(getattr(registry.load('acai_tf.data', dataset), 'BENCHMARK', None), kind)


def scores_line(dataset, metrics) -> str:
  """The first two scores of a data set's table that are among `metrics`: 'probe 97.54 %, clustering 92.60 %'."""
  known = [column for column in columns(dataset) if metrics.get(column.metric) is not None]
  return ', '.join(f'{column.name} {column.quantity(metrics[column.metric])}' for column in known[:2])


def summary(runs, metric) -> _records.Summary | None:
  """Summarizes `metric` over runs as the papers publish it: from medians if the published figure is a median."""
  return _records.summary(runs, metric, 'medians' if metric in MEDIANS else 'metrics')


def mark(column, ours, published) -> str:
  """Marks how our figure compares with a published one; '' if they cannot be compared.

  The published figure is a mean with the population standard deviation s over an unstated number of runs. Ours is a
  mean with a 95 % confidence interval of half-width h. They agree if the means differ by at most
  sqrt(h^2 + (1.96 s)^2). The published mean is taken to be as uncertain as a single run, since the number of runs is
  unknown. The mark is 'unclear' if they agree but h is larger than half the published figure, or, for accuracies,
  larger than half its distance to 100 %: such an agreement says little.

  Args:
    column: `labels.Label`.
    ours: `_records.Summary` or None.
    published: `base.Published` or None.

  Returns:
    '', 'one seed', 'agrees', 'unclear', 'better' or 'worse'.
  """
  if published is None or ours is None or ours.count < ours.seeds:
    return ''
  if ours.half is None:
    return 'one seed'
  difference = ours.mean - published.value
  if abs(difference) <= math.hypot(ours.half, NORMAL * (published.spread or 0)):
    room = min(published.value, 1 - published.value) if column.more else published.value
    return 'agrees' if ours.half <= room / 2 else 'unclear'
  return 'better' if (difference > 0) == column.more else 'worse'


def motionless(runs) -> bool:
  """Whether in any run half of the interpolations do not move. The published smoothness counts these as perfect."""
  return any(2 * (run.metrics.get('smoothness_undefined') or 0) >= PAIRS for run in runs)


def other_settings(record, name) -> list:
  """`base.other_settings` of a record of the definition `name`."""
  return base.other_settings(record.experiment, base.definition(name))


def text_of(differences, other) -> str:
  """Formats differences as 'key value (`other`: value), ...'."""
  return ', '.join(f'{key} {has} ({other}: {wants})' for key, has, wants in differences)


def ranks(dataset, results) -> list:
  """Compares rankings: a line for each latent size with the order of the models by our and by the published figures.

  The line has Kendall's tau of both orders. It covers the longest trainings of the models that have both figures. A
  latent size with fewer than three such models has no line.

  Args:
    dataset: name of the data set.
    results: from `_records.load_all(dataset)`.
  """
  import scipy.stats

  column = columns(dataset)[0]
  sizes: dict[str, dict] = {}
  for name, runs in results.items():
    definition = base.definition(name)
    published = base.published(dataset, definition.model, definition.latent_dimension).get(column.metric)
    for group in _records.longest(runs, name)[:1]:
      ours = summary(group, column.metric)
      if published and ours:
        models = sizes.setdefault(definition.row, {})
        models[definition.model] = (
            ours.mean, published.value, bool(other_settings(group[0], name)), group[0].samples)
  lines = []
  for row, models in sizes.items():
    if len(models) < 3:
      continue
    pairs = [(ours, theirs) for ours, theirs, *_ in models.values()]
    tau = scipy.stats.kendalltau(*zip(*pairs, strict=True)).statistic
    orders = [', '.join(f'({m})' if models[m][2] else m for m in sorted(
        models, key=lambda m, k=k: models[m][k], reverse=column.more)) for k in (0, 1)]  # type: ignore[misc]
    brackets = (" Models in brackets have other settings than the paper's." if any(m[2] for m in models.values())
                else '')
    lengths = {m[3] for m in models.values()}
    if len(lengths) > 1:
      brackets += f' Ours have {min(lengths):,} to {max(lengths):,} training samples.'
    lines.append(f'Ranking by {column.metric}{f" at {row}" if row else ""}, best first. Ours: {orders[0]}. Published: '
                 f"{orders[1]}. Kendall's tau is {tau:.2f} over {len(models)} models.{brackets}")
  return lines
