"""The file in the folder of an exported module with its experiment and the number of training samples."""

import pathlib

from acai_tf.experiment import config, strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import parse_experiment

FILE = 'training.json'


def load(module) -> tuple[config.Experiment, int] | None:
  """Returns (experiment, number of training samples) of an exported module; None if it has no such file.

  Raises:
    UserError: the file is broken, or has an experiment that this version does not support.
  """
  path = pathlib.Path(module) / FILE
  try:
    card = strict_json.read(path)
    if not isinstance(card, dict) or not strict_json.is_count(card.get('samples')):
      raise ValueError("it is not an object with a count 'samples'")
    return parse_experiment(card.get('experiment')), card['samples']
  except FileNotFoundError:
    return None
  except UserError as error:
    raise UserError(f'{path}: {error}') from error
  except (ValueError, KeyError, OSError) as error:
    raise UserError(f'{path} cannot be read ({error}); expected the file that acai export wrote.') from error
