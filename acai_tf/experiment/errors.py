"""Mistakes of users, and the words for them."""

import difflib

SHOWN = 24  # names that a message lists at most


class UserError(ValueError):
  """A mistake that its user can mend: the message says what was wrong, what was expected and what to do."""


def unknown(what, name, known) -> str:
  """One line for an unknown name: the nearest known one, and all of them, or of many the nearest few."""
  texts = [str(k) for k in known]
  near = difflib.get_close_matches(str(name), texts, n=1)
  hint = f'; did you mean {near[0]!r}?' if near else '.'
  if len(texts) > SHOWN:
    nearest = difflib.get_close_matches(str(name), texts, SHOWN // 2, 0.0)
    texts = [*nearest, f'and {len(texts) - len(nearest)} more']
  return f'unknown {what} {name!r}{hint} Known: {", ".join(texts) or "none"}.'


def one_of(what, value, allowed) -> None:
  """ValueError unless `value` is one of `allowed`."""
  if value not in allowed:
    raise ValueError(unknown(f'value of {what}', value, allowed))
