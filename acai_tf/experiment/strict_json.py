"""JSON as RFC 8259 has it: what Python reads beyond that, NaN say, and what ends Python's reader, is a ValueError."""

import json
import typing

from acai_tf import files


def loads(text) -> typing.Any:
  """A JSON text's value.

  Raises:
    ValueError: it is no JSON, has a number that is not finite or a key twice, or is nested too deep.
  """
  try:
    return json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_object)
  except RecursionError as error:
    raise ValueError('nested too deep') from error


def read(path) -> typing.Any:
  """A JSON file's value.

  Raises:
    ValueError: as `loads`, or bytes that are no UTF-8.
    OSError: no file, also where a pipe stands in its place, which would never end.
  """
  return loads(text_of(path))


def text_of(path) -> str:
  """The text of a UTF-8 file; errors as of `read`."""
  return files.regular(path).read_text(encoding='utf-8')


def is_count(value) -> bool:
  """Whether a value is an int of 0 or more."""
  return type(value) is int and value >= 0


def _refuse(name):
  raise ValueError(f'{name} is no number of JSON')


def _finite(text):
  value = float(text)
  if value - value:  # infinite: 1e999, say
    raise ValueError(f'{text} is no finite number')
  return value


def _object(pairs):
  found = dict(pairs)
  if len(found) < len(pairs):
    raise ValueError(f'a key stands twice in {", ".join(key for key, _ in pairs)[:80]}')
  return found
