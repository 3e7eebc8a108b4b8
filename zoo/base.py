"""Published figures, each with its source."""

import dataclasses

from acai_tf import registry

PAPER_SAMPLES = 1 << 24  # training images behind every figure of the ACAI paper (section 4)


@dataclasses.dataclass(frozen=True)
class Published:
  """One figure of the paper, in the unit in which `metrics.json` has it; `spread` is what stands behind its +-.

  `confirmed`: a second source agrees; otherwise the figure comes from one secondary source or from memory.
  """

  metric: str
  value: float
  spread: float
  table: str
  confirmed: bool = False


def published(dataset, model, latent_dimension):
  """Dict: metric -> Published for a model on a data set with codes of `latent_dimension` numbers; empty if none."""
  if dataset not in registry.names('zoo'):
    return {}
  rows = registry.load('zoo', dataset).PUBLISHED.get((model, latent_dimension), ())
  return {row.metric: row for row in rows}
