"""Seconds of `hub.load`, and latencies of an exported module beside other runtimes and the live Keras model.

`python benchmarks/export.py [--zoo lines_acai]`, with the extra `export`. Each runtime has one thread, takes NumPy
arrays and gives them, and has its turn in every round, so that a busy machine slows all of them; the table has minimum
and median over the rounds, and the median's ratio to the live model's. That is timed as a tf.function, which `predict`
runs, too, and eagerly. `hub.load` is timed in fresh processes, after the imports.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

flags.DEFINE_string('zoo', 'lines_acai', 'Whose kept weights')
flags.DEFINE_integer('rounds', 30, 'In which the runtimes take turns', lower_bound=2)
flags.DEFINE_integer('loads', 3, 'Fresh processes that time hub.load', lower_bound=1)

LOAD = """
import sys, time
import tensorflow as tf, tensorflow_hub as hub
tf.zeros([]).numpy()  # TensorFlow's own start
began = time.perf_counter()
module = hub.load(sys.argv[1])
print(time.perf_counter() - began)
"""
CALLS = {1: 10, 64: 1}  # batch -> calls in a row that one timing is the mean of


def load_seconds(folder):
  """Seconds of the first `hub.load` in each of --loads fresh processes."""
  command = [sys.executable, '-I', '-c', LOAD, str(folder)]
  return [float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
          for _ in range(flags.FLAGS.loads)]


def runtimes(model, folder):
  """Dict: name -> function (signature, dict of arrays) -> array."""
  import tensorflow as tf
  import tensorflow_hub as hub

  from export import check, convert, module

  offered = {module.SIGNATURES[c.name]: c for c in model.callables() if c.name in convert.CALLABLES}
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
          'hub.load, signature': check.saved_model(folder)[1],
          'ONNX Runtime': check.onnx(folder / 'onnx', offered)[1],
          'LiteRT float32': check.litert(folder / 'litert/float32.tflite')[1], 'Keras, eager': live(eager)}


def latencies(runs, signature, arrays, calls):
  """Dict: name -> [rounds] milliseconds of a call, after a round that is not counted."""
  found = {name: [] for name in runs}
  for _ in range(flags.FLAGS.rounds + 1):
    for name, run in runs.items():
      began = time.perf_counter()
      for _ in range(calls):
        run(signature, arrays)
      found[name].append(1e3 * (time.perf_counter() - began) / calls)
  return {name: column[1:] for name, column in found.items()}


def main(_):
  """Prints the seconds of hub.load and a table for each callable and batch."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  import tensorflow as tf

  import zoo
  from export import convert, module

  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  model = zoo.load(flags.FLAGS.zoo)
  with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(scratch)
    module.save(model, folder)
    for name in ('onnx', 'litert'):
      (folder / name).mkdir()
    convert.onnx(model, folder / 'onnx')
    images = np.random.default_rng(0).uniform(size=[64, *model.image_shape]).astype(np.float32)
    convert.litert(folder, folder / 'litert', images, ['float32'])
    given = convert.inputs(folder, images)
    print(f'{flags.FLAGS.zoo}, {len(os.sched_getaffinity(0))} processors of which one thread is used, load average '
          f'{os.getloadavg()[0]:.1f}, {flags.FLAGS.rounds} rounds')
    print('hub.load', ' '.join(f'{seconds:.2f}' for seconds in sorted(load_seconds(folder))), 's')
    runs = runtimes(model, folder)
    for signature in ('encode', 'interpolate'):
      for batch, calls in CALLS.items():
        arrays = {name: np.ascontiguousarray(values[:batch]) for name, values in given[signature].items()}
        found = latencies(runs, signature, arrays, calls)
        print(f'\n{f"{signature}, batch {batch}":24} {"min ms":>9} {"median ms":>10} {"to live":>8}')
        live = np.median(found['Keras, tf.function'])
        for name, column in found.items():
          print(f'{name:24} {min(column):9.2f} {np.median(column):10.2f} {np.median(column) / live:8.2f}', flush=True)


if __name__ == '__main__':
  app.run(main)
