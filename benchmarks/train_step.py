"""Times the training step of a model, also in TensorFlow's default settings and in plain PyTorch.

`python benchmarks/train_step.py` times ACAI on the lines network, in both precisions: with TensorFlow's defaults and
with the settings of this project's programs (`acai_tf.cli`). `--model arae` times an iteration on random sentences of
the Yelp benchmark's size (2,000 words, 3 to 10 per sentence). If torch is installed, both are compared with plain
PyTorch programs of the same sizes. For each batch size and number of cores, the settings take turns in separate
processes. The output has medians and ratios, the name of the CPU and its instruction sets.
"""

import importlib.util
import json
import multiprocessing
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import types
from concurrent import futures

import numpy as np
from absl import app, flags

from acai_tf.experiment import machine

flags.DEFINE_enum('model', 'acai', ['acai', 'arae'], 'Model to train')
flags.DEFINE_list('batches', ['16', '64'], 'Images or sentences per step')
flags.DEFINE_integer('rounds', 3, 'Processes for each setting', lower_bound=1)
flags.DEFINE_list('threads', ['1', '2'], 'CPU cores for each process')
flags.DEFINE_float('seconds', 10, 'Measured seconds in each process', lower_bound=1)
flags.DEFINE_bool('profile', False, 'Print the time by kind of operation instead')
flags.DEFINE_string('child', None, 'Internal: one setting, as JSON')

WARM, PROFILED = 3, 20  # warm-up steps, profiled steps
INSTRUCTIONS = 'avx2', 'fma', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_tile', 'amx_bf16'

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
  """Resolves the experiment to time."""
  from acai_tf.experiment.resolve import resolve

  if model == 'acai':
    return resolve('lines', 'acai', 'paper', {'training': {'batch': batch, 'precision': precision}})
  generator = np.random.default_rng(0)
  path = pathlib.Path(tempfile.mkdtemp()) / 'sentences.txt'
  path.write_text('\n'.join(' '.join(f'w{i}' for i in generator.integers(2000, size=generator.integers(3, 11)))
                            for _ in range(40_000)))
  return resolve('text', 'arae', 'fast', {'dataset': {'path': str(path)}, 'training': {'batch': batch}})


def experiment_json(model, batch, precision):
  """`experiment_of` as JSON, for a PyTorch process, which must not import TensorFlow as the files of models do."""
  return experiment_of(model, batch, precision).to_json()


def made_loop(setting, model, batch):
  """Builds the `Loop` as the training program does."""
  from acai_tf import cli

  if setting['tuned']:
    cli.set_environment()
    cli.start_tensorflow()
  from acai_tf.training import build, cluster, loop

  experiment = experiment_of(model, batch, setting['precision'])
  strategy, dataset = cluster.Cluster('one_device').strategy, build.load_data(experiment)
  with strategy.scope():
    made = build.create(experiment)
  return loop.Loop(made, strategy, dataset, experiment.training)


def run_for(made, seconds):
  """Runs a `Loop` for a number of seconds after WARM steps. Returns the seconds per step."""
  seen = []
  made.run(lambda step, _: seen.append((step, time.perf_counter())), [],
           lambda: len(seen) > 2 * WARM and seen[-1][1] - seen[WARM - 1][1] > seconds)
  (first, began), (last, ended) = seen[WARM - 1], seen[-1]
  return (ended - began) / (last - first)


def torch_step(model, experiment):
  """Returns the step in PyTorch on random data, because PyTorch and TensorFlow conflict in one process."""
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
  """Mean seconds of `step()`, measured for `seconds` after WARM steps."""
  for _ in range(WARM):
    step()
  steps, began = 0, time.perf_counter()
  while time.perf_counter() - began < seconds or steps < WARM:
    step()
    steps += 1
  return (time.perf_counter() - began) / steps


def measure(setting, model, batch, seconds):
  """Prints JSON with the milliseconds of a step and, for our own pipeline, of drawing a batch."""
  if setting.get('torch'):
    with futures.ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn')) as pool:
      text = pool.submit(experiment_json, model, batch, setting['precision']).result()
    experiment = json.loads(text, object_hook=lambda values: types.SimpleNamespace(**values))
    step = timed(torch_step(model, experiment), seconds)
    return print(json.dumps({'step_ms': step * 1e3, 'input_ms': None}))
  made = made_loop(setting, model, batch)
  step = run_for(made, seconds)
  began = time.perf_counter()
  for i in range(50):
    made.dataset.batch(0, i, batch, np.arange(batch))
  drawing = (time.perf_counter() - began) / 50
  return print(json.dumps({'step_ms': step * 1e3, 'input_ms': drawing * 1e3}))


