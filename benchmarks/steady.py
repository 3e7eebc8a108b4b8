"""Tests that a long training leaks no memory, traces or open files: `python benchmarks/steady.py`.

It trains a tiny model on lines. Every 2,000 steps it prints the resident memory, how often the step has been traced,
and the number of open files. At the first row, everything is loaded and TensorFlow's memory pools are filled.
"""

import os
import pathlib

from absl import app, flags

from acai_tf import cli
from acai_tf.experiment.resolve import resolve

FLAGS = flags.FLAGS
flags.DEFINE_integer('steps', 20_000, 'Training steps', 4000)
flags.DEFINE_string('model', 'acai', 'Model to train')

EVERY, BATCH = 2000, 8


def resident() -> int:
  """Resident memory of this process in bytes."""
  return int(pathlib.Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def main(_):
  """Trains the model and prints the rows."""
  cli.set_environment()
  cli.start_tensorflow()
  from acai_tf.training import build, loop
  from acai_tf.training.cluster import Cluster

  experiment = resolve('lines', FLAGS.model, 'fast', {
      'dataset': {'size': 8, 'test_images': 8}, 'network': {'latent_width': 2, 'latent': 2, 'depth': 2},
      'training': {'batch': BATCH, 'samples': BATCH * FLAGS.steps, 'precision': 'float32'}})
  cluster = Cluster('one_device')
  with cluster.strategy.scope():
    model = build.create(experiment)
  runner = loop.Loop(model, cluster.strategy, build.load_data(experiment), experiment.training)
  rows = []

  def look(step):
    rows.append((resident(), runner.traces(), len(os.listdir('/proc/self/fd'))))
    print(f'step {step:6,}: {rows[-1][0] / 1e6:7.1f} MB, {rows[-1][1]} traces, {rows[-1][2]} open files', flush=True)

  runner.run(lambda *_: None, [(list(range(EVERY, FLAGS.steps + 1, EVERY)), look)])
  growth = rows[-1][0] / rows[0][0] - 1
  print(f'memory grew by {growth:.2%}, traces by {rows[-1][1] - rows[0][1]}, open files by {rows[-1][2] - rows[0][2]}')


if __name__ == '__main__':
  app.run(main)
