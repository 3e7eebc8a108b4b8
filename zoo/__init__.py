"""Definitions: the product of data sets, models and code sizes; published figures beside them, one data set a file.

A data set's file has `ROWS` (name of a code size -> network overrides), `EXCEPTIONS` ((model, row) -> overrides) and
`PUBLISHED` ((model, numbers in a code) -> figures). A data set without a file has one row, its own network.
"""

import typing

from zoo import _handle, _records, _weights, base

if typing.TYPE_CHECKING:
  import keras


def names(pretrained: bool = False) -> list[str]:
  """Sorted names of the definitions, or of those whose weights are kept here."""
  if pretrained:
    return sorted(name for name, found in _records.load_all().items() if any(run.kept for run in found))
  return sorted(base.definitions())


def load(name: str, precision: str = 'float32') -> 'keras.Model':
  """A definition's model with the weights of the run that its results report.

  Args:
    name: of `names(pretrained=True)`.
    precision: a Keras dtype policy.

  Raises:
    UserError: an unknown name, no weights, or a file that is not the one whose sum is on record; in an installed
      package, which has no weights, a mirror ($ACAI_TF_ZOO) that is not set or does not have it.
  """
  _, model, _ = _weights.load(name, precision)
  return model


def handle(name: str) -> str:
  """The folder of that model's module (`export.module`), for `hub.load`: made at the first call, then taken from there.

  Args:
    name: of `names(pretrained=True)`.

  Raises:
    UserError: as `load`; a cache ($ACAI_TF_CACHE, else ~/.cache/acai_tf) that cannot be written.
  """
  return _handle.handle(name)
