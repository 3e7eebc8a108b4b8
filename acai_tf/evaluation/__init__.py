"""Evaluation of models, and reports of it. The metrics themselves are in acai_tf.metrics."""

