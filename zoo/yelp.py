"""Yelp sentences. ARAE's published figures are not comparable: they use larger files and other evaluation models."""

ROWS = {'': {}}
