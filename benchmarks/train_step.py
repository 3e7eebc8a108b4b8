"""Images a second of ACAI's training step on the lines network, and the share of time that goes into input.

`python benchmarks/train_step.py` runs each setting in processes of its own, in turn, and prints medians and ratios:
TensorFlow as it comes, against the settings that this project's programs make (`acai_tf.cli`), in both precisions.
"""

import json
import os
import statistics
import subprocess
import sys
import time

from absl import app, flags

flags.DEFINE_integer('batch', 64, 'Images a step', lower_bound=2)
flags.DEFINE_integer('rounds', 3, 'Processes for each setting', lower_bound=1)
flags.DEFINE_float('seconds', 10, 'Measured in each process', lower_bound=1)
flags.DEFINE_bool('profile', False, 'Print where the time goes instead, by kind of operation')
flags.DEFINE_string('child', None, 'Internal: one setting, as JSON')

SETTINGS = {
    'TensorFlow as it comes, float32': {'tuned': False, 'precision': 'float32'},
    'acai_tf, float32': {'tuned': True, 'precision': 'float32'},
    'acai_tf, mixed_bfloat16': {'tuned': True, 'precision': 'mixed_bfloat16'},
}


def runner(setting, batch):
  """The loop as the program makes it: (Loop, iterator)."""
  from acai_tf import cli

  if setting['tuned']:
    cli.set_environment()
    cli.start_tensorflow()
  from acai_tf.experiment.resolve import resolve
  from acai_tf.training import build, loop

  experiment = resolve(
      'lines', 'acai', 'paper', {'training': {'batch': batch, 'precision': setting['precision']}})
  strategy = loop.strategy('one_device')
  with strategy.scope():
    model = build.create(experiment)
  made = loop.Loop(model, strategy, build.load_data(experiment), experiment.training)
  return made, made.batches(0, experiment.training.steps)


def measure(setting, batch, seconds):
  """Prints JSON: images a second, and milliseconds of a step and of drawing and handing over one batch."""
  made, iterator = runner(setting, batch)
  import tensorflow as tf

  one = tf.constant(1)
  for _ in range(3):
    made._run_steps(iterator, one).numpy()
  steps, began = 0, time.perf_counter()
  while time.perf_counter() - began < seconds or steps < 3:
    made._run_steps(iterator, one).numpy()
    steps += 1
  step = (time.perf_counter() - began) / steps
  began = time.perf_counter()
  for i in range(50):
    made.dataset.batch(0, i, batch, slice(None))
  drawing = (time.perf_counter() - began) / 50
  print(json.dumps({'images': batch / step, 'step_ms': step * 1e3, 'input_ms': drawing * 1e3}))


def profile(batch):
  """Prints the operations that take most time in the tuned float32 step."""
  import collections
  import pathlib
  import tempfile

  made, iterator = runner(SETTINGS['acai_tf, float32'], batch)
  import tensorflow as tf
  from tensorflow.tsl.profiler.protobuf import xplane_pb2

  one, steps = tf.constant(1), 5
  for _ in range(3):
    made._run_steps(iterator, one).numpy()
  with tempfile.TemporaryDirectory() as folder:
    with tf.profiler.experimental.Profile(folder):
      for _ in range(steps):
        made._run_steps(iterator, one).numpy()
    space = xplane_pb2.XSpace.FromString(next(pathlib.Path(folder).rglob('*.xplane.pb')).read_bytes())
  spent = collections.Counter()
  for plane in space.planes:
    for event in (event for line in plane.lines for event in line.events):
      kind = plane.event_metadata[event.metadata_id].name.partition(':')[2].split('#')[0]
      if kind and '::' not in kind and (kind[0].isalpha() or kind.startswith('_Mkl')):
        spent[kind] += event.duration_ps * 1e-9 / steps
  for kind, ms in spent.most_common(12):
    print(f'{kind:40} {ms:8.1f} ms of processor time a step')


def main(_):
  """Runs the children in turn and prints the table."""
  arguments = flags.FLAGS
  if arguments.child:
    return measure(json.loads(arguments.child), arguments.batch, arguments.seconds)
  if arguments.profile:
    return profile(arguments.batch)
  results = {name: [] for name in SETTINGS}
  for _ in range(arguments.rounds):
    for name, setting in SETTINGS.items():
      done = subprocess.run(
          [sys.executable, __file__, '--child', json.dumps(setting), '--batch', str(arguments.batch),
           '--seconds', str(arguments.seconds)], capture_output=True, text=True, check=True)
      results[name].append(json.loads(done.stdout.splitlines()[-1]))
  base = statistics.median(r['images'] for r in next(iter(results.values())))
  print(f'ACAI on lines, batch {arguments.batch}, {os.cpu_count()} processors, median of {arguments.rounds} processes')
  for name, rows in results.items():
    images, step, drawn = (statistics.median(r[key] for r in rows) for key in ('images', 'step_ms', 'input_ms'))
    print(f'{name:34} {images:7.0f} images/s  x{images / base:5.2f}  step {step:7.1f} ms  input {drawn / step:6.2%}')
  return None


if __name__ == '__main__':
  app.run(main)
