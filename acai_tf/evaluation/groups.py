"""Groups of metrics that are computed together, for models of images and of sentences."""

import dataclasses
import typing


@dataclasses.dataclass(frozen=True)
class Measured:
  """The results of an evaluation."""

  metrics: dict  # name -> number, or None if the metric is undefined
  curves: dict  # name -> list of numbers along the path, one per alpha
  arrays: dict  # name -> what the pictures show


@dataclasses.dataclass(frozen=True)
class Task:
  """The argument of a group's function."""

  functions: typing.Any  # `subject.Functions` or `subject.TextFunctions` of the model
  dataset: typing.Any
  settings: typing.Any  # `images.Settings` or `text.Settings`
  progress: typing.Any  # function (text, done, total)
  measured: Measured  # to which the group adds its results


@dataclasses.dataclass(frozen=True)
class Group:
  """Metrics that are computed together."""

  score: typing.Any  # function of a `Task`, which computes the metrics and adds them to `task.measured`
  applies: typing.Any  # function (functions, data set) -> whether the metrics apply to them
  quick: bool = False  # whether they take seconds, so that they are also computed during training
