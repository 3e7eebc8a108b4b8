"""The user's cache folder, for exported modules and downloads. It may be deleted at any time."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from acai_tf.experiment.errors import UserError

VARIABLE = 'ACAI_TF_CACHE'  # environment variable that sets the folder


def folder() -> pathlib.Path:
  """The cache folder: $ACAI_TF_CACHE, or else acai_tf in $XDG_CACHE_HOME or ~/.cache."""
  usual = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache') / 'acai_tf'
  return pathlib.Path(os.environ.get(VARIABLE) or usual).expanduser().absolute()


@contextlib.contextmanager
def writable() -> Iterator[None]:
  """Turns an OSError in its block into a UserError: the cache cannot be written."""
  try:
    yield
  except OSError as error:
    raise UserError(f'{folder()} cannot be written ({error.strerror or error}); expected a folder with free space. Set '
                    f'{VARIABLE} to one.') from error
