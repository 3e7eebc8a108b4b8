"""Experiments: their configuration, and the run folder of a training.

No file here imports TensorFlow at the top. Loading the file of a model does.
"""
