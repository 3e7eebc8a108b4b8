"""The model zoo. A definition names a data set, a model and a latent dimension, and may have published figures.

Each data set has a file with `ROWS` (name of a latent size -> network overrides), `EXCEPTIONS` ((model, row) ->
overrides) and `PUBLISHED` ((model, latent dimension) -> figures). A data set without a file has a single row with its
default network.
"""

import typing

from acai_tf.zoo import _handle, _records, _weights, base

if typing.TYPE_CHECKING:
  import keras


def names(pretrained: bool = False) -> list[str]:
  """Returns the sorted names of all definitions.

  Args:
    pretrained: whether to return only definitions with pretrained weights.
  """
  return sorted(_records.pretrained() if pretrained else base.definitions())


def load(name: str, precision: str = 'float32') -> 'keras.Model':
  """Returns the Keras model of a definition with its pretrained weights.

  Args:
    name: one of `names(pretrained=True)`.
    precision: a Keras dtype policy.

  Raises:
    UserError: the name is unknown, there are no weights, or the file is missing or does not match its checksum.
  """
  _, model, _ = _weights.load(name, precision)
  return model


def handle(name: str) -> str:
  """Returns the folder of the exported model (`export.module`), for `hub.load`.

  The first call exports the model into the cache ($ACAI_TF_CACHE, or else ~/.cache/acai_tf). Later calls reuse it.

  Args:
    name: one of `names(pretrained=True)`.

  Raises:
    UserError: as `load`, or the cache cannot be written.
  """
  return _handle.handle(name)
