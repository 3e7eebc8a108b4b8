"""Groups of metrics that are computed together, for models of images and of sentences."""

import dataclasses
import typing
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Measured:
  """The results of an evaluation."""

  metrics: dict  # name -> number, or None if the metric is undefined
  curves: dict  # name -> list of numbers along the path, one per alpha
  arrays: dict  # name -> what the pictures show


@dataclasses.dataclass(frozen=True)
class Task:
  """What the function of a group gets."""

  functions: typing.Any  # the model, as `subject.Functions` or `subject.TextFunctions`
  dataset: typing.Any
  settings: typing.Any  # `images.Settings` or `text.Settings`
  progress: Callable  # function (text, done, total)
  measured: Measured  # results so far, to which the function adds its own


@dataclasses.dataclass(frozen=True)
class Group:
  """Metrics that are computed together."""

  score: typing.Any  # function of a `Task`, which computes the metrics and adds them to `task.measured`
  applies: typing.Any  # function (functions, data set) -> whether the metrics apply to them
  quick: bool = False  # whether they take seconds, so that they are also computed during training
