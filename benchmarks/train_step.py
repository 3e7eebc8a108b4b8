"""A model's training step against the clock, and beside other ways to run the same.

`python benchmarks/train_step.py` times ACAI on the lines network: TensorFlow as it comes, against the settings that
this project's programs make (`acai_tf.cli`), in both precisions. `--model arae` times an iteration on random sentences
of the Yelp benchmark's size (2,000 words, 3 to 10 a sentence). Beside both stand plain PyTorch programs of the same
sizes, where torch is installed. Each setting has processes of its own, in turn; medians and ratios are printed.
"""

import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

flags.DEFINE_enum('model', 'acai', ['acai', 'arae'], 'What is trained')
flags.DEFINE_integer('batch', 64, 'Images or sentences a step', lower_bound=2)
flags.DEFINE_integer('rounds', 3, 'Processes for each setting', lower_bound=1)
flags.DEFINE_integer('threads', 0, 'Processors for each process; 0 is all', lower_bound=0)
flags.DEFINE_float('seconds', 10, 'Measured in each process', lower_bound=1)
flags.DEFINE_bool('profile', False, 'Print where the time goes instead, by kind of operation')
flags.DEFINE_string('child', None, 'Internal: one setting, as JSON')

SETTINGS = {
    'acai': {
        'TensorFlow as it comes, float32': {'tuned': False, 'precision': 'float32'},
        'acai_tf, float32': {'tuned': True, 'precision': 'float32'},
        'PyTorch, float32': {'torch': True, 'precision': 'float32'},
        'acai_tf, mixed_bfloat16': {'tuned': True, 'precision': 'mixed_bfloat16'},
        'PyTorch, bfloat16 autocast': {'torch': True, 'precision': 'mixed_bfloat16'},
    },
    'arae': {
        'TensorFlow as it comes, float32': {'tuned': False, 'precision': 'float32'},
        'acai_tf, float32': {'tuned': True, 'precision': 'float32'},
        'PyTorch, float32': {'torch': True, 'precision': 'float32'},
    },
}


def experiment_of(model, batch, precision='float32'):
  """The experiment that is timed."""
  from acai_tf.experiment.resolve import resolve

  if model == 'acai':
    return resolve('lines', 'acai', 'paper', {'training': {'batch': batch, 'precision': precision}})
  generator = np.random.default_rng(0)
  path = pathlib.Path(tempfile.mkdtemp()) / 'sentences.txt'
  path.write_text('\n'.join(' '.join(f'w{i}' for i in generator.integers(2000, size=generator.integers(3, 11)))
                            for _ in range(40_000)))
  return resolve('text', 'arae', 'fast', {'dataset': {'path': str(path)}, 'training': {'batch': batch}})


def runner(setting, model, batch):
  """The loop as the program makes it: (Loop, iterator)."""
  from acai_tf import cli

  if setting['tuned']:
    cli.set_environment()
    cli.start_tensorflow()
  from acai_tf.training import build, hosts, loop

  experiment = experiment_of(model, batch, setting['precision'])
  strategy, dataset = hosts.Hosts('one_device').strategy, build.load_data(experiment)
  with strategy.scope():
    made = build.create(experiment)
  made = loop.Loop(made, strategy, dataset, experiment.training)
  return made, made.batches(0, experiment.training.steps)


def torch_step(model, experiment):
  """PyTorch's step on data as the data set has it, drawn here: PyTorch and TensorFlow in one process do not get on."""
  import torch
  import torch_steps

  torch.set_num_threads(len(os.sched_getaffinity(0)))
  generator, batch = np.random.default_rng(0), experiment.training.batch
  if model == 'acai':
    return torch_steps.acai(experiment, [
        (generator.uniform(-1, 1, [batch, 32, 32, 1]).astype(np.float32), generator.integers(10, size=batch))
        for _ in range(50)])
  words, longest, batches = experiment.dataset.words, experiment.dataset.longest, []
  for _ in range(200):
    ids, lengths = generator.integers(2, words, size=[batch, longest + 1]), generator.integers(3, 11, size=[batch, 1])
    places = np.arange(longest + 1)
    batches.append(np.where(places < lengths, ids, np.where(places == lengths, words + 3, 0)))
  return torch_steps.arae(experiment, batches)


def timed(step, seconds):
  """Seconds that `step()` takes, over `seconds` of them."""
  for _ in range(3):
    step()
  steps, began = 0, time.perf_counter()
  while time.perf_counter() - began < seconds or steps < 3:
    step()
    steps += 1
  return (time.perf_counter() - began) / steps


def measure(setting, model, batch, seconds):
  """Prints JSON: milliseconds of a step, and where we have a pipeline of drawing and handing over one batch."""
  if setting.get('torch'):
    step = timed(torch_step(model, experiment_of(model, batch, setting['precision'])), seconds)
    return print(json.dumps({'step_ms': step * 1e3, 'input_ms': None}))
  made, iterator = runner(setting, model, batch)
  import tensorflow as tf

  one = tf.constant(1)
  step = timed(lambda: made._run_steps(iterator, one).numpy(), seconds)
  began = time.perf_counter()
  for i in range(50):
    made.dataset.batch(0, i, batch, np.arange(batch))
  drawing = (time.perf_counter() - began) / 50
  return print(json.dumps({'step_ms': step * 1e3, 'input_ms': drawing * 1e3}))


def profile(model, batch):
  """Prints the operations that take most time in the tuned float32 step."""
  import collections

  made, iterator = runner(SETTINGS[model]['acai_tf, float32'], model, batch)
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
    return measure(json.loads(arguments.child), arguments.model, arguments.batch, arguments.seconds)
  if arguments.profile:
    return profile(arguments.model, arguments.batch)
  settings = SETTINGS[arguments.model]
  if importlib.util.find_spec('torch') is None:
    settings = {name: setting for name, setting in settings.items() if not setting.get('torch')}
    if len(settings) < len(SETTINGS[arguments.model]):
      print('PyTorch is not installed (pip install torch): no row of it.')
  cores = sorted(os.sched_getaffinity(0))[-arguments.threads:]
  results = {name: [] for name in settings}
  for _ in range(arguments.rounds):
    for name, setting in settings.items():
      done = subprocess.run(
          ['taskset', '-c', ','.join(map(str, cores)), sys.executable, __file__, '--child', json.dumps(setting),
           '--model', arguments.model, '--batch', str(arguments.batch), '--seconds', str(arguments.seconds)],
          capture_output=True, text=True, check=False)
      if done.returncode:
        sys.exit(f'{name} failed:\n{done.stderr[-2000:]}')
      results[name].append(json.loads(done.stdout.splitlines()[-1]))
  base = statistics.median(r['step_ms'] for r in next(iter(results.values())))
  print(f'{arguments.model}, batch {arguments.batch}, {len(cores)} processors, median of {arguments.rounds} processes')
  for name, rows in results.items():
    step = statistics.median(r['step_ms'] for r in rows)
    drawn = [r['input_ms'] for r in rows if r['input_ms'] is not None]
    share = f'  input {statistics.median(drawn) / step:6.2%}' if drawn else ''
    print(f'{name:34} {1e3 / step:7.1f} steps/s {arguments.batch * 1e3 / step:7.0f} samples/s  x{base / step:5.2f}  '
          f'step {step:7.1f} ms{share}')
  return None


if __name__ == '__main__':
  app.run(main)
