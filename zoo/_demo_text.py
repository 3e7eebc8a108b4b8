"""Demo: samples and interpolates sentences with an exported model. `python -m acai_tf.zoo._demo_text --module DIR`."""

import numpy as np
from absl import flags

from acai_tf import cli
from acai_tf.evaluation import report, text
from acai_tf.experiment import module_card
from acai_tf.experiment.errors import UserError
from acai_tf.training import build

flags.DEFINE_string('module', None, 'Exported model of sentences with a sampler: a folder made by acai export')

cli.define_data_flags(flags.FLAGS)

SAMPLES, SHOWN, STEPS = 5000, 8, 7


def main() -> None:
  """Loads the module with hub.load; prints samples, paths between held-out sentences, and perplexities."""
  arguments = flags.FLAGS
  if not arguments.module:
    raise UserError('--module DIR is missing; expected a folder made by acai export.')
  cli.start_tensorflow()
  card = module_card.load(arguments.module)
  if card is None or card[0].kind != 'sentences':
    raise UserError(f'{arguments.module} is not a module of a text model; expected a folder made by acai export.')
  experiment, samples = card
  import tensorflow_hub as hub

  module, dataset = hub.load(arguments.module), build.load_data(
      experiment, arguments.data_dir, arguments.manual_dir)
  if not hasattr(module, 'sampler'):
    raise UserError(f'{experiment.model_name} has no sampler; expected a module of a model with one, for example arae.')

  def strings(tensor):
    return [value.decode() for value in tensor.numpy()]

  drawn = strings(module.sampler({'count': np.int32(SAMPLES), 'seed': np.int32(1)}))
  print(f'\nthrough hub.load: {report.title_of(experiment, samples)}\n\nsamples\n')
  print('\n'.join(f'  {sentence}' for sentence in drawn[:SHOWN]))
  first, second = (text.texts_of(dataset, dataset.test_ids[part]) for part in text.pairs(len(dataset.test_ids), 2))
  for pair in zip(first, second, strict=True):
    inputs = {f'texts_{end}': np.array([sentence.encode()] * STEPS) for end, sentence in zip('ab', pair, strict=True)}
    print(f'\nfrom "{pair[0]}" to "{pair[1]}"\n')
    print('\n'.join(f'  {sentence}' for sentence in strings(
        module.interpolator({**inputs, 'alpha': np.linspace(0, 1, STEPS, dtype=np.float32)}))))
  metrics = text.score_samples(drawn, dataset)
  real, held_out = (text.texts_of(dataset, ids) for ids in (
      dataset.train_ids[:SAMPLES], dataset.test_ids[:text.HELD_OUT]))
  metrics.update(text.score_samples(real, dataset, '_real_text', held_out))
  print(f'\n{SAMPLES:,} sentences, scored by trigram models (docs/benchmarks.md)\n\n{report.grid_of(metrics)}')


if __name__ == '__main__':
  cli.run(main, 'python -m acai_tf.zoo._demo_text --module DIR: samples and interpolates sentences with an exported '
          'model.', {'What': ['module'], 'Data': ['data_dir', 'manual_dir']})
