"""The user's own sentences are not a fixed data set, so they have no definitions."""

ROWS = {}
