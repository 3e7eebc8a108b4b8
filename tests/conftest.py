"""Settings that must precede TensorFlow's import, as the programs make them."""

import os

import pytest

from acai_tf import cli

cli.set_environment()
if 'PYTEST_XDIST_WORKER' in os.environ:  # Side by side, more threads would only hinder each other.
  os.environ.update(TF_NUM_INTRAOP_THREADS='1', TF_NUM_INTEROP_THREADS='1')



# `make test` runs the tests marked `each_model` for these models only: ACAI, one with a sampled latent, one with a
# codebook, and ARAE.
REPRESENTATIVE = '_acai', '_vae', '_vqvae', '_arae_1'


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(items):
  """Leaves out the test that tf.test gives every class, which only skips; makes slow what `each_model` says."""
  items[:] = [item for item in items if getattr(item, 'originalname', '') != 'test_session']
  for item in items:
    if item.get_closest_marker('each_model') and not item.name.endswith(REPRESENTATIVE):
      item.add_marker(pytest.mark.slow)
