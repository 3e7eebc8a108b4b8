"""Groups of metrics that are taken together, of models of any kind."""

import dataclasses
import typing

from acai_tf.experiment.errors import UserError


@dataclasses.dataclass(frozen=True)
class Measured:
  """`metrics`: name -> number or None. `curves`: name -> list of numbers along alpha. `arrays`: for pictures."""

  metrics: dict
  curves: dict
  arrays: dict


@dataclasses.dataclass(frozen=True)
class Task:
  """What a group's function gets: the model's `functions`, the data set, settings, `progress`, and where to put it."""

  functions: typing.Any
  dataset: typing.Any
  settings: typing.Any
  progress: typing.Any
  found: Measured


@dataclasses.dataclass(frozen=True)
class Group:
  """Metrics that are taken together: a function of a task, and of (functions, data set) whether it applies to them.

  `quick`: whether they take seconds, so that they are taken while a model is trained.
  """

  score: typing.Any
  applies: typing.Any
  quick: bool = False


def measure(groups, task, dataset_name, model_name) -> Measured:
  """Every metric of the chosen groups that applies, in `task.found`.

  Args:
    groups: dict: name -> `Group`, in the order in which they are taken.
    task: `Task`, whose settings have the names of the chosen `groups`.
    dataset_name, model_name: for messages.

  Raises:
    UserError: groups of which none applies, a model whose outputs are not finite, or another input that a metric
      refuses; it names the model.
  """
  try:
    for name, group in groups.items():
      if name in task.settings.groups and group.applies(task.functions, task.dataset):
        task.progress(name)
        group.score(task)
  except UserError:
    raise
  except ValueError as error:
    raise UserError(f'evaluation of {model_name} on {dataset_name}: {error}') from error
  if not task.found.metrics and not task.found.arrays:
    raise UserError(f'evaluation of {model_name} on {dataset_name}: no metric of {", ".join(task.settings.groups)} '
                    'applies; expected --metrics reconstruction, or others (docs/benchmarks.md).')
  return task.found
