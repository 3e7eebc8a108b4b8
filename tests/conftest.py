"""Settings that must precede TensorFlow's import, as the programs make them."""

import os

from acai_tf import cli

cli.set_environment()
if 'PYTEST_XDIST_WORKER' in os.environ:  # Side by side, more threads would only hinder each other.
  os.environ.update(TF_NUM_INTRAOP_THREADS='1', TF_NUM_INTEROP_THREADS='1')


def pytest_collection_modifyitems(items):
  """Leaves out the test that tf.test gives every class, which only skips."""
  items[:] = [item for item in items if getattr(item, 'originalname', '') != 'test_session']
