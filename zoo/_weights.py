"""Pretrained weights. zoo/weights/NAME.npz is from the run that the definition reports; the record has its checksum."""

import pathlib

from acai_tf.evaluation import report
from acai_tf.evaluation.modality import MODALITIES
from acai_tf.experiment import registry
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.run import Run
from acai_tf.training import build, weights
from acai_tf.zoo import _records, base

FOLDER = pathlib.Path(__file__).parent / 'weights'
RECON_CHANGE = 0.01  # tolerated relative difference of the reconstruction metric between a record and its checkpoint


def record_of(name, results=_records.FOLDER) -> tuple[_records.Record, _records.Kept]:
  """Returns the record of a definition's pretrained weights, and its entry on them, without a look at the archive.

  Raises:
    UserError: the definition is unknown, or it has no weights.
  """
  base.definition(name)
  record = next((run for run in _records.load(name, results) if run.kept), None)
  if record is None or record.kept is None:
    reason = refusal(base.definition(name).dataset)
    raise UserError(f'there are no pretrained weights of {name}{f", since {reason}" if reason else ""}; expected a '
                    'definition that has some (zoo.names(pretrained=True)). '
                    f'Train it: acai train --zoo {name} --recipe fast.')
  return record, record.kept


def kept(name, results=_records.FOLDER, folder=FOLDER) -> tuple:
  """Returns (record, path) of a definition's archive after checking its checksum; for the arguments see `load`.

  Raises:
    UserError: the definition is unknown, it has no weights, or the file is missing or does not match its checksum.
  """
  record, entry = record_of(name, results)
  path = pathlib.Path(folder) / entry.file
  if not path.exists():
    raise UserError(f'{path} does not exist; expected the pretrained weights of {name}. Install the package again, or '
                    'restore the file with git.')
  if problem := _difference(path, entry):
    raise UserError(f'{path} {problem}, as {name}.json says. It is damaged or of another run: restore it with git.')
  return record, path


def _difference(path, entry):
  """Describes how a file differs from its record in size or checksum; '' if it does not."""
  size = path.stat().st_size
  if size != entry.bytes:  # checked first, so that a wrong file is not read to its end
    return f'has {size} bytes; expected {entry.bytes}'
  digest = weights.facts(path)['sha256']
  return '' if digest == entry.sha256 else f'has sha256 {digest}; expected {entry.sha256}'


def load(name, precision=None, results=_records.FOLDER, folder=FOLDER) -> tuple:
  """Loads a definition's model with its pretrained weights.

  Args:
    name: name of the definition.
    precision: Keras dtype policy; default: the one it was trained with.
    results: folder of the result files.
    folder: folder of the archives.

  Returns:
    (experiment, model, number of training samples).

  Raises:
    UserError: the definition is unknown, it has no weights, or the file does not match its checksum.
  """
  record, path = kept(name, results, folder)
  experiment, model, about = weights.load(path, precision)
  if experiment != record.experiment or about['samples'] != record.samples:
    raise UserError(f'{path} is of another run than its record in {name}.json; expected the same run. Restore '
                    'both with git.')
  return experiment, model, record.samples


def refusal(dataset) -> str:
  """Why weights trained on a data set must not be distributed (its `NO_WEIGHTS`); '' if they may be."""
  return getattr(registry.load('acai_tf.data', dataset), 'NO_WEIGHTS', '')


def check_terms(name) -> None:
  """Raises UserError if the terms of a definition's data do not allow the distribution of weights."""
  if reason := refusal(base.definition(name).dataset):
    raise UserError(f'{name}: weights are neither stored nor published, since {reason}; expected a definition on '
                    'other data.')


def keep(name, run: Run, results=_records.FOLDER, folder=FOLDER, data_dir=None, manual_dir=None) -> _records.Kept:
  """Writes the weights of the reported run to an archive, and the archive's size and checksum to the record.

  Returns:
    The entry in the record.

  Raises:
    UserError: the run has no record, is not the reported one, or its weights do not reproduce the recorded metrics; or
      the terms of the data do not allow it.
  """
  check_terms(name)
  record = _records.reported(_records.load(name, results), name)
  experiment, model, step = build.load_model(run)
  samples = step * experiment.training.batch
  own = _records.identity_of(experiment, samples)
  if record is None or record.identity != own:
    reported = ('none' if record is None else
                f'the one of {record.samples:,} samples, seed {record.seed}')
    raise UserError(f'{run}, of {samples:,} samples, seed {own.seed}, is not the run that {name} reports, which is '
                    f'{reported}. Add it to the results first: acai zoo reproduce {name}.')
  dataset, modality = build.load_data(experiment, data_dir, manual_dir), MODALITIES[experiment.kind]
  model.adapt(dataset)
  functions = modality.functions_of(model)

  def figures():
    return modality.measure(functions, dataset, experiment.dataset_name, model_name=experiment.model_name).metrics

  found = figures()
  # Style transfer has no reconstruction of its own; its metrics include the BLEU of one.
  reconstruction = modality.reconstruction if modality.reconstruction in found else 'reconstruction_bleu'
  recorded, measured = record.metrics.get(reconstruction), found[reconstruction]
  if recorded is not None and (measured is None or abs(measured - recorded) > RECON_CHANGE * recorded):
    raise UserError(f'{run} has a {reconstruction} of {report.number(measured)}; expected {recorded:.4g}, as in its '
                    f'record. Measure it again (acai evaluate), then acai zoo reproduce {name}.')
  arrays, chosen = weights.compact(model, figures)
  about = {'definition': name, 'experiment': experiment.to_dict(), 'samples': samples, 'weights': record.weights,
           **chosen}
  with _records.locked(results):
    latest = _records.reported(_records.load(name, results), name)
    if latest is None or latest.identity != own:
      raise UserError(f'{run} is not the run that {name} reports any longer: another program has added a result. '
                      f'To store the weights of the new one: acai zoo reproduce {name}.')
    kept = _records.Kept(**weights.write(pathlib.Path(folder) / f'{name}.npz', arrays, about), **chosen)
    _records.set_kept(name, record, kept, results)
  return kept
