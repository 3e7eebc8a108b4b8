"""The evaluation of models, and its reports and pictures. The metrics themselves are in acai_tf.metrics."""

