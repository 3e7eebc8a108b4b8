"""Groups of metrics that are taken together, of models of any kind."""

import dataclasses
import typing


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
  measured: Measured


@dataclasses.dataclass(frozen=True)
class Group:
  """Metrics that are taken together: a function of a task, and of (functions, data set) whether it applies to them.

  `quick`: whether they take seconds, so that they are taken while a model is trained.
  """

  score: typing.Any
  applies: typing.Any
  quick: bool = False
