"""Which images of a global batch each replica sees."""

import numpy as np


def rows(batch, replicas):
  """The positions in the global batch of each replica's images.

  Replicas take pairs (i, last - i), so that reversing each replica's images pairs the same two images as reversing
  the global batch: a model that mixes a batch with its reverse gives the same result on any number of devices.

  Args:
    batch: images a replica.
    replicas: how many there are.

  Returns:
    [replicas, batch] int32, every position of the global batch once.

  Raises:
    ValueError: several replicas and an odd batch, whose middle image would have no partner.
  """
  if replicas == 1:
    return np.arange(batch, dtype=np.int32)[None]
  if batch % 2:
    raise ValueError(f'{batch} images a replica; with {replicas} replicas expected an even number.')
  front = np.arange(batch * replicas // 2, dtype=np.int32).reshape(replicas, -1)
  return np.concatenate([front, (batch * replicas - 1 - front)[:, ::-1]], axis=1)
