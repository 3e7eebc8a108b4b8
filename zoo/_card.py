"""Model cards in Markdown, generated from the result files, for every definition with pretrained weights."""

import functools
import inspect
import json
import pathlib
import sys

import numpy as np

from acai_tf.evaluation import report
from acai_tf.experiment import registry
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.training import weights
from zoo import _compare, _records, _tables, _weights, base

FORMATS = ('markdown', 'huggingface')
PICTURE = 'interpolation.png'  # the picture beside a published card
LICENCE = 'Apache 2.0'

UNSTATED = 'see the file of the data set', 'not stated'  # for a data set without `SOURCE`
RANGES = {'images': '[0, 1]', 'alpha': '[0, 1]'}

# Import and expression with which a snippet gets the folder of the exported model.
SOURCES = {
    'markdown': ('import zoo', "zoo.handle('{name}')"),
    'huggingface': ('import huggingface_hub', "huggingface_hub.snapshot_download('{handle}')"),
    'kaggle': ('import kagglehub', "kagglehub.model_download('{handle}')"),
}
SNIPPET = '''
import numpy as np
import tensorflow as tf
{imports}
module = tf.saved_model.load({source})  # or hub.load, of tensorflow_hub
images = np.random.default_rng(0).random([2, {shape}], np.float32)  # your images
latents = module.encoder(images)
reconstructions = module.decoder(latents)
path = [module.interpolator({{'images_a': images[:1], 'images_b': images[1:], 'alpha': np.array([alpha], np.float32)}})
        for alpha in np.linspace(0, 1, 9)]
'''
SNIPPET_OF_SENTENCES = '''
import numpy as np
import tensorflow as tf
{imports}
module = tf.saved_model.load({source})  # or hub.load, of tensorflow_hub
a, b = ['first sentence'], ['second sentence']  # your sentences
latents = module.encoder(a + b)
reconstructions = module.decoder(latents)
path = [module.interpolator({{'texts_a': a, 'texts_b': b, 'alpha': np.array([alpha], np.float32)}})
        for alpha in np.linspace(0, 1, 9)]
'''


class Subject:
  """The definition that a card describes, with its record, its model, and its runs with other seeds."""

  def __init__(self, name, results=_records.FOLDER, folder=_weights.FOLDER):
    self.name, self.definition = name, base.definition(name)
    self.record, _ = _weights.kept(name, results, folder)
    self.experiment, self.model, self.samples = _weights.load(name, 'float32', results, folder)
    self.runs = next(iter(_records.longest(_records.load(name, results), name)), [self.record])
    self.published = base.published(self.definition.dataset, self.definition.model, self.definition.latent_dimension)

  @property
  def is_text(self) -> bool:
    """Whether it is a model of sentences."""
    return not hasattr(self.model, 'image_shape')


@functools.cache
def subject(name) -> Subject:
  """Returns the cached `Subject` of that name, from the default folders."""
  return Subject(name)


def handle_of(which, place, owner) -> str:
  """The name under which an account publishes a model.

  On Hugging Face it is 'OWNER/lines_acai'; versions are commits. On Kaggle it is
  'OWNER/lines-acai/tensorFlow2/default': names have no underscores there, and Kaggle counts the versions.
  """
  return {'huggingface': f'{owner}/{which.name}',
          'kaggle': f'{owner}/{which.name.replace("_", "-")}/tensorFlow2/default'}[place]


def render(which, kind='markdown', owner='') -> str:
  """Renders a card as Markdown.

  Args:
    which: `Subject`.
    kind: one of `FORMATS`, or 'kaggle', which is 'markdown' with a snippet that downloads from Kaggle.
    owner: account that publishes the model; not needed for 'markdown'.

  Raises:
    UserError: `owner` is missing.
  """
  if kind != 'markdown' and not owner:
    raise UserError(f'a card in the format {kind} names where the module lies; expected --owner, an account there.')
  handle = '' if kind == 'markdown' else handle_of(which, kind, owner)
  head = _huggingface_head(which) if kind == 'huggingface' else f'# {which.name}\n\n'
  return '\n'.join([
      head + _what(which), _table(['', ''], facts(which)),
      '## Usage\n', _snippet(which, kind, handle),
      '## Callables\n', _table(['callable', 'inputs', 'output'], callables(which)),
      *_scores(which, '##'), *_limits(which, '##'),
      f'## Interpolations\n\n![Interpolations by {which.name}]({PICTURE})\n'])


