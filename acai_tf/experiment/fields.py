"""Settings as frozen dataclasses whose annotations say what each may be, checked wherever one is made.

An annotation is a type (bool, int, float, str), `Annotated[float, '(0, 1]']` for a number in an interval, or
`Literal['a', 'b']` for one of several texts.
"""

import dataclasses
import functools
import math
import numbers
import typing
from collections.abc import Callable
from typing import Annotated, Literal

from acai_tf.experiment.errors import one_of

SMALLEST, LARGEST = 1.2e-38, 3.4e38  # of float32's normal numbers
_ABSTRACT: dict[type, type] = {int: numbers.Integral, float: numbers.Real}


@typing.dataclass_transform(frozen_default=True)
def config_dataclass(section) -> Callable[[type], typing.Any]:
  """Class decorator: `dataclasses.dataclass(frozen=True)`, whose fields are checked before its own `__post_init__`.

  Args:
    section: 'dataset', 'model', 'network' or 'training': the first half of the keys in messages.

  Raises:
    ValueError: from the class's constructor: a value that a field may not have; the message says what it may.
  """
  def decorate(cls):
    own_post_init = getattr(cls, '__post_init__', None)

    def check_fields(self):
      for name, annotation in annotations_of(type(self)).items():
        object.__setattr__(self, name, check(f'{section}.{name}', getattr(self, name), annotation))
      if own_post_init:
        own_post_init(self)

    cls.__post_init__ = check_fields
    return dataclasses.dataclass(frozen=True)(cls)

  return decorate


@functools.cache
def annotations_of(cls) -> dict[str, object]:
  """Dict: a dataclass's field -> its annotation, also where annotations are postponed."""
  return typing.get_type_hints(cls, localns={'Annotated': Annotated, 'Literal': Literal}, include_extras=True)


def type_of(annotation) -> type:
  """bool, int, float or str."""
  origin = typing.get_origin(annotation)
  if origin is Literal:
    return type(typing.get_args(annotation)[0])
  return typing.get_args(annotation)[0] if origin is Annotated else annotation


def check(key, given, annotation) -> typing.Any:
  """`given` as the annotation's type; ValueError, with the `key`, if it may not be."""
  kind = type_of(annotation)
  if isinstance(given, bool) != (kind is bool) or not isinstance(given, _ABSTRACT.get(kind, kind)):
    raise ValueError(f'{key}={given}: expected a value of type {kind.__name__}.')
  try:
    value: typing.Any = kind(given)
  except OverflowError as error:
    raise ValueError(f'{key} is too large; expected a finite number.') from error
  if kind is float and not math.isfinite(value):
    raise ValueError(f'{key} is {value}; expected a finite number.')
  if kind is float and value and not SMALLEST <= abs(value) <= LARGEST:
    raise ValueError(f'{key} is {value}, which float32 has not; expected 0, or from {SMALLEST} to {LARGEST}.')
  if kind is int and abs(value) >= 1 << 63:
    raise ValueError(f'{key} is too large; expected an integer of 64 bits.')
  if typing.get_origin(annotation) is Literal:
    one_of(key, value, typing.get_args(annotation))
  if typing.get_origin(annotation) is Annotated:
    interval = typing.get_args(annotation)[1]
    low, high = map(float, interval[1:-1].split(','))
    if not (low <= value if interval[0] == '[' else low < value) or not (
        value <= high if interval[-1] == ']' else value < high):
      raise ValueError(f'{key} is {value}; expected a number in {interval}.')
  return value

