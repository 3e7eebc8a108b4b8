"""Files that are about to be opened."""

import pathlib


def regular(path) -> pathlib.Path:
  """`path`, as long as nothing but a regular file is there; a symlink counts as what it leads to.

  To open a named pipe waits for whoever holds its other end, and a device may never end. A path where nothing is passes
  too, so that opening it says so.

  Raises:
    OSError: a folder, named pipe, socket or device.
  """
  path = pathlib.Path(path)
  if path.exists() and not path.is_file():
    raise OSError(f'{path} is no file')
  return path
