"""Trains models: building from an experiment, training loop, checkpoints, evaluation, and archives of weights."""

