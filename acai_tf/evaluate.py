"""Evaluates a run, pretrained weights, an exported module, or files with interpolations or sentences of any program."""

import json
import typing

import numpy as np
from absl import flags

from acai_tf import cli, files
from acai_tf.data import base, text_base
from acai_tf.data import lines as lines_data
from acai_tf.evaluation import images, report, text
from acai_tf.evaluation.modality import IMAGES, MODALITIES, SENTENCES
from acai_tf.experiment import machine, registry, strict_json
from acai_tf.experiment.errors import UserError, unknown
from acai_tf.experiment.overrides import parse_overrides
from acai_tf.experiment.resolve import resolve_dataset
from acai_tf.experiment.run import WEIGHTS, Run
from acai_tf.metrics import lines, text_path
from acai_tf.training import build
from acai_tf.zoo import _card, _weights
from acai_tf.zoo import base as zoo

FLAGS = flags.FlagValues()  # Not absl's global flags: acai_tf.train defines some of the same names.
flags.DEFINE_string('run', None, 'Run folder of acai train', flag_values=FLAGS)
flags.DEFINE_enum('checkpoint', 'last', ['last', 'best'], 'Checkpoint of --run', flag_values=FLAGS)
flags.DEFINE_enum('weights', 'average', WEIGHTS, 'EMA of the weights (if the run has one), or raw weights',
                  flag_values=FLAGS)
flags.DEFINE_string('zoo', None, 'Definition with pretrained weights (acai zoo list)', flag_values=FLAGS)
flags.DEFINE_string('module', None, 'Folder of an exported module; an address needs --trust', flag_values=FLAGS)
flags.DEFINE_string('dataset', None, 'Data set that --module, --sentences or --paths is evaluated on',
                    flag_values=FLAGS)
flags.DEFINE_multi_string('set', [], 'dataset.KEY=VALUE, a setting of --dataset (repeatable)', flag_values=FLAGS)
flags.DEFINE_string('interpolations', None, '.npy file of interpolated lines, [n, k, 32, 32, 1] in [-1, 1]',
                    flag_values=FLAGS)
flags.DEFINE_string('sentences', None, 'File of generated sentences, one per line', flag_values=FLAGS)
flags.DEFINE_string('paths', None, 'File of paths between sentences, one per line, separated by tabs',
                    flag_values=FLAGS)
flags.DEFINE_list('metrics', ['quick'], f'quick ({", ".join(IMAGES.quick)}), all, or groups: '
                  f'{", ".join([*IMAGES.groups][len(IMAGES.quick):])}, ...; of sentences {", ".join(SENTENCES.groups)}',
                  flag_values=FLAGS)
flags.DEFINE_integer('restarts', None, 'Restarts of k-means [10; 1000 for a run of recipe paper]', 1, flag_values=FLAGS)
flags.DEFINE_integer('train_images', None, 'Training images for probe, clustering and neighbours [60000]', 20,
                     flag_values=FLAGS)
flags.DEFINE_string('features', None, f'Feature network (a module) for {", ".join(images.FEATURES)} [a small '
                    'classifier, trained here]', flag_values=FLAGS)
flags.DEFINE_integer('feature_size', 299, 'Height and width of the input of --features', 8, flag_values=FLAGS)
flags.DEFINE_bool('trust', False, 'Skip the check of the operations of --module or --features; a module is a '
                  'program', flag_values=FLAGS)
