"""The program `acai zoo`: lists, trains, compares, exports and publishes definitions (`COMMANDS`)."""

import dataclasses
import inspect
import pathlib
import sys
import threading

from absl import flags
from rich import box
from rich import table as rich_table

from acai_tf import cli, zoo
from acai_tf.evaluation import images
from acai_tf.evaluation.modality import MODALITIES
from acai_tf.experiment.config import TextNetwork
from acai_tf.experiment.errors import UserError, unknown
from acai_tf.experiment.run import Run
from acai_tf.export import __main__ as export_program
from acai_tf.export import formats
from acai_tf.metrics import labels
from acai_tf.training import build, weights
from acai_tf.zoo import (
  _card,
  _compare,
  _gallery,
  _jobs,
  _publish,
  _records,
  _report,
  _reproduce,
  _tables,
  _weights,
  base,
)

FLAGS = flags.FlagValues()  # A separate set, because acai_tf.train defines some of the same names.
flags.DEFINE_string('dataset', None, 'Only definitions of this data set', flag_values=FLAGS)
flags.DEFINE_string('model', None, 'Only definitions of this model', flag_values=FLAGS)
flags.DEFINE_bool('pretrained', False, 'Only definitions with pretrained weights', flag_values=FLAGS)
flags.DEFINE_enum('recipe', None, ['paper', 'fast'], 'Hyperparameters [paper for show, fast for reproduce]',
                  flag_values=FLAGS)
flags.DEFINE_integer('seeds', 1, 'Number of seeds, from 0 on', 1, flag_values=FLAGS)
flags.DEFINE_integer('jobs', 1, 'Trainings in parallel, each on its own CPU cores or GPU', 1, flag_values=FLAGS)
flags.DEFINE_bool('plan', False, 'Only print what would be trained and how long it takes',
                  flag_values=FLAGS)
flags.DEFINE_integer('samples', None, "Training samples of each run [the recipe's]", 1, flag_values=FLAGS)
flags.DEFINE_multi_string('set', [], 'SECTION.KEY=VALUE, a setting that the ablation changes (repeatable)',
                          flag_values=FLAGS)
flags.DEFINE_integer('restarts', None, 'Restarts of k-means [10; 1000 for recipe paper]', 1, flag_values=FLAGS)
flags.DEFINE_integer('train_images', None, 'Training images for probe, clustering and neighbours [60000]', 20,
                     flag_values=FLAGS)
flags.DEFINE_string('runs', 'runs', 'Folder of the run folders', flag_values=FLAGS)
flags.DEFINE_string('run', None, 'Run folder: keep stores its weights, gallery also shows it',
                    flag_values=FLAGS)
flags.DEFINE_string('weights', str(_weights.FOLDER), 'Folder of the pretrained weights', flag_values=FLAGS)
flags.DEFINE_bool('all', False, 'Also shorter trainings', flag_values=FLAGS)
flags.DEFINE_bool('brief', False, 'Fewer columns, and only trained definitions', flag_values=FLAGS)
flags.DEFINE_bool('published', False, 'As --brief, but only definitions and metrics with published figures',
                  flag_values=FLAGS)
flags.DEFINE_bool('ablation', False, 'Compare the recipe of a definition with changed settings', flag_values=FLAGS)
flags.DEFINE_bool('sources', False, 'Compare samples of a sentence model with other sources of latents',
                  flag_values=FLAGS)
flags.DEFINE_list('metrics', [], 'Groups of metrics for reproduce [all]; metrics that the table shows instead of its '
                  'columns', flag_values=FLAGS)
flags.DEFINE_string('results', str(_records.FOLDER), 'Folder of the result files', flag_values=FLAGS)
flags.DEFINE_string('format', None, 'Format of the table [text] or card [markdown]', flag_values=FLAGS)
flags.DEFINE_string('to', None, 'File for the report [report.html] or card [standard output]; new folder for the '
                    'gallery [gallery]; where to publish: kaggle or huggingface', flag_values=FLAGS)
