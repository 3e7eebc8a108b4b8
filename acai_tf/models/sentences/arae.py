"""An adversarially regularized autoencoder of sentences (Zhao, Kim, Zhang, Rush, LeCun 2018)."""

from typing import Annotated, Literal

import keras
import tensorflow as tf

from acai_tf import losses, replicas
from acai_tf.experiment.config import Annealing, Training
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import text_base
from acai_tf.networks import codes as code_networks
from acai_tf.networks import dense


@config_dataclass('model')
class Config(Annealing):
  """Settings of `Model`; the defaults are the paper's for SNLI."""

  noise: Annotated[float, '[0, inf)'] = 0.05  # standard deviation of the noise on latents that are decoded in training
  noise_decay: Annotated[float, '(0, 1]'] = 0.9995  # factor of `noise` after every `noise_every` steps
  noise_every: Annotated[int, '[1, inf)'] = 100  # steps
  z: Annotated[int, '[1, inf)'] = 100  # dimension of the generator's noise
  units: Annotated[int, '[1, inf)'] = 300  # width of each of the two hidden layers of generator and critic
  # Generator and critic. 'paper': batch norm in both, and small initial weights; 'residual': a residual generator whose
  # outputs have norm 1, and a critic without batch norm.
  networks: Literal['paper', 'residual'] = 'paper'
  # How the critic is kept 1-Lipschitz. 'clip' (the paper): its weights are clipped. 'penalty' (the authors' program): a
  # gradient penalty, on the mean of its answers if `networks` is 'paper', else on each answer.
  lipschitz: Literal['penalty', 'clip'] = 'penalty'
  penalty: Annotated[float, '[0, inf)'] = 1.0  # weight of the gradient penalty
  clip: Annotated[float, '(0, inf)'] = 0.01  # bound on the absolute value of the critic's weights, with 'clip'
  lambda_: Annotated[float, '[0, inf)'] = 0.1  # weight of the encoder's adversarial step (the authors' grad_lambda)
  alone: Annotated[float, '[0, 1]'] = 0.0  # first fraction of the training, in which that weight is 0
  ramp: Annotated[float, '[0, 1]'] = 0.0  # next fraction, over which it grows linearly to `lambda_`
  # Whether the encoder has one update for the sum of its losses (equations 1 and 3). With an update for each, Adam
  # would scale both to the same size, and `lambda_` would have no effect.
  joint: bool = False
  critic_steps: Annotated[int, '[1, inf)'] = 5  # updates of the critic in an iteration
  # Number of latents in the queue of recent batches on which the critic is trained; 0: no queue, and each iteration
  # encodes further batches for the critic.
  queue: Annotated[int, '[0, inf)'] = 0
  gan_learning_rate: Annotated[float, '(0, inf)'] = 1e-4  # of the Adam optimizers of generator and critic
  gan_beta_2: Annotated[float, '[0, 1)'] = 0.999  # of these optimizers, whose beta_1 is 0.5
  sample_noise: Annotated[float, '[0, inf)'] = 0.0  # standard deviation of the noise on latents that are sampled

  MIN_BATCH = 2
  RECIPES = {
      # 15 epochs of the training sentences of at most 15 words: 714,667 less those that are longer, whose share is
      # estimated from SNLI's dev split (39.5 % of premises, 3.4 % of hypotheses).
      'paper': {'training': {'samples': 9_520_000, 'optimizer': 'sgd', 'learning_rate': 1.0, 'clipnorm': 1.0}},
      'fast': {'network': {'start': 'wide'},
               'model': {'noise': 0.07, 'noise_decay': 1.0, 'sample_noise': 0.04, 'z': 128, 'units': 256,
                         'networks': 'residual', 'penalty': 10.0, 'lambda_': 5.0, 'alone': 0.4, 'ramp': 0.2,
                         'joint': True, 'queue': 320, 'gan_learning_rate': 5e-4, 'gan_beta_2': 0.9},
               'training': {'samples': 1_024_000, 'batch': 64, 'learning_rate': 4e-3, 'beta_2': 0.999, 'clipnorm': 1.0,
                            'schedule': 'linear', 'floor': 0.01, 'average': 0.999, 'precision': 'float32',
                            'evaluate_every': 102_400, 'checkpoint_every': 102_400, 'final_evaluations': 0}}}

  def __post_init__(self):
    if self.queue % self.critic_steps:
      raise ValueError(f'model.queue is {self.queue}; expected a multiple of model.critic_steps, {self.critic_steps}.')

  def check_devices(self, batch, devices) -> None:
    """Raises UserError if several devices cannot share the parts of the queue as complete pairs."""
    del batch
    unit = 2 * devices * self.critic_steps
    if devices > 1 and self.queue % unit:
      raise UserError(f'model.queue={self.queue} cannot be shared by {devices} devices; expected a multiple of {unit}, '
                      f'for example --set model.queue={-(-self.queue // unit) * unit}.')


