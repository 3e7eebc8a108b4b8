"""Checkpoints: weights, state of the optimizers and step counter."""

import collections
import pathlib
import shutil
import tempfile

import tensorflow as tf

from acai_tf import files
from acai_tf.experiment import strict_json
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import parse_experiment
from acai_tf.experiment.run import DATA, INDEX, checkpoint_steps, conflicts
from acai_tf.training.variables import named_variables

DAMAGED = '.damaged'  # suffix of files that are set aside
_RUN, _DATA = 'experiment', 'data'  # entries with the experiment as JSON and the checksum of the data


def step_of(model) -> int:
  """The step counter of a model as an int; the variable may be mirrored over devices."""
  return int(model.step.value.read_value())


class DivergedError(UserError):
  """A loss or a weight is not finite."""


class DamagedError(UserError):
  """A checkpoint cannot be read."""


class Checkpoints:
  """The last few checkpoints of a training and the best one: weights, variables of the optimizers, step counter.

  There is no index of checkpoints besides the folders `last` and `best`. A checkpoint is two files, step-N.index and
  step-N.data-00000-of-00001.

  Args:
    model: a compiled model; the variables of its optimizers are saved too.
    folder: the folder of `last` and `best`.
    keep: number of checkpoints kept in `last`.
    experiment: `config.Experiment` that is stored in checkpoints and must match when they are restored; None: any.
    data: `Dataset.identity` of the training data. It is stored, and a checkpoint of other data is refused. '': any.
  """

  def __init__(self, model, folder, keep, experiment=None, data=''):
    self.model, self.keep, self.experiment, self.data = model, keep, experiment, data
    self.variables = variables(model)
    self.last, self.best = pathlib.Path(folder) / 'last', pathlib.Path(folder) / 'best'

  def save(self, folder=None) -> None:
    """Saves the current state to `last`, or to `best`. Old checkpoints are deleted only after it is complete.

    Raises:
      UserError: the disk is full or not writable.
      DivergedError: a weight is not finite; nothing is saved, and earlier checkpoints are kept.
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
      for ending in (DATA, INDEX):  # Between the two there is no index file, and so no checkpoint.
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

  def restore_newest_readable(self) -> tuple[int, list[int]]:
    """Restores the newest readable checkpoint of `last` and renames damaged newer ones ('.damaged').

    Returns:
      (Step of that checkpoint, or 0 if there is none; steps of the damaged ones, newest first).

    Raises:
      UserError: as `restore`, if no checkpoint can be read.
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

  def damaged_steps(self) -> list[int]:
    """The steps of the damaged checkpoints that were set aside, sorted."""
    names = (path.name.removesuffix(f'{INDEX}{DAMAGED}') for path in self.last.glob(f'step-*{INDEX}{DAMAGED}'))
    return sorted(int(name.removeprefix('step-')) for name in names)

  def restore(self, folder=None) -> int:
    """Restores the newest checkpoint of `last`, or of `best`, and returns its step; 0 if there is none.

    Raises:
      UserError: the checkpoint is of another model or experiment, or cannot be read; the message names an earlier one.
      OSError: a file or the disk cannot be read. TensorFlow's out-of-memory errors are raised as they are.
    """
    folder = folder or self.last
    found = checkpoint_steps(folder)
    if found:
      self._restore(folder, found[-1])
    return found[-1] if found else 0

  def restore_step(self, step) -> None:
    """Restores the checkpoint of `last` at `step`, which the chief has restored; does nothing if `step` is 0.

    Raises:
      UserError: as `restore`, and if there is no such checkpoint.
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
        pass  # Missing permission raises OSError: such a file is not damaged.
    with tempfile.TemporaryDirectory() as link:
      # TensorFlow treats the path as a pattern, in which [ and backslashes are special. So it gets a symlink's path.
      (pathlib.Path(link) / 'folder').symlink_to(folder.resolve())
      try:
        self._assign(tf.train.load_checkpoint(f'{link}/folder/{path.name}'), path)
      except (UserError, OSError, MemoryError, tf.errors.ResourceExhaustedError, tf.errors.PermissionDeniedError):
        raise
      except Exception as error:  # TensorFlow raises OpError, ValueError and others for damaged files.
        earlier = [other for other in checkpoint_steps(folder) if other < step]
        advice = ('take the last one instead (--checkpoint last)' if folder == self.best else
                  f'to go on from {folder}/step-{earlier[-1]}, delete {path}{INDEX}' if earlier else
                  'there is no earlier one; delete the run folder to start anew')
        raise DamagedError(f'checkpoint {path} cannot be read ({type(error).__name__}); expected a complete one of '
                           f'this model; {advice}.') from error

  def _assign(self, reader, path):
    """Assigns the values of a checkpoint to the variables, if all checks succeed."""
    shapes = reader.get_variable_to_shape_map()
    if shapes.pop(_RUN, None) is not None and self.experiment:  # Older checkpoints do not have it.
      theirs = parse_experiment(strict_json.loads(reader.get_tensor(_RUN)))
      keys = conflicts(theirs.to_dict(), self.experiment.to_dict())
      if keys:
        raise UserError(f'checkpoint {path} is of another training: {keys}. Put the run\'s own files back, or train in '
                        'another run folder.')
    theirs = reader.get_tensor(_DATA).decode() if shapes.pop(_DATA, None) is not None else ''
    if self.data and theirs not in ('', self.data):
      raise UserError(f'checkpoint {path} was trained on other data than there are now (checksum {theirs}, now '
                      f'{self.data}). Put the data back as they were, or train in another run folder.')
    wanted = {name: list(variable.shape) for name, variable in self.variables.items()}
    for key in sorted(wanted.keys() | shapes.keys()):
      if wanted.get(key) != shapes.get(key):
        raise UserError(f'checkpoint {path} does not fit {self.model.name}: {key} has shape {shapes.get(key, "none")} '
                        f'there and {wanted.get(key, "none")} here; expected this version\'s model. Go on with the '
                        'version that wrote it, or train anew in another run folder.')
    counter = next(name for name, variable in self.variables.items() if variable is self.model.step.value)
    if path.name != f'step-{reader.get_tensor(counter)}':
      raise DamagedError(f'checkpoint {path} holds step {reader.get_tensor(counter)}; expected the file as it was '
                         'written, under its own name.')
    for name, variable in self.variables.items():
      variable.assign(reader.get_tensor(name))

  def _advice(self):
    found = checkpoint_steps(self.last)
    return f'The last good checkpoint is {self.last}/step-{found[-1]}.' if found else 'There is no earlier checkpoint.'


def variables(model) -> dict[str, tf.Variable]:
  """All variables that a checkpoint stores, by name.

  Names are based on `named_variables`. They are the same in each process and do not depend on the order in
  which layers are created.

  Returns:
    Dict: name -> tf.Variable; names such as 'encoder/3/kernel' and 'critic/optimizer/encoder/3/kernel/...'.

  Raises:
    ValueError: two variables have the same name.
  """
  names = {id(variable): name for name, variable in named_variables(model, names=True).items()}
  pairs = [(names.get(id(variable), variable.name), variable) for variable in model.variables]
  for player, optimizer in sorted(model.optimizers.items()):
    owners, seen = {}, collections.Counter()  # Keras's prefix -> weights with that path; slot -> number of it so far
    for variable in model.variables_of(player):
      owners.setdefault(variable.path.replace('/', '_') + '_', []).append(names[id(variable)])
    for variable in optimizer.variables:
      # Keras names a slot variable by the weight's path, which may not be unique, and the slot: 'lstm_kernel_momentum'.
      path = max(filter(variable.name.startswith, owners), key=len, default=None)
      owner = f'{owners[path][seen[variable.name]]}/' if path else ''
      seen[variable.name] += 1
      pairs.append((f'{player}/optimizer/{owner}{variable.name.removeprefix(path or "")}', variable))
  named = {name: variable.value for name, variable in pairs}
  if len(named) < len(pairs):
    raise ValueError(f'{model.name}: {len(pairs) - len(named)} names of variables occur twice; expected each once.')
  return named


def _delete(folder, step):
  for ending in (INDEX, DATA):
    (folder / f'step-{step}{ending}').unlink(missing_ok=True)
