"""Captions of pictures. ARAE's published figures are of SNLI's 714,667 sentences and other judges; none compares."""

ROWS = {'': {}}
