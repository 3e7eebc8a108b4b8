"""Compares the weights of every model trained on two hosts and on one: `python benchmarks/hosts.py`.

Two processes on this machine are the hosts (MultiWorkerMirroredStrategy over loopback); a third trains alone. Networks
are tiny and the batch size is 8. Adam's epsilon is 1e-3, since with a smaller one Adam would turn rounding errors in
gradients near 0 into full steps. Some models amplify any rounding error. To measure this, NUDGES more processes train
alone from weights that are changed at random by one unit in the last place.

The output has, for each model, the largest difference of a weight between two hosts and one, the largest for the
changed weights, and how far the weights moved. The exit status is 1 if for some models two hosts differ by more than
LIMIT and by more than AMPLIFIED times the effect of the changed weights.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from absl import app, flags

from acai_tf import cli
from acai_tf.experiment import config, registry
from acai_tf.experiment.resolve import resolve

FLAGS = flags.FLAGS
flags.DEFINE_integer('steps', 50, 'Training steps of each model', 1)
flags.DEFINE_list('models', [], 'Names of models [all]')
flags.DEFINE_string('to', None, 'Internal: folder to which a process writes weights')
flags.DEFINE_integer('nudged', None, 'Internal: start from changed weights; the seed of the change')

BATCH, PORTS, NUDGES = 8, (23611, 23612), 3
LIMIT, AMPLIFIED = 1e-6, 10
SMALL = {
    'images': ('lines', {'dataset': {'size': 8, 'test_images': 8},
                         'network': {'latent_width': 2, 'latent': 2, 'depth': 2}}),
    'sentences': ('grammar', {'dataset': {'count': 400}, 'network': {'embedding': 4, 'hidden': 5, 'latent': 6}}),
}
# Fewer critic steps, since each one is in the graph, and no warm-up phases, so that all networks are trained.
SETTINGS = {'arae_image': {'critic_steps': 2}, 'vqvae': {'codebook': 64},
            'arae': {'units': 8, 'z': 4, 'queue': 16, 'critic_steps': 2, 'alone': 0.0, 'ramp': 0.0},
            'arae_acai': {'units': 8, 'z': 4, 'queue': 16, 'critic_steps': 2, 'alone': 0.0, 'ramp': 0.0}}


def trained(name, steps, cluster) -> tuple:
  """Trains a model: (weights at the start, weights after `steps`), each a list of arrays."""
  import keras

  from acai_tf.training import build, loop

  kind = registry.kind_of('acai_tf.models', name)
  dataset_name, small = SMALL[kind]
  experiment = resolve(dataset_name, name, 'fast', {
      **small, 'model': SETTINGS.get(name, {}), 'training': {'batch': BATCH, 'samples': BATCH * steps}})
  dataset = build.load_data(experiment)
  data = registry.load('acai_tf.data', dataset_name)
  with cluster.strategy.scope():
    model = registry.load('acai_tf.models', name).Model(
        experiment.model, experiment.network, data.shape(experiment.dataset), data.classes(experiment.dataset), seed=1)
    model.compile(lambda player: keras.optimizers.Adam(1e-3, epsilon=1e-3), steps=steps)
  model.adapt(dataset)
  start = [variable.numpy() for variable in model.trainable_variables]
  if FLAGS.nudged is not None:
    generator = np.random.default_rng(FLAGS.nudged)
    for variable, value in zip(model.trainable_variables, start, strict=True):
      variable.assign(np.nextafter(value, generator.choice(np.float32([-np.inf, np.inf]), value.shape)))
  training = config.Training(batch=BATCH, samples=BATCH * steps)
  loop.Loop(model, cluster.strategy, dataset, training, 1, cluster.count).run(lambda *_: None, [])
  return start, [variable.numpy() for variable in model.trainable_variables]


def work(names, steps, folder) -> None:
  """Trains all models in one process and writes their weights to `folder`."""
  cli.start_tensorflow()
  from acai_tf.training.cluster import Cluster

  cluster = Cluster()
  for name in names:
    start, end = trained(name, steps, cluster)
    np.savez(pathlib.Path(folder) / f'{name}.npz', *start, *end)


def main(_):
  """Starts the processes and compares their weights."""
  cli.set_environment()
  names = FLAGS.models or registry.names('acai_tf.models')
  if FLAGS.to:
    work(names, FLAGS.steps, FLAGS.to)
    return
  with tempfile.TemporaryDirectory() as folder:
    addresses = [f'127.0.0.1:{port}' for port in PORTS]
    nudged = {f'nudged{i}': [f'--nudged={i}'] for i in range(NUDGES)}
    hosts = {f'host{i}': {'TF_CONFIG': json.dumps(
        {'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': i}})} for i in range(len(PORTS))}
    processes = []
    for place in ('alone', *nudged, *hosts):
      (pathlib.Path(folder) / place).mkdir()
      processes.append(subprocess.Popen(
          [sys.executable, __file__, f'--steps={FLAGS.steps}', f'--models={",".join(names)}', f'--to={folder}/{place}',
           *nudged.get(place, [])], env={**os.environ, **hosts.get(place, {})}, stdout=subprocess.DEVNULL))
      if place not in hosts:
        processes[-1].wait()
    if any(process.wait() for process in processes):
      raise SystemExit('a process failed; its output is above.')
    print(f'{f"after {FLAGS.steps} steps":<26} {"difference with two hosts":<30} {"with a nudge":<12} weights moved by')
    differing = []
    for name in names:
      weights = {place: list(np.load(f'{folder}/{place}/{name}.npz', allow_pickle=False).values())
                 for place in ('alone', *nudged, *hosts)}
      half = len(weights['alone']) // 2
      start, alone = weights['alone'][:half], weights['alone'][half:]
      most, two = (max(furthest(alone, weights[place][half:]) for place in places) for places in (nudged, hosts))
      moved = np.median([np.abs(one - other).max() for one, other in zip(start, alone, strict=True)])
      print(f'{name:<26} {two:<30.1e} {most:<12.1e} {moved:.1e}', flush=True)
      if two > max(LIMIT, AMPLIFIED * most):
        differing.append(name)
  if differing:
    raise SystemExit(f'two hosts differ from one by more than rounding errors explain: {", ".join(differing)}.')


def furthest(first, second) -> float:
  """The largest difference between two lists of arrays."""
  return max(np.abs(one - other).max() for one, other in zip(first, second, strict=True))


if __name__ == '__main__':
  app.run(main)
