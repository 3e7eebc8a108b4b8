"""Frozen dataclasses for settings. The constructor checks every field against its annotation.

An annotation is a type (bool, int, float, str), `Annotated[float, '(0, 1]']` for a number in an interval, or
`Literal['a', 'b']` for a choice.
"""

import dataclasses
import functools
import math
import numbers
import typing
from collections.abc import Callable
from typing import Annotated, Literal

from acai_tf.experiment.errors import one_of

SMALLEST, LARGEST = 1.2e-38, 3.4e38  # range of float32's normal numbers
_ABSTRACT: dict[type, type] = {int: numbers.Integral, float: numbers.Real}


@typing.dataclass_transform(frozen_default=True)
def config_dataclass(section) -> Callable[[type], typing.Any]:
  """Class decorator: makes a frozen dataclass whose fields are checked before the class's own `__post_init__`.

  The constructor raises a ValueError if a value does not fit its annotation; the message says what was expected.

  Args:
    section: 'dataset', 'model', 'network' or 'training', the prefix of the keys in messages.
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
  """Returns a dict: field of a dataclass -> its annotation; postponed annotations are evaluated."""
  return typing.get_type_hints(cls, localns={'Annotated': Annotated, 'Literal': Literal}, include_extras=True)


def type_of(annotation) -> type:
  """Returns the type of an annotation's values: bool, int, float or str."""
  origin = typing.get_origin(annotation)
  if origin is Literal:
    return type(typing.get_args(annotation)[0])
  return typing.get_args(annotation)[0] if origin is Annotated else annotation


def check(key, given, annotation) -> typing.Any:
  """Converts `given` to the annotation's type; raises a ValueError that names `key` if the value does not fit."""
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
    raise ValueError(f'{key} is {value}, which is out of range of float32; expected 0, or {SMALLEST} to {LARGEST}.')
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

