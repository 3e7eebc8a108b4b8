"""Two hosts, which are two processes on this machine: a death, a restart, and weights as one host has them."""

import copy
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import unittest.mock

import pytest
import tensorflow as tf
from absl import flags

from acai_tf import train
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.overrides import parse_overrides
from acai_tf.experiment.resolve import resolve
from acai_tf.experiment.run import Run, checkpoint_steps
from acai_tf.training import cluster, session

FLAGS = ['--dataset', 'lines', '--model', 'autoencoder', '--latent_width', '2', '--latent', '2', '--depth', '2',
         '--set', 'dataset.size=8', '--set', 'dataset.test_images=64', '--recipe', 'fast', '--batch', '8',
         '--precision', 'float32', '--set', 'training.final_evaluations=0', '--set', 'training.evaluate_every=0',
         '--samples', '1600', '--set', 'training.checkpoint_every=400']


def free_ports(count):
  """Ports that nobody uses now."""
  sockets = [socket.socket() for _ in range(count)]
  for one in sockets:
    one.bind(('127.0.0.1', 0))
  ports = [one.getsockname()[1] for one in sockets]
  for one in sockets:
    one.close()
  return ports


def config(ports, index):
  return json.dumps({'cluster': {'worker': [f'127.0.0.1:{port}' for port in ports]},
                     'task': {'type': 'worker', 'index': index}})


@pytest.mark.slow
class ClusterTest(tf.test.TestCase):

  def start(self, folder, *tf_configs):
    """Processes of the program, one for each TF_CONFIG."""
    return [subprocess.Popen([sys.executable, '-m', 'acai_tf.train', *FLAGS, '--run_dir', str(folder)], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, 'TF_CONFIG': one})
            for one in tf_configs]

  def test_one_dies_and_both_go_on_to_the_weights_of_one_host(self):
    folder, alone = (pathlib.Path(self.get_temp_dir()) / name for name in ('two', 'one'))
    ports, last = free_ports(2), folder / 'checkpoints' / 'last'
    both = self.start(folder, *(config(ports, i) for i in range(2)))
    while not checkpoint_steps(last) and both[0].poll() is None:
      time.sleep(0.01)
    both[1].send_signal(signal.SIGKILL)
    _, errors = both[0].communicate(timeout=60)
    both[1].communicate()
    self.assertEqual(both[0].returncode, 2, errors)
    self.assertRegex(errors, r'^error: worker 1 is gone, so worker 0 \(127.0.0.1:\d+\) stops; .* Start all of them')
    self.assertLen(errors.splitlines(), 1)
    ports = free_ports(2)
    again = self.start(folder, *(config(ports, i) for i in range(2)))
    for process in again:
      output, errors = process.communicate()
      self.assertEqual(process.returncode, 0, errors)
      if process is again[0]:
        self.assertIn('resumed from step', output)
        self.assertIn('200 steps x global batch 8 = 1,600 samples, learning rate 0.0003; '
                      '2 device(s) on 2 hosts, 4 of each batch of 8 on each, without XLA', output)
        self.assertIn('recon_mse', output)
      else:
        self.assertIn('worker 1 ', output)
        self.assertNotIn('recon_mse', output)
    own = copy.deepcopy(flags.FLAGS)
    own(['train', *FLAGS])
    self.assertEqual(session.train(train.experiment_of(own), Run(alone), cluster.Cluster('one_device')), 0)
    readers = [tf.train.load_checkpoint(f'{f}/checkpoints/last/step-200') for f in (folder, alone)]
    names = [name for name in readers[0].get_variable_to_shape_map() if name.startswith(('encoder/', 'decoder/'))]
    self.assertGreater(len(names), 10)
    for name in names:
      self.assertAllClose(*(reader.get_tensor(name) for reader in readers), atol=1e-4, msg=name)
    self.assertEqual(json.loads(Run(folder).metrics.read_text())['samples'], 1600)


class ConfigTest(tf.test.TestCase):

  def test_what_cannot_be_used_is_told(self):
    for text in ('{', '[]', '{"cluster": {"worker": ["a:1"]}}', config([1, 2], 2), config([1, 2], -1),
                 '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}', config([1, 99999], 0),
                 config([0, 1], 0), config([7, 7], 0), '[' * 100_000,
                 '{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}'):
      with unittest.mock.patch.dict(os.environ, TF_CONFIG=text), self.assertRaisesRegex(UserError, 'TF_CONFIG cannot'):
        cluster.Cluster()
    with unittest.mock.patch.dict(os.environ, TF_CONFIG=''), self.assertRaisesRegex(UserError, 'TF_CONFIG is not set'):
      cluster.Cluster('multi_worker')

  def test_a_single_host_agrees_with_itself(self):
    with unittest.mock.patch.dict(os.environ, TF_CONFIG=config([1], 0)):
      alone = cluster.Cluster()
    self.assertEqual((alone.count, alone.chief, alone.from_chief(7), alone.agreed(None)), (1, True, 7, None))

  def test_a_batch_that_they_cannot_share_leaves_no_run_folder(self):
    own, folder = copy.deepcopy(flags.FLAGS), pathlib.Path(self.get_temp_dir()) / 'run'
    own(['train', *FLAGS, '--batch', '10'])
    two = cluster.Cluster('one_device')
    two.strategy = unittest.mock.Mock(num_replicas_in_sync=2)
    with self.assertRaisesRegex(UserError, 'training.batch=10 cannot be shared by 2 devices; .* such as 8 or 12'):
      session.train(train.experiment_of(own), Run(folder), two)
    self.assertFalse(folder.exists())

  def test_what_devices_cannot_share_is_told_with_what_they_can(self):
    def check(devices, model, recipe, *texts):
      cluster_of = cluster.Cluster('one_device')
      cluster_of.strategy = unittest.mock.Mock(num_replicas_in_sync=devices)
      cluster_of.check(resolve('yelp', model, recipe, parse_overrides(texts)))

    for arguments, message in (
        ((3, 'arae', 'fast', 'training.batch=96'), 'model.queue=320 cannot be shared by 3 devices; .* model.queue=330'),
        ((2, 'arae_transfer', 'paper', 'training.batch=68'), 'batch=68 cannot be shared by class by 2 .* such as 72')):
      with self.assertRaisesRegex(UserError, message):
        check(*arguments)
    for arguments in ((1, 'arae', 'fast'), (2, 'arae', 'fast'), (2, 'arae_transfer', 'paper', 'training.batch=72'),
                      (3, 'arae', 'fast', 'training.batch=96', 'model.queue=330')):
      check(*arguments)

  def test_xla_is_for_accelerators_unless_it_is_asked_for(self):
    self.addCleanup(tf.config.optimizer.set_jit, False)
    for there, choice, expected in (('', 'auto', False), ('GPU', 'auto', True), ('TPU', 'auto', True), ('', 'on', True),
                                    ('GPU', 'off', False)):
      listed = {there: ['one']}
      with unittest.mock.patch.object(tf.config, 'list_physical_devices', lambda kind, listed=listed: listed.get(kind)):
        made = cluster.Cluster('one_device', choice)
      self.assertEqual((made.xla, bool(tf.config.optimizer.get_jit())), (expected, expected), (there, choice))
      self.assertEqual(made.describe(8), f'1 device(s), {"compiled by" if expected else "without"} XLA')

  def test_there_is_no_tpu(self):
    with self.assertRaisesRegex(UserError, 'no TPU can be used .* --strategy auto'):
      cluster.Cluster('tpu')


if __name__ == '__main__':
  tf.test.main()
