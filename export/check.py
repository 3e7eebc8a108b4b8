"""Holds an exported module against recorded outputs, in a process of its own with TensorFlow and TF-Hub alone.

`python -I check.py MODULE EXPECTED.npz`; imports nothing of this project, so that it proves a user's `hub.load`.
"""

import os
import sys

import numpy as np

TOLERANCE = 1e-5


def main(module, expected):
  """Compares; ends the process with a message where an output differs."""
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
  import tensorflow_hub as hub

  recorded = np.load(expected)
  loaded = hub.load(module)
  images, count = recorded['images'], len(recorded['images'])
  outputs = {
      'features': loaded(images),
      'codes': loaded.encoder(images),
      'decoded': loaded.decoder(recorded['codes']),
      'interpolated': loaded.interpolator(
          {'images_a': images, 'images_b': images[::-1].copy(), 'alpha': recorded['alpha']}),
  }
  if hasattr(loaded, 'classifier'):
    outputs['classified'] = loaded.classifier(images)
  if hasattr(loaded, 'critic'):
    outputs['critic'] = loaded.critic(images)
  for name, output in outputs.items():
    worst = float(np.abs(output.numpy() - recorded[name]).max()) if output.shape == recorded[name].shape else np.inf
    if not worst <= TOLERANCE:
      sys.exit(f'{name} of the reloaded module differs by {worst:.2g} from the live model; at most {TOLERANCE:.0e}.')
    if loaded.encoder(images[:1]).shape[0] != 1:
      sys.exit('the reloaded module does not take a batch of one.')
  loose = [name for name in ('tensorflow_hub', 'tensorflow') if name not in sys.modules]
  ours = [name for name in sys.modules if name.split('.')[0] in ('acai_tf', 'zoo', 'export')]
  if loose or ours:
    sys.exit(f'the check ran with other modules than it should: {loose + ours}')
  print(f'{len(outputs)} outputs of {count} images agree to {TOLERANCE:.0e}')


if __name__ == '__main__':
  main(*sys.argv[1:])
