"""Strict parsing of overrides, and conversion of dicts to frozen dataclasses.

Every key must exist, and every value must have the type of its field.
"""

import dataclasses
import math
import typing
from collections.abc import Iterator

from acai_tf.experiment import fields
from acai_tf.experiment.errors import UserError, unknown

LARGEST_EXPONENT = 64  # maximum in integers written as BASE**EXPONENT


def make(kind, values, prefix) -> typing.Any:
  """Builds dataclass `kind` from a dict; arguments and errors as in `override`. Other fields have their defaults."""
  return override(kind(), values, prefix)


def make_complete(kind, values, prefix) -> typing.Any:
  """Like `make`, but every field must have a value; defaults are not used.

  Raises:
    UserError: as in `override`; `values` is not a dict, or lacks a key.
  """
  if not isinstance(values, dict):
    raise UserError(f'section {prefix} is {"missing" if values is None else "not an object"}; expected its keys.')
  lacking = [f'{prefix}.{name}' for name in fields.annotations_of(kind) if name not in values]
  if lacking:
    raise UserError(f'{", ".join(lacking)} missing; expected every key.')
  return make(kind, values, prefix)


def override(instance, values, prefix) -> typing.Any:
  """Returns a copy of dataclass `instance` with other values.

  Args:
    instance: the dataclass.
    values: dict: field -> value, or its text.
    prefix: section of the keys, for messages.

  Raises:
    UserError: a key is unknown (the closest one is suggested), or a value has a wrong type or is out of range.
  """
  kind: typing.Any = type(instance)
  annotations, parsed = fields.annotations_of(kind), {}
  for key, value in values.items():
    if key not in annotations:
      raise UserError(unknown(f'key of {prefix}', key, annotations))
    parsed[key] = _parse(f'{prefix}.{key}', value, fields.type_of(annotations[key]))
  try:
    return dataclasses.replace(instance, **parsed)
  except ValueError as error:
    raise UserError(str(error)) from error


def parse_overrides(texts) -> dict[str, dict]:
  """Parses ['training.batch=32', ...] into {'training': {'batch': '32'}, ...}; raises a UserError for other forms."""
  sections = {'dataset': {}, 'model': {}, 'network': {}, 'training': {}}
  for text in texts:
    path, equals, value = text.partition('=')
    section, dot, key = path.partition('.')
    if not equals or not dot or not key:
      raise UserError(f'--set {text}: expected SECTION.KEY=VALUE, for example --set training.batch=32')
    if section not in sections:
      raise UserError(unknown('section', section, sections))
    sections[section][key] = value
  return sections


def differences(first, second, prefix='') -> Iterator:
  """Yields (dotted key, value in `first`, value in `second`) for every difference between two nested dicts."""
  for key in sorted(set(first) | set(second)):
    path, left, right = f'{prefix}{key}', first.get(key), second.get(key)
    if isinstance(left, dict) and isinstance(right, dict):
      yield from differences(left, right, path + '.')
    elif left != right:
      yield path, left, right


def _parse(key, value, kind):
  if kind is bool and str(value).lower() in ('true', 'false', '1', '0'):
    return str(value).lower() in ('true', '1')
  try:
    if isinstance(value, bool):
      raise TypeError
    if kind is int and isinstance(value, str):
      base, power, exponent = value.partition('**')
      if power and not 0 <= int(exponent) <= LARGEST_EXPONENT:
        raise ValueError(f'exponent {exponent}')
      return int(base) ** int(exponent) if power else int(base)
    if kind is int and value == int(value):
      return int(value)
    if kind is float and math.isfinite(float(value)):
      return float(value)
    if kind is str and isinstance(value, str):
      return value
  except (TypeError, ValueError, OverflowError):
    pass
  raise UserError(f'{key}={value}: expected a value of type {kind.__name__}.')
