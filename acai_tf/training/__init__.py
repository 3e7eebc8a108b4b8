"""Experiments into trained models: build, loop, checkpoints, what happens on the way, and archives of weights."""