def page() -> str:
  """All cards in one page for docs/, without the parts that are the same for all."""
  names = [name for name, runs in _records.load_all().items() if any(run.kept for run in runs)]
  return '\n'.join(
      '\n'.join([f'## {which.name}\n\n{_what(which)}', _table(['', ''], facts(which)), *_scores(which, '###'),
                 *_limits(which, '###'), f'![Interpolations by {which.name}](records/{which.name}.png)\n'])
      for which in map(subject, names))


def facts(which) -> list:
  """Rows [name, text] of facts about the model."""
  experiment, record, kept = which.experiment, which.record, which.record.kept
  training = experiment.training
  data = getattr(registry.load('acai_tf.data', which.definition.dataset), 'SOURCE', UNSTATED)
  code = tuple(next(c for c in which.model.callables() if c.name == 'decoder').inputs['codes'].shape[1:])
  counts = {player: sum(_count(v) for v in which.model.variables_of(player)) for player in which.model.players()}
  total = sum(map(_count, weights.variables(which.model).values()))  # also those that no player trains, like a codebook
  seeds, noun = _tables.seeds_of(which.runs), 'sentences' if which.is_text else 'images'
  seed = f'seed {seeds}' if len(which.runs) < 2 else f'seed {training.seed} (of seeds {seeds})'
  return [
      ['input', 'sentences, strings of words separated by white space' if which.is_text else
       f'images, [n, {_by(which.model.image_shape, ", ")}] float32 in [0, 1]'],
      ['latent', f'{_by(code, " x ")}, dimension {which.definition.latent_dimension}' if len(code) > 1 else
       f'dimension {code[0]}'],
      ['parameters', f'{total:,} (' + ', '.join(f'{player} {count:,}' for player, count in counts.items()) + ')'],
      ['trained on', f'{data[0]}; licence of the data: {data[1]}'],
      ['training', f'recipe `{training.recipe}`, {which.samples:,} {noun}, {seed}, {report.NAMES[record.weights]}, '
       f'{training.precision.removeprefix("mixed_")}'],
      ['version', f'{kept.version}: `{kept.file}`, {kept.bytes:,} bytes, sha256 `{kept.sha256}`'],
      ['licence', f'{LICENCE}, for weights and code'],
  ]


def callables(which) -> list:
  """Rows [callable, inputs, output] of texts."""
  def text(name, spec):
    of = f'[n{"".join(f", {d}" for d in spec.shape[1:])}]' if spec.shape.rank else 'a number'
    known = next((f' in {values}' for key, values in RANGES.items() if name.startswith(key)), '')
    return f'`{name}` {of} {spec.dtype.name}{known}'

  return [['`module(...)`' if c.name == 'features' else f'`module.{c.name}`',
           ', '.join(text(name, spec) for name, spec in c.inputs.items()), c.meaning]
          for c in which.model.callables()]


def scores(which) -> tuple[list, list]:
  """(headings, rows of texts) of the metrics that the data set's table shows and the record contains."""
  body, other = [], bool(_compare.other_settings(which.record, which.name))
  for column in _compare.columns(which.definition.dataset):
    value = which.record.metrics.get(column.metric)
    if value is not None:
      paper = which.published.get(column.metric)
      over, published = (_tables.cells_of(column, which.runs, paper, other)[-2:] if paper else
                         [_tables.figure(column, _records.summary(which.runs, column.metric), True), ''])
      source = f' ({paper.source})' if paper else ''
      direction = 'higher' if column.more else 'lower'
      body.append([f'{column.heading} ({direction} is better)', _tables.number(column, value),
                   over, published + source])
  over = f'seed{"s" * (len(which.runs) > 1)} {_tables.seeds_of(which.runs)}'
  return ['score', 'these weights', over, 'published'], body


