"""Model cards in Markdown, generated from the result files, for every definition with pretrained weights."""

import dataclasses
import functools
import inspect
import json
import pathlib
import sys

import numpy as np
from rich import box
from rich import table as rich_table

from acai_tf import cli
from acai_tf.evaluation import report
from acai_tf.experiment import registry
from acai_tf.experiment.errors import UserError
from acai_tf.training import weights
from acai_tf.zoo import _compare, _records, _tables, _weights, base

FORMATS = ('markdown', 'huggingface')
PICTURE = 'interpolation.png'  # the picture beside a published card
LICENCE = 'Apache 2.0'

UNSTATED = 'see the file of the data set', 'not stated'  # for a data set without `SOURCE`
RANGES = {'images': '[0, 1]', 'alpha': '[0, 1]'}

# Import and expression with which a snippet gets the folder of the exported model.
SOURCES = {
    'markdown': ('from acai_tf import zoo', "zoo.handle('{name}')"),
    'huggingface': ('import huggingface_hub', "huggingface_hub.snapshot_download('{handle}')"),
    'kaggle': ('import kagglehub', "kagglehub.model_download('{handle}')"),
}


@dataclasses.dataclass(frozen=True)
class Wording:
  """What cards say about models of a kind of data.

  In the texts, {shape} is the shape of an image, and {size} is the same for readers, such as '32 x 32 x 1'.
  """

  input: str
  snippet: str  # Python program that uses the exported model; {imports} and {source} are an entry of `SOURCES`
  task: str  # name of the task on Hugging Face
  limits: tuple[str, ...]


WORDINGS = {
    'images': Wording(
        input='images, [n, {shape}] float32 in [0, 1]',
        snippet='''
import numpy as np
import tensorflow as tf
{imports}
module = tf.saved_model.load({source})  # or hub.load, of tensorflow_hub
images = np.random.default_rng(0).random([2, {shape}], np.float32)  # your images
latents = module.encoder(images)
reconstructions = module.decoder(latents)
path = [module.interpolator({{'images_a': images[:1], 'images_b': images[1:], 'alpha': np.array([alpha], np.float32)}})
        for alpha in np.linspace(0, 1, 9)]
''',
        task='image-feature-extraction',
        limits=('Images must be {size}. Values must be in [0, 1]; others are accepted, but the result is meaningless.',
                'Decoded images are not clipped: a value can be slightly outside [0, 1].',
                'It was trained on images of {dataset} only.')),
    'sentences': Wording(
        input='sentences, strings of words separated by white space',
        snippet='''
import numpy as np
import tensorflow as tf
{imports}
module = tf.saved_model.load({source})  # or hub.load, of tensorflow_hub
a, b = ['first sentence'], ['second sentence']  # your sentences
latents = module.encoder(a + b)
reconstructions = module.decoder(latents)
path = [module.interpolator({{'texts_a': a, 'texts_b': b, 'alpha': np.array([alpha], np.float32)}})
        for alpha in np.linspace(0, 1, 9)]
''',
        task='feature-extraction',
        limits=('Out-of-vocabulary words are read as the unknown token.',
                'Sentences longer than the longest one of the data set are truncated.')),
}


class Scored:
  """A definition with the record of its pretrained weights, its runs with all seeds, and its published figures.

  Raises:
    UserError: the definition is unknown, or has no pretrained weights.
  """

  def __init__(self, name, results=_records.FOLDER):
    self.name, self.definition = name, base.definition(name)
    self.record, _ = _weights.record_of(name, results)
    self.runs = next(iter(_records.longest(_records.load(name, results), name)), [self.record])
    self.published = base.published(self.definition.dataset, self.definition.model, self.definition.latent_dimension)


class Subject(Scored):
  """The definition that a card describes, with its model, too."""

  def __init__(self, name, results=_records.FOLDER, folder=_weights.FOLDER):
    super().__init__(name, results)
    self.experiment, self.model, self.samples = _weights.load(name, 'float32', results, folder)

  @property
  def wording(self) -> Wording:
    """What cards say about models of this kind of data."""
    return WORDINGS[self.experiment.kind]

  def text(self, template, **values) -> str:
    """Fills in a text of `Wording`."""
    shape = getattr(self.model, 'image_shape', ())
    return template.format(shape=_by(shape, ', '), size=_by(shape, ' x '), dataset=self.definition.dataset, **values)


@functools.cache
def subject_of(name) -> Subject:
  """Returns the cached `Subject` of that name, from the default folders."""
  return Subject(name)


def handle_of(subject, place, owner) -> str:
  """The name under which an account publishes a model.

  On Hugging Face it is 'OWNER/lines_acai'; versions are commits. On Kaggle it is
  'OWNER/lines-acai/tensorFlow2/default': names have no underscores there, and Kaggle counts the versions.
  """
  return {'huggingface': f'{owner}/{subject.name}',
          'kaggle': f'{owner}/{subject.name.replace("_", "-")}/tensorFlow2/default'}[place]