flags.DEFINE_string('to', None, 'Folder for the results of --zoo or --module', flag_values=FLAGS)
cli.define_data_flags(FLAGS)
GROUPS = {
    'What to evaluate': ['run', 'checkpoint', 'weights', 'zoo', 'module', 'dataset', 'set', 'interpolations',
                         'sentences', 'paths', 'to'],
    'How to evaluate': ['metrics', 'restarts', 'train_images', 'features', 'feature_size', 'trust'],
    'Data': ['data_dir', 'manual_dir'],
}
# The flags that apply in each mode, besides the flag that selects the mode.
MODES = {
    'run': ['checkpoint', 'weights', *GROUPS['How to evaluate'], *GROUPS['Data']],
    'zoo': ['to', *GROUPS['How to evaluate'], *GROUPS['Data']],
    'module': ['dataset', 'set', 'to', *GROUPS['How to evaluate'], *GROUPS['Data']],
    'interpolations': ['metrics'],
    'sentences': ['dataset', 'set', *GROUPS['Data']],
    'paths': ['dataset', 'set', *GROUPS['Data']],
}
# The groups of image metrics to which a flag applies.
NEEDS = images.NEEDS | {'features': images.FEATURES, 'feature_size': images.FEATURES}


def score_file(path) -> None:
  """Scores a .npy file of interpolations on the lines benchmark and prints the figures.

  Raises:
    UserError: the file cannot be read, or its shape or range is wrong.
  """
  try:
    images = base.mapped(path)
  except (OSError, ValueError) as error:
    raise UserError(f'{path} cannot be read ({getattr(error, "strerror", None) or error}); expected a .npy file, '
                    '[n, k, 32, 32, 1] numbers.') from error
  try:
    if images.ndim == 5 and images.size and images.shape[2:] == (32, 32, 1) and np.isfinite(images).all():
      lines.check_range(images)
    elif images.ndim != 5:
      raise ValueError(f'interpolations have shape {images.shape}; expected [n, k >= 3, 32, 32, 1]')
    scores = lines.score(images, *lines_data.templates())
  except ValueError as error:
    raise UserError(f'{path}: {error}.') from error
  count, steps = images.shape[:2]
  if empty := lines.without_line(images):
    print(f'warning: {empty:,} of {count * steps:,} images have no pixel above 0 and thus no line; the benchmark still '
          'scores them.')
  print(f'{path}: {count} interpolations of {steps} images\n\n{report.grid_of(scores)}\n\n± is half the 95 % '
        'confidence interval over interpolations. The published figures are means over 256 interpolations of 16 '
        'images.')


def score_text(data_dir) -> None:
  """Scores a file of sentences, or of paths between sentences, against the text of --dataset; prints the figures."""
  config = config_of_flags(registry.names('acai_tf.data', 'sentences'))
  build.check_manual_dir(FLAGS.dataset, FLAGS.manual_dir)
  cli.start_tensorflow()
  dataset = build.load_dataset(FLAGS.dataset, config, data_dir, FLAGS.manual_dir)
  if FLAGS.sentences:
    sentences = text_base.read_sentences(FLAGS.sentences)
    metrics = text.score_samples(sentences, dataset)
    what = f'{len(sentences):,} sentences, scored by trigrams (docs/benchmarks.md)'
  else:
    try:
      paths = text_path.parse(strict_json.read_text(FLAGS.paths).removeprefix('\ufeff').split('\n'))
    except (OSError, ValueError) as error:
      raise UserError(f'{FLAGS.paths}: {getattr(error, "strerror", None) or error}; expected paths of sentences, one '
                      'per line.') from error
    metrics = {key: value for key, value in text.score_paths(paths, dataset).items() if isinstance(value, float)}
    what = f'{len(paths):,} paths of {len(paths[0])} sentences, scored by a trigram (docs/benchmarks.md)'
  print(f'{FLAGS.sentences or FLAGS.paths}: {what}\n\n{report.grid_of(metrics)}')


def config_of_flags(names) -> typing.Any:
  """Returns the Config of --dataset with the overrides of --set.

  Raises:
    UserError: --dataset is missing or none of `names`, or an override is wrong.
  """
  if FLAGS.dataset not in names:
    raise UserError(unknown('data set', FLAGS.dataset, names) if FLAGS.dataset else
                    f'--dataset is missing; expected one of {", ".join(names)}.')
  overrides = parse_overrides(FLAGS.set)
  for section, values in overrides.items():
    for key in values if section != 'dataset' else ():
      raise UserError(f'--set {section}.{key} does not apply here; expected dataset.KEY=VALUE.')
  return resolve_dataset(FLAGS.dataset, overrides['dataset'])


