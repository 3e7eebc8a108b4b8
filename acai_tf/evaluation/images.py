"""Evaluation of image models: groups of metrics, the data on which they are computed, and their settings."""

import dataclasses
import math
import typing

import numpy as np

from acai_tf.data import image_base
from acai_tf.data import lines as lines_data
from acai_tf.evaluation import codes as codes_lib
from acai_tf.evaluation import figures, groups, subject
from acai_tf.experiment.errors import one_of
from acai_tf.metrics import clustering, codebook, distribution, likelihood, lines, path, probe, reconstruction

PAIRS, STEPS = 256, 16  # of `lines`, as in the paper: interpolations, and images per interpolation
PAIR_SEED = 1  # Every model is tested on the same pairs of images. New lines are drawn at each evaluation.
QUALITY_PAIRS, QUALITY_STEPS = 1024, 9  # of `quality`: interpolants at alpha = 0, 1/8, ..., 1
REAL = 5000  # of `quality`: maximum number of test images
GEODESIC_PAIRS, GEODESIC_BLOCK = 32, 16  # of `geodesic`: pairs, and pairs optimized at a time
SHOWN = 48  # samples from the prior in samples.png
LIKELIHOOD_IMAGES, LIKELIHOOD_SAMPLES = 256, 64  # of `likelihood`: test images, and latents per image
SUFFIXES = ('', '_of_means', '_of_features')  # of metrics on codes, means and features (`codes.encode`)


@dataclasses.dataclass(frozen=True)
class Task(groups.Task):
  """A task on images."""

  def over(self, function) -> np.ndarray:
    """Applies a function to all test images, block by block: [n, ...] outputs."""
    return np.concatenate([function(images) for images, _ in self.dataset.blocks('test')])


def _reconstruction(task):
  blocks = task.dataset.blocks('test')
  task.measured.metrics.update(reconstruction.score(
      (images, task.functions.decode(task.functions.encode(images))) for images, _ in blocks))


def _probe(task):
  answers = task.over(task.functions.classify)
  task.measured.metrics['probe_accuracy'] = probe.accuracy(answers, task.dataset.test_labels)


def _lines(task):
  ends, measured = task.dataset.pairs(PAIRS, task.settings.seeds), task.measured
  seeds = {'': task.settings.seeds, '_of_means': None} if task.functions.encode_sample else {'': None}
  for suffix, seed in seeds.items():
    images = strips(task.functions, *ends, seed=seed)  # [PAIRS, STEPS, height, width, 1]
    distances, nearest = lines.follow(images, *lines_data.templates(size=images.shape[2]))  # [PAIRS, STEPS] each
    measured.metrics.update(_with_suffix(lines.summary(distances, nearest), suffix))
    measured.curves[f'distance{suffix}'] = distances.mean(axis=0).tolist()
    if not suffix:
      measured.arrays['angles'] = np.unwrap(nearest, axis=1)
  measured.curves['alpha'] = np.linspace(0, 1, STEPS).round(6).tolist()


def _reencoded(task):
  dataset, functions, measured, features = task.dataset, task.functions, task.measured, task.settings.features
  if dataset.benchmark == 'lines':
    images = reencoded(functions, strips(functions, *dataset.pairs(PAIRS, task.settings.seeds)))
    measured.metrics.update(_with_suffix(score_lines(images), '_reencoded'))
  real = _real_features(task)
  decoded = np.concatenate([_features(features, reencoded(functions, images))
                            for images in _paths(task, QUALITY_PAIRS, 3)])  # [n, 3, d]
  curve = [distribution.frechet(real, decoded[:, k]) for k in range(3)]
  measured.metrics.update(_with_suffix(_gap('frechet', curve), '_reencoded'))


def _with_suffix(metrics, suffix):
  """Appends one of SUFFIXES to the metrics' names, before '_ci95' if a name ends with it."""
  ends = {name: '_ci95' if name.endswith('_ci95') else '' for name in metrics}
  return {name.removesuffix(ends[name]) + suffix + ends[name]: value for name, value in metrics.items()}


def _codebook(task):
  indices = task.over(task.functions.indices)
  task.measured.metrics.update(codebook.score(indices, task.functions.codebook, indices.shape[1]))


def _codes(task):
  """The codes of the images (`codes.encode`), computed once for all groups."""
  settings = task.settings
  if 'codes' not in task.measured.arrays:
    task.measured.arrays['codes'] = codes_lib.encode(
        task.functions, task.dataset, settings.train_images, settings.seeds, settings.codes, task.progress)
  return task.measured.arrays['codes']