class Model(text_base.TextAutoencoder):
  """A critic D separates latents f(x) from generated ones G(z), z ~ N(0, I); encoder and generator make them alike.

      autoencoder (1): L_rec = -log p(x | f(x) + noise) per word
      critic (2):      max mean D(f(x)) - mean D(G(z)), D 1-Lipschitz
      encoder (3):     min lambda mean D(f(x))
      generator (3):   min -mean D(G(z))

  An iteration has one update of (1), `critic_steps` updates of (2), and one update of each part of (3).
  """

  has_prior = True

  def create_networks(self) -> None:
    self.extra_batches = 0
    if self.has_prior:
      self.create_adversaries()

  def create_adversaries(self) -> None:
    """Creates generator, critic, and the queue of latents if the critic uses one."""
    self.generator = self.create_generator()
    seeds, settings = dense.seeds(self.seed, 'critic'), self.config
    self.critic = code_networks.critic(
        self.network.latent, (settings.units, settings.units), seeds, settings.networks == 'paper')
    self.extra_batches = 0 if settings.queue else settings.critic_steps + (not settings.joint)
    if settings.queue:
      self.queue = self.add_weight(name='queue', shape=(settings.queue, self.network.latent), initializer='zeros',
                                   trainable=False, aggregation='only_first_replica')

  def create_generator(self) -> keras.Model:
    """The generator with its initial weights."""
    settings = self.config
    make = code_networks.generator if settings.networks == 'paper' else code_networks.residual_generator
    return make(settings.z, (settings.units, settings.units), self.network.latent, dense.seeds(self.seed, 'generator'))

  def players(self) -> dict[str, list]:
    return {'autoencoder': [self.encoder, self.decoder], 'generator': [self.generator], 'critic': [self.critic]}

  def training_of(self, player, training) -> Training:
    if player == 'autoencoder':
      return training.of_player(1 if self.config.joint else 2)
    return training.of_player(self.config.critic_steps if player == 'critic' else 1, optimizer='adam', beta_1=0.5,
                              learning_rate=self.config.gan_learning_rate, beta_2=self.config.gan_beta_2)

  def clipnorm_of(self, player) -> float:
    return self.clipnorm if player == 'autoencoder' else 0.0

  def prior_codes(self, count, seed) -> tf.Tensor:
    return self.generator(tf.random.stateless_normal([count, self.config.z], [seed, 0]), training=False)

  def sample_codes(self, count, seed) -> tf.Tensor:
    codes = self.prior_codes(count, seed)
    if not self.config.sample_noise:
      return codes
    return tf.math.l2_normalize(
        codes + self.config.sample_noise * tf.random.stateless_normal([count, self.network.latent], [seed, 1]), 1)

  def untrained_codes(self, count, seed) -> tf.Tensor:
    """As `prior_codes`, from the generator before training: a baseline for the learned prior."""
    return self.create_generator()(tf.random.stateless_normal([count, self.config.z], [seed, 0]), training=False)

  def adversarial_factor(self) -> tf.Tensor:
    """Factor of the adversarial weights: 0 while the autoencoder trains alone (`alone`), growing to 1 (`ramp`)."""
    settings = self.config
    if not (settings.alone or settings.ramp):
      return tf.constant(1.0) * self.annealing()
    if not self.steps:
      raise ValueError('model.alone and model.ramp are shares of the training; expected compile(..., steps=N).')
    done = tf.cast(tf.convert_to_tensor(self.step), tf.float32) / self.steps
    return tf.clip_by_value((done - settings.alone) / max(settings.ramp, 1e-9), 0.0, 1.0) * self.annealing()

  def iteration(self, data) -> dict:
    settings = self.config
    batches = keras.utils.unpack_x_y_sample_weight(data)[0]
    ids, *others = self.split_batch(batches)  # [n, longest + 1] each
    # Equation 1, and with `joint` the encoder's part of equation 3.
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(self.corrupt(ids, 0))  # [n, latent]
      recon_loss, accuracy = self.reconstruction(ids, self.add_noise(codes))
      loss = recon_loss
      if settings.joint:
        loss += settings.lambda_ * self.adversarial_factor() * tf.reduce_mean(self.critic(codes, training=True))
      term, further_losses, further_logs = self.regularizer(ids, codes)
      self.minimize(tape, {'autoencoder': loss + term, **further_losses})
    logs = {'recon_loss': recon_loss, 'token_accuracy': accuracy, **self.code_spread(codes), **further_logs}
    return {**logs, **self.adversaries(ids, codes, others)}

  def split_batch(self, values) -> list:
    """Splits a batch into the 1 + `extra_batches` batches of an iteration.

    Args:
      values: tensor [n, ...].

    Returns:
      A list of 1 + `extra_batches` tensors [n / (1 + `extra_batches`), ...], in the order of the batch.

    Raises:
      ValueError: n is not a multiple of 1 + `extra_batches`.
    """
    count = 1 + self.extra_batches
    if values.shape[0] and values.shape[0] % count:
      raise ValueError(f'a batch has {values.shape[0]} sentences; expected a multiple of {count}, because an iteration '
                       f'of {self.name} uses {count} batches.')
    return tf.split(values, count)

  def corrupt(self, ids, salt) -> tf.Tensor:
    """Hook: [n, longest + 1] ids as the encoder sees them in training. `salt` differs for each call in an iteration."""
    del salt
    return ids

  def regularizer(self, ids, codes) -> tuple:
    """Hook, called under the tape of equation 1.

    Args:
      ids: [n, longest + 1].
      codes: their latents, [n, latent].

    Returns:
      (Term added to the autoencoder's loss, dict: further player -> its loss, logs).
    """
    del ids, codes
    return 0.0, {}, {}

  def adversaries(self, ids, codes, others) -> dict:
    """Makes the updates of equations 2 and 3.

    Args:
      ids: [n, longest + 1], a batch.
      codes: its latents, [n, latent].
      others: list of `extra_batches` further batches of ids.

    Returns:
      The logs.
    """
    settings, logs = self.config, {}
    # Equation 2.
    batches = (self.update_queue(codes) if settings.queue else
               [self.encode(self.corrupt(batch, 1 + k)) for k, batch in enumerate(others[:settings.critic_steps])])
    fakes = self.fakes(batches[0].shape[0] or tf.shape(batches[0])[0])
    for k, (real, fake) in enumerate(zip(batches, fakes, strict=True)):
      logs['critic_loss'], logs['wasserstein'] = self.critic_step(tf.stop_gradient(real), tf.stop_gradient(fake), k)
    # Equation 3.
    if not settings.joint:
      with tf.GradientTape(persistent=True) as tape:
        last = self.corrupt(others[-1] if others else ids, 99)
        fool_loss = tf.reduce_mean(self.critic(self.encode(last), training=True))
        self.minimize(tape, {'autoencoder': settings.lambda_ * self.adversarial_factor() * fool_loss})
    logs.update(self.generator_step(ids.shape[0] or tf.shape(ids)[0]))
    return {**logs, 'lambda': settings.lambda_ * self.adversarial_factor()}

  def generator_step(self, count) -> dict:
    """Updates the generator on `count` latents; returns its logs."""
    with tf.GradientTape(persistent=True) as tape:
      generated = self.generate(count, 1)
      loss = -tf.reduce_mean(self.critic(generated, training=True))
      self.minimize(tape, {'generator': loss})
    return {'generator_loss': loss, 'generated_std': self.code_spread(generated)['code_std']}

  def generate(self, count, salt) -> tf.Tensor:
    """[count, latent] generated latents, in training mode."""
    return self.generator(self.normal(count, (self.config.z,), salt), training=True)

  def fakes(self, count) -> list:
    """Generated latents for each of the critic's updates: list of [count, latent].

    The generator does not change in between, so one call generates all of them. With the paper's networks each update
    has its own call, as in the authors' program: their batch norm normalizes each batch.
    """
    settings = self.config
    noise = [self.normal(count, (settings.z,), 10 + k) for k in range(settings.critic_steps)]
    if settings.networks == 'paper':
      return [self.generator(z, training=True) for z in noise]
    return tf.split(self.generator(tf.concat(noise, 0), training=True), settings.critic_steps)

  def critic_step(self, real, fake, k) -> tuple:
    """Update `k` of the critic on two batches of latents, [n, latent]: (loss, estimate of the Wasserstein distance)."""
    settings = self.config
    with tf.GradientTape(persistent=True) as tape:
      wasserstein = tf.reduce_mean(self.critic(real, training=True)) - tf.reduce_mean(self.critic(fake, training=True))
      loss = -wasserstein
      if settings.lipschitz == 'penalty':
        alpha = self.uniform(real.shape[0] or tf.shape(real)[0], (1,), 100 + k)
        loss += settings.penalty * losses.gradient_penalty(
            lambda points: self.critic(points, training=True), alpha * real + (1 - alpha) * fake,
            of_mean=settings.networks == 'paper')
      self.minimize(tape, {'critic': loss})
    if settings.lipschitz == 'clip':
      self.clip_weights('critic', settings.clip)
    return loss, wasserstein

  def update_queue(self, codes) -> list:
    """Replaces the oldest latents of the queue by [n, latent] new ones.

    Returns:
      The queue in parts, one for each of the critic's updates: list of [queue / critic_steps, latent], or on a replica
      its rows of them.
    """
    fresh = replicas.gather(tf.stop_gradient(codes))
    rows = fresh.shape[0] or tf.shape(fresh)[0]
    size = self.config.queue
    full = tf.tile(fresh, [-(-size // rows), 1])[:size]
    empty = tf.reduce_all(tf.equal(self.queue, 0.0))  # at the first step, also of a fine-tuned model
    queue = tf.where(empty, full, tf.concat([fresh, self.queue.value], 0)[:size])
    self.queue.assign(queue)
    return [replicas.local_rows(part) for part in tf.split(queue, self.config.critic_steps)]
