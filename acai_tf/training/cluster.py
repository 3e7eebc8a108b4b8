"""Devices and hosts: the distribution strategy, the chief, and agreement between hosts."""

import contextlib
import dataclasses
import functools
import os
import re
import zlib
from collections.abc import Iterator

import tensorflow as tf

from acai_tf.data import base
from acai_tf.experiment import config, strict_json
from acai_tf.experiment.errors import UserError, unknown

STRATEGIES, XLA = ('auto', 'one_device', 'mirrored', 'multi_worker', 'tpu'), ('auto', 'on', 'off')


def read_tf_config() -> tuple[dict[str, list[str]], dict]:
  """Reads TF_CONFIG.

  Returns:
    (Hosts that train, dict: 'chief' or 'worker' -> addresses; task of this host, dict with 'type' and 'index'). Both
    are empty if TF_CONFIG is not set.

  Raises:
    UserError: TF_CONFIG is not JSON, or has no cluster and task as TensorFlow defines them.
  """
  text = os.environ.get('TF_CONFIG')
  if not text:
    return {}, {}
  try:
    values = strict_json.loads(text)
    hosts = {kind: list(values['cluster'][kind]) for kind in ('chief', 'worker') if kind in values['cluster']}
    task, addresses = values['task'], sum(hosts.values(), [])
    if task['index'] < 0:
      raise ValueError('a negative index')
    for address in addresses:
      port = str(address).rpartition(':')[2]
      if not (isinstance(address, str) and re.fullmatch(r'\S+:\d{1,5}', address) and 0 < int(port) < 1 << 16):
        raise ValueError(f'{address!r} is not "host:port" with a port from 1 to 65535')
    if len(set(addresses)) < len(addresses):
      raise ValueError('two hosts have the same address')
    if len(hosts.get('chief', [])) > 1:
      raise ValueError(f'{len(hosts["chief"])} chiefs instead of one')
    hosts[task['type']][task['index']]
  except (ValueError, KeyError, TypeError, IndexError) as error:
    raise UserError(f'TF_CONFIG cannot be used ({type(error).__name__}: {error}): {text[:200]}; expected '
                    '{"cluster": {"worker": ["host1:port", "host2:port"]}, "task": {"type": "worker", "index": 0}}, '
                    'with another index on each host.') from error
  return hosts, task