flags.DEFINE_list('formats', [], 'Further formats beside saved_model: litert, onnx; they are compared on the data set',
                  flag_values=FLAGS)
flags.DEFINE_bool('serve', False, 'Serve the gallery on this machine until Ctrl-C', flag_values=FLAGS)
flags.DEFINE_string('owner', None, 'Account to publish under, named in the card', flag_values=FLAGS)
flags.DEFINE_bool('yes', False, 'Upload; otherwise only print what would be uploaded', flag_values=FLAGS)
cli.define_data_flags(FLAGS)

DATA = ['data_dir', 'manual_dir']


@dataclasses.dataclass(frozen=True)
class Command:
  """A command of the program: its arguments, what it does, and its flags.

  `flags` maps a flag to the text that its help has for this command, or '' for the flag's own.
  """

  arguments: str
  description: str
  flags: dict[str, str]

  def usage(self, name) -> str:
    """The first line of the help."""
    return f'acai zoo {name} {self.arguments}'.rstrip() + f': {self.description}.'


COMMANDS = {
    'list': Command('[PATTERN...]', 'lists definitions, with weights, our scores and published figures', {
        'dataset': '', 'model': '', 'pretrained': ''}),
    'show': Command('NAME', 'prints the layers and settings of a definition, its scores and how to load it', {
        'recipe': 'Hyperparameters [paper]'}),
    'reproduce': Command('PATTERN...', 'trains, evaluates and records every run that is missing', {
        'recipe': 'Hyperparameters [fast]', 'samples': '', 'seeds': '', 'set': '', 'jobs': '', 'plan': '',
        'metrics': 'Groups of metrics to measure [all]', 'restarts': '', 'train_images': '', 'runs': '', 'results': '',
        'weights': '', **dict.fromkeys(DATA, '')}),
    'keep': Command('NAME --run DIR', 'stores the weights of the run that a definition reports, for zoo.load', {
        'run': 'Folder of that run', 'results': '', 'weights': '', **dict.fromkeys(DATA, '')}),
    'table': Command('DATASET|NAME|PATTERN', 'prints our figures beside the published ones', {
        'brief': '', 'published': '', 'all': '', 'ablation': '', 'sources': '',
        'metrics': 'Metrics to show, not the usual columns', 'format': 'text, markdown or html [text]', 'results': ''}),
    'report': Command('', 'writes all results as one page of HTML', {'to': 'File [report.html]', 'results': ''}),
    'card': Command('NAME', 'prints the model card of a definition', {
        'format': 'markdown or huggingface [markdown]', 'owner': 'Account that the card names',
        'to': 'File [standard output]'}),
    'export': Command('NAME --to DIR', 'exports a pretrained model as a SavedModel, and in further formats', {
        'to': 'New folder for the exported model', 'formats': '', **dict.fromkeys(DATA, '')}),
    'publish': Command('NAME --to kaggle|huggingface --owner OWNER', 'uploads the exported model of a definition', {
        'to': 'kaggle or huggingface', 'owner': 'Account to publish under', 'yes': ''}),
    'gallery': Command('[NAME...]', 'builds a page to interpolate on, with the given or all pretrained models', {
        'to': 'New folder for the page [gallery]', 'serve': '', 'run': 'Run folder to show, too', 'weights': '',
        **dict.fromkeys(DATA, '')}),
}
OVERVIEW = '\n'.join(['acai zoo COMMAND ...',
                      *(f'  {name:<10} {command.description}' for name, command in COMMANDS.items()), '',
                      '`acai zoo COMMAND --help` lists the arguments and flags of a command.'])


def figures(definition) -> list:
  """Published figures as texts."""
  published = base.published(definition.dataset, definition.model, definition.latent_dimension).values()
  return [f'{(label := labels.of(row.metric)).name} {label.quantity(row.value, row.spread)}'
          f'{"" if row.confirmed else " *"}' for row in published]


