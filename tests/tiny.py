"""An exported model that several test files share: each process exports it once."""

import atexit
import functools
import shutil
import tempfile

from acai_tf.experiment import config
from acai_tf.export import module
from acai_tf.models import acai

SHAPE = 8, 8, 1


def create(kind, depth=2):
  """A new model of the module `kind` (acai_tf.models.acai, ...) for images of `SHAPE` with three classes."""
  return kind.Model(kind.Config(), config.Network(latent_width=2, latent=3, depth=depth), SHAPE, classes=3, seed=1)


@functools.cache
def exported() -> tuple:
  """(ACAI, compiled, so that it has optimizers; the folder of its module). Tests must not change either."""
  model, folder = create(acai, depth=32), tempfile.mkdtemp()
  atexit.register(shutil.rmtree, folder)
  model.compile()
  module.save(model, folder)
  return model, folder
