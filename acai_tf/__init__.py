"""Interpolating autoencoders in TensorFlow and Keras."""

import importlib

__version__ = '0.1.0'


def __getattr__(name):
  """Loads `fit` and `load`, and TensorFlow with them, when they are used."""
  if name in ('fit', 'load', 'Callback'):
    return getattr(importlib.import_module('acai_tf.api'), name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
