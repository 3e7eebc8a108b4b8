"""Archives of weights: a zip file of NumPy arrays, named by their layers, with a description in JSON.

Nothing in an archive is executed or unpickled. The same weights give the same bytes.
"""

import json
import math
import pathlib
import typing
import zipfile

import numpy as np

from acai_tf import files
from acai_tf.experiment import strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import parse_experiment
from acai_tf.training import build
from acai_tf.training.variables import named_variables

if typing.TYPE_CHECKING:
  import keras

ABOUT = 'about.json'  # entry besides the arrays: experiment, samples, weights, dtype, changes of metrics
CHANGE = 0.01  # maximum relative change of a metric, if weights are stored in half precision
INTERVAL = 0.5  # the same for a metric with a confidence interval, relative to the interval's half width
MAX_SAMPLES = 10**15  # of `config.Training.samples`
# State that only training needs: the moving averages from which the codebook is computed.
TRAINING_ONLY = ('quantizer/sums', 'quantizer/counts')
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest date of the zip format


def variables(model) -> 'dict[str, keras.Variable]':
  """The variables of an archive: those of all networks, the classifier and the codebook, by name.

  Step counter, optimizers and the EMA are not included.

  Returns:
    Dict: name, such as 'encoder/3/kernel' -> variable.
  """
  return {key: variable for key, variable in named_variables(model).items() if key not in TRAINING_ONLY}


def parameter_count(model) -> int:
  """The number of parameters of a model: networks, classifier and codebook. Keras also counts the step counter."""
  return sum(math.prod(variable.shape) for variable in variables(model).values())


def compact(model, measure) -> tuple:
  """Weights in half precision if that changes no metric by more than 1 %, else in float32.

  A metric with a confidence interval, mean +- h, may change by h / 2. On lines, rounding decides where an interpolation
  between opposite lines jumps, and the interval shows how much such pairs matter.

  Args:
    model: its variables are restored afterwards.
    measure: function -> dict: metric -> number or None, of the current model.

  Returns:
    (arrays for `write`, {'dtype': 'float16' or 'float32', 'float16_changes': dict: metric -> relative change with half
    precision, None if it is not finite; counts are left out}).
  """
  exact = {key: variable.numpy() for key, variable in variables(model).items()}
  with np.errstate(over='ignore'):
    half = {key: array.astype(np.float16) if array.dtype == np.float32 else array for key, array in exact.items()}
  before = after = {}
  fits = all(np.isfinite(array).all() for array in half.values())
  if fits:
    before = measure()
    assign(model, half)
    after = measure()
    assign(model, exact)
  changes = relative_changes(before, after)

  def allowed(name):
    half_width = before.get(f'{name}_ci95')
    return max(CHANGE, INTERVAL * half_width / abs(before[name])) if half_width and before[name] else CHANGE

  fits = fits and all(change <= allowed(name) for name, change in changes.items())
  return half if fits else exact, {
      'dtype': 'float16' if fits else 'float32',
      'float16_changes': {name: change if math.isfinite(change) else None for name, change in changes.items()}}


def relative_changes(before, after) -> dict[str, float]:
  """Dict: metric -> |after - before| / |before|, infinite from 0 or with None or NaN; no counts or intervals."""
  changes = {}
  for name, old in before.items():
    new = after.get(name)
    if not name.endswith('_ci95') and not isinstance(old, int):
      change = 0.0 if new == old else abs(new - old) / abs(old) if old and new is not None else math.inf
      changes[name] = math.inf if math.isnan(change) else change
  return changes


