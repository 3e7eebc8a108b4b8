"""Files: opened only where they are files, replaced whole or not at all, locked, and told apart by their SHA-256."""

import contextlib
import fcntl
import glob
import hashlib
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator

DAY = 86_400  # seconds


def regular(path) -> pathlib.Path:
  """`path`, if there is a regular file or nothing at all; a symlink counts as what it leads to.

  Opening a named pipe would wait for whoever holds its other end, and reading a device may never end. A path where
  nothing is passes too, so that opening it reports that.

  Raises:
    OSError: a folder, named pipe, socket or device.
  """
  path = pathlib.Path(path)
  if path.exists() and not path.is_file():
    raise OSError(f'{path} is no file')
  return path


@contextlib.contextmanager
def scratch(path) -> Iterator[pathlib.Path]:
  """A context that gives a new folder beside `path`, of this program alone even where hosts share the disk.

  The folder is deleted at the end. So are those that killed programs left, if nothing was written in them for a day.

  Raises:
    OSError: the folder of `path` cannot be made or written.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  for left in path.parent.glob(f'{glob.escape(path.name)}.*.part'):
    with contextlib.suppress(OSError):  # Another program is deleting it, too.
      if time.time() - max(each.stat().st_mtime for each in (left, *left.rglob('*'))) > DAY:
        shutil.rmtree(left, ignore_errors=True)
  with tempfile.TemporaryDirectory('.part', f'{path.name}.', path.parent, ignore_cleanup_errors=True) as folder:
    yield pathlib.Path(folder)


@contextlib.contextmanager
def replacing(path) -> Iterator[pathlib.Path]:
  """A context that gives another path of the same name; what is written there is moved to `path` at the end.

  It is moved whole or, where the context ends with an exception, not at all. Works for files and for new folders.

  Raises:
    OSError: the folder of `path` cannot be written, or `path` is a folder that is not empty.
  """
  path = pathlib.Path(path)
  with scratch(path) as folder:
    yield folder / path.name
    (folder / path.name).replace(path)


def write(path, text: str) -> None:
  """Writes a UTF-8 text file whole or not at all; OSError where it cannot be written."""
  with replacing(path) as made:
    made.write_text(text, encoding='utf-8')


@contextlib.contextmanager
def locked(path, wait=True) -> Iterator[str]:
  """A context in which no other process is that uses the same lock file; a killed process leaves no lock behind.

  Gives '', or the system's message on a disk that has no locks: then nothing is locked.

  Raises:
    BlockingIOError: another process is in it, and `wait` is False.
    OSError: the file cannot be written.
  """
  path, problem = regular(path), ''
  path.parent.mkdir(parents=True, exist_ok=True)
  with path.open('w') as stream:
    try:
      fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise
    except OSError as error:
      problem = error.strerror or str(error)
    yield problem


def digest(parts: Iterable[bytes | memoryview]) -> str:
  """SHA-256 of all parts behind one another, in hexadecimal."""
  total = hashlib.sha256()
  for part in parts:
    total.update(part)
  return total.hexdigest()


def digest_of(path) -> str:
  """SHA-256 of a file in hexadecimal; OSError where there is no file."""
  with regular(path).open('rb') as stream:
    return hashlib.file_digest(stream, 'sha256').hexdigest()
