"""Times the metrics on arrays of the benchmarks' sizes, without the encoding: `python benchmarks/evaluation.py`.

It scores 256 cross-faded interpolations of 16 lines against the 10,000 templates. On 60,000 + 10,000 latents of
dimension `--dimension`, drawn from ten overlapping Gaussians, it runs logistic regression and k-means with `--restarts`
restarts.
"""

import os
import time

import numpy as np
from absl import app, flags

flags.DEFINE_integer('dimension', 32, 'Latent dimension', lower_bound=1)
flags.DEFINE_integer('restarts', 10, 'Restarts of k-means', lower_bound=1)

TRAIN, TEST, CLASSES = 60_000, 10_000, 10


def gaussians(dimension):
  """(latents [70,000, dimension], classes [70,000])."""
  generator = np.random.default_rng(0)
  labels = generator.integers(CLASSES, size=TRAIN + TEST)
  centres = generator.normal(size=[CLASSES, dimension]) * 3 / dimension**0.5
  return (centres[labels] + generator.normal(size=[len(labels), dimension])).astype(np.float32), labels


def report(name, score):
  """Times `score`, a function that returns a text, and prints both."""
  began = time.perf_counter()
  figure = score()
  print(f'{name:24} {time.perf_counter() - began:7.2f} s   {figure}', flush=True)


def main(_):
  """Prints a line for each metric."""
  from acai_tf.data import lines
  from acai_tf.evaluation.images import crossfade, score_lines
  from acai_tf.metrics import clustering, probe

  arguments = flags.FLAGS
  ends = lines.render(np.random.default_rng(0).uniform(0, 2 * np.pi, 512)).reshape(2, 256, 32, 32, 1)
  codes, labels = gaussians(arguments.dimension)
  parts = codes[:TRAIN], labels[:TRAIN], codes[TRAIN:], labels[TRAIN:]
  print(f'{len(os.sched_getaffinity(0))} cores; {TRAIN:,} + {TEST:,} latents of dimension {arguments.dimension}')
  report('lines', lambda: '{mean_distance:.2e} {smoothness_published:.3f}'.format(
      **score_lines(crossfade(*ends))))
  report('fitted probe', lambda: f'{probe.fitted_accuracy(*parts)[0]:.2%}')
  report(f'clustering, {arguments.restarts} restarts', lambda: '{clustering_accuracy:.2%}'.format(
      **clustering.score(parts[0], parts[2], parts[3], CLASSES, arguments.restarts)[0]))


if __name__ == '__main__':
  app.run(main)
