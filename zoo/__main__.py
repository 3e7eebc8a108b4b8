"""Program: the zoo's definitions. `python -m zoo list [--dataset D --model M]`, `python -m zoo show NAME`."""

import dataclasses
import inspect

from absl import flags

from acai_tf import evaluate, program, runs
from acai_tf.config import UserError
from zoo import base

FLAGS = flags.FlagValues()  # Its own: acai_tf.train has some of the same names.
flags.DEFINE_string('dataset', None, 'Only definitions of this data set', flag_values=FLAGS)
flags.DEFINE_string('model', None, 'Only definitions of this model', flag_values=FLAGS)
flags.DEFINE_enum('recipe', 'paper', ['paper', 'fast'], 'Whose training `show` describes', flag_values=FLAGS)


def figures(definition):
  """Published figures as text, in per cent and thousandths as the papers print them."""
  texts = []
  for row in base.published(definition.dataset, definition.model, definition.latent_dimension).values():
    scale, unit = {'mean_distance': (1e3, 'e-3'), 'smoothness_published': (1, '')}.get(row.metric, (100, ' %'))
    spread = '' if row.spread is None else f' ± {row.spread * scale:.2f}'
    texts.append(f'{row.metric} {row.value * scale:.2f}{spread}{unit}{"" if row.confirmed else " *"}')
  return texts


def show_list(dataset, model):
  """Prints a table of the definitions."""
  from rich import box
  from rich import table as rich_table

  grid = rich_table.Table(box=box.SIMPLE_HEAD)
  for heading in ('name', 'data set', 'model', 'numbers in a code', 'published'):
    grid.add_column(heading, justify='right' if heading.startswith('numbers') else 'left')
  found = base.definitions(dataset, model)
  for definition in found.values():
    grid.add_row(definition.name, definition.dataset, definition.model, str(definition.latent_dimension),
                 ', '.join(figures(definition)))
  print(program.text_of(grid, 160))
  print(f'{len(found)} definitions; * from a single secondary source')


def show(name, recipe):
  """Prints all about one definition; builds its model."""
  definition = base.definition(name)
  experiment = runs.resolve(definition.dataset, definition.model, recipe, definition.overrides)
  program.start_tensorflow()
  model = runs.create(experiment)
  network, training = experiment.network, experiment.training
  print(f'{name}: {definition.model} on {definition.dataset}\n\n{inspect.cleandoc(type(model).__doc__)}\n')
  size = ' x '.join(map(str, model.image_shape))
  print(f'images {size}, code {network.latent_width} x {network.latent_width} x {network.latent} = '
        f'{evaluate.latent_dimension(experiment)} numbers, first scale {network.depth} channels wide, normalisation '
        f'{network.normalization}\nsettings: {values(experiment.model) or "none"}\n')
  print(f'encoder: {" -> ".join(layers(model.encoder, model.image_shape))}')
  print(f'decoder: {" -> ".join(layers(model.decoder, model.code_shape))}')
  print('\nplayers')
  for player in model.players():
    count = sum(int(v.value.shape.num_elements()) for v in model.variables_of(player))
    optimizer = model.optimizers[player]
    print(f'  {player}: {count:,} parameters, {type(optimizer).__name__}')
  print(f'\n{model.count_params():,} parameters in all\ntraining: {values(training)}\n')
  published = figures(definition)
  sources = sorted({row.source for row in base.published(
      definition.dataset, definition.model, definition.latent_dimension).values()})
  print('published: ' + (f'{", ".join(published)} ({", ".join(sources)}; * from a single secondary source)'
                         if published else 'nothing'))
  print(f'train it: python -m acai_tf.train --zoo {name} --recipe {recipe}')


def values(settings):
  """A dataclass as 'key value, ...'."""
  return ', '.join(f'{key} {value}' for key, value in dataclasses.asdict(settings).items())


def layers(body, shape):
  """What stands between an image and a code: each change of shape, with the kind of layer that makes it."""
  texts = [' x '.join(map(str, shape))]
  for layer in body.layers:
    new = tuple(layer.compute_output_shape((None, *shape))[1:])
    if new != shape:
      kernel = getattr(layer, 'kernel_size', None)
      kind = 'x'.join(map(str, kernel)) if kernel else type(layer).__name__
      texts.append(f'{kind} {" x ".join(map(str, new))}')
    shape = new
  return texts


def main(words):
  """The program; `words` are its arguments without flags."""
  command = words[0] if words else ''
  if command == 'list' and len(words) == 1:
    show_list(FLAGS.dataset, FLAGS.model)
  elif command == 'show' and len(words) == 2:
    show(words[1], FLAGS.recipe)
  else:
    raise UserError(f'{" ".join(words) or "no command"}: expected `list` or `show NAME`.')


if __name__ == '__main__':
  program.run(main, 'python -m zoo list | show NAME: what the zoo defines.',
              {'list': ['dataset', 'model'], 'show': ['recipe']}, words=True, flag_values=FLAGS)