class Cluster:
  """The strategy, and communication between the hosts of a training. Create it before data sets and models.

  Attributes:
    strategy: tf.distribute.Strategy.
    count: number of hosts.
    chief: whether this host writes run folder, events and checkpoints, and evaluates; exactly one host does.
    name: name of this host, for messages; '' if there is only one host.
    xla: whether XLA compiles graphs that are traced from now on.

  Args:
    name: 'one_device'; 'mirrored': all GPUs, or all logical CPUs; 'multi_worker': mirrored on each of the hosts in
      TF_CONFIG; 'tpu'; 'auto': multi_worker if TF_CONFIG names several hosts, else tpu, mirrored with two or more
      GPUs, or one_device.
    xla: 'on', 'off', or 'auto': on if there is an accelerator.

  Raises:
    UserError: an argument is unknown; TF_CONFIG is invalid or, for multi_worker, missing; there is no TPU.
  """

  def __init__(self, name='auto', xla='auto'):
    for what, value, allowed in (('strategy', name, STRATEGIES), ('xla', xla, XLA)):
      if value not in allowed:
        raise UserError(unknown(what, value, allowed))
    hosts, task = read_tf_config()
    self.xla = _compile_by_xla(xla)
    self.count, self.chief, self.name, self.addresses = 1, True, '', sum(hosts.values(), [])
    if name == 'multi_worker' and not hosts:
      raise UserError('TF_CONFIG is not set; expected it to name all hosts and this one\'s place for --strategy '
                      'multi_worker (docs: Devices and hosts).')
    if name == 'multi_worker' or (name == 'auto' and len(self.addresses) > 1):
      self._join(hosts, task)
      return
    gpus = tf.config.list_logical_devices('GPU')
    if name == 'tpu' or (name == 'auto' and tf.config.list_physical_devices('TPU')):
      self.strategy = _tpu()
    elif name == 'mirrored' or (name == 'auto' and len(gpus) > 1):
      self.strategy = tf.distribute.MirroredStrategy([d.name for d in gpus or tf.config.list_logical_devices('CPU')])
    else:
      self.strategy = tf.distribute.OneDeviceStrategy('/gpu:0' if gpus else '/cpu:0')

  def _join(self, hosts, task):
    self.count = len(self.addresses)
    self.chief = task['type'] == 'chief' or ('chief' not in hosts and task['index'] == 0)
    address = hosts[task['type']][task['index']]
    self.name = f'{task["type"]} {task["index"]} ({address})'
    others = [other for other in self.addresses if other != address]
    print(f'{self.name} joins {", ".join(others)}; it waits until all have started, and only SIGKILL '
          'ends the wait', flush=True)
    try:
      self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError) as error:
      raise UserError(f'{self.name} cannot join the other hosts ({str(error)[:200]}); expected {self.count} hosts that '
                      'reach each other at the addresses in TF_CONFIG, all started.') from error

  def from_chief(self, number) -> int:
    """Broadcasts the chief's `number` to all hosts; each waits for it."""
    return number if self.count == 1 else int(self._shared(tf.constant(number, tf.int64)))

  @functools.cached_property
  def _shared(self):
    """A tf.function that maps an int64 of each host to the chief's; one graph for all calls."""
    def only_of_first(value):
      first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
      return tf.where(first, value, 0)

    return tf.function(lambda value: self.strategy.reduce(
        tf.distribute.ReduceOp.SUM, self.strategy.run(only_of_first, args=(value,)), axis=None), autograph=False)

  def agreed(self, experiment) -> config.Experiment:
    """The experiment with the chief's precision, after a check that all hosts have the same experiment.

    Raises:
      UserError: this host was started with other flags than the chief.
    """
    if self.count == 1:
      return experiment
    precision = config.PRECISIONS[self.from_chief(config.PRECISIONS.index(experiment.training.precision))]
    made = dataclasses.replace(experiment, training=dataclasses.replace(experiment.training, precision=precision))
    self.require_same(made.to_json(), 'another experiment', 'the same flags on all hosts')
    return made

  def require_same(self, text, what, expected) -> None:
    """Raises UserError on a host whose `text` differs from the chief's; `what` and `expected` are for the message."""
    checksum = zlib.crc32(text.encode())
    if self.from_chief(checksum) != checksum:
      raise UserError(f'{self.name} has {what} than the chief; expected {expected}.')

  def check(self, experiment) -> None:
    """Raises UserError if the devices cannot share the global batch, or what else a model has of it."""
    batch, devices = experiment.training.batch, self.strategy.num_replicas_in_sync
    base.check_shared(batch, devices)
    if hasattr(experiment.model, 'check_devices'):
      experiment.model.check_devices(batch, devices)

  def describe(self, batch) -> str:
    """Describes the devices, their share of a global `batch`, and whether XLA compiles."""
    devices, xla = self.strategy.num_replicas_in_sync, 'compiled by XLA' if self.xla else 'without XLA'
    if devices == 1:
      return f'1 device(s), {xla}'
    where = f' on {self.count} hosts' if self.count > 1 else ''
    return f'{devices} device(s){where}, {batch // devices} of each batch of {batch} on each, {xla}'

  @contextlib.contextmanager
  def reporting_lost_hosts(self) -> Iterator[None]:
    """A context that reports TensorFlow's errors about hosts that do not respond in one line."""
    try:
      yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError,
            tf.errors.CancelledError, tf.errors.InternalError) as error:
      if self.count == 1:
        raise
      named = [f'{kind} {index}' for kind, index in re.findall(r'/job:(\w+)/replica:0/task:(\d+)', str(error))]
      who = next((other for other in named if not self.name.startswith(f'{other} ')), 'another host')
      raise UserError(f'{who} is gone, so {self.name} stops; expected all {self.count} hosts until the end. Its '
                      'own last lines say why. Start all of them again with the same command: they go on from the '
                      'last checkpoint.') from error


def _compile_by_xla(choice):
  """Turns XLA's auto-clustering on or off, and returns whether it is on.

  XLA compiles clusters of a graph, because it cannot compile a whole step with iterators and all-reduce. A TPU always
  compiles everything; a CPU compiles nothing without `cli.start_tensorflow(xla=True)`.
  """
  accelerated = any(map(tf.config.list_physical_devices, ('GPU', 'TPU')))
  on = choice == 'on' or (choice == 'auto' and accelerated)
  tf.config.optimizer.set_jit('autoclustering' if on else False)
  return on


def _tpu():
  try:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(tpu=os.environ.get('TPU_NAME', 'local'))
    return tf.distribute.TPUStrategy(resolver)
  except (tf.errors.OpError, ValueError, RuntimeError) as error:
    raise UserError(f'no TPU can be used ({str(error).splitlines()[0][:200]}); expected one on this host, or its name '
                    'in TPU_NAME. --strategy auto takes what there is.') from error
