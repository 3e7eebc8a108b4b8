"""A card for each definition whose weights are kept, generated from its result record; Markdown in three formats."""

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
PICTURE = 'interpolation.png'  # the record's picture, beside a card that is published
LICENCE = 'Apache 2.0'

UNSTATED = 'as their file says', 'not stated'  # of a data set without `SOURCE`
RANGES = {'images': '[0, 1]', 'alpha': '[0, 1]'}

# Where a snippet has the module's folder from.
SOURCES = {
    'markdown': ('import zoo', "zoo.handle('{name}')"),
    'huggingface': ('import huggingface_hub', "huggingface_hub.snapshot_download('{handle}')"),
    'kaggle': ('import kagglehub', "kagglehub.model_download('{handle}')"),
}
SNIPPET = '''
import numpy as np
import tensorflow_hub as hub
{imports}
module = hub.load({source})
images = np.random.default_rng(0).random([2, {shape}], np.float32)  # yours
codes = module.encoder(images)
again = module.decoder(codes)
strip = [module.interpolator({{'images_a': images[:1], 'images_b': images[1:], 'alpha': np.array([alpha], np.float32)}})
         for alpha in np.linspace(0, 1, 9)]
'''
SNIPPET_OF_SENTENCES = '''
import numpy as np
import tensorflow_hub as hub
{imports}
module = hub.load({source})
a, b = ['first sentence'], ['second sentence']  # yours
codes = module.encoder(a + b)
again = module.decoder(codes)
path = [module.interpolator({{'texts_a': a, 'texts_b': b, 'alpha': np.array([alpha], np.float32)}})
        for alpha in np.linspace(0, 1, 9)]
'''


class Subject:
  """A definition with its record, its model, and the runs of it that differ in their seed."""

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
  """The `Subject` of that name, in the package's own folders; made once."""
  return Subject(name)


def handle_of(which, place, owner) -> str:
  """Under which name a model is published by an account.

  'OWNER/lines_acai' on Hugging Face, whose versions are commits; 'OWNER/lines-acai/tensorFlow2/default' on Kaggle,
  whose names have no underscores and whose versions are counted there.
  """
  return {'huggingface': f'{owner}/{which.name}',
          'kaggle': f'{owner}/{which.name.replace("_", "-")}/tensorFlow2/default'}[place]


def render(which, kind='markdown', owner='') -> str:
  """The card as Markdown.

  Args:
    which: `Subject`.
    kind: one of `FORMATS`, or 'kaggle': as 'markdown', with a snippet that downloads it there.
    owner: account under which it is published; not needed for 'markdown'.

  Raises:
    UserError: an owner is missing.
  """
  if kind != 'markdown' and not owner:
    raise UserError(f'a card in the format {kind} names where the module lies; expected --owner, an account there.')
  handle = '' if kind == 'markdown' else handle_of(which, kind, owner)
  head = _huggingface_head(which) if kind == 'huggingface' else f'# {which.name}\n\n'
  return '\n'.join([
      head + _what(which), _table(['', ''], facts(which)),
      '## Use\n', _snippet(which, kind, handle),
      '## What it answers\n', _table(['callable', 'takes', 'gives'], callables(which)),
      *_scores(which, '##'), *_limits(which, '##'),
      f'## Interpolations\n\n![Interpolations by {which.name}]({PICTURE})\n'])


def page() -> str:
  """All cards below one another, for docs/, without what they have in common."""
  names = [name for name, found in _records.load_all().items() if any(run.kept for run in found)]
  return '\n'.join(
      '\n'.join([f'## {which.name}\n\n{_what(which)}', _table(['', ''], facts(which)), *_scores(which, '###'),
                 *_limits(which, '###'), f'![Interpolations by {which.name}](records/{which.name}.png)\n'])
      for which in map(subject, names))