def render(subject, kind='markdown', owner='') -> str:
  """Renders a card as Markdown.

  Args:
    subject: `Subject`.
    kind: one of `FORMATS`, or 'kaggle', which is 'markdown' with a snippet that downloads from Kaggle.
    owner: account that publishes the model; not needed for 'markdown'.

  Raises:
    UserError: `owner` is missing.
  """
  if kind != 'markdown' and not owner:
    raise UserError(f'a card in the format {kind} names the place of the module; expected --owner, an account there.')
  handle = '' if kind == 'markdown' else handle_of(subject, kind, owner)
  head = _huggingface_head(subject) if kind == 'huggingface' else f'# {subject.name}\n\n'
  return '\n'.join([
      head + _what(subject), _tables.markdown(['', ''], facts(subject)),
      '## Usage\n', _snippet(subject, kind, handle),
      '## Callables\n', _tables.markdown(['callable', 'inputs', 'output'], callables(subject)),
      *_scores(subject, '## {}'), *_limits(subject, '## {}'),
      f'## Interpolations\n\n![Interpolations by {subject.name}]({PICTURE})\n'])


def page() -> str:
  """All cards in one page for docs/, without the parts that are the same for all."""
  return '\n'.join(
      '\n'.join([f'## {subject.name}\n\n{_summary(subject)}', _tables.markdown(['', ''], facts(subject)),
                 *_scores(subject, '**{}**'), *_limits(subject, '**{}**', own=True),
                 f'![Interpolations by {subject.name}](records/{subject.name}.png)\n'])
      for subject in _pretrained())


def overview() -> str:
  """A table of all pretrained models, in Markdown, with links to their cards on the same page."""
  return _tables.markdown(
      ['name', 'model', 'latent dimension', 'training samples', 'size, MB', 'scores'], [
          [f'[`{subject.name}`](#{subject.name})', base.title(subject.definition.model),
           str(subject.definition.latent_dimension), f'{subject.samples:,}', f'{subject.record.kept.bytes / 1e6:.1f}',
           _compare.scores_line(subject.definition.dataset, subject.record.metrics)] for subject in _pretrained()])


def _pretrained():
  return [subject_of(name) for name, runs in _records.load_all().items() if any(run.kept for run in runs)]


def facts(subject) -> list:
  """Rows [name, text] of facts about the model."""
  experiment, record, kept = subject.experiment, subject.record, subject.record.kept
  training = experiment.training
  data = getattr(registry.load('acai_tf.data', subject.definition.dataset), 'SOURCE', UNSTATED)
  code = tuple(next(c for c in subject.model.callables() if c.name == 'decoder').inputs['codes'].shape[1:])
  counts = {player: sum(_count(v) for v in subject.model.variables_of(player)) for player in subject.model.players()}
  total = weights.parameter_count(subject.model)  # with what no player trains, like a codebook
  seeds = _tables.seeds_of(subject.runs)
  seed = f'seed {seeds}' if len(subject.runs) < 2 else f'seed {training.seed} (of seeds {seeds})'
  return [
      ['input', subject.text(subject.wording.input)],
      ['latent', f'{_by(code, " x ")}, dimension {subject.definition.latent_dimension}' if len(code) > 1 else
       f'dimension {code[0]}'],
      ['parameters', f'{total:,} (' + ', '.join(f'{player} {count:,}' for player, count in counts.items()) + ')'],
      ['trained on', f'{data[0]}; licence of the data: {data[1]}'],
      ['training', f'recipe `{training.recipe}`, {subject.samples:,} {experiment.kind}, {seed}, '
       f'{report.NAMES[record.weights]}, {training.precision.removeprefix("mixed_")}'],
      ['version', f'{kept.version}: `{kept.file}`, {kept.bytes:,} bytes, sha256 `{kept.sha256}`'],
      ['licence', f'{LICENCE}, for weights and code'],
  ]


def callables(subject) -> list:
  """Rows [callable, inputs, output] of texts."""
  def text(name, spec):
    of = f'[n{"".join(f", {d}" for d in spec.shape[1:])}]' if spec.shape.rank else 'a number'
    known = next((f' in {values}' for key, values in RANGES.items() if name.startswith(key)), '')
    return f'`{name}` {of} {spec.dtype.name}{known}'

  return [['`module(...)`' if c.name == 'features' else f'`module.{c.name}`',
           ', '.join(text(name, spec) for name, spec in c.inputs.items()), c.meaning]
          for c in subject.model.callables()]


def scores(subject) -> tuple[list, list]:
  """(headings, rows of texts) of the metrics that the data set's table shows and the record contains."""
  body, other = [], bool(_compare.other_settings(subject.record, subject.name))
  for column in _compare.columns(subject.definition.dataset):
    value = subject.record.metrics.get(column.metric)
    if value is not None:
      paper = subject.published.get(column.metric)
      over, published = (_tables.cells_of(column, subject.runs, paper, other)[-2:] if paper else
                         [_tables.figure(column, _records.summary(subject.runs, column.metric), True), ''])
      source = f' ({paper.source})' if paper else ''
      heading = column.text
      if column.metric.startswith('clustering'):
        heading += f', {_tables.restarts_of(subject.runs)} restarts'
      body.append([heading, column.number(value), over, published + source])
  over = f'seed{"s" * (len(subject.runs) > 1)} {_tables.seeds_of(subject.runs)}'
  headings = ['score', 'these weights', over, 'published']
  shown = [0, 1, *([2, 3] if subject.published else [2] if len(subject.runs) > 1 else [])]
  return _tables.columns_of(headings, body, shown)


