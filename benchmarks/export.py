"""Times `hub.load`, and compares latencies of an exported module, other runtimes and the live Keras model.

`python benchmarks/export.py [--zoo lines_acai]` needs the extra `export`. Each runtime has one thread, and its inputs
and outputs are NumPy arrays. The runtimes take turns in every round, so a busy machine slows all of them. The table has
the minimum and median over the rounds, the median CPU time, which excludes other programs, and the ratios of the
medians to those of the live model. The live model is timed as a tf.function, as `predict` runs it, and eagerly.
`hub.load` is timed in fresh processes, after the imports.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

flags.DEFINE_string('zoo', 'lines_acai', 'Definition with pretrained weights')
flags.DEFINE_integer('rounds', 30, 'Rounds in which the runtimes take turns', lower_bound=2)
flags.DEFINE_integer('loads', 3, 'Fresh processes that time hub.load', lower_bound=1)

LOAD = """
import sys, time
import tensorflow as tf, tensorflow_hub as hub
tf.zeros([]).numpy()  # initializes TensorFlow
began, used = time.perf_counter(), time.process_time()
module = hub.load(sys.argv[1])
print(time.perf_counter() - began, time.process_time() - used)
"""
CALLS = {1: 10, 64: 1}  # batch size -> number of calls that one timing averages


def load_seconds(folder):
  """[(seconds, CPU seconds)] of the first `hub.load` in each of --loads fresh processes."""
  command = [sys.executable, '-P', '-c', LOAD, str(folder)]
  runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(flags.FLAGS.loads)]
  return [tuple(map(float, run.stdout.split()[-2:])) for run in runs]


def runtimes(model, folder):
  """Dict: name of the runtime -> function (signature, dict of arrays) -> array."""
  import tensorflow as tf
  import tensorflow_hub as hub

  from acai_tf.export import formats, module

  offered = {module.SIGNATURES[c.name]: c for c in model.callables() if c.name in formats.CALLABLES}
  eager = {signature: module.outside(c) for signature, c in offered.items()}
  compiled = {signature: tf.function(function) for signature, function in eager.items()}
  loaded = hub.load(str(folder))

  def live(functions):
    return lambda signature, arrays: functions[signature](
        [tf.constant(arrays[name]) for name in offered[signature].inputs]).numpy()

  def module_of_hub(signature, arrays):
    tensors = {name: tf.constant(values) for name, values in arrays.items()}
    part = getattr(loaded, offered[signature].name)
    return part(tensors if len(tensors) > 1 else next(iter(tensors.values()))).numpy()

  return {'Keras, tf.function': live(compiled), 'hub.load': module_of_hub,
          'hub.load, signature': formats.FORMATS['saved_model'].run(folder)[1],
          'ONNX Runtime': formats.FORMATS['onnx'].run(folder)[1],
          'LiteRT float32': formats.FORMATS['litert/float32'].run(folder)[1], 'Keras, eager': live(eager)}


def latencies(runs, signature, arrays, calls):
  """Dict: name -> [rounds, 2] milliseconds and CPU milliseconds per call, after a warm-up round."""
  times = {name: [] for name in runs}
  for _ in range(flags.FLAGS.rounds + 1):
    for name, run in runs.items():
      began = np.array([time.perf_counter(), time.process_time()])
      for _ in range(calls):
        run(signature, arrays)
      times[name].append(1e3 * (np.array([time.perf_counter(), time.process_time()]) - began) / calls)
  return {name: np.array(rows[1:]) for name, rows in times.items()}


def main(_):
  """Prints the seconds of hub.load and a table for each callable and batch size."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  sys.path.pop(0)  # this script's folder, in which `export` is this script
  import tensorflow as tf

  from acai_tf import zoo
  from acai_tf.export import formats, module

  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  model = zoo.load(flags.FLAGS.zoo)
  with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(scratch)
    module.save(model, folder)
    images = np.random.default_rng(0).uniform(size=[64, *model.image_shape]).astype(np.float32)
    for name in ('onnx', 'litert/float32'):
      formats.FORMATS[name].write(formats.Source(model, folder, images))
    given = formats.inputs(folder, images)
    print(f'{flags.FLAGS.zoo}, {len(os.sched_getaffinity(0))} cores of which one is used, load average '
          f'{os.getloadavg()[0]:.1f}, {flags.FLAGS.rounds} rounds')
    print('hub.load', ', '.join(f'{wall:.2f} s (CPU {used:.2f})' for wall, used in load_seconds(folder)))
    runs = runtimes(model, folder)
    for signature in ('encode', 'interpolate'):
      for batch, calls in CALLS.items():
        arrays = {name: np.ascontiguousarray(values[:batch]) for name, values in given[signature].items()}
        times = latencies(runs, signature, arrays, calls)
        live = np.median(times['Keras, tf.function'], 0)
        print(f'\n{f"{signature}, batch {batch}":24}   min ms   median  to live     CPU ms  to live')
        for name, rows in times.items():
          (wall, used), (by_wall, by_used) = np.median(rows, 0), np.median(rows, 0) / live
          print(f'{name:24} {rows[:, 0].min():8.2f} {wall:8.2f} {by_wall:8.2f} {used:10.2f} {by_used:8.2f}', flush=True)


if __name__ == '__main__':
  app.run(main)
