"""The base of all models, for images and text: players, their optimizers and updates, EMA of the weights, noise."""

import contextlib
import dataclasses
import numbers
import operator
import re
import sys
import typing
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from acai_tf import replicas
from acai_tf.experiment import config as experiment_config
from acai_tf.experiment import machine, overrides


@dataclasses.dataclass(frozen=True)
class Callable:
  """A public function of a model. The export saves it in modules, and the evaluation calls it.

  Attributes:
    name: name of the function in an exported module.
    function: its arguments are `inputs`, in their order, and `training`.
    inputs: dict: name -> tf.TensorSpec.
    meaning: a phrase that describes the output, with its shape.
    output: name of the output in the module's signature.
    kept: objects besides variables that the function needs, such as a vocabulary's table.
  """

  name: str
  function: object
  inputs: dict
  meaning: str
  output: str
  kept: tuple = ()


def check_type(given, what, kind) -> None:
  """Checks the dtype of `given` alone; arguments and errors are those of `check_fit`."""
  try:
    dtype = tf.as_dtype(given.dtype)
  except TypeError:  # a dtype that TensorFlow lacks, such as times
    raise ValueError(f'{what} are {given.dtype}; expected {kind}.') from None
  if not (dtype.is_floating if kind == 'floats' else dtype.is_integer):
    raise ValueError(f'{what} are {dtype.name}; expected {kind}.')


def check_fit(given, shape, what, kind='floats') -> None:
  """Checks the shape and the dtype of an argument. Values are not read, so in a graph only tracing takes time.

  Args:
    given: an array, tensor or tf.TensorSpec, [n, *shape].
    shape: the expected shape without the batch dimension.
    what: the name of the argument in the message.
    kind: 'floats' or 'ints'.

  Raises:
    ValueError: the shape or the kind differs.
  """
  check_type(given, what, kind)
  actual = tf.TensorShape(given.shape)
  if not actual.is_compatible_with([None, *shape]):
    raise ValueError(f'{what} have shape {actual}; expected [{", ".join(map(str, ["n", *shape]))}].')


def as_checked_tensor(given, shape, what, kind='floats') -> tf.Tensor:
  """Converts an array of any kind to a tensor, and checks it as `check_fit` does.

  Raises:
    ValueError: as in `check_fit`; `given` is not an array of numbers, or its static batch size is 0.
  """
  try:
    tensor = tf.convert_to_tensor(given)
  except (ValueError, TypeError):
    raise ValueError(f'{what} are of type {type(given).__name__}, which is not an array of numbers; expected {kind}, '
                     f'[{", ".join(map(str, ["n", *shape]))}].') from None
  check_fit(tensor, shape, what, kind)
  if tensor.shape[0] == 0:
    raise ValueError(f'there are no {what} in the array that was given; expected 1 or more.')
  return tensor


def integer(given, what, least) -> int | tf.Tensor:
  """Returns `given` as an int. A tensor whose value is unknown while a graph is traced is returned as it is.

  Args:
    given: an int, or an object that Python accepts as an index.
    what: the name of the argument in the message.
    least: the smallest value allowed.

  Raises:
    ValueError: `given` is not an integer, is smaller than `least`, or needs more than 64 bits.
  """
  known = tf.get_static_value(given) if tf.is_tensor(given) else given
  if known is None and tf.is_tensor(given):
    return given
  try:
    number = operator.index(known)
  except TypeError:
    raise ValueError(f'{what} is {str(known)[:80]}; expected an integer.') from None
  if number < least:
    raise ValueError(f'{what} is {number if number > -1 << 63 else "too small"}; expected {least} or more.')
  if number >= 1 << 63:
    raise ValueError(f'{what} is too large; expected an integer of 64 bits.')
  return number


