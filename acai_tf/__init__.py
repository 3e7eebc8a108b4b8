"""Interpolating autoencoders in TensorFlow and Keras."""

import importlib
import typing

__version__ = '0.1.0'


def __getattr__(name: str) -> typing.Any:
  """Loads `fit`, `load` and `Callback`, and TensorFlow with them, and the packages `zoo` and `export` when used."""
  if name in ('fit', 'load', 'Callback'):
    return getattr(importlib.import_module('acai_tf.api'), name)
  if name in ('zoo', 'export'):
    return importlib.import_module(f'acai_tf.{name}')
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