def _fitted_probe(task):
  parts, metrics = _codes(task), task.measured.metrics
  task.progress('fitted_probe: logistic regression')
  seen = [(part.get('features', part.get('means', part['codes'])), part['labels']) for part in parts.values()]
  metrics['fitted_probe_accuracy'], metrics['fitted_probe_c'] = probe.fitted_accuracy(*seen[0], *seen[1])


def _clustering(task):
  train, test = (_codes(task)[part] for part in codes_lib.PARTS)
  for suffix, name in zip(SUFFIXES, ('codes', 'means', 'features'), strict=True):
    if name in train:
      scores, table = clustering.score(
          train[name], test[name], test['labels'], task.dataset.classes, task.settings.restarts,
          progress=lambda done, total, name=name: task.progress(f'clustering: k-means of {name}', done, total))
      task.measured.metrics.update(_with_suffix(scores, suffix))
      task.measured.arrays.setdefault('confusion', table)


def _quality(task):
  features, real = task.settings.features, _real_features(task)
  interpolants = np.concatenate(  # [QUALITY_PAIRS, QUALITY_STEPS, d]
      [_features(features, images) for images in _paths(task, QUALITY_PAIRS, QUALITY_STEPS)])
  task.progress('quality: distances')
  columns = [interpolants[:, k] for k in range(QUALITY_STEPS)]
  curves, metrics = task.measured.curves, task.measured.metrics
  frechet, kernel = ([measure(real, c) for c in columns] for measure in (distribution.frechet, distribution.kernel))
  curves.update(quality_alpha=np.linspace(0, 1, QUALITY_STEPS).tolist(), frechet=frechet, kernel=kernel)
  for name, curve in (('frechet', frechet), ('kernel', kernel)):
    metrics.update(_gap(name, curve))
  metrics.update(distribution.coverage(real, columns[QUALITY_STEPS // 2]))
  metrics['frechet_interpolated'] = distribution.frechet(real, _between_neighbours(task, len(real)))
  if task.functions.sample:
    task.progress('quality: samples')
    seed = int(np.random.SeedSequence(task.settings.seeds).generate_state(1)[0] >> 1)
    images = task.functions.sample(len(real), seed)
    task.measured.arrays['samples'] = images[:SHOWN]
    for name, measure in (('frechet', distribution.frechet), ('kernel', distribution.kernel)):
      metrics[f'{name}_samples'] = measure(real, features(images))
  steps = [(path.steps(images), path.steps(_features(features, images))) for images in _paths(task, PAIRS, STEPS)]
  for name, sizes in zip(('pixel', 'feature'), zip(*steps, strict=True), strict=True):
    metrics.update({f'{name}_{key}': value for key, value in path.summary(np.concatenate(sizes)).items()})


def _gap(name, curve):
  """Metrics of the distances `curve` along paths, an odd number from end to end; their names begin with `name`."""
  ends, middle = (curve[0] + curve[-1]) / 2, curve[len(curve) // 2]
  return {f'{name}_ends': ends, f'{name}_middle': middle, f'{name}_gap': middle - ends}


def _real_features(task):
  """Features of at most `REAL` test images, [n, d]."""
  return np.concatenate([task.settings.features(images) for images, _ in task.dataset.blocks('test', REAL)])


def _between_neighbours(task, count):
  """Features of the images decoded between the codes of `count` test images and the nearest training codes, [n, d]."""
  train, test = (part.get('means', part['codes']) for part in map(_codes(task).get, codes_lib.PARTS))
  task.progress('quality: nearest neighbours')
  image, _ = task.dataset.test(1)
  codes = distribution.between_neighbours(test[task.dataset.chosen(len(test), count)], train).astype(np.float32)
  codes = codes.reshape(-1, *task.functions.encode(image).shape[1:])
  size = max(1, image_base.BLOCK // image.nbytes)
  return np.concatenate([task.settings.features(task.functions.decode(codes[start:start + size]))
                         for start in range(0, len(codes), size)])


def _features(features, images):
  """Features of [n, steps, height, width, channels] paths, [n, steps, d]."""
  return features(images.reshape(-1, *images.shape[2:])).reshape(*images.shape[:2], -1)


def _pairs(task, count, steps):
  """Yields `count` pairs, two arrays [n, height, width, channels], in pieces whose paths of `steps` fit a block."""
  size = max(1, image_base.BLOCK // (4 * steps * math.prod(task.dataset.shape)))
  for start in range(0, count, size):
    task.progress(f'paths of {steps} images', start, count)
    yield task.dataset.pairs(count, PAIR_SEED, slice(start, start + size))


def _paths(task, count, steps):
  """Yields decoded paths between `count` pairs, [n, steps, height, width, channels], in pieces that fit a block."""
  for pair in _pairs(task, count, steps):
    yield strips(task.functions, *pair, steps)


def _geodesic(task):
  functions, metrics = task.functions, task.measured.metrics
  ends = np.stack([functions.encode(images) for images in task.dataset.pairs(GEODESIC_PAIRS, PAIR_SEED)], axis=1)
  find, lengths, shown = functions.geodesics(), [], []
  for start in range(0, GEODESIC_PAIRS, GEODESIC_BLOCK):
    task.progress('geodesic: shortest paths', start, GEODESIC_PAIRS)
    straight, shortest = find(ends[start:start + GEODESIC_BLOCK]).swapaxes(0, 1)
    direct = crossfade(straight[:, 0], straight[:, -1], 3)
    lengths.append([path.steps(images).sum(axis=1) for images in (straight, shortest, direct)])
    shown.append([images[:, ::subject.PARTS] for images in (straight, shortest)])
  metrics.update(path.gain(*np.concatenate(lengths, axis=1)))
  paths = dict(zip(('straight', 'geodesic'), np.concatenate(shown, axis=1), strict=True))
  if task.dataset.benchmark == 'lines':
    metrics.update({f'{name}_distance': score_lines(images)['mean_distance'] for name, images in paths.items()})
  task.measured.arrays.update(paths)


def _same_class(task):
  features, between = task.settings.features, task.functions.same_class
  pieces, changes = [], []
  for first, second in _pairs(task, QUALITY_PAIRS, 6):
    straight = strips(task.functions, first, second, 3)  # [n, 3, height, width, channels]
    kept = np.stack([straight[:, 0], *(between(first, second, alpha) for alpha in (0.5, 1.0))], axis=1)
    pieces.append(_features(features, np.concatenate([kept, straight], axis=1)))  # [n, 6, d]
    changes.append([np.sqrt(np.mean(np.square(path[:, 2] - path[:, 0]), axis=(1, 2, 3))) for path in (kept, straight)])
  task.progress('same_class: judge')
  seen = [(features(images), labels) for images, labels in task.dataset.blocks('train', REAL)]
  both, (change_kept, change_straight) = np.concatenate(pieces), np.concatenate(changes, axis=1).mean(axis=1)
  judged = probe.predictions(*map(np.concatenate, zip(*seen, strict=True)), both.reshape(-1, both.shape[2])).reshape(
      both.shape[:2])
  shares = np.mean(judged == judged[:, :1], axis=0)
  task.measured.metrics.update(
      class_kept_middle=float(shares[1]), class_kept_end=float(shares[2]), class_kept_straight_middle=float(shares[4]),
      class_kept_straight_end=float(shares[5]),
      class_kept_change=float(change_kept / change_straight) if change_straight else None)


def _likelihood(task):
  functions = task.functions
  images, _ = task.dataset.test(LIKELIHOOD_IMAGES)

  def posterior(images):
    parameters = functions.posterior(images)  # [n, 2, d]
    return parameters[:, 0], parameters[:, 1]

  def log_decoder(images, codes):
    logits = functions.logits(codes).astype(np.float64)
    return ((images + 1) / 2 * logits - np.logaddexp(0, logits)).reshape(len(images), -1).sum(axis=1)

  mean, log_variance = (x.astype(np.float64) for x in posterior(images))
  values = likelihood.log_likelihood(images, posterior, log_decoder, LIKELIHOOD_SAMPLES)
  noise = np.random.default_rng(0).standard_normal(mean.shape)
  codes = (mean + np.exp(log_variance / 2) * noise).astype(np.float32)
  task.measured.metrics.update(
      log_likelihood=float(values.mean()),
      rate=float(0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=1).mean()),
      distortion=float(-log_decoder(images, codes).mean()))


# In the order in which they are computed. Quick groups take seconds each, and are also computed during training.
GROUPS = {
    'reconstruction': groups.Group(_reconstruction, lambda functions, dataset: True, quick=True),
    'probe': groups.Group(_probe, lambda functions, dataset: functions.classify and dataset.classes, quick=True),
    'lines': groups.Group(_lines, lambda functions, dataset: dataset.benchmark == 'lines', quick=True),
    'codebook': groups.Group(_codebook, lambda functions, dataset: functions.indices, quick=True),
    'fitted_probe': groups.Group(_fitted_probe, lambda functions, dataset: dataset.classes),
    'clustering': groups.Group(_clustering, lambda functions, dataset: (
        dataset.classes and dataset.test_labels.ndim == 1)),
    'quality': groups.Group(_quality, lambda functions, dataset: len(dataset.test_images) > distribution.NEIGHBOURS),
    'reencoded': groups.Group(_reencoded, lambda functions, dataset: True),
    'likelihood': groups.Group(_likelihood, lambda functions, dataset: functions.posterior),
    'geodesic': groups.Group(_geodesic, lambda functions, dataset: functions.geodesics),
    'same_class': groups.Group(_same_class, lambda functions, dataset: (
        functions.same_class and dataset.classes and dataset.test_labels.ndim == 1)),
}
FEATURES = ('quality', 'reencoded', 'same_class')  # the groups that need a feature network
# Field of Settings -> the groups that use it.
NEEDS = {'restarts': ('clustering',), 'train_images': ('clustering', 'fitted_probe', 'quality')}
QUICK = tuple(name for name, group in GROUPS.items() if group.quick)


@dataclasses.dataclass(frozen=True)
class Settings:
  """Settings of an evaluation of image models."""

  groups: tuple = QUICK  # names of the groups of metrics
  restarts: int = 10  # of k-means; 1000 in the paper
  train_images: int = 60_000  # images for probe and clustering, as in the paper, and for nearest neighbours
  features: typing.Any = None  # `feature_network.Features` for the groups of FEATURES
  seeds: tuple = (0, 0)  # of sampled lines and codes, for example the run's seed and step
  codes: object = None  # cache folder of codes; None for no cache

  def __post_init__(self):
    for group in self.groups:
      one_of('--metrics', group, GROUPS)

  def facts(self) -> dict:
    """The settings that a record stores. `feature_network` is its identity, None if there is no feature network."""
    return {'pairs': {'count': PAIRS, 'steps': STEPS, 'draw': self.seeds}, 'kmeans_restarts': self.restarts,
            'train_images': self.train_images, 'feature_network': self.features.identity if self.features else None}


def strips(functions, first, second, steps=STEPS, kind='linear', seed=None) -> np.ndarray:
  """Decodes interpolations between images.

  Args:
    functions: `subject.Functions`.
    first, second: [n, height, width, channels] images.
    steps: number of images per path, endpoints included.
    kind: one of `interpolation.PATHS`.
    seed: ints. If given, both endpoints are sampled from q(z|x), as the authors do; otherwise they are encoded.

  Returns:
    [n, steps, height, width, channels].
  """
  import tensorflow as tf

  from acai_tf import interpolation

  if seed is None:
    ends = [functions.encode(images) for images in (first, second)]
  else:
    ends = [functions.encode_sample(images, [*seed, i]) for i, images in enumerate((first, second))]
  codes = interpolation.path(tf.constant(ends[0]), tf.constant(ends[1]), steps, kind).numpy()
  images = functions.decode(codes.reshape(-1, *codes.shape[2:]))
  return images.reshape(len(first), steps, *images.shape[1:])


def crossfade(first, second, steps=STEPS) -> np.ndarray:
  """Cross-fades pixels from `first` to `second`, a lower baseline. Shapes as in `strips`."""
  alpha = np.linspace(0, 1, steps, dtype=np.float32)[:, None, None, None]
  return (1 - alpha) * first[:, None] + alpha * second[:, None]


def reencoded(functions, paths) -> np.ndarray:
  """Encodes and decodes the images of paths again.

  Args:
    functions: `subject.Functions`.
    paths: [n, steps, height, width, channels] decoded images.

  Returns:
    [n, steps, height, width, channels].
  """
  images = np.clip(paths.reshape(-1, *paths.shape[2:]), -1, 1)
  return functions.decode(functions.encode(images)).reshape(paths.shape)


def score_lines(interpolations) -> dict:
  """`metrics.lines.score` with the lines of the data set as templates."""
  return lines.score(interpolations, *lines_data.templates(size=interpolations.shape[2]))


def nearest_lines(images, count) -> tuple:
  """`metrics.lines.nearest_lines` with `count` lines of the data set as templates."""
  return lines.nearest_lines(images, *lines_data.templates(count, images.shape[1]))


def crossfade_metrics(dataset, seeds) -> dict:
  """Metrics of the pixel cross-fade between the pairs of `seeds`, if the lines benchmark applies; otherwise {}."""
  return score_lines(crossfade(*dataset.pairs(PAIRS, seeds))) if dataset.benchmark == 'lines' else {}


def show(functions, dataset, writer) -> None:
  """Writes a few decoded paths as an image to TensorBoard, at the writer's step."""
  import tensorflow as tf

  strip = figures.to_uint8(figures.tile(strips(functions, *dataset.pairs(6, PAIR_SEED))))
  with writer:
    tf.summary.image('interpolation', strip[None])
