"""Signals that stop a training."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

REPEATED = 2.0  # seconds: the same stop may arrive twice, from a process group and from a parent that passes it on


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
  """A context that yields a list of received signals: the first SIGINT or SIGTERM.

  Another one ends the program, unless it follows within REPEATED seconds. Outside the main thread none is received.
  """
  received: list[int] = []
  first = 0.0

  def receive(number, _):
    nonlocal first
    if not received:
      received.append(number)
      first = time.monotonic()
    elif time.monotonic() - first > REPEATED:
      signal.signal(number, signal.SIG_DFL)
      os.kill(os.getpid(), number)

  if threading.current_thread() is not threading.main_thread():  # Python refuses handlers in other threads.
    yield received
    return
  before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    yield received
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