def facts(which) -> list:
  """[[what, which]] of the model: rows of texts."""
  experiment, record, kept = which.experiment, which.record, which.record.kept
  training = experiment.training
  data = getattr(registry.load('acai_tf.data', which.definition.dataset), 'SOURCE', UNSTATED)
  code = tuple(next(c for c in which.model.callables() if c.name == 'decoder').inputs['codes'].shape[1:])
  counts = {player: sum(_count(v) for v in which.model.variables_of(player)) for player in which.model.players()}
  total = sum(map(_count, weights.variables(which.model).values()))  # with those that no player moves, as a codebook
  seeds, noun = _tables.seeds_of(which.runs), 'sentences' if which.is_text else 'images'
  seed = f'seed {seeds}' if len(which.runs) < 2 else f'seed {training.seed} of {seeds}'
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
      ['licence', f'{LICENCE}, of weights and program'],
  ]


def callables(which) -> list:
  """[[callable, inputs, what it gives]]: rows of texts."""
  def text(name, spec):
    of = f'[n{"".join(f", {d}" for d in spec.shape[1:])}]' if spec.shape.rank else 'a number'
    known = next((f' in {values}' for key, values in RANGES.items() if name.startswith(key)), '')
    return f'`{name}` {of} {spec.dtype.name}{known}'

  return [['`module(...)`' if c.name == 'features' else f'`module.{c.name}`',
           ', '.join(text(name, spec) for name, spec in c.inputs.items()), c.meaning]
          for c in which.model.callables()]


def scores(which) -> tuple[list, list]:
  """(headings, rows of texts): each metric of the data set's table that the record has."""
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
  """Sentences on what the model cannot do, and what its scores do not say."""
  definition, kept = which.definition, which.record.kept
  paper = resolve(definition.dataset, definition.model, 'paper', definition.overrides).training.samples
  found = []
  if which.samples < paper:
    found.append(f'Undertrained: {which.samples:,} samples, of which the paper took {paper:,}.')
  if other := _compare.other_settings(which.record, which.name):
    found.append(f"Not the paper's model: {_compare.text_of(other, 'paper')}. So it is not compared.")
  if len(which.runs) < 2:
    found.append('One seed: how much scores differ from seed to seed is not known.')
  changes = {name: change for name, change in kept.float16_changes.items() if change}
  if kept.dtype == 'float16' and changes:
    name = max(changes, key=changes.__getitem__)
    found.append(f'Stored in half precision, which changes no score by more than {changes[name]:.2%} ({name}).')
  if which.is_text:
    return [*found, 'Words outside its vocabulary become the unknown token; sentences longer than those of its '
            'data are cut.']
  size = _by(which.model.image_shape, ' x ')
  return [*found, f'Images of another size than {size} are refused; values outside [0, 1] are not, and mean nothing.',
          'Decoded images are not clipped: a value can lie a little outside [0, 1].',
          f'It has seen no other images than those of {definition.dataset}.']


def _what(which):
  """What the model is, out of its file: the first paragraph, then its equations."""
  kind = type(which.model)
  module = inspect.cleandoc(sys.modules[kind.__module__].__doc__).split('\n\n')[0]
  return f'{" ".join(module.split())}\n\n```text\n{inspect.getdoc(kind)}\n```\n'


def _scores(which, level):
  headings, body = scores(which)
  text = _table(headings, body)
  if which.published:
    text += ('\nOf seeds: medians of the last 20 evaluations where those are what is published, mean ± deviation and '
             'the 95 % interval of the mean. * from a single secondary source.\n')
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
  """The YAML head of a model card on Hugging Face; JSON's texts and numbers are YAML's, too."""
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
  """Rows of texts as a Markdown table."""
  rows = [headings, ['---'] * len(headings), *body]
  return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def _count(variable):
  return int(np.prod(variable.shape))


def _by(shape, between):
  return between.join(map(str, shape))


def picture(name, results=_records.FOLDER) -> pathlib.Path:
  """The strip of interpolations of a definition's reported run."""
  return pathlib.Path(results) / f'{name}.png'