def show_list(patterns, dataset, model, pretrained) -> None:
  """Prints a table of the definitions that match one of the patterns ('mnist_*'), if there are any.

  Raises:
    UserError: no definition matches a pattern, or all of the conditions.
  """
  grid = rich_table.Table(box=box.SIMPLE_HEAD)
  for heading in ('name', 'latent dimension', 'pretrained on', 'score', 'published'):
    grid.add_column(heading, justify='right' if heading in ('latent dimension', 'pretrained on') else 'left')
  chosen = base.matching(patterns) if patterns else base.definitions()
  kept = _records.pretrained()
  shown = {name: definition for name, definition in base.definitions(dataset, model).items()
           if name in chosen and (name in kept or not pretrained)}
  if not shown:
    raise UserError('no definition matches; expected others, or fewer conditions: acai zoo list shows all.')
  for name, definition in shown.items():
    samples, score = '', ''
    if name in kept:
      samples = f'{kept[name].samples:,} samples'
      score = _compare.scores_line(definition.dataset, kept[name].metrics)
    grid.add_row(name, str(definition.latent_dimension), samples, score, ', '.join(figures(definition)))
  print(cli.text_of(grid, 220))
  print(f'{len(shown)} definitions, {len(shown.keys() & kept.keys())} with pretrained weights (--pretrained); * not '
        'checked against a second source')


def show(name, recipe) -> None:
  """Builds the model of a definition and prints its layers, settings, players and published figures."""
  definition = base.definition(name)
  experiment = definition.resolve(recipe)
  model = build.create(experiment)
  network, training = experiment.network, experiment.training
  print(f'{name}: {definition.model} on {definition.dataset}\n\n{inspect.getdoc(type(model))}\n')
  if isinstance(network, TextNetwork):
    print(f'sentences of at most {model.length - 1} words, vocabulary of {model.ids} ids; latent dimension '
          f'{network.latent}, embedding {network.embedding}, decoder state {network.hidden}, initialization '
          f'{network.start}')
    print(f'settings: {values(experiment.model) or "none"}')
  else:
    show_images(experiment, model)
  print('\nplayers')
  for player in model.players():
    count = sum(v.value.shape.num_elements() for v in model.variables_of(player))
    optimizer = model.optimizers[player]
    print(f'  {player}: {count:,} parameters, {type(optimizer).__name__}')
  print(f'\n{weights.parameter_count(model):,} parameters in total\ntraining: {values(training)}\n')
  published = figures(definition)
  sources = sorted({row.source for row in base.published(
      definition.dataset, definition.model, definition.latent_dimension).values()})
  print('published: ' + (f'{", ".join(published)} ({"; ".join(sources)}; * not checked against a second source)'
                         if published else 'nothing'))
  print(f'train it: acai train --zoo {name} --recipe {recipe}')
  if name in zoo.names(pretrained=True):
    trained = _card.Scored(name).record.experiment.training
    print(f"\nload it: zoo.load('{name}'), or hub.load(zoo.handle('{name}'))\n\n{_card.scores_text(name)}\n"
          f'  trained by: acai train --zoo {name} --recipe {trained.recipe} --samples {trained.samples} '
          f'--seed {trained.seed}')


def values(settings) -> str:
  """Formats a dataclass as 'key value, ...'."""
  return ', '.join(f'{key} {value}' for key, value in dataclasses.asdict(settings).items())


def show_images(experiment, model) -> None:
  """Prints the shapes and layers of a model of images."""
  network = experiment.network
  size = ' x '.join(map(str, model.image_shape))
  print(f'images {size}, latent {" x ".join(map(str, model.code_shape))}, latent dimension '
        f'{experiment.latent_dimension}, {network.depth} channels in the first block, normalization '
        f'{network.normalization}\nsettings: {values(experiment.model) or "none"}\n')
  print(f'encoder: {" -> ".join(layers(model.encoder, model.image_shape))}')
  print(f'decoder: {" -> ".join(layers(model.decoder, model.code_shape))}')


