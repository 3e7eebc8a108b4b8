"""All that a step depends on, on disk."""

import collections
import pathlib
import shutil
import tempfile

import numpy as np
import tensorflow as tf

from acai_tf import files
from acai_tf.experiment import strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import parse_experiment
from acai_tf.experiment.run import DATA, INDEX, checkpoint_steps, conflicts
from acai_tf.training import weights

DAMAGED = '.damaged'  # behind the names of files that are put aside
_RUN, _DATA = 'experiment', 'data'  # entries that say which experiment's a checkpoint is, as JSON, and on which data


def step_of(model) -> int:
  """The steps that a model has made, as an int; its counter may be mirrored over devices."""
  return int(model.step.value.read_value())


class DivergedError(UserError):
  """A loss that is NaN or infinite."""


class DamagedError(UserError):
  """A checkpoint that cannot be read."""


class Checkpoints:
  """All that a step depends on, on disk: weights, optimisers' slots, step. The last few, and the best one.

  What lies in the folders is what there is: a checkpoint is two files, step-N.index and step-N.data-00000-of-00001.

  Args:
    model: a compiled model; its optimisers' variables are saved too.
    folder: where checkpoints lie.
    keep: how many of the last to keep.
    experiment: `config.Experiment` that checkpoints say they are of, and must be of to be restored; None: any.
    data: `Dataset.identity` of the training data, likewise; '': any.
  """

  def __init__(self, model, folder, keep, experiment=None, data=''):
    self.model, self.keep, self.experiment, self.data = model, keep, experiment, data
    self.variables = variables(model)
    self.last, self.best = pathlib.Path(folder) / 'last', pathlib.Path(folder) / 'best'

  def save(self, folder=None) -> None:
    """Writes the present state to `last`, or to `best`; earlier ones go only once it is whole.

    Raises:
      UserError: a disk that is full or not writable.
      DivergedError: a weight that is not finite, so that the checkpoints before it stay.
    """
    folder, step = folder or self.last, step_of(self.model)
    for name, variable in self.variables.items():
      if variable.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(variable))):
        raise DivergedError(f'weight {name} is not finite at step {step}; it was not saved. {self._advice()}')
    scratch = folder / 'unfinished'
    try:
      shutil.rmtree(scratch, ignore_errors=True)
      scratch.mkdir(parents=True)
      with tf.device('/cpu:0'):
        tensors = {name: variable.read_value() for name, variable in self.variables.items()}
        if self.experiment:
          tensors[_RUN] = tf.constant(self.experiment.to_json())
        if self.data:
          tensors[_DATA] = tf.constant(self.data)
        tf.raw_ops.SaveV2(prefix=f'{scratch}/step', tensor_names=list(tensors), shape_and_slices=[''] * len(tensors),
                          tensors=list(tensors.values()))
      _delete(folder, step)
      for ending in (DATA, INDEX):  # Whoever is killed between the two leaves half, which is no checkpoint.
        (scratch / f'step{ending}').rename(folder / f'step-{step}{ending}')
      scratch.rmdir()
      others = sorted(set(checkpoint_steps(folder)) - {step}, reverse=True)
      for other in others[self.keep - 1 if folder == self.last else 0:]:
        _delete(folder, other)
    except (OSError, tf.errors.OpError) as error:
      free = shutil.disk_usage(next(parent for parent in folder.parents if parent.exists())).free
      raise UserError(f'checkpoint of step {step} could not be written to {folder} '
                      f'({type(error).__name__}, {free / 1e6:.1f} MB free there); free space or fix permissions, then '
                      f'run the same command to resume. {self._advice()}') from error

  def restore_whole(self) -> tuple[int, list[int]]:
    """Restores the newest checkpoint of `last` that can be read, and puts those after it aside ('.damaged').

    Returns:
      (Its step, or 0 where there is none; the steps of the damaged ones, newest first).

    Raises:
      UserError: as `restore`, where none can be read.
    """
    damaged: list[int] = []
    for step in reversed(checkpoint_steps(self.last)):
      try:
        self._restore(self.last, step)
      except DamagedError as error:
        damaged.append(step)
        fault = error
        continue
      for other in damaged:
        for ending in (INDEX, DATA):
          path = self.last / f'step-{other}{ending}'
          path.rename(f'{path}{DAMAGED}')
      return step, damaged
    if damaged:
      raise fault
    return 0, []

  def put_aside(self) -> list[int]:
    """The steps of the damaged checkpoints that were put aside, sorted."""
    names = (path.name.removesuffix(f'{INDEX}{DAMAGED}') for path in self.last.glob(f'step-*{INDEX}{DAMAGED}'))
    return sorted(int(name.removeprefix('step-')) for name in names)

  def restore(self, folder=None) -> int:
    """Restores the newest checkpoint of `last`, or of `best`, and returns its step; 0 where there is none.

    Raises:
      UserError: a checkpoint of another model or experiment, or one that cannot be read, saying which earlier one
        could be used.
      OSError: a file or a disk that cannot be read; TensorFlow's errors of a lack of memory go through, too.
    """
    folder = folder or self.last
    found = checkpoint_steps(folder)
    if found:
      self._restore(folder, found[-1])
    return found[-1] if found else 0

  def restore_step(self, step) -> None:
    """Restores the checkpoint of `last` of that step, which another host has read; 0 is none.

    Raises:
      UserError: as `restore`, and where it is not there.
    """
    if step and step not in checkpoint_steps(self.last):
      raise UserError(f'{self.last} has no checkpoint of step {step}, which the chief goes on from; expected a run '
                      'folder that all hosts share.')
    if step:
      self._restore(self.last, step)

  def _restore(self, folder, step):
    path = folder / f'step-{step}'
    for ending in (INDEX, DATA):
      with files.regular(f'{path}{ending}').open('rb'):
        pass  # A file that may not be read is no damaged one.
    with tempfile.TemporaryDirectory() as link:
      # TensorFlow looks for a path as for a pattern, and so for none with a [ or a backslash: it gets another.
      (pathlib.Path(link) / 'folder').symlink_to(folder.resolve())
      try:
        self._take(tf.train.load_checkpoint(f'{link}/folder/{path.name}'), path)
      except (UserError, OSError, MemoryError, tf.errors.ResourceExhaustedError, tf.errors.PermissionDeniedError):
        raise
      except Exception as error:  # TensorFlow raises OpError, ValueError and others for broken files.
        earlier = [other for other in checkpoint_steps(folder) if other < step]
        advice = ('take the last one instead (--checkpoint last)' if folder == self.best else
                  f'to go on from {folder}/step-{earlier[-1]}, delete {path}{INDEX}' if earlier else
                  'there is no earlier one; delete the run folder to start anew')
        raise DamagedError(f'checkpoint {path} cannot be read ({type(error).__name__}); expected a whole one of this '
                           f'model; {advice}.') from error

  def _take(self, reader, path):
    """Assigns what a checkpoint holds."""
    shapes = reader.get_variable_to_shape_map()
    if shapes.pop(_RUN, None) is not None and self.experiment:  # older ones do not say
      theirs = parse_experiment(strict_json.loads(reader.get_tensor(_RUN)))
      keys = conflicts(theirs.to_dict(), self.experiment.to_dict())
      if keys:
        raise UserError(f'checkpoint {path} is of another training: {keys}. Put the run\'s own files back, or train in '
                        'another run folder.')
    theirs = reader.get_tensor(_DATA).decode() if shapes.pop(_DATA, None) is not None else ''
    if self.data and theirs not in ('', self.data):
      raise UserError(f'checkpoint {path} was trained on other data than there are now (checksum {theirs}, now '
                      f'{self.data}). Put the data back as they were, or train in another run folder.')
    keys = {name: name for name in self.variables}
    if _numbered(0) in shapes:  # written before variables had names: by their place in the list of all
      keys = {name: _numbered(i) for i, name in enumerate(self.variables)}
      shapes = {key: shape for key, shape in shapes.items() if key.startswith('variables/')}  # not TensorFlow's own
    wanted = {keys[name]: list(variable.shape) for name, variable in self.variables.items()}
    for key in sorted(wanted.keys() | shapes.keys()):
      if wanted.get(key) != shapes.get(key):
        raise UserError(f'checkpoint {path} does not fit {self.model.name}: {key} has shape {shapes.get(key, "none")} '
                        f'there and {wanted.get(key, "none")} here; expected this version\'s model. Go on with the '
                        'version that wrote it, or train anew in another run folder.')
    counter = next(keys[name] for name, variable in self.variables.items() if variable is self.model.step.value)
    if path.name != f'step-{reader.get_tensor(counter)}':
      raise DamagedError(f'checkpoint {path} holds step {reader.get_tensor(counter)}; expected the file as it was '
                         'written, under its own name.')
    for name, variable in self.variables.items():
      value = reader.get_tensor(keys[name])
      if value.dtype == np.uint8:  # as words were kept once
        value = value.astype(variable.dtype.as_numpy_dtype)
      variable.assign(value)

  def _advice(self):
    found = checkpoint_steps(self.last)
    return f'The last good checkpoint is {self.last}/step-{found[-1]}.' if found else 'There is no earlier checkpoint.'


