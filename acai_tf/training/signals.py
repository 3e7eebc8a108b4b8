"""Signals that stop a training."""

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
  """A context that yields a list of received signals: the first SIGINT or SIGTERM. A second one ends the program."""
  received = []

  def receive(number, _):
    received.append(number)
    signal.signal(number, signal.SIG_DFL)

  before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    yield received
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