def layers(body, shape) -> list[str]:
  """Lists the layers of an encoder or decoder that change the shape: the kind of layer and its output shape."""
  texts = [' x '.join(map(str, shape))]
  for layer in body.layers:
    new = tuple(layer.compute_output_shape((None, *shape))[1:])
    if new != shape:
      kernel = getattr(layer, 'kernel_size', None)
      kind = 'x'.join(map(str, kernel)) if kernel else type(layer).__name__
      texts.append(f'{kind} {" x ".join(map(str, new))}')
    shape = new
  return texts


def reproduce(patterns) -> int:
  """Trains, evaluates and records every missing run, then prints the tables. Returns the exit status."""
  definitions, failed, settings = base.matching(patterns), [], FLAGS.set
  data_flags, evaluate_flags = ([f'--{key}={value}' for key in keys if (value := getattr(FLAGS, key))]
                                for keys in (('data_dir', 'manual_dir'), ('restarts', 'train_images')))
  asked = [(definition, _reproduce.experiment_of(definition, seed, FLAGS.recipe or 'fast', FLAGS.samples, settings))
           for seed in range(FLAGS.seeds) for definition in definitions.values()]  # Checks all before the first trains.
  for name in ('restarts', 'train_images'):
    if FLAGS[name].present and not all(experiment.kind == 'images' for _, experiment in asked):
      raise UserError(f'--{name} is for models of images; expected only definitions of such.')
  groups = [] if FLAGS.metrics == ['all'] else FLAGS.metrics
  for group in groups:
    for _, experiment in asked:
      if group not in (known := MODALITIES[experiment.kind].groups):
        raise UserError(unknown('value of --metrics', group, known))
  for name, needed in images.NEEDS.items():
    if FLAGS[name].present and groups and not {*needed} & {*groups}:
      raise UserError(f'--{name} does not apply to --metrics {",".join(groups)}; it is for {", ".join(needed)}.')
  evaluate_flags.append(f'--metrics={",".join(groups or ["all"])}')
  if FLAGS.plan:
    jobs = _jobs.plan(asked, settings, FLAGS.runs, FLAGS.results)
    print(_jobs.table(jobs, FLAGS.jobs) if jobs else 'no training is missing')
    return 0
  if FLAGS.jobs > 1:
    return side_by_side(asked, data_flags, evaluate_flags)
  for definition, experiment in asked:
    try:
      status = _reproduce.reproduce(definition, experiment, settings, FLAGS.runs, FLAGS.results, FLAGS.weights,
                                    data_flags, evaluate_flags)
    except (UserError, OSError) as error:  # One failed run must not end the others.
      _reproduce.say(f'{definition.name}, seed {experiment.training.seed}: {error}')
      status = 1
    if status in (130, 143):  # The user stopped it; it did not fail.
      return status
    failed += [f'{definition.name}, seed {experiment.training.seed}'] if status else []
  for dataset in [] if settings else dict.fromkeys(definition.dataset for definition in definitions.values()):
    print(f'\n{dataset}\n\n{_tables.render(dataset, "text", FLAGS.results)}')
  for name in definitions if settings and not failed else []:
    print(f'\n{name}\n\n{_tables.render_ablation(name, "text", FLAGS.results)}')
  if failed:
    raise UserError(f'{len(failed)} runs are missing: {"; ".join(failed)}; their messages are above. '
                    'The same command trains what is missing.')
  return 0


def side_by_side(asked, data_flags, evaluate_flags) -> int:
  """Does what `reproduce` does, but --jobs runs in parallel, and prints a summary instead of the tables.

  Args:
    asked: list of (definition, experiment).
    data_flags, evaluate_flags: as for `_reproduce.reproduce`.
  """
  lock = threading.Lock()

  def one(job, call):
    return _reproduce.reproduce(job.definition, job.experiment, FLAGS.set, FLAGS.runs, FLAGS.results, FLAGS.weights,
                                data_flags, evaluate_flags, call, lock)

  jobs = _jobs.plan(asked, FLAGS.set, FLAGS.runs, FLAGS.results)
  if not jobs:
    print('no training is missing')
    return 0
  print(_jobs.table(jobs, FLAGS.jobs))
  return _jobs.work(jobs, FLAGS.jobs, one, FLAGS.runs)


