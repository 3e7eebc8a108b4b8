"""Utilities for files: checks for regular files, atomic writes, locks and SHA-256 digests."""

import contextlib
import fcntl
import glob
import hashlib
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator

DAY = 86_400  # seconds


def regular(path) -> pathlib.Path:
  """Returns `path` if it is a regular file or does not exist; symlinks are followed.

  Call it before opening a file: opening a named pipe blocks until the other end is opened, and reading a device may
  never end. A missing path passes, so that opening it raises FileNotFoundError.

  Raises:
    OSError: the path is a folder, named pipe, socket or device.
  """
  path = pathlib.Path(path)
  if path.exists() and not path.is_file():
    raise OSError(f'{path} is not a file')
  return path


@contextlib.contextmanager
def scratch(path) -> Iterator[pathlib.Path]:
  """A context manager that gives a new temporary folder beside `path`.

  Its name is unique, even if several hosts share the disk. The folder is deleted at the end. Folders of programs that
  were killed are deleted too, if nothing was written in them for a day.

  Raises:
    OSError: the parent folder of `path` cannot be created or written.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  for left in path.parent.glob(f'{glob.escape(path.name)}.*.part'):
    with contextlib.suppress(OSError):  # Another program may be deleting it.
      if time.time() - max(each.stat().st_mtime for each in (left, *left.rglob('*'))) > DAY:
        shutil.rmtree(left, ignore_errors=True)
  with tempfile.TemporaryDirectory('.part', f'{path.name}.', path.parent, ignore_cleanup_errors=True) as folder:
    yield pathlib.Path(folder)


@contextlib.contextmanager
def replacing(path) -> Iterator[pathlib.Path]:
  """A context manager for atomic writes: gives a temporary path, which is renamed to `path` at the end.

  If the context ends with an exception, `path` stays as it was. The temporary path has the same name in another folder.
  Files are replaced; a folder can be moved only to a path that does not exist or is an empty folder.

  Raises:
    OSError: the parent folder of `path` cannot be written, or `path` is a folder that is not empty.
  """
  path = pathlib.Path(path)
  with scratch(path) as folder:
    yield folder / path.name
    (folder / path.name).replace(path)


def write(path, text: str) -> None:
  """Writes a UTF-8 text file atomically; raises OSError if it cannot be written."""
  with replacing(path) as made:
    made.write_text(text, encoding='utf-8')


@contextlib.contextmanager
def locked(path, wait=True) -> Iterator[str]:
  """A context manager that holds an exclusive lock on a lock file, or on a folder if `path` is one.

  The lock of a killed process is released.

  Gives '', or the system's error message if the file system does not support locks; nothing is locked then.

  Raises:
    BlockingIOError: another process holds the lock, and `wait` is False.
    OSError: the file cannot be written.
  """
  path, problem = pathlib.Path(path), ''
  path.parent.mkdir(parents=True, exist_ok=True)
  descriptor = (os.open(path, os.O_RDONLY) if path.is_dir() else
                os.open(regular(path), os.O_WRONLY | os.O_CREAT, 0o666))
  try:
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise
    except OSError as error:
      problem = error.strerror or str(error)
    yield problem
  finally:
    os.close(descriptor)


def digest(parts: Iterable[bytes | memoryview]) -> str:
  """Returns the SHA-256 of the concatenated parts, in hexadecimal."""
  total = hashlib.sha256()
  for part in parts:
    total.update(part)
  return total.hexdigest()


def digest_of(path) -> str:
  """Returns the SHA-256 of a file, in hexadecimal; raises OSError if it is not a file."""
  with regular(path).open('rb') as stream:
    return hashlib.file_digest(stream, 'sha256').hexdigest()
