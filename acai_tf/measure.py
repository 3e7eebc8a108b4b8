"""Which metrics apply to a model on a data set, and the data that they are taken on."""

import dataclasses

import numpy as np

from acai_tf.config import UserError, one_of

PAIRS, STEPS = 256, 16  # of the lines benchmark (protocol)
PAIR_SEED = 1  # of the pairs of test images, the same for every model; lines are drawn anew at each evaluation
QUALITY_PAIRS, QUALITY_STEPS = 1024, 9  # interpolants whose distribution is measured, at alpha = 0, 1/8, ... 1
REAL = 5000  # test images at most that they are compared with
LIKELIHOOD_IMAGES, LIKELIHOOD_SAMPLES = 256, 64

QUICK = ('reconstruction', 'probe', 'lines', 'codebook')  # while and after training; seconds
GROUPS = (*QUICK, 'fitted_probe', 'clustering', 'quality', 'likelihood')


@dataclasses.dataclass(frozen=True)
class Settings:
  """What is measured and how: `groups` of metrics; `restarts` of k-means (the paper: 1000); `train_images`, whose codes
  are clustered and classified (the paper: 60,000); `count` of test images (None: all); `features`, a function for
  `quality`; `draw`: seeds of the lines drawn for the lines benchmark, training's and step, say."""

  groups: tuple = QUICK
  restarts: int = 10
  train_images: int = 60_000
  count: int | None = None
  features: object = None
  draw: tuple = (0, 0)

  def __post_init__(self):
    for group in self.groups:
      one_of('--metrics', group, GROUPS)


@dataclasses.dataclass(frozen=True)
class Measured:
  """`metrics`: name -> number or None. `curves`: name -> list of numbers along alpha. `arrays`: for pictures."""

  metrics: dict
  curves: dict
  arrays: dict


def measure(functions, dataset, dataset_name, settings=None, model_name='the model'):
  """Every metric of the chosen groups that applies.

  Args:
    functions: `functions.Functions`.
    dataset: the data set.
    dataset_name: its name, which says whether the lines benchmark applies.
    settings: `Settings`; default: the quick ones.
    model_name: for messages.

  Returns:
    `Measured`. The README explains the metrics.

  Raises:
    UserError: groups of which none applies, a model whose outputs are not finite, or another input that a metric
      refuses; it names the model.
  """
  settings, found = settings or Settings(), Measured({}, {}, {})
  try:
    for group in GROUPS:
      if group in settings.groups:
        _GROUPS[group](functions, dataset, dataset_name, settings, found)
  except UserError:
    raise
  except ValueError as error:
    raise UserError(f'evaluation of {model_name} on {dataset_name}: {error}') from error
  if not found.metrics:
    raise UserError(f'evaluation of {model_name} on {dataset_name}: no metric of {", ".join(settings.groups)} applies; '
                    'expected --metrics reconstruction, which does to all, or others (README, Evaluate).')
  return found


def _reconstruction(functions, dataset, dataset_name, settings, found):
  from acai_tf.metrics import reconstruction

  images, _ = dataset.test(settings.count)
  again = functions.decode(functions.encode(images))
  found.metrics['recon_mse'] = reconstruction.mean_squared_error(images, again)
  found.metrics['psnr'] = reconstruction.peak_signal_to_noise(images, again)
  found.metrics['ssim'] = reconstruction.structural_similarity(images, again)


def _probe(functions, dataset, dataset_name, settings, found):
  from acai_tf.metrics import probe

  if functions.classify:
    images, labels = dataset.test(settings.count)
    found.metrics['probe_accuracy'] = probe.accuracy(functions.classify(images), labels)


def _lines(functions, dataset, dataset_name, settings, found):
  from acai_tf.data import lines as lines_data
  from acai_tf.metrics import lines

  if dataset_name == 'lines':
    images = strips(functions, *dataset.pairs(PAIRS, settings.draw))
    distances, nearest = lines.follow(images, *lines_data.templates(size=images.shape[2]))
    found.metrics.update(lines.summary(distances, nearest))
    found.curves['alpha'] = np.linspace(0, 1, STEPS).round(6).tolist()
    found.curves['distance'] = distances.mean(axis=0).tolist()
    found.arrays['angles'] = np.unwrap(nearest, axis=1)


def _codebook(functions, dataset, dataset_name, settings, found):
  from acai_tf.metrics import codebook

  if functions.indices:
    indices = functions.indices(dataset.test(settings.count)[0])
    found.metrics.update(codebook.score(indices, functions.codebook, indices.shape[1]))


