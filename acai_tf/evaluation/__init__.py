"""What models are measured by, and how that is told. Metrics themselves are in acai_tf.metrics."""