def groups_of(kind) -> tuple[str, ...]:
  """Returns the groups of metrics that --metrics selects for a kind of data, 'images' or 'sentences'.

  Raises:
    UserError: a group is unknown, or another flag does not apply to any of the groups.
  """
  known = MODALITIES[kind]
  groups = {('all',): tuple(known.groups), ('quick',): known.quick}.get(tuple(FLAGS.metrics), tuple(FLAGS.metrics))
  for group in FLAGS.metrics:
    if group not in (*known.groups, 'quick', 'all'):
      raise UserError(unknown(f'metrics of {kind}', group, (*known.groups, 'quick', 'all')))
  if {'quick', 'all'} & {*groups}:
    raise UserError(f'--metrics {",".join(groups)}: expected quick or all by itself, or groups of metrics.')
  for name, needed in NEEDS.items():
    if FLAGS[name].present and not {*needed} & {*groups}:
      raise UserError(f'--{name} does not apply to --metrics {",".join(FLAGS.metrics)} of {kind}; it is for '
                      f'{", ".join(needed)} of images.')
  if FLAGS['feature_size'].present and not FLAGS.features:
    raise UserError('--feature_size applies only with --features, which is missing.')
  if FLAGS.trust and not (FLAGS.module or FLAGS.features):
    raise UserError('--trust applies only with --module or --features, which are missing.')
  return groups


def settings_of(kind, recipe, dataset, dataset_name, data_dir) -> images.Settings | text.Settings:
  """Returns the evaluation settings of a kind of data from the flags; trains the feature network if it is missing."""
  groups = groups_of(kind)
  if kind == 'sentences':
    return text.Settings(groups)
  restarts = FLAGS.restarts or (report.PAPER_RESTARTS if recipe == 'paper' else 10)
  features = None
  if judged := {*images.FEATURES} & {*groups}:
    from acai_tf.evaluation import feature_network  # Loads TensorFlow.

    if FLAGS.features:
      features = feature_network.of_module(FLAGS.features, FLAGS.feature_size, FLAGS.trust)
    elif dataset.classes or FLAGS.metrics != ['all']:
      with cli.Status() as status:
        features = feature_network.load(dataset, dataset_name, data_dir, progress=status)
    else:
      print(f'skipping {", ".join(sorted(judged))}: {dataset_name} has no labels to train a feature network on (use '
            '--features).')
      groups = tuple(group for group in groups if group not in judged)
  return images.Settings(groups, restarts, FLAGS.train_images or images.Settings.train_images, features=features)


def check_to() -> None:
  """Raises UserError if --to is given and cannot be written, or is the run folder of a training."""
  if FLAGS.to:
    cli.check_folder('to', FLAGS.to)
    if Run(FLAGS.to).is_claimed():
      raise UserError(f'--to {FLAGS.to} is the run folder of a training, whose metrics would be lost; expected another '
                      'folder.')


