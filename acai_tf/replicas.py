"""Distribution of a global batch over replicas, and means and gathers over the global batch."""

import numpy as np
import tensorflow as tf


def rows(batch, replicas) -> np.ndarray:
  """Assigns the images of the global batch to replicas.

  Each replica takes pairs (i, last - i). Reversing the batch of each replica then pairs the same images as reversing
  the global batch, so a model that mixes a batch with its reverse gives the same result on any number of devices.

  Args:
    batch: images per replica.
    replicas: number of replicas.

  Returns:
    [replicas, batch] int32 positions in the global batch, each exactly once.

  Raises:
    ValueError: there are several replicas and the batch is odd, so its middle image would have no partner.
  """
  if replicas == 1:
    return np.arange(batch, dtype=np.int32)[None]
  if batch % 2:
    raise ValueError(f'{batch} images a replica; with {replicas} replicas expected an even number.')
  front = np.arange(batch * replicas // 2, dtype=np.int32).reshape(replicas, -1)
  return np.concatenate([front, (batch * replicas - 1 - front)[:, ::-1]], axis=1)


def local_rows(values) -> tf.Tensor:
  """Selects this replica's rows of `values`, [global batch, ...], equal on all replicas. Differentiable."""
  context = tf.distribute.get_replica_context()
  count = context.num_replicas_in_sync
  if count == 1:
    return values
  return tf.gather(values, tf.gather(rows(values.shape[0] // count, count), context.replica_id_in_sync_group))


def mean(values, weights=None) -> tf.Tensor:
  """Computes this replica's contribution to a mean over the global batch.

  The mean of the contributions over all replicas is the global mean. Replicas may have different numbers of values, as
  with words or with the examples of one class.

  Args:
    values: [n] float.
    weights: [n] float mask of 0 and 1; default: all 1.

  Returns:
    Scalar; 0 if all weights are 0.
  """
  weights = tf.ones_like(values) if weights is None else weights
  context, count = tf.distribute.get_replica_context(), tf.reduce_sum(weights)
  if context.num_replicas_in_sync > 1:
    count = context.all_reduce(tf.distribute.ReduceOp.SUM, count) / context.num_replicas_in_sync
  return tf.math.divide_no_nan(tf.reduce_sum(values * weights), count)


def gather(values, each=1) -> tf.Tensor:
  """Gathers the values of all replicas in the order of the global batch. Call it in a replica context.

  Each replica scatters its rows into the global batch, and the results are summed over replicas. The gradient is summed
  over replicas, too. Hence a loss of gathered values, divided by the number of replicas like all losses
  (models.base.Model.minimize), has the same gradient on any number of devices.

  Args:
    values: [batch x each, ...] float; the shape must be static if there are several replicas.
    each: number of consecutive rows per image.

  Returns:
    [batch x each x replicas, ...], equal on all replicas.
  """
  context = tf.distribute.get_replica_context()
  count = context.num_replicas_in_sync
  if count == 1:
    return values
  table = rows(values.shape[0] // each, count)[:, :, None] * each + np.arange(each, dtype=np.int32)
  positions = tf.gather(table.reshape(count, -1, 1), context.replica_id_in_sync_group)  # [batch x each, 1]
  scattered = tf.scatter_nd(positions, values, [count * values.shape[0], *values.shape[1:]])
  return context.all_reduce(tf.distribute.ReduceOp.SUM, scattered)
