"""MNIST in black and white: ARAE's image experiment, of which its paper publishes pictures and no figures."""

ROWS = {'': {}}
