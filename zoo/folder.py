"""The user's own images are not a fixed data set, so they have no definitions."""

ROWS = {}
