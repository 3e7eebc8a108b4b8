"""A folder of one's own is no fixed data set, so it has no definitions."""

ROWS = {}
