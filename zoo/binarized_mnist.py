"""Binarized MNIST: the image experiment of ARAE. The paper publishes pictures and no figures."""

ROWS = {'': {}}