def limits(which) -> list:
  """Sentences about what the model cannot do and what its scores do not show."""
  definition, kept = which.definition, which.record.kept
  paper = resolve(definition.dataset, definition.model, 'paper', definition.overrides).training.samples
  sentences = []
  if which.samples < paper:
    sentences.append(f'Undertrained: {which.samples:,} samples. The paper trains on {paper:,}.')
  if other := _compare.other_settings(which.record, which.name):
    sentences.append(f"Its settings differ from the paper's: {_compare.text_of(other, 'paper')}. So its scores are not "
                     'compared with the published ones.')
  if len(which.runs) < 2:
    sentences.append('One seed: the variation between seeds is unknown.')
  changes = {name: change for name, change in kept.float16_changes.items() if change}
  if kept.dtype == 'float16' and changes:
    name = max(changes, key=changes.__getitem__)
    sentences.append('The weights are stored in half precision, which changes no score by more than '
                     f'{changes[name]:.2%} ({name}).')
  if which.is_text:
    return [*sentences, 'Out-of-vocabulary words are read as the unknown token.',
            'Sentences longer than the longest one of the data set are truncated.']
  size = _by(which.model.image_shape, ' x ')
  return [*sentences, f'Images must be {size}. Values must be in [0, 1]; others are accepted, but the result is '
          'meaningless.',
          'Decoded images are not clipped: a value can be slightly outside [0, 1].',
          f'It was trained on images of {definition.dataset} only.']


def _what(which):
  """Describes the model: the first paragraph of its file's docstring and the equations of its class."""
  kind = type(which.model)
  module = inspect.cleandoc(sys.modules[kind.__module__].__doc__).split('\n\n')[0]
  return f'{" ".join(module.split())}\n\n{inspect.getdoc(kind)}\n'


def _scores(which, level):
  headings, body = scores(which)
  text = _table(headings, body)
  if which.published:
    text += ('\nThe third column has the mean ± population standard deviation over seeds, and the 95 % confidence '
             'interval of the mean. Where the published figure is a median of the last 20 evaluations, so is ours. '
             '* marks a figure from a single secondary source.\n')
  return [f'{level} Scores\n', text]


def _limits(which, level):
  return [f'{level} Limits\n', ''.join(f'- {sentence}\n' for sentence in limits(which))]


def _snippet(which, kind, handle):
  imports, source = SOURCES[kind]
  template = SNIPPET_OF_SENTENCES if which.is_text else SNIPPET
  text = template.format(source=source.format(name=which.name, handle=handle), imports=imports,
                         shape='' if which.is_text else _by(which.model.image_shape, ', '))
  return f'```python\n{_sorted_imports(text.strip())}\n```\n'


def _sorted_imports(text):
  lines = text.splitlines()
  imports = sorted(line for line in lines if line.startswith('import '))
  return '\n'.join([*imports, '', *(line for line in lines if line and line not in imports)])


def _huggingface_head(which):
  """The YAML head of a model card on Hugging Face. Strings and numbers are JSON, which is valid YAML."""
  definition, lines = which.definition, []
  task = 'feature-extraction' if which.is_text else 'image-feature-extraction'
  for column in _compare.columns(definition.dataset):
    value = which.record.metrics.get(column.metric)
    if value is not None:
      lines += [f'      - type: {column.metric}', f'        value: {json.dumps(value)}',
                f'        name: {json.dumps(column.metric.replace("_", " "))}']
  tags = ['tensorflow', 'tf-hub', 'saved-model', 'autoencoder', 'interpolation', definition.model, definition.dataset]
  return '\n'.join([
      '---', 'license: apache-2.0', f'pipeline_tag: {task}', 'tags:', *(f'- {tag}' for tag in tags), 'model-index:',
      f'- name: {which.name}', '  results:', '  - task:', f'      type: {task}', '    dataset:',
      f'      type: {definition.dataset}', f'      name: {definition.dataset}', '    metrics:', *lines, '---', '',
      f'# {which.name}', '', ''])


def _table(headings, body):
  """Renders rows of texts as a Markdown table."""
  rows = [headings, ['---'] * len(headings), *body]
  return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def _count(variable):
  return int(np.prod(variable.shape))


def _by(shape, between):
  return between.join(map(str, shape))


def picture(name, results=_records.FOLDER) -> pathlib.Path:
  """Path of the picture of interpolations by a definition's reported run."""
  return pathlib.Path(results) / f'{name}.png'