def variables(model) -> dict[str, tf.Variable]:
  """Dict: name -> tf.Variable, all that a step depends on: 'encoder/3/kernel', 'critic/optimizer/encoder/3/kernel/...'.

  Names are those of `weights.named_variables`, the same in every process and whichever layer comes first.

  Raises:
    ValueError: two variables of one name.
  """
  names = {id(variable): name for name, variable in weights.named_variables(model, names=True).items()}
  pairs = [(names.get(id(variable), variable.name), variable) for variable in model.variables]
  for player, optimizer in sorted(model.optimizers.items()):
    owners, made = {}, collections.Counter()
    for variable in model.variables_of(player):
      owners.setdefault(variable.path.replace('/', '_') + '_', []).append(names[id(variable)])
    for variable in optimizer.variables:
      # Keras's name is the weight's path, which another weight may share, and the slot: 'lstm_kernel_momentum'.
      path = max(filter(variable.name.startswith, owners), key=len, default=None)
      owner = f'{owners[path][made[variable.name]]}/' if path else ''
      made[variable.name] += 1
      pairs.append((f'{player}/optimizer/{owner}{variable.name.removeprefix(path or "")}', variable))
  named = {name: variable.value for name, variable in pairs}
  if len(named) < len(pairs):
    raise ValueError(f'{model.name}: {len(pairs) - len(named)} variables have the name of another; expected one each.')
  return named


def _numbered(place):
  return f'variables/{place}/.ATTRIBUTES/VARIABLE_VALUE'


def _delete(folder, step):
  for ending in (INDEX, DATA):
    (folder / f'step-{step}{ending}').unlink(missing_ok=True)
