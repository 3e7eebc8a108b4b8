"""Strict reading of JSON (RFC 8259).

Extensions that Python accepts, such as NaN, and nesting that exceeds Python's recursion limit raise a ValueError.
"""

import json
import math
import typing

from acai_tf import files


def loads(text) -> typing.Any:
  """Returns the value of a JSON text.

  Raises:
    ValueError: the text is not JSON, has a number that is not finite or a duplicate key, or is nested too deep.
  """
  try:
    return json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_object)
  except RecursionError as error:
    raise ValueError('nested too deep') from error


def read(path) -> typing.Any:
  """Returns the value of a JSON file.

  Raises:
    ValueError: as in `loads`; or the file is not UTF-8.
    OSError: the file is missing, or is not a regular file (for example a named pipe).
  """
  return loads(read_text(path))


def read_text(path) -> str:
  """Returns the text of a UTF-8 file; errors as in `read`."""
  return files.regular(path).read_text(encoding='utf-8')


def is_count(value) -> bool:
  """Whether a value is an int of 0 or more; a bool is not."""
  return type(value) is int and value >= 0


def _refuse(name):
  raise ValueError(f'{name} is not a JSON number')


def _finite(text):
  value = float(text)
  if not math.isfinite(value):  # for example 1e999
    raise ValueError(f'{text} is not a finite number')
  return value


def _object(pairs):
  values = dict(pairs)
  if len(values) < len(pairs):
    raise ValueError(f'duplicate key in {", ".join(key for key, _ in pairs)[:80]}')
  return values
