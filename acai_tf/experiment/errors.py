"""Mistakes of users, and the words for them."""

import difflib


class UserError(ValueError):
  """A mistake that its user can mend: the message says what was wrong, what was expected and what to do."""


def unknown(what, name, known) -> str:
  """One line for an unknown name: the nearest known one, and all of them."""
  near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
  hint = f'; did you mean {near[0]!r}?' if near else '.'
  return f'unknown {what} {name!r}{hint} Known: {", ".join(map(str, known)) or "none"}.'


def one_of(what, value, allowed) -> None:
  """ValueError unless `value` is one of `allowed`."""
  if value not in allowed:
    raise ValueError(unknown(f'value of {what}', value, allowed))