def assign(model, arrays, where='the archive') -> None:
  """Assigns arrays to a model's weights.

  Args:
    model: built.
    arrays: dict: name, as of `variables` -> array.
    where: the archive, for messages.

  Raises:
    UserError: a name, shape or dtype does not match, or a value is not finite; the model is unchanged then.
  """
  own = variables(model)
  for names, word in ((own.keys() - arrays.keys(), 'lacks'), (arrays.keys() - own.keys(), 'has, beside them,')):
    if names:
      raise _unfit(where, model, f'it {word} {len(names)} weights, {sorted(names)[0]} first')
  for key, variable in own.items():
    array, wanted = arrays[key], np.dtype(variable.dtype)
    if array.shape != tuple(variable.shape):
      raise _unfit(where, model, f'{key} has shape {array.shape}, not {tuple(variable.shape)}')
    if array.dtype != wanted and (array.dtype, wanted) != (np.float16, np.float32):
      raise _unfit(where, model, f'{key} is {array.dtype}, not {wanted} or its half precision')
    if array.dtype.kind == 'f' and not np.isfinite(array).all():
      raise _unfit(where, model, f'{key} has values that are not finite')
  for key, variable in own.items():
    variable.assign(arrays[key].astype(np.dtype(variable.dtype)))


def write(path, arrays, about) -> dict:
  """Writes an archive atomically.

  Args:
    path: the file.
    arrays: dict: key -> array, as `compact` gives them.
    about: dict of JSON values with 'experiment' (`Experiment.to_dict`), 'samples', 'weights' ('average' or 'raw'), ...

  Returns:
    {'file': its name, 'sha256': in hexadecimal, 'bytes': its size}.
  """
  path = pathlib.Path(path)
  text = np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8)
  # Uncompressed: float16 weights hardly compress, and the bytes would depend on the version of zlib.
  with files.replacing(path) as made, zipfile.ZipFile(made, 'w') as archive:
    for key, array in sorted({**arrays, ABOUT: text}.items()):
      entry = zipfile.ZipInfo(f'{key}.npy', _DATE)
      entry.create_system, entry.external_attr = 3, 0o644 << 16  # Unix attributes on all systems
      with archive.open(entry, 'w', force_zip64=False) as stream:
        array = np.asarray(array, array.dtype.newbyteorder('<'), order='C')
        np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
  return {'file': path.name, **facts(path)}


def facts(path) -> dict:
  """{'sha256', 'bytes'} of a file."""
  return {'sha256': files.digest_of(path), 'bytes': pathlib.Path(path).stat().st_size}


def read(path) -> tuple:
  """An archive's (arrays, about).

  Raises:
    UserError: the file is missing, damaged, or not an archive of `write`.
  """
  arrays = {}
  try:
    with zipfile.ZipFile(files.regular(path)) as archive:
      for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED:  # Uncompressed arrays cannot be larger than the file.
          raise ValueError(f'{entry.filename} is compressed')
        with archive.open(entry) as stream:
          arrays[entry.filename.removesuffix('.npy')] = np.lib.format.read_array(stream, allow_pickle=False)
          if stream.read(1):
            raise ValueError(f'{entry.filename} has data after its array')
    about = strict_json.loads(arrays.pop(ABOUT).tobytes())
    if not isinstance(about['experiment'], dict) or not (type(about['samples']) is int
                                                         and 0 <= about['samples'] <= MAX_SAMPLES):
      raise ValueError(f'{ABOUT} has no experiment and samples')
  except Exception as error:  # zipfile, NumPy and json raise many types of errors for damaged files.
    problem = ' '.join(f'{type(error).__name__}: {error}'.split())[:120]
    raise UserError(f'{path} cannot be read ({problem}); expected an archive of weights that acai zoo keep wrote. '
                    'Restore it, or keep its run again.') from error
  return arrays, about


def load(path, precision=None) -> tuple:
  """Creates the model of an archive and assigns its weights.

  Args:
    path: the file.
    precision: a Keras dtype policy; default: that of the training.

  Returns:
    (experiment, model, about).

  Raises:
    UserError: the archive cannot be read, or its model is of another version.
  """
  arrays, about = read(path)
  try:
    experiment = parse_experiment(about['experiment'])
  except (KeyError, TypeError, AttributeError, UserError) as error:
    raise UserError(f'{path}: this version cannot read its experiment ({error}).') from error
  model = build.create(experiment, precision)
  assign(model, arrays, path)
  model.step.assign(about['samples'] // experiment.training.batch)  # Noise is a function of the step.
  return experiment, model, about


def _unfit(where, model, problem):
  return UserError(f'{where} does not fit {model.name}: {problem}; expected the weights of this version\'s model. Keep '
                   'the run again: acai zoo keep.')