def _codes(functions, dataset, settings, found):
  """(training features, their labels, test features, their labels), encoded once."""
  if 'codes' not in found.arrays:
    train, train_labels = dataset.train(settings.train_images)
    test, labels = dataset.test(settings.count)
    found.arrays['codes'] = functions.features(train), train_labels, functions.features(test), labels
  return found.arrays['codes']


def _fitted_probe(functions, dataset, dataset_name, settings, found):
  from acai_tf.metrics import probe

  if dataset.classes:
    found.metrics['fitted_probe_accuracy'], found.metrics['fitted_probe_c'] = probe.fitted_accuracy(
        *_codes(functions, dataset, settings, found))


def _clustering(functions, dataset, dataset_name, settings, found):
  from acai_tf.metrics import clustering

  train, _, test, labels = _codes(functions, dataset, settings, found)
  if dataset.classes and labels.ndim == 1:
    scores, found.arrays['confusion'] = clustering.score(train, test, labels, dataset.classes, settings.restarts)
    found.metrics.update(scores)


def _quality(functions, dataset, dataset_name, settings, found):
  from acai_tf.metrics import distribution, path

  real = settings.features(dataset.test(REAL)[0])
  images = strips(functions, *dataset.pairs(QUALITY_PAIRS, PAIR_SEED), QUALITY_STEPS)
  features = settings.features(images.reshape(-1, *images.shape[2:])).reshape(*images.shape[:2], -1)
  columns = [features[:, k] for k in range(QUALITY_STEPS)]
  frechet, kernel = ([measure(real, c) for c in columns] for measure in (distribution.frechet, distribution.kernel))
  found.curves.update(quality_alpha=np.linspace(0, 1, QUALITY_STEPS).tolist(), frechet=frechet, kernel=kernel)
  for name, curve in (('frechet', frechet), ('kernel', kernel)):
    ends, middle = (curve[0] + curve[-1]) / 2, curve[QUALITY_STEPS // 2]
    found.metrics.update({f'{name}_ends': ends, f'{name}_middle': middle, f'{name}_gap': middle - ends})
  found.metrics.update(distribution.coverage(real, columns[QUALITY_STEPS // 2]))
  long = strips(functions, *dataset.pairs(PAIRS, PAIR_SEED))
  points = settings.features(long.reshape(-1, *long.shape[2:])).reshape(*long.shape[:2], -1)
  for name, paths in (('pixel', long), ('feature', points)):
    found.metrics.update({f'{name}_{key}': value for key, value in path.score(paths).items()})


def _likelihood(functions, dataset, dataset_name, settings, found):
  from acai_tf.metrics import likelihood

  if functions.posterior:
    images, _ = dataset.test(LIKELIHOOD_IMAGES)

    def posterior(images):
      answer = functions.posterior(images)
      return answer[:, 0], answer[:, 1]

    def log_decoder(images, codes):
      logits = functions.logits(codes).astype(np.float64)
      return ((images + 1) / 2 * logits - np.logaddexp(0, logits)).reshape(len(images), -1).sum(axis=1)

    mean, log_variance = (x.astype(np.float64) for x in posterior(images))
    values = likelihood.log_likelihood(images, posterior, log_decoder, LIKELIHOOD_SAMPLES)
    found.metrics['log_likelihood'] = float(values.mean())
    found.metrics['rate'] = float(0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=1).mean())
    noise = np.random.default_rng(0).standard_normal(mean.shape)
    codes = (mean + np.exp(log_variance / 2) * noise).astype(np.float32)
    found.metrics['distortion'] = float(-log_decoder(images, codes).mean())


_GROUPS = {'reconstruction': _reconstruction, 'probe': _probe, 'lines': _lines, 'codebook': _codebook,
           'fitted_probe': _fitted_probe, 'clustering': _clustering, 'quality': _quality, 'likelihood': _likelihood}


def strips(functions, first, second, steps=STEPS, kind='linear'):
  """Decoded paths between images: [n, ...] twice -> [n, steps, height, width, channels]."""
  import tensorflow as tf

  from acai_tf import interpolation

  codes = interpolation.path(
      tf.constant(functions.encode(first)), tf.constant(functions.encode(second)), steps, kind).numpy()
  images = functions.decode(codes.reshape(-1, *codes.shape[2:]))
  return images.reshape(len(first), steps, *images.shape[1:])


def crossfade(first, second, steps=STEPS):
  """The floor: pixels faded from `first` to `second`, shaped as `strips`."""
  alpha = np.linspace(0, 1, steps, dtype=np.float32)[:, None, None, None]
  return (1 - alpha) * first[:, None] + alpha * second[:, None]


def score_lines(interpolations):
  """`metrics.lines.score` against the data set's own lines."""
  from acai_tf.data import lines as lines_data
  from acai_tf.metrics import lines

  return lines.score(interpolations, *lines_data.templates(size=interpolations.shape[2]))
