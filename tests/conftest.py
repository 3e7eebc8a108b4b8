"""Settings that must precede TensorFlow's import, as the programs make them."""

import os

from acai_tf import cli

cli.set_environment()
if 'PYTEST_XDIST_WORKER' in os.environ:  # Side by side, more threads would only hinder each other.
  os.environ.update(TF_NUM_INTRAOP_THREADS='1', TF_NUM_INTEROP_THREADS='1')