def keep(name) -> None:
  """Stores the weights of --run as the pretrained weights of a definition."""
  if not FLAGS.run:
    raise UserError(f'--run is missing; expected the folder of the run that {name} reports: keep {name} --run DIR.')
  kept = _weights.keep(name, Run(FLAGS.run), FLAGS.results, FLAGS.weights, FLAGS.data_dir,
                       FLAGS.manual_dir)
  changes = ', '.join(f'{name} {"to an undefined value" if change is None else f"{change:.2%}"}'
                      for name, change in kept.float16_changes.items())
  print(f'wrote {FLAGS.weights}/{kept.file}: {kept.bytes:,} bytes, {kept.dtype}; half precision changes '
        f'{changes or "no metric"}')


def chosen_format(known) -> str:
  """The value of --format; the default is the first of `known`."""
  if FLAGS.format not in (None, *known):
    raise UserError(f'--format {FLAGS.format}: expected one of {", ".join(known)}.')
  return FLAGS.format or known[0]


def card(name) -> None:
  """Prints the card of a definition, or writes it to --to."""
  kind = chosen_format(_card.FORMATS)
  if FLAGS.to:
    cli.check_target('to', FLAGS.to)
  text = _card.render(_card.subject_of(name), kind, FLAGS.owner)
  if FLAGS.to:
    pathlib.Path(FLAGS.to).write_text(text, encoding='utf-8')
  print(f'wrote {FLAGS.to}' if FLAGS.to else text)


def export(name) -> None:
  """Exports the pretrained model of a definition to --to."""
  if not FLAGS.to:
    raise UserError(f'--to is missing; expected a new folder: acai zoo export {name} --to DIR.')
  export_program.check_new(FLAGS.to)
  experiment = _weights.record_of(name)[0].experiment
  formats.require(FLAGS.formats, experiment)
  build.check_manual_dir(experiment.dataset_name, FLAGS.manual_dir)
  _, model, samples = _weights.load(name, 'float32')
  agreement = export_program.export_model(
      model, experiment, samples, FLAGS.to, FLAGS.formats, FLAGS.data_dir, FLAGS.manual_dir)
  print(f'wrote {FLAGS.to}; reloaded in a fresh process by hub.load: {agreement}')


def publish(name) -> None:
  """Uploads the exported model of a definition. Without --yes, only prints what would be uploaded."""
  if FLAGS.to not in _publish.PLACES or not FLAGS.owner:
    raise UserError(f'publish {name}: expected --to {"|".join(_publish.PLACES)} and --owner, an account there.')
  print(_publish.publish(name, FLAGS.to, FLAGS.owner, FLAGS.yes))


def gallery(names) -> None:
  """Builds the gallery of the given definitions (default: all pretrained whose data are available) and of --run.

  --serve serves it. If the folder exists already, it is served as it is.
  """
  folder = pathlib.Path(FLAGS.to or 'gallery')
  if not folder.exists():
    models = _gallery.collect(
        names or zoo.names(pretrained=True), Run(FLAGS.run) if FLAGS.run else None, FLAGS.weights)
    archive = _gallery.runtime()  # 33 MB, so only once everything else is there
    with cli.Status() as status:
      left_out = _gallery.build(folder, models, archive, FLAGS.data_dir, FLAGS.manual_dir, status,
                                optional=() if names else zoo.names(pretrained=True))
    for message in left_out:
      print(message)
    print(f'wrote {folder}')
  elif names or FLAGS.run or not FLAGS.serve or not _gallery.is_gallery(folder):
    raise UserError(f'{folder} exists already; expected a new folder (--to), or --serve alone, which serves the '
                    'gallery as it is.')
  if FLAGS.serve:
    with _gallery.server(folder) as server:
      print(f'serving at http://127.0.0.1:{server.server_port}/ until Ctrl-C', flush=True)
      server.serve_forever()


