"""Signals that stop a training."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
  """A context that yields a list of received signals: the first SIGINT or SIGTERM. A second one ends the program.

  Outside the main thread it receives none.
  """
  received = []

  def receive(number, _):
    received.append(number)
    signal.signal(number, signal.SIG_DFL)

  if threading.current_thread() is not threading.main_thread():  # Python refuses handlers in other threads.
    yield received
    return
  before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    yield received
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