class Means:
  """Running means of the logs, for Keras's `fit` and `evaluate`. They are not part of the model's saved state.

  Args:
    names: logs that only labelled batches have. Their variables are created here, because a traced function can create
      variables only in its first call, and that call may have no labels.
  """

  def __init__(self, names=()):
    self.trackers = {name: keras.metrics.Mean(name) for name in names}

  def __call__(self, logs, data):
    """Adds one batch's `logs`, dict of scalar means over `data` (tensors [n, ...]), and returns the means so far."""
    def create(_):
      with tf.init_scope():
        for name in logs:
          if name not in self.trackers:
            self.trackers[name] = keras.metrics.Mean(name)

    tf.distribute.get_replica_context().merge_call(create)
    for name, value in logs.items():
      self.trackers[name].update_state(value, tf.shape(tf.nest.flatten(data)[0])[0])
    return {name: self.trackers[name].result() for name in logs}


class Model(keras.Model):
  """A model of several players. Each player trains its own variables with its own optimizer.

  A subclass creates its networks and implements `players` and `iteration`. An iteration updates each player once, or as
  often as the paper says. `take_step`, which the training program calls, runs one iteration and increments the step
  counter. `train_step` is the same for Keras's `fit`, with a check of the batch and running means of the logs. All
  randomness comes from `uniform` and `normal`, so a step is a pure function of the weights, the optimizers' state, the
  seed and the step number.

  Keras can save and load a model: `model.save('m.keras')` and, once the model's file has been imported,
  `keras.models.load_model`.

  Args:
    config: the model's Config.
    network: `config.Network` or `config.TextNetwork`.
    shape: the shape of one example, as its data set returns it.
    classes: number of classes of the labels.
    seed: seed of the initial weights and the noise.
    precision: a Keras dtype policy.
  """

  network_class: type = type(None)  # of `network`; one for all models of images, another for all models of sentences
  extra_batches = 0  # number of further batches that an iteration uses besides its own
  by_class = False  # whether every batch must have equally many examples of each class

  def __init_subclass__(cls, **kwargs):
    super().__init_subclass__(**kwargs)
    if cls.__name__ == 'Model':
      keras.saving.register_keras_serializable('acai_tf', cls.__module__.rpartition('.')[2])(cls)

  def __init__(self, config, network=None, shape=(), classes=0, seed=0, precision='float32'):
    super().__init__(name=type(self).__module__.rpartition('.')[2])
    self._check_arguments(config, network, shape)
    self.config, self.network, self.seed = config, network, seed
    self._arguments = {'shape': list(shape), 'classes': classes, 'seed': seed, 'precision': precision}
    self.step = self.add_weight(
        name='step', shape=(), dtype='int64', initializer='zeros', trainable=False, aggregation='only_first_replica')
    self.optimizers, self.means = {}, Means()

  @classmethod
  def config_class(cls) -> typing.Any:
    """The Config in the file of this class or of its nearest base class that has one; None if there is none."""
    files = (sys.modules.get(kind.__module__) for kind in cls.__mro__)
    return next((config for file in files if (config := getattr(file, 'Config', None))), None)

  def _check_arguments(self, config, network, shape):
    if network is None and not shape:  # neither a model of images nor of text
      return
    kind = self.config_class() or type(config)
    for given, wanted, what in ((config, kind, 'config'), (network, self.network_class, 'network')):
      if not isinstance(given, wanted):
        raise ValueError(f'{what} of {self.name} is {type(given).__module__}.{type(given).__name__}; expected '
                         f'{wanted.__module__}.{wanted.__name__}.')
    rank = 3 if self.network_class is experiment_config.Network else 2
    if len(shape) != rank or not all(isinstance(number, numbers.Integral) and number > 0 for number in shape):
      raise ValueError(f'shape of {self.name} is {shape}; expected {rank} integers of 1 or more.')
    further = getattr(config, 'parameters', lambda network: 0)(network)  # parameters of the model's further networks
    machine.require_memory({'the sizes of network and data': 4 * network.min_parameters(shape),
                            "the model's sizes": 4 * further})

  def callables(self) -> list[Callable]:
    """Hook: the model's public functions, a list of `Callable` with unique names."""
    raise NotImplementedError

  def regularizers(self, variables) -> list:
    """Hook: the penalties on `variables`, which become the `regularization_losses` of an exported module.

    Returns:
      List of functions () -> scalar; by default there are none.
    """
    del variables
    return []

  def exporting(self) -> contextlib.AbstractContextManager:
    """Hook: the context in which the callables are traced for an exported module."""
    return contextlib.nullcontext()

  # Saving with Keras.

  def get_config(self) -> dict:
    """The constructor's arguments as JSON values."""
    return {'config': dataclasses.asdict(self.config), 'network': dataclasses.asdict(self.network), **self._arguments}

  @classmethod
  def from_config(cls, config, custom_objects=None) -> 'Model':
    """Creates a model from `get_config`, with initial weights.

    Raises:
      UserError: a section has a wrong key, or lacks one.
    """
    del custom_objects
    made_by = cls.config_class()
    arguments = {**config, 'shape': tuple(config['shape'])}
    return cls(**{**arguments, 'config': overrides.make_complete(made_by, config.get('config'), 'model'),
                  'network': overrides.make_complete(cls.network_class, config.get('network'), 'network')})

  def get_compile_config(self) -> dict | None:
    """The players' optimizers, and those other arguments of `compile` that are plain values (bool, number, string).

    None if the model is not compiled.
    """
    if not self.optimizers:
      return None
    return {'optimizers': {player: keras.saving.serialize_keras_object(optimizer)
                           for player, optimizer in self.optimizers.items()}, **self._compiled}

  def compile_from_config(self, config) -> None:
    """Compiles from `get_compile_config`, with the initial state of the optimizers."""
    optimizers = {player: keras.saving.deserialize_keras_object(optimizer)
                  for player, optimizer in config['optimizers'].items()}
    self.compile(optimizers.__getitem__, **{key: value for key, value in config.items() if key != 'optimizers'})

  # Players.

  def players(self) -> dict[str, list]:
    """Dict: player's name -> the layers that it trains."""
    raise NotImplementedError

  def variables_of(self, player) -> list:
    """The trainable variables of one player. Variables that layers share are listed once."""
    variables = [variable for layer in self.players()[player] for variable in layer.trainable_variables]
    return list({id(variable): variable for variable in variables}.values())

  def training_of(self, player, training) -> experiment_config.Training:
    """Hook: the `config.Training` from which `player`'s optimizer is made; by default the experiment's."""
    del player
    return training

  def has_batch_norm(self, player) -> bool:
    """Whether a network of `player` has batch norm.

    Such a player has no EMA of its weights, because the moving moments in its batch norm were computed with the raw
    weights and do not fit averaged ones.
    """
    return any(isinstance(inner, keras.layers.BatchNormalization)
               for layer in self.players()[player] for inner in layer._flatten_layers())

  def adapt(self, dataset) -> None:
    """Hook: takes what the model needs from its training data before the first step, such as a vocabulary."""

  def clipnorm_of(self, player) -> float:
    """Hook: the bound on the global norm of a player's gradient; 0: no clipping. By default `compile`'s `clipnorm`."""
    del player
    return self.clipnorm

  def compile(self, optimizer=None, clipnorm=0.0, steps=None, **kwargs) -> None:
    """Creates an optimizer for each player and builds it on the player's variables.

    Args:
      optimizer: function player's name -> a new Keras optimizer; default: the Adam of the ACAI paper for all players.
      clipnorm: bound on the global norm of each player's gradient, after summing over replicas; 0: no clipping.
      steps: total number of iterations of the training, for models with a schedule over it; None: unknown.
      **kwargs: arguments of Keras's `compile`, except losses and metrics, which the model defines itself.

    Raises:
      ValueError: several players have the same optimizer, losses or metrics are given, or `clipnorm` is below 0.
    """
    for key in ('loss', 'loss_weights', 'metrics', 'weighted_metrics'):
      if kwargs.get(key) is not None:
        raise ValueError(f'compile({key}=...): {self.name} has losses and metrics of its own; expected none.')
    if optimizer is not None and not callable(optimizer):
      raise ValueError(f'optimizer is {optimizer!r}; expected a function: name of a player -> a Keras optimiser.')
    if not clipnorm >= 0:
      raise ValueError(f'clipnorm is {clipnorm}; expected 0 or more.')
    make = optimizer or (lambda player: keras.optimizers.Adam(1e-4, epsilon=1e-8))
    optimizers = {player: make(player) for player in self.players()}
    if len({id(o) for o in optimizers.values()}) < len(optimizers):
      raise ValueError('every player needs an optimiser of its own; `optimizer` returned the same one twice.')
    for player, built in optimizers.items():
      built.build(self.variables_of(player))
    super().compile(optimizer=next(iter(optimizers.values())), **kwargs)
    self.optimizers, self.clipnorm, self.steps = optimizers, clipnorm, steps
    plain = {key: value for key, value in kwargs.items() if isinstance(value, (bool, int, float, str))}
    self._compiled = {'clipnorm': clipnorm, 'steps': steps, **plain}

  def averages(self) -> list[tuple]:
    """List of (variable, EMA of it) for all players whose optimizer keeps an EMA of the weights (Keras: `use_ema`).

    Variables that no optimizer trains, such as a codebook, have no EMA and are used as they are.
    """
    return [pair for player, optimizer in self.optimizers.items() if optimizer.use_ema
            for pair in zip(self.variables_of(player), optimizer._model_variables_moving_average, strict=True)]

  def use_averages(self) -> None:
    """Assigns the EMA to the weights, permanently."""
    for variable, average in self.averages():
      variable.assign(average)

  @contextlib.contextmanager
  def averaged(self) -> Iterator[None]:
    """A context in which the weights are their EMA. Afterwards the raw weights are restored bit-exactly."""
    kept = [(variable, tf.identity(variable.value)) for variable, _ in self.averages()]
    self.use_averages()
    try:
      yield
    finally:
      for variable, value in kept:
        variable.assign(value)

  def minimize(self, tape, losses, skip=None) -> None:
    """Updates each of the players named once, after the gradients of all their losses have been computed.

    Args:
      tape: a persistent tf.GradientTape, still recording; the update itself is not recorded.
      losses: dict: player -> scalar.
      skip: as in `apply`.
    """
    with tape.stop_recording():
      self.apply(self.gradients(tape, losses), skip)

  def gradients(self, tape, losses) -> dict[str, list]:
    """The gradient of each player's loss with respect to its variables, clipped. `tape` must not be recording.

    Losses are divided by the number of replicas, because Keras sums gradients over them. Where a loss does not depend
    on a variable, the gradient is 0; the momentum of the optimizer may still change that variable.

    Args:
      tape: a persistent tf.GradientTape.
      losses: dict: player -> scalar.

    Returns:
      Dict: player -> list of tensors, one for each of `variables_of`.
    """
    context = tf.distribute.get_replica_context()
    share = 1 / context.num_replicas_in_sync
    gradients = {}
    for player, loss in losses.items():
      bound = self.clipnorm_of(player)
      values = [variable.value for variable in self.variables_of(player)]
      gradient = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
      gradient = [tf.convert_to_tensor(g) for g in gradient]  # embeddings give IndexedSlices
      if share < 1 and bound:  # The global gradient is clipped.
        gradient = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradient)
      if bound:
        gradient, _ = tf.clip_by_global_norm(gradient, bound)
      gradients[player] = [g * share for g in gradient] if share < 1 else gradient
    return gradients

  def apply(self, gradients, skip=None) -> None:
    """One step of each player's optimizer.

    Args:
      gradients: dict: player -> list of tensors, as `gradients` returns them.
      skip: dict: player -> scalar bool tensor; where it is true, the player's weights and the state of its optimizer
        stay as they are.
    """
    skip = skip or {}
    for player, gradient in gradients.items():
      variables = self.variables_of(player)
      if player in skip:  # The update is undone, because an update inside tf.cond fails under a strategy.
        state = [v.value for v in variables + self.optimizers[player].variables]
        before = [tf.identity(value) for value in state]
      self.optimizers[player].apply(gradient, variables)
      if player in skip:
        for value, old in zip(state, before, strict=True):
          value.assign(tf.where(skip[player], old, value))

  def clip_weights(self, player, bound) -> None:
    """Clips all of a player's variables to [-bound, bound]."""
    def clip(strategy):
      for variable in self.variables_of(player):
        strategy.extended.update(variable.value, lambda value: value.assign(tf.clip_by_value(value, -bound, bound)))

    tf.distribute.get_replica_context().merge_call(clip)

  def code_spread(self, codes) -> dict:
    """Indicators of a collapse of the latents, over the global batch.

    Args:
      codes: [n, d] latents of norm 1, of this replica.

    Returns:
      {'code_std': root mean squared distance from the mean latent, 'code_mean_norm': norm of the mean latent}, scalars.
      Their squares add up to 1. In a collapse they are 0 and 1.
    """
    codes = replicas.gather(codes)
    mean = tf.reduce_mean(codes, 0)
    deviation = tf.sqrt(tf.reduce_mean(tf.reduce_sum(tf.square(codes - mean), 1)))
    return {'code_std': deviation, 'code_mean_norm': tf.norm(mean)}

  def annealing(self) -> float | tf.Tensor:
    """The factor of the regularizer's weight at this step, in [0, 1]; `config.Annealing` defines the schedule."""
    settings = self.config
    if settings.anneal_to == 1:
      return 1.0
    if not self.steps:
      raise ValueError('model.anneal_from is a share of the training; expected compile(..., steps=N).')
    done = tf.cast(tf.convert_to_tensor(self.step), tf.float32) / self.steps
    return settings.anneal_to ** tf.clip_by_value((done - settings.anneal_from) / settings.anneal_over, 0.0, 1.0)

  def active_from(self, first) -> tf.Tensor:
    """0 before step `first`, then 1: a factor for losses that start once the model has begun to reconstruct."""
    return tf.cast(tf.convert_to_tensor(self.step) >= first, tf.float32)

  # Noise.

  def _draw(self, sampler, batch, shape, salt):
    count = tf.distribute.get_replica_context().num_replicas_in_sync
    seed = tf.random.experimental.stateless_fold_in(
        tf.stack([tf.constant(self.seed, tf.int64), tf.convert_to_tensor(self.step)]), salt)
    return replicas.local_rows(sampler([batch * count, *shape], seed))

  def uniform(self, batch, shape=(), salt=0) -> tf.Tensor:
    """[batch, *shape] samples of U[0, 1), a function of (seed, step, salt).

    Calls in one iteration need different salts, or they return the same numbers.

    The global batch is drawn and each replica takes its rows, so `batch` must be an int if there are several replicas.
    """
    return self._draw(tf.random.stateless_uniform, batch, shape, salt)

  def normal(self, batch, shape, salt=0) -> tf.Tensor:
    """[batch, *shape] samples of N(0, 1), a function of (seed, step, salt); arguments as in `uniform`."""
    return self._draw(tf.random.stateless_normal, batch, shape, salt)

  # Steps.

  def iteration(self, data) -> dict:
    """Hook: updates the players on one batch; returns the logs of the batch, dict: name -> scalar."""
    raise NotImplementedError

  def take_step(self, data) -> dict:
    """Runs one iteration and counts it; returns the logs of the batch."""
    logs = self.iteration(data)
    self.step.assign_add(1)
    return logs

  def train_step(self, data) -> dict:
    """One step of Keras's `fit`; returns the means of the epoch's logs so far."""
    self.check_batch(data)
    return self.means(self.take_step(data), data)

  # Checks of the data for `fit`, `evaluate` and `predict`. Arrays are checked completely before the first step. Of a
  # tf.data.Dataset or another source only shapes and dtypes are checked: reading values would cost time in every step.

  def check_batch(self, data) -> None:
    """Raises ValueError unless the tensors, or tf.TensorSpecs, of a batch have the model's shapes and dtypes."""
    inputs, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
    self._refuse_weights(weights)
    for part in (inputs, labels):
      if part is not None and not hasattr(part, 'shape'):
        raise ValueError(f'a batch holds a {type(part).__name__}; expected one array of inputs, or (inputs, labels).')
    self.check_inputs(inputs, labels)

  def _refuse_weights(self, weights):
    if weights is not None:
      raise ValueError(f'sample_weight or class_weight is given; {self.name} weighs all alike: leave it out.')

  def check_inputs(self, inputs, labels) -> None:
    """Hook: `check_batch` for (inputs, labels); `labels` may be None."""

  def check_values(self, inputs, labels) -> None:
    """Hook: raises ValueError unless all values of the arrays are valid for the model; `labels` may be None."""

  def _check(self, inputs, labels=None, batch_size=None):
    if batch_size is not None:
      integer(batch_size, 'batch_size', 1)
    if isinstance(inputs, tf.data.Dataset):  # before tracing: the first trace of a step must not fail
      self.check_batch(inputs.element_spec)
    elif hasattr(inputs, '__array__'):
      self._check_arrays(inputs, labels)
    elif not (isinstance(inputs, (keras.utils.PyDataset, tf.distribute.DistributedDataset))
              or hasattr(inputs, '__next__')):
      raise ValueError(f'x is a {type(inputs).__name__}; expected an array or a tensor of inputs, a tf.data.Dataset, '
                       'or another source of batches.')

  def _check_arrays(self, inputs, labels):
    if not hasattr(inputs, 'shape'):
      inputs = np.asarray(inputs)
    if labels is not None and not hasattr(labels, '__array__'):
      raise ValueError(f'labels are a {type(labels).__name__}; expected an array.')
    labels = None if labels is None else np.asarray(labels)
    self.check_inputs(inputs, labels)
    if not len(inputs):
      raise ValueError('there is nothing in the array that was given; expected some.')
    self.check_values(np.asarray(inputs), labels)

  def __call__(self, x, *args, **kwargs) -> tf.Tensor:
    """As Keras's; raises ValueError if an array or tensor does not fit the model."""
    if hasattr(x, 'shape'):  # Checked here, because Keras adds several lines to errors from `call`.
      self.check_inputs(x, None)
    return super().__call__(x, *args, **kwargs)

  def fit(self, x=None, y=None, batch_size=None, *args, **kwargs) -> keras.callbacks.History:
    """As Keras's; raises ValueError if the data does not fit the model."""
    self._check(x, y, batch_size)
    for key in ('sample_weight', 'class_weight'):
      self._refuse_weights(kwargs.get(key))
    if isinstance(kwargs.get('validation_data'), (tuple, list)):
      self._check(*kwargs['validation_data'][:2])
    with self._reporting_wrong_labels():
      return super().fit(x, y, batch_size, *args, **kwargs)

  def evaluate(self, x=None, y=None, batch_size=None, *args, **kwargs) -> float | list | dict:
    """As Keras's; raises ValueError if the data does not fit the model."""
    self._check(x, y, batch_size)
    with self._reporting_wrong_labels():
      return super().evaluate(x, y, batch_size, *args, **kwargs)

  def predict(self, x, batch_size=None, *args, **kwargs) -> np.ndarray:
    """As Keras's; raises ValueError if the data does not fit the model."""
    self._check(x, None, batch_size)
    return super().predict(x, batch_size, *args, **kwargs)

  def train_on_batch(self, x, y=None, *args, **kwargs) -> float | list | dict:
    """As Keras's; raises ValueError if the arrays do not fit the model."""
    self._check(x, y)
    return super().train_on_batch(x, y, *args, **kwargs)

  def test_on_batch(self, x, y=None, *args, **kwargs) -> float | list | dict:
    """As Keras's; raises ValueError if the arrays do not fit the model."""
    self._check(x, y)
    return super().test_on_batch(x, y, *args, **kwargs)

  @contextlib.contextmanager
  def _reporting_wrong_labels(self):
    """A context that reports TensorFlow's error about a label out of range in one line.

    On a GPU there is no error; there the classifier's loss is NaN.
    """
    try:
      yield
    except tf.errors.InvalidArgumentError as error:
      match = re.search(r'label value of (-?\d+)', str(error))
      if not match:
        raise
      raise ValueError(f'a label is {match[1]}; expected classes from 0 to {self._arguments["classes"] - 1}.') from None

  @property
  def metrics(self) -> list:
    """The metrics that Keras resets before each epoch and evaluation."""
    return [*super().metrics, *self.means.trackers.values()]