def profile(model, batch, setting):
  """Prints the kinds of operations that take the most time in a step."""
  import collections

  made = made_loop(setting, model, batch)
  import tensorflow as tf
  from tensorflow.tsl.profiler.protobuf import xplane_pb2

  with tempfile.TemporaryDirectory() as folder:
    made.run(lambda *_: None, [([WARM], lambda _: tf.profiler.experimental.start(folder)),
                               ([WARM + PROFILED], lambda _: tf.profiler.experimental.stop())],
             lambda: int(made.model.step.numpy()) >= WARM + PROFILED)
    space = xplane_pb2.XSpace.FromString(next(pathlib.Path(folder).rglob('*.xplane.pb')).read_bytes())
  spent, calls = collections.Counter(), collections.Counter()
  for plane in space.planes:
    for event in (event for line in plane.lines for event in line.events):
      kind = plane.event_metadata[event.metadata_id].name.partition(':')[2].split('#')[0]
      if kind and '::' not in kind and (kind[0].isalpha() or kind.startswith('_')):
        spent[kind] += event.duration_ps * 1e-9 / PROFILED
        calls[kind] += 1 / PROFILED
  for kind, ms in spent.most_common(20):
    print(f'  {kind:40} {calls[kind]:6.0f} times, {ms:8.2f} ms of CPU time per step')


def processes(settings, batch, cores) -> dict:
  """Dict: setting -> outputs of `measure`, one from each of `rounds` processes. The settings take turns."""
  arguments, results = flags.FLAGS, {name: [] for name in settings}
  for _ in range(arguments.rounds):
    for name, setting in settings.items():
      done = subprocess.run(
          ['taskset', '-c', ','.join(map(str, cores)), sys.executable, __file__, '--child', json.dumps(setting),
           f'--model={arguments.model}', f'--batches={batch}', f'--seconds={arguments.seconds}'],
          capture_output=True, text=True, check=False)
      if done.returncode:
        sys.exit(f'{name} failed:\n{done.stderr[-2000:]}')
      results[name].append(json.loads(done.stdout.splitlines()[-1]))
  return results


def show(results, batch) -> None:
  """Prints a line for each setting, with its speed relative to PyTorch."""
  settings = SETTINGS[flags.FLAGS.model]
  steps = {name: statistics.median(row['step_ms'] for row in rows) for name, rows in results.items()}
  for name, rows in results.items():
    rates = [batch * 1e3 / row['step_ms'] for row in rows]
    drawn = [row['input_ms'] for row in rows if row['input_ms'] is not None]
    other = next((other for other in steps if settings[other].get('torch') and
                  settings[other]['precision'] == settings[name]['precision']), name)
    beside = f'  x{steps[other] / steps[name]:.2f} of {other}' if other != name else ''
    share = f'  input {statistics.median(drawn) / steps[name]:.2%}' if drawn else ''
    print(f'  {name:34} {batch * 1e3 / steps[name]:7.0f} samples/s ({min(rates):.0f} to {max(rates):.0f})  '
          f'step {steps[name]:7.1f} ms{share}{beside}', flush=True)


def main(_):
  """Runs the processes and prints the table."""
  arguments = flags.FLAGS
  batches, threads = ([int(number) for number in numbers] for numbers in (arguments.batches, arguments.threads))
  if arguments.child:
    return measure(json.loads(arguments.child), arguments.model, batches[0], arguments.seconds)
  if arguments.profile:
    for name, setting in SETTINGS[arguments.model].items():
      if setting.get('tuned'):
        print(f'{arguments.model}, batch {batches[-1]}, {name}', flush=True)
        profile(arguments.model, batches[-1], setting)
    return None
  settings = SETTINGS[arguments.model]
  if importlib.util.find_spec('torch') is None:
    settings = {name: setting for name, setting in settings.items() if not setting.get('torch')}
    print('PyTorch is not installed (pip install torch), so it has no rows.')
  processor, cores = machine.processor(), sorted(machine.cores())
  known = [name for name in INSTRUCTIONS if name in processor['flags'].split()]
  print(f'{processor["model name"]}, with {", ".join(known) or "no known instruction set"}')
  for count in threads:
    if count > len(cores):
      print(f'{arguments.model}, {count} cores: this process may use only {len(cores)}.')
      continue
    for batch in batches:
      print(f'{arguments.model}, batch {batch}, {count} cores, median (and range) of {arguments.rounds} processes',
            flush=True)
      show(processes(settings, batch, cores[-count:]), batch)
  return None


if __name__ == '__main__':
  app.run(main)
