"""The user's cache, and the download of pretrained weights into that cache.

The package contains the archives of small models. Larger ones are downloaded when they are first used.
"""

import contextlib
import os
import pathlib
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

from rich import console, progress

from acai_tf import files
from acai_tf.experiment.errors import UserError
from acai_tf.training import weights

CACHE, MIRROR = 'ACAI_TF_CACHE', 'ACAI_TF_ZOO'  # environment variables
DEFAULT = 'https://huggingface.co/acai-tf/zoo/resolve/main'  # the address of all archives, unless MIRROR is set
STALL, LEAST = 10, 10_000  # The download is aborted if fewer than LEAST bytes arrive in STALL seconds.
BLOCK = 1 << 16


def cache() -> pathlib.Path:
  """The cache folder: $ACAI_TF_CACHE, or else acai_tf in $XDG_CACHE_HOME or ~/.cache. It may be deleted any time."""
  usual = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache') / 'acai_tf'
  return pathlib.Path(os.environ.get(CACHE) or usual).expanduser().absolute()


def difference(path, kept) -> str:
  """Describes how a file differs from its record in size or checksum; '' if it does not."""
  size = path.stat().st_size
  if size != kept.bytes:  # Checked first, so that a wrong file is not read to its end.
    return f'has {size} bytes; expected {kept.bytes}'
  digest = weights.facts(path)['sha256']
  return '' if digest == kept.sha256 else f'has sha256 {digest}; expected {kept.sha256}'


def cached(kept) -> pathlib.Path:
  """Returns the path that an archive (`_records.Kept`) has in the cache."""
  return cache() / 'weights' / str(kept.version) / kept.file


def fetch(kept) -> pathlib.Path:
  """Returns the path of an archive in the cache; downloads it if it is missing or changed.

  It comes from the mirror that the environment names, or else from the package's own address.

  Args:
    kept: `_records.Kept`.

  Raises:
    UserError: the address cannot be reached or has another file, or the cache cannot be written.
  """
  path = cached(kept)
  if path.exists() and not difference(path, kept):
    return path
  mirror = os.environ.get(MIRROR) or DEFAULT
  address = mirror if '://' in mirror else pathlib.Path(mirror).expanduser().absolute().as_uri()
  origin = f'{address.rstrip("/")}/{kept.file}'
  with writable(), files.locked(path.with_suffix('.lock')):
    if path.exists() and not difference(path, kept):  # Another process has downloaded it meanwhile.
      return path
    with files.replacing(path) as made:
      _download(origin, kept.bytes, made)
      if problem := difference(made, kept):
        raise UserError(f'{origin} {problem}, as the record says. It is damaged or of another version, and was '
                        f'not used. Set {MIRROR} to a mirror of this version.')
  return path


class _Download(threading.Thread):
  """A thread that downloads a file. If the server stalls, the thread is abandoned, because a read cannot be stopped.

  `received` is the number of bytes so far. `error` is the exception, or None. At most `size` bytes are written.
  """

  def __init__(self, origin, size, path):
    super().__init__(daemon=True)
    self.origin, self.size, self.path, self.received = origin, size, path, 0
    self.error = None

  def run(self) -> None:
    try:
      with urllib.request.urlopen(self.origin, timeout=STALL) as response, self.path.open('wb') as file:
        read = getattr(response, 'read1', response.read)  # returns what is there, without waiting for a whole block
        while data := read(BLOCK):
          self.received += len(data)
          if self.received > self.size:
            raise ValueError(f'it has more than the {self.size} bytes on record')
          file.write(data)
        announced = response.headers.get('Content-Length', '')
      if announced.isdecimal() and self.received < int(announced):
        raise ConnectionError(f'the connection ended after {self.received} of {announced} bytes')
    except Exception as error:  # urllib, http.client and sockets raise a dozen types.
      self.error = error


def _download(origin, size, path) -> None:
  """Downloads a file of at most `size` bytes; tries once more if the connection fails. Shows progress on stderr.

  Raises:
    UserError: the file or server does not exist, sends more than `size` bytes, or fewer than LEAST in STALL seconds.
  """
  for last in (False, True):
    path.unlink(missing_ok=True)  # An abandoned thread may still write into the file of the first attempt.
    problem = _attempt(origin, size, path)
    if problem is None:
      return
    if last or isinstance(problem, (urllib.error.HTTPError, ValueError)):  # A second attempt would fail, too.
      raise UserError(f'{origin} cannot be fetched ({problem}); expected an archive of pretrained weights. Check the '
                      f'connection, or set {MIRROR} to another address (https://...) or to a folder that has the files '
                      'of zoo/weights of the git repository.') from problem


def _attempt(origin, size, path) -> Exception | None:
  download = _Download(origin, size, path)
  with progress.Progress(*progress.Progress.get_default_columns(), progress.DownloadColumn(), transient=True,
                         console=console.Console(stderr=True)) as bar:
    task = bar.add_task(path.name, total=size)
    download.start()
    since, before = time.monotonic(), 0
    while download.is_alive():
      download.join(0.1)
      bar.update(task, completed=min(download.received, size))
      if time.monotonic() > since + STALL:
        if download.is_alive() and download.received - before < LEAST:
          return TimeoutError(f'it sent {download.received - before} bytes in {STALL} seconds')
        since, before = time.monotonic(), download.received
  return download.error


@contextlib.contextmanager
def writable() -> Iterator[None]:
  """Turns an OSError in its block into a UserError: the cache cannot be written."""
  try:
    yield
  except OSError as error:
    raise UserError(f'{cache()} cannot be written ({error.strerror or error}); expected a folder with free space. Set '
                    f'{CACHE} to one.') from error
