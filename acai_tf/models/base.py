"""What all models share: networks, players, noise, and the one-objective training step."""

import contextlib

import keras
import tensorflow as tf

from acai_tf import interpolation, losses, replicas
from acai_tf.networks import convolutional, dense


class Means:
  """Running means of logs, for Keras's `fit` and `evaluate`; held by a model without being part of its state.

  `names`: those that only labelled batches have. A traced function can make variables in its first call alone, which
  may see no labels.
  """

  def __init__(self, names):
    self.trackers = {name: keras.metrics.Mean(name) for name in names}

  def __call__(self, logs, images):
    """Takes one batch's `logs`, dict of scalar means over `images` [n, ...], and gives the means so far."""
    def create(_):
      with tf.init_scope():
        for name in logs:
          if name not in self.trackers:
            self.trackers[name] = keras.metrics.Mean(name)

    tf.distribute.get_replica_context().merge_call(create)
    for name, value in logs.items():
      self.trackers[name].update_state(value, tf.shape(images)[0])
    return {name: self.trackers[name].result() for name in logs}


class Autoencoder(keras.Model):
  """x -> code z = f(x) -> x^ = g(z), and the machinery of training it.

  A subclass lists its further `players`, and gives either `objective` (one loss for encoder and decoder) or, when
  several players have losses of their own, a whole `take_step`. All randomness comes from `uniform` and `normal`,
  so a step is a pure function of weights, optimiser state, seed and step number.

  Args:
    config: the model's Config.
    network: `config.Network`.
    shape: (height, width, channels) of the images; height = width.
    classes: labels' number of classes, for the online classifier; 0 trains none.
    seed: of weights and noise.
    precision: a Keras dtype policy; codes, images and weights stay float32.

  Raises:
    ValueError: images that are not square, or a latent width that does not fit them (`config.UserError`).
  """

  has_prior = False  # whether codes are trained towards N(0, I)

  def __init__(self, config, network, shape, classes=0, seed=0, precision='float32'):
    super().__init__(name=type(self).__module__.rpartition('.')[2])
    height, width, channels = shape
    if height != width:
      raise ValueError(f'images are {height}x{width}; expected square ones.')
    self.config, self.network, self.image_shape, self.seed = config, network, tuple(shape), seed
    self.encoder = convolutional.encoder(height, network, seed, precision)
    self.decoder = convolutional.decoder(height, channels, network, seed, precision)
    self.classifier = dense.classifier(classes, seed) if classes else None
    self.step = self.add_weight(
        name='step', shape=(), dtype='int64', initializer='zeros', trainable=False, aggregation='only_first_replica')
    self.optimizers, self.means = {}, Means(('classifier_loss', 'accuracy') if classes else ())
    self.create_networks(height, precision)
    self.build((None, *shape))

  @property
  def code_shape(self):
    """(height, width, channels) of one code."""
    return self.network.latent_width, self.network.latent_width, self.network.latent

  def create_networks(self, size, precision):
    """Hook: a subclass makes its further networks here."""

  def build(self, input_shape):
    """Creates every weight for images of `input_shape`, (None, height, width, channels); the constructor calls it.

    A player's further layers are shown one image, unless `create_networks` has built them.
    """
    images = tf.zeros([1, *input_shape[1:]])
    self.encoder.build(input_shape)
    self.decoder.build((None, *self.code_shape))
    features = self.represent(images)
    for layers in self.players().values():
      for layer in layers:
        if not layer.built:
          layer(features if layer is self.classifier else images)
    self.built = True

  # What users call. Images are [n, height, width, channels] float32 in [-1, 1].

  def encode(self, images, training=False):
    """Images -> [n, latent_width, latent_width, latent], the codes that are interpolated."""
    return self.encoder(images, training=training)

  def encode_sample(self, images, seed):
    """Images -> codes as the authors interpolate and cluster them; here `encode`'s.

    A model with a posterior q(z given x) gives a sample of it, independent for every image: a function of the images
    and `seed`, an int or an int tensor.
    """
    del seed
    return self.encode(images)

  def decode(self, codes, training=False):
    """Codes -> images."""
    return self.decoder(codes, training=training)

  def represent(self, images, training=False):
    """Images -> [n, features] float32: what the probe and the clustering see; here the flat code."""
    return self.features(self.encode(images, training))

  def interpolate(self, images_a, images_b, alpha, path='linear'):
    """Decodes the point `alpha` of the way from a's code to b's: 0 is a, 1 is b.

    Args:
      images_a, images_b: images, n of each.
      alpha: [n] or a scalar, in [0, 1].
      path: 'linear' or 'spherical'.

    Raises:
      ValueError: an unknown path.
    """
    if path not in interpolation.PATHS:
      raise ValueError(f'path {path!r}; expected one of {interpolation.PATHS}')
    first, second = self.encode(images_a), self.encode(images_b)
    if path == 'spherical':
      return self.decode(interpolation.slerp(first, second, alpha))
    return self.decode(interpolation.lerp(first, second, tf.reshape(tf.cast(alpha, first.dtype), [-1, 1, 1, 1])))

  def sample(self, count, seed=0):
    """`count` images decoded from the prior N(0, I) of the codes; a function of `seed`.

    Raises:
      ValueError: the model has no prior.
    """
    if not self.has_prior:
      raise ValueError(f'{self.name} has no prior to sample codes from.')
    return self.decode(tf.random.stateless_normal([count, *self.code_shape], [seed, 0]))

  def call(self, images, training=False):
    """Reconstructs images."""
    return self.decode(self.encode(images, training), training)

  # Players.

  def players(self):
    """Dict: player's name -> the layers that it trains."""
    return {'autoencoder': [self.encoder, self.decoder], **self._classifier_player()}

  def _classifier_player(self):
    return {'classifier': [self.classifier]} if self.classifier else {}

  def variables_of(self, player):
    """The trainable variables of one player, selected by object."""
    return [variable for layer in self.players()[player] for variable in layer.trainable_variables]

  def compile(self, optimizer=None, clipnorm=0.0, **kwargs):
    """Gives every player an optimiser of its own, built on its own variables.

    Args:
      optimizer: a function player's name -> Keras optimiser; default: the paper's Adam for all.
      clipnorm: bound on the global norm of each player's gradient, after summing over replicas; 0 is off.
      **kwargs: Keras's own, without `loss` and `metrics`.
    """
    make = optimizer or (lambda player: keras.optimizers.Adam(1e-4, epsilon=1e-8))
    optimizers = {player: make(player) for player in self.players()}
    if len({id(o) for o in optimizers.values()}) < len(optimizers):
      raise ValueError('every player needs an optimiser of its own; `optimizer` returned the same one twice.')
    for player, built in optimizers.items():
      built.build(self.variables_of(player))
    super().compile(optimizer=optimizers['autoencoder'], **kwargs)
    self.optimizers, self.clipnorm = optimizers, clipnorm

  def averages(self):
    """(variable, its moving average) of every player whose optimiser keeps averages (Keras: `use_ema`).

    All else, a codebook say, has none: it is taken as it is.
    """
    return [pair for player, optimizer in self.optimizers.items() if optimizer.use_ema
            for pair in zip(self.variables_of(player), optimizer._model_variables_moving_average, strict=True)]

  def use_averages(self):
    """Puts the averages in the weights' place, for good."""
    for variable, average in self.averages():
      variable.assign(average)

  @contextlib.contextmanager
  def averaged(self):
    """A context in which the weights are their averages; after it they are what they were, bit for bit."""
    kept = [(variable, tf.identity(variable.value)) for variable, _ in self.averages()]
    self.use_averages()
    try:
      yield
    finally:
      for variable, value in kept:
        variable.assign(value)

  def move(self, tape, player_losses, rests=None):
    """One step of every player, after all their gradients have been taken.

    Losses are divided by the number of replicas, because Keras sums gradients over them.

    Args:
      tape: a persistent one.
      player_losses: dict: player -> scalar.
      rests: dict: player -> scalar bool tensor; a player that rests keeps its weights and its optimiser's state.
    """
    context = tf.distribute.get_replica_context()
    share = 1 / context.num_replicas_in_sync
    with tape.stop_recording():
      gradients = {}
      for player, loss in player_losses.items():
        gradient = tape.gradient(loss, [variable.value for variable in self.variables_of(player)])
        if self.clipnorm:
          if share < 1:
            gradient = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradient)
          gradient, _ = tf.clip_by_global_norm(gradient, self.clipnorm)
        gradients[player] = [g * share for g in gradient] if share < 1 else gradient
      for player, gradient in gradients.items():
        variables = self.variables_of(player)
        if player in (rests or {}):  # Putting back, since an update inside tf.cond fails under a strategy.
          state = [v.value for v in variables + self.optimizers[player].variables]
          before = [tf.identity(value) for value in state]
        self.optimizers[player].apply(gradient, variables)
        if player in (rests or {}):
          for value, old in zip(state, before, strict=True):
            value.assign(tf.where(rests[player], old, value))
      self.step.assign_add(1)

  def since(self, first):
    """1 from step `first` on, 0 before: a factor for losses that wait until reconstruction has begun."""
    return tf.cast(tf.convert_to_tensor(self.step) >= first, tf.float32)

  def classify(self, features, labels):
    """The online classifier on stopped features: ({'classifier': loss} or {}, logs)."""
    if self.classifier is None or labels is None:
      return {}, {}
    loss, accuracy = losses.classification(labels, self.classifier(tf.stop_gradient(features)))
    return {'classifier': loss}, {'classifier_loss': loss, 'accuracy': accuracy}

  # Noise.

  def _draw(self, sampler, batch, shape, salt):
    count = tf.distribute.get_replica_context().num_replicas_in_sync
    seed = tf.random.experimental.stateless_fold_in(
        tf.stack([tf.constant(self.seed, tf.int64), tf.convert_to_tensor(self.step)]), salt)
    return replicas.own(sampler([batch * count, *shape], seed))

  def uniform(self, batch, shape=(1, 1, 1), salt=0):
    """[batch, *shape] of U[0, 1), a function of (seed, step, salt).

    Replicas take their rows of one global draw, so `batch` must be an int when there are several.
    """
    return self._draw(tf.random.stateless_uniform, batch, shape, salt)

  def normal(self, batch, shape, salt=0):
    """[batch, *shape] of N(0, 1), as `uniform`."""
    return self._draw(tf.random.stateless_normal, batch, shape, salt)

  # Steps.

  def objective(self, images):
    """Hook of one-objective models, called under the tape: (loss to minimise, features for the classifier, logs)."""
    codes = self.encode(images, training=True)
    loss = losses.mean_squared_error(images, self.decode(codes, training=True))
    return loss, self.features(codes), {'recon_mse': loss}

  def take_step(self, data):
    """One batch, one move of every player; returns the batch's logs. `data` is images or (images, labels)."""
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape(persistent=True) as tape:
      loss, features, logs = self.objective(images)
      classifier, classifier_logs = self.classify(features, labels)
      self.move(tape, {'autoencoder': loss, **classifier})
    return {**logs, **classifier_logs}

  def features(self, codes):
    """What `represent` gives, from codes that are already there."""
    return tf.reshape(codes, [tf.shape(codes)[0], codes.shape[1] * codes.shape[2] * codes.shape[3]])

  def train_step(self, data):
    """Keras's, for `fit`: takes a step and returns the means of its epoch's logs so far."""
    return self.means(self.take_step(data), keras.utils.unpack_x_y_sample_weight(data)[0])

  def test_step(self, data):
    """Keras's: means so far of the reconstruction error and, with labels, of the online classifier's figures."""
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
    logs = {'recon_mse': losses.mean_squared_error(images, self(images))}
    return self.means({**logs, **self.classify(self.represent(images), labels)[1]}, images)

  @property
  def metrics(self):
    """Keras's: what it resets before every epoch and evaluation."""
    return [*super().metrics, *self.means.trackers.values()]
