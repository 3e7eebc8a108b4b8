"""The user's own arrays are not a fixed data set, so they have no definitions."""

ROWS = {}
