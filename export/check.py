"""Checks an exported module against recorded outputs, in a separate process with only TensorFlow and TensorFlow Hub.

`python -I check.py MODULE EXPECTED.npz` compares callables and signatures. It imports nothing of this project, so it
tests the module as a user loads it with `hub.load`. In EXPECTED.npz, the array 'callable encoder 7' is the output of
that callable for 7 images, and 'callable encoder 7 images' is its input. Arrays of signatures have names like
'signature encode 7'.

`python -I check.py MODULE INPUTS.npz formats` runs the LiteRT and ONNX files beside the SavedModel.
"""

import json
import os
import pathlib
import sys
import time

import numpy as np

TOLERANCE = 1e-5  # absolute for values up to 1, relative for larger ones
ROUNDS = 15  # A latency is the median of so many rounds.


def answer(loaded, kind, name, inputs) -> np.ndarray:
  """Output of a callable or signature of the module for a dict of inputs."""
  import tensorflow as tf

  if kind == 'signature':
    output, = loaded.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()}).values()
    return output.numpy()
  part = loaded if name == 'features' else getattr(loaded, name)
  return part(inputs if len(inputs) > 1 else next(iter(inputs.values()))).numpy()


def difference(ours, theirs) -> str:
  """Describes how the reloaded module's output differs from that of the live model; '' if it does not."""
  if ours.shape != theirs.shape:
    return f'gives the shape {ours.shape}, not {theirs.shape} as the live model'
  if ours.dtype == object:
    return next((f'writes {a!r}, not {b!r} as the live model' for a, b in zip(ours.tolist(), theirs.tolist(),
                                                                             strict=True) if a != b), '')
  worst = float(np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))))
  if worst <= TOLERANCE:
    return ''
  return f'differs by {worst:.2g} from the live model; at most {TOLERANCE:.0e}'


def main(module, expected) -> None:
  """Compares all outputs. Ends the process with a message if one differs."""
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
  import tensorflow_hub as hub

  recorded = np.load(expected)
  loaded = hub.load(module)
  checked: dict[str, set] = {'callable': set(), 'signature': set()}
  for key in recorded.files:
    kind, name, count, *of_input = key.split(' ')
    if of_input:
      continue
    inputs = {other.rpartition(' ')[2]: recorded[other] for other in recorded.files if other.startswith(f'{key} ')}
    checked[kind].add(name)
    wrong = difference(answer(loaded, kind, name, inputs), recorded[key])
    if wrong:
      sys.exit(f'{name} of the reloaded module, a batch of {count}, {wrong}.')
  missing = set(loaded.signatures) - checked['signature']
  if missing:
    sys.exit(f'the reloaded module has signatures that nothing was recorded for: {", ".join(sorted(missing))}.')
  loose = [name for name in ('tensorflow_hub', 'tensorflow') if name not in sys.modules]
  ours = [name for name in sys.modules if name.split('.')[0] in ('acai_tf', 'zoo', 'export')]
  if loose or ours:
    sys.exit(f'the check ran with other modules than it should: {loose + ours}')
  counts = sorted({int(key.split(' ')[2]) for key in recorded.files})
  print(f'{len(checked["callable"])} callables at batches of {", ".join(map(str, counts))} and '
        f'{len(checked["signature"])} signatures agree to {TOLERANCE:.0e}')


def formats(module, inputs) -> None:
  """Runs all formats of a module with one thread each and prints the differences and latencies as JSON.

  The JSON has the form: format -> {'bytes', 'signatures': SIGNATURE -> {'largest', 'mean', 'ms'}}. 'largest' and 'mean'
  are differences from the SavedModel's output, divided by its range (1 for pixels, max - min for latents). 'ms' are the
  milliseconds for one image: the median of rounds in which the formats take turns.

  Args:
    module: folder of the module.
    inputs: path of a .npz with arrays SIGNATURE/INPUT.
  """
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
  recorded, given = np.load(inputs), {}
  for key in recorded.files:
    signature, name = key.split('/')
    given.setdefault(signature, {})[name] = recorded[key]
  folder = pathlib.Path(module)
  runtimes = {'saved_model': saved_model(folder), **{f'litert/{path.stem}': litert(path) for path in sorted(
      folder.glob('litert/*.tflite'), key=os.path.getmtime)}}
  if (folder / 'onnx').exists():
    runtimes['onnx'] = onnx(folder / 'onnx', given)
  measured = {name: {'bytes': size, 'signatures': {}} for name, (size, _) in runtimes.items()}
  for signature, arrays in given.items():
    expected = runtimes['saved_model'][1](signature, arrays)
    scale = float(np.ptp(expected)) or 1.0 if signature == 'encode' else 1.0  # constant latents have no range
    times = _milliseconds({name: run for name, (_, run) in runtimes.items()}, signature, arrays)
    for name, (_, run) in runtimes.items():
      output = run(signature, arrays)
      apart = np.abs(output - expected) / scale if output.shape == expected.shape else np.array(np.inf)
      measured[name]['signatures'][signature] = {
          'largest': float(apart.max()), 'mean': float(apart.mean(dtype=np.float64)), 'ms': times[name]}
  print(json.dumps(measured))


def _milliseconds(runtimes, signature, arrays):
  """Dict: format -> median milliseconds of ROUNDS calls with the first image, after a warm-up call."""
  one, seconds = {name: values[:1] for name, values in arrays.items()}, {name: [] for name in runtimes}
  for _ in range(ROUNDS + 1):
    for name, run in runtimes.items():
      began = time.perf_counter()
      run(signature, one)
      seconds[name].append(time.perf_counter() - began)
  return {name: 1e3 * float(np.median(column[1:])) for name, column in seconds.items()}


def saved_model(folder) -> tuple:
  """(bytes on disk, function (signature, dict of arrays) -> array) of the SavedModel in a folder."""
  import tensorflow as tf
  import tensorflow_hub as hub

  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  loaded = hub.load(str(folder))  # Keep a reference: the signatures alone do not keep the weights alive.

  def run(signature, arrays):
    output, = loaded.signatures[signature](**{name: tf.constant(values) for name, values in arrays.items()}).values()
    return output.numpy()

  return sum(path.stat().st_size for part in ('*.pb', 'variables/*') for path in folder.glob(part)), run


def litert(path) -> tuple:
  """Like `saved_model`, for a .tflite file with the signatures."""
  from ai_edge_litert import interpreter

  loaded = interpreter.Interpreter(str(path), num_threads=1)
  runners = {signature: loaded.get_signature_runner(signature) for signature in loaded.get_signature_list()}

  def run(signature, arrays):
    output, = runners[signature](**arrays).values()
    return output

  return path.stat().st_size, run


def onnx(folder, signatures) -> tuple:
  """Like `saved_model`, for a folder with files SIGNATURE.onnx."""
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = options.inter_op_num_threads = 1
  sessions = {signature: onnxruntime.InferenceSession(folder / f'{signature}.onnx', options,
                                                      providers=['CPUExecutionProvider']) for signature in signatures}
  return (sum(path.stat().st_size for path in folder.glob('*.onnx')),
          lambda signature, arrays: sessions[signature].run(None, arrays)[0])


if __name__ == '__main__':
  (formats if sys.argv[3:] == ['formats'] else main)(*sys.argv[1:3])
