"""Two logical processors, and the strategies that use them: one of each kind a process.

A second MirroredStrategy's collectives would clash with the first one's.
"""

import functools

import tensorflow as tf

from acai_tf.training import cluster

if len(tf.config.get_logical_device_configuration(tf.config.list_physical_devices('CPU')[0]) or []) < 2:
  tf.config.set_logical_device_configuration(
      tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * 2)

strategy = functools.cache(lambda name: cluster.Cluster(name).strategy)


def without_graphs(test) -> None:
  """For the rest of a test, functions run operation by operation: small graphs take longer to make than to run."""
  tf.config.run_functions_eagerly(True)
  test.addCleanup(tf.config.run_functions_eagerly, False)