def scores_text(name) -> str:
  """Returns what is recorded of a definition's pretrained weights, and of the runs with all seeds, as a text table."""
  subject = Scored(name)
  headings, rows = scores(subject)
  grid = rich_table.Table(*headings, box=box.SIMPLE_HEAD)
  for row in rows:
    grid.add_row(*row)
  training = subject.record.experiment.training
  return (f'{cli.text_of(grid, _tables.WIDTH)}\n  recorded for the pretrained weights: recipe {training.recipe}, '
          f'{subject.record.samples:,} samples, seed {training.seed}. Over seeds: mean ± standard deviation [95 % '
          'interval].')


def limits(subject, own=False) -> list:
  """Sentences about what the model cannot do and what its scores do not show; with `own`, without those of its kind."""
  definition, kept = subject.definition, subject.record.kept
  paper = definition.resolve().training.samples
  sentences = []
  if subject.samples < paper:
    sentences.append(f'Undertrained: {subject.samples:,} samples. Recipe `paper` has {paper:,}.')
  if other := _compare.other_settings(subject.record, subject.name):
    published = base.published(definition.dataset, definition.model, definition.latent_dimension)
    sentences.append(f'Its settings differ from those of recipe `paper`: {_compare.text_of(other, "paper")}.'
                     + ' So its scores are not compared with the published ones.' * bool(published))
  if len(subject.runs) < 2:
    sentences.append('One seed: the variation between seeds is unknown.')
  changes = {name: change for name, change in kept.float16_changes.items() if change}
  if kept.dtype == 'float16' and changes:
    name = max(changes, key=changes.__getitem__)
    sentences.append('The weights are stored in half precision, which changes no score by more than '
                     f'{changes[name]:.2%} ({name}).')
  return sentences + [subject.text(limit) for limit in subject.wording.limits if not own]


def _summary(subject):
  """The first paragraph of the docstring of a model's file."""
  text = inspect.cleandoc(sys.modules[type(subject.model).__module__].__doc__).split('\n\n')[0]
  return f'{" ".join(text.split())}\n'


def _what(subject):
  """Describes the model: `_summary` and the equations of its class."""
  return f'{_summary(subject)}\n{inspect.getdoc(type(subject.model))}\n'


def _scores(subject, heading):
  headings, body = scores(subject)
  text = _tables.markdown(headings, body)
  notes = []
  if len(subject.runs) > 1:
    notes.append(f'The third column has {_tables.SPREAD}, {_tables.INTERVAL}.')
  if subject.published:
    notes.append('Where the published figure is a median of the last 20 evaluations, so is that of the third column. '
                 '* marks a published figure that was not checked against a second source.')
  text += f'\n{" ".join(notes)}\n' * bool(notes)
  return [heading.format('Scores') + '\n', text]


def _limits(subject, heading, own=False):
  return [heading.format('Limits') + '\n', ''.join(f'- {sentence}\n' for sentence in limits(subject, own))]


def _snippet(subject, kind, handle):
  imports, source = SOURCES[kind]
  text = subject.text(subject.wording.snippet, imports=imports,
                      source=source.format(name=subject.name, handle=handle))
  return f'```python\n{_sorted_imports(text.strip())}\n```\n'


def _sorted_imports(text):
  lines = text.splitlines()
  imports = sorted(line for line in lines if line.startswith('import '))
  return '\n'.join([*imports, '', *(line for line in lines if line and line not in imports)])


def _huggingface_head(subject):
  """The YAML head of a model card on Hugging Face. Strings and numbers are JSON, which is valid YAML."""
  definition, task, lines = subject.definition, subject.wording.task, []
  for column in _compare.columns(definition.dataset):
    value = subject.record.metrics.get(column.metric)
    if value is not None:
      lines += [f'      - type: {column.metric}', f'        value: {json.dumps(value)}',
                f'        name: {json.dumps(column.metric.replace("_", " "))}']
  tags = ['tensorflow', 'tf-hub', 'saved-model', 'autoencoder', 'interpolation', definition.model, definition.dataset]
  return '\n'.join([
      '---', 'license: apache-2.0', f'pipeline_tag: {task}', 'tags:', *(f'- {tag}' for tag in tags), 'model-index:',
      f'- name: {subject.name}', '  results:', '  - task:', f'      type: {task}', '    dataset:',
      f'      type: {definition.dataset}', f'      name: {definition.dataset}', '    metrics:', *lines, '---', '',
      f'# {subject.name}', '', ''])


def _count(variable):
  return int(np.prod(variable.shape))


def _by(shape, between):
  return between.join(map(str, shape))


def picture(name, results=_records.FOLDER) -> pathlib.Path:
  """Path of the picture of interpolations by a definition's reported run."""
  return pathlib.Path(results) / f'{name}.png'