def main(words) -> int:
  """Runs the program. `words` are the arguments that are not flags."""
  command, names = (words[0], words[1:]) if words else ('', [])
  if command not in COMMANDS:
    raise UserError(unknown('command', command, COMMANDS) if command else
                    f'no command; expected one of {", ".join(COMMANDS)}. See acai zoo --help.')
  fitting = COMMANDS[command].flags
  cli.only(FLAGS, fitting, f'to {command}')
  if 'results' in fitting and not pathlib.Path(FLAGS.results).is_dir():
    raise UserError(f'--results {FLAGS.results} is not a folder; expected the folder of the result files.')
  if command in ('reproduce', 'keep'):  # Checked before the training starts.
    for name in ('results', 'weights', *(['runs'] if command == 'reproduce' else [])):
      cli.check_folder(name, FLAGS[name].value)
  if command == 'export':
    cli.use_cpu()
  if command != 'list':
    cli.start_tensorflow()
  if command == 'list':
    show_list(names, FLAGS.dataset, FLAGS.model, FLAGS.pretrained)
  elif command == 'show' and len(names) == 1:
    show(names[0], FLAGS.recipe or 'paper')
  elif command == 'reproduce' and names:
    return reproduce(names)
  elif command == 'keep' and len(names) == 1:
    keep(names[0])
  elif command == 'table' and len(names) == 1:
    brief = FLAGS.brief and not FLAGS.metrics  # Both together are one table.
    if FLAGS.ablation + FLAGS.sources + FLAGS.all + brief + FLAGS.published + bool(FLAGS.metrics) > 1:
      raise UserError('--all, --brief, --published, --ablation, --sources and --metrics are different tables; expected '
                      'one of them, or --brief with --metrics.')
    if (FLAGS.ablation or FLAGS.sources) and base.is_pattern(names[0]):
      raise UserError(f'--{"ablation" if FLAGS.ablation else "sources"} shows one definition; expected its name, not '
                      f'the pattern {names[0]!r}.')
    kind = chosen_format(_tables.FORMATS)
    print(_tables.render_metrics(names[0], FLAGS.metrics, kind, FLAGS.results, FLAGS.brief) if FLAGS.metrics
          else _tables.render_ablation(names[0], kind, FLAGS.results) if FLAGS.ablation
          else _tables.render_sources(names[0], kind, FLAGS.results) if FLAGS.sources
          else _tables.render_brief(names[0], kind, FLAGS.results, FLAGS.published) if FLAGS.brief or FLAGS.published
          else _tables.render(names[0], kind, FLAGS.results, FLAGS.all))
  elif command == 'report' and not names:
    target = FLAGS.to or 'report.html'
    cli.check_target('to', target)
    pathlib.Path(target).write_text(_report.render(FLAGS.results), encoding='utf-8')
    print(f'wrote {target}')
  elif command == 'card' and len(names) == 1:
    card(names[0])
  elif command == 'export' and len(names) == 1:
    export(names[0])
  elif command == 'publish' and len(names) == 1:
    publish(names[0])
  elif command == 'gallery':
    gallery(names)
  else:
    raise UserError(f'{" ".join(words)}: expected acai zoo {command} {COMMANDS[command].arguments}'.rstrip() + '.')
  return 0


def program() -> None:
  """Parses the flags, runs the program and exits."""
  name = sys.argv[1] if len(sys.argv) > 1 else ''
  command = COMMANDS.get(name)
  cli.run(main, command.usage(name) if command else OVERVIEW, {'Flags': command.flags} if command else {}, words=True,
          flag_values=FLAGS)


if __name__ == '__main__':
  program()
