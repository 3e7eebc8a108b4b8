"""Sentences of one's own are no fixed data set, so they have no definitions."""

ROWS = {}
