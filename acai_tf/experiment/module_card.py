"""What lies beside an exported module: its experiment and how far it was trained."""

import pathlib

from acai_tf.experiment import config, strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import parse_experiment

FILE = 'training.json'


def load(module) -> tuple[config.Experiment, int] | None:
  """(experiment, samples it was trained on) of an exported module; None where it has no such file.

  Raises:
    UserError: the file is broken, or of an experiment that this version does not know.
  """
  path = pathlib.Path(module) / FILE
  try:
    card = strict_json.read(path)
    if not isinstance(card, dict) or not strict_json.is_count(card.get('samples')):
      raise ValueError("it is no object with 'samples', a count")
    return parse_experiment(card.get('experiment')), card['samples']
  except FileNotFoundError:
    return None
  except UserError as error:
    raise UserError(f'{path}: {error}') from error
  except (ValueError, KeyError, OSError) as error:
    raise UserError(f'{path} cannot be read ({error}); expected the file that python -m export wrote.') from error