def evaluate_module(data_dir) -> None:
  """Evaluates an exported module, loaded by hub.load, on --dataset; prints the figures and writes them to --to."""
  config = config_of_flags(registry.names('acai_tf.data'))
  build.check_manual_dir(FLAGS.dataset, FLAGS.manual_dir)
  modality = MODALITIES[registry.kind_of('acai_tf.data', FLAGS.dataset)]
  groups_of(modality.name)
  check_to()
  cli.start_tensorflow()
  functions, shape = modality.functions_of_module(FLAGS.module, FLAGS.trust)
  dataset = build.load_dataset(FLAGS.dataset, config, data_dir, FLAGS.manual_dir)
  if shape and tuple(dataset.shape) != shape:
    raise UserError(f'module {FLAGS.module} takes images of {"x".join(map(str, shape))}; {FLAGS.dataset} has '
                    f'{"x".join(map(str, dataset.shape))}.')
  settings = settings_of(modality.name, 'fast', dataset, FLAGS.dataset, data_dir)
  with cli.Status() as status:
    measured = modality.measure(functions, dataset, FLAGS.dataset, settings, f'module {FLAGS.module}', status)
  title = f'module {FLAGS.module} on {FLAGS.dataset}'
  restarts = report.restarts_of(measured.metrics, getattr(settings, 'restarts', None))
  print(f'\n{title}\n\n{report.grid_of(measured.metrics)}{restarts}')
  if FLAGS.to:
    to = Run(FLAGS.to)
    to.folder.mkdir(parents=True, exist_ok=True)
    paths = modality.save_pictures(functions, dataset, measured, title, to.folder)
    files.write(to.metrics, json.dumps({
        'module': FLAGS.module, 'dataset': FLAGS.dataset, 'metrics': measured.metrics, 'curves': measured.curves,
        **settings.facts()}, indent=2) + '\n')
    print(f'\nwrote {", ".join(str(p) for p in [to.metrics, *paths])}')


def main() -> None:
  """Runs the program."""
  modes = [key for key in MODES if FLAGS[key].value]
  if len(modes) != 1:
    raise UserError('expected one of --run DIR (made by acai_tf.train), --zoo NAME, --module DIR --dataset NAME, '
                    '--interpolations FILE.npy, --sentences FILE and --paths FILE.')
  cli.only(FLAGS, [*modes, *MODES[modes[0]]], f'with --{modes[0]}')
  data_dir = machine.data_dir(FLAGS.data_dir)
  if FLAGS.interpolations:
    if FLAGS.metrics not in (['quick'], ['all'], ['lines']):
      raise UserError(f'--interpolations are scored by --metrics lines, not {",".join(FLAGS.metrics)}.')
    return score_file(FLAGS.interpolations)
  if FLAGS.sentences or FLAGS.paths:
    return score_text(data_dir)
  if FLAGS.module:
    return evaluate_module(data_dir)
  if FLAGS.zoo:
    cli.start_tensorflow()
    experiment = _weights.record_of(FLAGS.zoo)[0].experiment
    groups_of(experiment.kind)
    build.check_manual_dir(experiment.dataset_name, FLAGS.manual_dir)
    check_to()
    experiment, model, samples = _weights.load(FLAGS.zoo)
  else:
    cli.start_tensorflow()
    run = Run(FLAGS.run)
    experiment = run.experiment()
    groups_of(experiment.kind)
    build.check_manual_dir(experiment.dataset_name, FLAGS.manual_dir)
    cli.check_folder('run', FLAGS.run)
    experiment, model, step = build.load_model(run, FLAGS.checkpoint, weights=FLAGS.weights)
    samples = step * experiment.training.batch
  dataset = build.load_data(experiment, data_dir, FLAGS.manual_dir)
  model.adapt(dataset)
  settings = settings_of(experiment.kind, experiment.training.recipe, dataset, experiment.dataset_name, data_dir)
  folder = FLAGS.run or FLAGS.to
  report.report(experiment, model, dataset, samples, Run(folder) if folder else None, settings, FLAGS.weights,
                zoo.published_for(experiment))
  if FLAGS.zoo:
    print(f'\nThese are the weights of one seed, {experiment.training.seed}. On record:\n\n'
          f'{_card.scores_text(FLAGS.zoo)}')
  return None


def program() -> None:
  """Parses the flags, runs the program and exits."""
  cli.run(main, 'acai evaluate --run DIR: evaluates a run, and writes metrics.json and pictures.\n'
              'Also --zoo NAME (pretrained weights), --module DIR --dataset NAME, and output of any program:\n'
              '--interpolations FILE.npy (lines), --sentences FILE and --paths FILE.',
          GROUPS, flag_values=FLAGS)


if __name__ == '__main__':
  program()
