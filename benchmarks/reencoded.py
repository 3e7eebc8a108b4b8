"""Measures the features of images that are decoded and re-encoded, on the pretrained weights of MNIST.

`python benchmarks/reencoded.py NAME...` prints, for each definition, the accuracies of logistic regression and of
k-means (100 restarts) on the latents of 20,000 training and 10,000 test images, and on f(clip(g(z), -1, 1)), the
latents of their reconstructions.
"""

import numpy as np
from absl import app, flags

from acai_tf import cli

cli.define_data_flags(flags.FLAGS)

TRAIN, TEST, RESTARTS = 20_000, 10_000, 100


def latents(functions, dataset, part, count):
  """(latents [count, d], latents of the reconstructions [count, d], labels [count]) of images of `part`."""
  blocks = []
  for images, labels in dataset.blocks(part, count):
    first = functions.encode(images)
    again = functions.encode(np.clip(functions.decode(first), -1, 1))
    blocks.append((first.reshape(len(first), -1), again.reshape(len(again), -1), labels))
  return [np.concatenate(arrays) for arrays in zip(*blocks, strict=True)]


def main(names):
  """Prints two lines for each definition."""
  from acai_tf.evaluation import subject
  from acai_tf.metrics import clustering, probe
  from acai_tf.training import build
  from acai_tf.zoo import _weights

  for name in names[1:]:
    experiment, model, _ = _weights.load(name)
    dataset = build.load_data(experiment, flags.FLAGS.data_dir, flags.FLAGS.manual_dir)
    functions = subject.of_model(model)
    train = latents(functions, dataset, 'train', TRAIN)
    test = latents(functions, dataset, 'test', TEST)
    for what, seen, unseen in zip(('latents', 're-encoded'), train, test[:2], strict=False):
      accuracy, _ = probe.fitted_accuracy(seen, train[2], unseen, test[2])
      scores, _ = clustering.score(seen, unseen, test[2], dataset.classes, RESTARTS)
      print(f'{name:24} {what:14} probe {accuracy:.2%}   clustering {scores["clustering_accuracy"]:.2%}   '
            f'NMI {scores["clustering_nmi"]:.3f}', flush=True)


if __name__ == '__main__':
  app.run(main)
