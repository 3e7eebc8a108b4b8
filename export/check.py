"""Checks an exported module against recorded outputs, in a separate process with only TensorFlow and TensorFlow Hub.

`python -P check.py MODULE EXPECTED.npz` compares callables and signatures. It imports nothing of this project, so it
tests the module as a user loads it with `hub.load`. In EXPECTED.npz, the array 'callable encoder 7' is the output of
that callable for 7 images, and 'callable encoder 7 images' is its input. Arrays of signatures have names like
'signature encode 7'.
"""

import os
import sys

import numpy as np

TOLERANCE = 1e-5  # absolute for values up to 1, relative for larger ones


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
    return f'gives the shape {ours.shape}; the live model gives {theirs.shape}'
  if ours.dtype == object:
    return next((f'writes {a!r}; the live model writes {b!r}' for a, b in zip(ours.tolist(), theirs.tolist(),
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
  ours = [name for name in sys.modules if name.split('.')[0] == 'acai_tf']
  if loose or ours:
    sys.exit(f'the check ran with other modules than it should: {loose + ours}')
  counts = sorted({int(key.split(' ')[2]) for key in recorded.files})
  print(f'{len(checked["callable"])} callables at batches of {", ".join(map(str, counts))} and '
        f'{len(checked["signature"])} signatures agree to {TOLERANCE:.0e}')


if __name__ == '__main__':
  main(*sys.argv[1:])
