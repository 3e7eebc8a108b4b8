"""The exception for user errors, and messages for unknown names."""

import difflib

SHOWN = 24  # maximum number of names in a message


class UserError(ValueError):
  """An error that the user can correct. The message says what was wrong, what was expected and what to do."""


def unknown(what, name, known) -> str:
  """Returns a message for an unknown name. It suggests the closest known name and lists all known names.

  If there are more than SHOWN names, only the closest ones are listed.
  """
  texts = [str(k) for k in known]
  swapped = [text for text in texts if sorted(text) == sorted(str(name))]  # letters in another order: the likeliest
  near = swapped or difflib.get_close_matches(str(name), texts, n=1)
  hint = f'; did you mean {near[0]!r}?' if near else '.'
  if len(texts) > SHOWN:
    nearest = difflib.get_close_matches(str(name), texts, SHOWN // 2, 0.0)
    texts = [*nearest, f'and {len(texts) - len(nearest)} more']
  return f'unknown {what} {name!r}{hint} Known: {", ".join(texts) or "none"}.'


def one_of(what, value, allowed) -> None:
  """Raises a ValueError unless `value` is one of `allowed`."""
  if value not in allowed:
    raise ValueError(unknown(f'value of {what}', value, allowed))
