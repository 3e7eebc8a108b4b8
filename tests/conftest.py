"""Settings that must precede TensorFlow's import, as the programs make them."""

import os

from acai_tf import program

program.set_environment()
if 'PYTEST_XDIST_WORKER' in os.environ:  # Workers side by side, and the programs they start, hinder each other's threads.
  os.environ.update(TF_NUM_INTRAOP_THREADS='1', TF_NUM_INTEROP_THREADS='1')
