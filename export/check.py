"""Holds an exported module against recorded outputs, in a process of its own with TensorFlow and TF-Hub alone.

`python -I check.py MODULE EXPECTED.npz`; imports nothing of this project, so that it proves a user's `hub.load`.
"""

import os
import sys

import numpy as np

TOLERANCE = 1e-5  # of numbers up to 1, and relative of larger ones


def main(module, expected) -> None:
  """Compares; ends the process with a message where an output differs."""
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
  import tensorflow_hub as hub

  recorded = np.load(expected)
  loaded = hub.load(module)
  names = [name for name in recorded.files if '/' not in name]
  for name in names:
    inputs = {key.partition('/')[2]: recorded[key] for key in recorded.files if key.startswith(f'{name}/')}
    part = loaded if name == 'features' else getattr(loaded, name)
    output = part(inputs if len(inputs) > 1 else next(iter(inputs.values()))).numpy()
    if output.dtype == object:
      for ours, theirs in zip(output.tolist(), recorded[name].tolist(), strict=True):
        if ours != theirs:
          sys.exit(f'{name} of the reloaded module writes {ours!r}, not {theirs!r} as the live model.')
      continue
    worst = np.inf
    if output.shape == recorded[name].shape:
      worst = float(np.max(np.abs(output - recorded[name]) / np.maximum(1, np.abs(recorded[name]))))
    if not worst <= TOLERANCE:
      sys.exit(f'{name} of the reloaded module differs by {worst:.2g} from the live model; at most {TOLERANCE:.0e}.')
  key = next(key for key in recorded.files if key.startswith('encoder/'))
  if loaded.encoder(recorded[key][:1]).shape[0] != 1:
    sys.exit('the reloaded module does not take a batch of one.')
  loose = [name for name in ('tensorflow_hub', 'tensorflow') if name not in sys.modules]
  ours = [name for name in sys.modules if name.split('.')[0] in ('acai_tf', 'zoo', 'export')]
  if loose or ours:
    sys.exit(f'the check ran with other modules than it should: {loose + ours}')
  print(f'{len(names)} outputs of {len(recorded[key])} {key.partition("/")[2]} agree to {TOLERANCE:.0e}')


if __name__ == '__main__':
  main(*sys.argv[1:])
