"""What a result says beside a published figure: marks, settings that make the two incomparable, and ranks."""

import dataclasses
import math

from acai_tf.evaluation.images import PAIRS
from acai_tf.evaluation.modality import IMAGES as OF_IMAGES
from acai_tf.experiment import registry
from acai_tf.experiment.overrides import differences
from acai_tf.experiment.resolve import resolve
from zoo import _records, base

# Published as medians of the last 20 evaluations (tables 1 and 2); clustering (table 3) is not.
MEDIANS = OF_IMAGES.medians
NORMAL = 1.96  # deviations on either side of a normal distribution's mean that hold 95 % of it


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
          Column('frechet_samples', 'of samples', 1, 1, False),
          Column('recon_mse', 'recon. error', 1, 4, False))
SENTENCES = (Column('reverse_perplexity', 'reverse perplexity', 1, 1, False),
             Column('forward_perplexity', 'forward', 1, 1, False),
             Column('distinct_share', 'distinct, %', 100, 1, True),
             Column('recon_nll', 'NLL a sentence', 1, 2, False),
             Column('path_perplexity_gap', 'path gap', 1, 2, False),
             Column('path_largest_step', 'largest step', 1, 2, False),
             Column('transfer_accuracy', 'transfer, %', 100, 1, True),
             Column('transfer_bleu', 'BLEU', 1, 1, True))
COLUMNS = {'lines': LINES}  # by the data set's benchmark; of others those of its kind


def columns(dataset):
  """The metrics that a data set's table shows."""
  kind = {'images': IMAGES, 'sentences': SENTENCES}[registry.kind_of('acai_tf.data', dataset)]
  return COLUMNS.get(getattr(registry.load('acai_tf.data', dataset), 'BENCHMARK', None), kind)


def summary(found, metric) -> _records.Summary | None:
  """`_records.Summary` of what is comparable with a published figure of `metric`: medians where those are medians."""
  return _records.summary(found, metric, 'medians' if metric in MEDIANS else 'metrics')


def mark(column, ours, published) -> str:
  """One word on our figure beside a published one, or '' where there is nothing to compare.

  Published: a mean and a population deviation s over an unstated number of runs; ours: a mean and half its 95 %
  interval h. The two differ where the means do by more than sqrt(h^2 + (1.96 s)^2): the published mean is taken to be
  as uncertain as a single run, since nobody says that it is less. 'unclear' is an agreement that says nothing, h being
  wider than the figure itself or, of accuracies, than what it lacks of 100 %.

  Args:
    column: `Column`.
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
    return 'agrees' if ours.half <= room else 'unclear'
  return 'better' if (difference > 0) == column.more else 'worse'


def motionless(found) -> bool:
  """Whether half of the interpolations of some run do not move: the published smoothness calls them perfect."""
  return any(2 * (run.metrics.get('smoothness_undefined') or 0) >= PAIRS for run in found)


def other_settings(record, name) -> list:
  """[(key, value, the paper's)]: where a record's model or network is not what the paper's recipe makes of it.

  Such a model has another objective, so that its figures are not set against published ones. What a Config names in
  `ESTIMATION` only changes how the same objective is estimated.

  Args:
    record: of the definition.
    name: of the definition.
  """
  definition, experiment = base.definition(name), record.experiment
  paper = resolve(definition.dataset, definition.model, 'paper', definition.overrides)
  same = {f'model.{key}' for key in getattr(experiment.model, 'ESTIMATION', ())}
  return [difference for difference in differences(experiment.to_dict(), paper.to_dict())
          if difference[0].startswith(('model.', 'network.')) and difference[0] not in same]


def text_of(differences, other) -> str:
  """'key value (`other` value), ...' of such differences."""
  return ', '.join(f'{key} {has} ({other} {wants})' for key, has, wants in differences)


def ranks(dataset, results) -> list:
  """A line for each code size: the models' order by our medians and by the published ones, with Kendall's tau.

  Taken over the longest trainings of models that have both figures; a code size with fewer than three has no line.

  Args:
    dataset: its name.
    results: as `_records.load_all(dataset)`.
  """
  import scipy.stats

  column = columns(dataset)[0]
  sizes: dict[str, dict] = {}
  for name, found in results.items():
    definition = base.definition(name)
    published = base.published(dataset, definition.model, definition.latent_dimension).get(column.metric)
    for runs_ in _records.longest(found, name)[:1]:
      ours = summary(runs_, column.metric)
      if published and ours:
        models = sizes.setdefault(definition.row, {})
        models[definition.model] = (ours.mean, published.value, bool(other_settings(runs_[0], name)))
  lines = []
  for row, models in sizes.items():
    if len(models) < 3:
      continue
    pairs = [(ours, theirs) for ours, theirs, _ in models.values()]
    tau = scipy.stats.kendalltau(*zip(*pairs, strict=True)).statistic
    orders = [', '.join(f'({m})' if models[m][2] else m for m in sorted(
        models, key=lambda m, k=k: models[m][k], reverse=column.more)) for k in (0, 1)]  # type: ignore[misc]
    brackets = " In brackets: other settings than the paper's." if any(m[2] for m in models.values()) else ''
    lines.append(f'Rank by {column.metric}{f" at {row}" if row else ""}, best first. Ours: {orders[0]}. Published: '
                 f"{orders[1]}. Kendall's tau {tau:.2f} over {len(models)} models.{brackets}")
  return lines
