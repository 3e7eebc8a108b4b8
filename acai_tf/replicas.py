"""Which images of a global batch each replica sees, and how replicas share what belongs to the whole batch."""

import numpy as np
import tensorflow as tf


def rows(batch, replicas) -> np.ndarray:
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


def local_rows(values) -> tf.Tensor:
  """This replica's rows of `values`, [global batch, ...], which every replica has whole; gradients pass."""
  context = tf.distribute.get_replica_context()
  count = context.num_replicas_in_sync
  if count == 1:
    return values
  return tf.gather(values, tf.gather(rows(values.shape[0] // count, count), context.replica_id_in_sync_group))


def mean(values, weights=None) -> tf.Tensor:
  """This replica's share of a mean over the global batch: the mean over replicas of what they give is that mean.

  Replicas may have different numbers of values: words, or examples of a class.

  Args:
    values: [n] float.
    weights: [n] float of 0 and 1, those that count; default: all.

  Returns:
    Scalar; 0 where nothing counts.
  """
  weights = tf.ones_like(values) if weights is None else weights
  context, count = tf.distribute.get_replica_context(), tf.reduce_sum(weights)
  if context.num_replicas_in_sync > 1:
    count = context.all_reduce(tf.distribute.ReduceOp.SUM, count) / context.num_replicas_in_sync
  return tf.math.divide_no_nan(tf.reduce_sum(values * weights), count)


def gather(values, each=1) -> tf.Tensor:
  """All replicas' `values` in the global batch's order, the same on every replica, in a replica context.

  The rows are summed into their places, whose gradient is the sum over replicas of what arrives there. So a loss of
  gathered values, divided by the number of replicas as all losses are (models.base.Model.minimize), has on any
  number of devices the gradient that it has on one.

  Args:
    values: [batch x each, ...] float; a static shape where there are several replicas.
    each: how many consecutive rows belong to one image.

  Returns:
    [batch x each x replicas, ...].
  """
  context = tf.distribute.get_replica_context()
  count = context.num_replicas_in_sync
  if count == 1:
    return values
  table = rows(values.shape[0] // each, count)[:, :, None] * each + np.arange(each, dtype=np.int32)
  places = tf.gather(table.reshape(count, -1, 1), context.replica_id_in_sync_group)
  placed = tf.scatter_nd(places, values, [count * values.shape[0], *values.shape[1:]])
  return context.all_reduce(tf.distribute.ReduceOp.SUM, placed)
