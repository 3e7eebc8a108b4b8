"""Adversarial mixup resynthesis (Beckham, Honari, Verma, Lamb, Ghadiri, Hjelm, Bengio, Pal, NeurIPS 2019)."""

from typing import Annotated, Literal

import keras
import tensorflow as tf

from acai_tf import losses, replicas
from acai_tf.experiment.config import Annealing, Training
from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import base, image_base
from acai_tf.networks import convolutional


@config_dataclass('model')
class Config(Annealing):
  """Settings of `Model`."""

  lam: Annotated[float, '[0, inf)'] = 10.0  # weight of the reconstruction; the authors: 10, and 50 on CIFAR-10
  beta: Annotated[float, '[0, inf)'] = 0.0  # weight of the consistency loss, |f(g(z_m)) - z_m|
  # 'mixup': weights of the mixture from Dirichlet(1, ..., 1), for two latents U(0, 1); 'bernoulli': each channel of a
  # mixture comes from one of two latents, the same one at all positions.
  mixing: Literal['mixup', 'bernoulli'] = 'mixup'
  parts: Annotated[int, '[2, inf)'] = 2  # number of latents in a mixture; 'bernoulli' allows only 2
  generator_every: Annotated[int, '[1, inf)'] = 5  # steps per update of the autoencoder; the critic is updated in each
  weight_decay: Annotated[float, '[0, inf)'] = 1e-5  # L2 penalty of encoder, decoder and critic
  adversarial_from: Annotated[int, '[0, inf)'] = 0  # step before which fooling the critic has weight 0
  error: Literal['absolute', 'squared'] = 'absolute'  # kind of reconstruction error; the authors: absolute

  MIN_BATCH = 2
  RECIPES = {
      'paper': {'training': {'beta_1': 0.5, 'beta_2': 0.99},
                'network': {'normalization': 'instance', 'slope': 0.01, 'depth': 16}},
      'fast': {'training': {'beta_1': 0.5, 'beta_2': 0.99, 'learning_rate': 1e-4},
               'network': {'normalization': 'instance', 'slope': 0.01, 'depth': 16},
               'model': {'generator_every': 1, 'lam': 500.0, 'adversarial_from': 512, 'error': 'squared'}},
  }
  # Their scripts' epochs: 2,000 of MNIST's 60,000 images, 6,000 of SVHN's 73,257 and 3,000 of CIFAR-10's 50,000.
  DATA_RECIPES = {
      'mnist': {'paper': {'training': {'samples': 120_000_000}}},
      'svhn': {'paper': {'training': {'samples': 439_542_000}}},
      'cifar10': {'paper': {'training': {'samples': 150_000_000}, 'model': {'lam': 50.0}}},
  }

  def __post_init__(self):
    if self.mixing == 'bernoulli' and self.parts > 2:
      raise ValueError(f"model.mixing is 'bernoulli' of {self.parts} parts; expected 2, or 'mixup'.")


class Model(image_base.Autoencoder):
  """With z_m a mixture of latents, D = sigmoid(d), d spectrally normalized, BCE(p, t) the cross-entropy:

      critic:      L_D = BCE(D(x), 1) + BCE(D(x^), 0) + BCE(D(g(z_m)), 0)
      autoencoder: L_G = lam mean |x^ - x| + BCE(D(x^), 1) + BCE(D(g(z_m)), 1) + beta mean |f(g(z_m)) - z_m|

  With `error` 'squared' the first term is lam mean (x^ - x)^2. Partners are random permutations of the global batch.

  Networks, depth and training lengths are those of the authors' program (architectures/arch_kyle.py). Three differences
  remain. Their first convolution, 1x1, adds a border of one pixel. They initialize kernels with
  N(0, 1 / (1.04 x kernel height x input x output channels)), and the critic with PyTorch's uniform default, biases
  included. They train SVHN without its part `extra`.
  """

  def create_networks(self, size, precision) -> None:
    self.critic = convolutional.Critic(size, self.network, self.seed, precision, spectral=True)

  def players(self) -> dict:
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic], **self._classifier_player()}

  def training_of(self, player, training) -> Training:
    return training.of_player(1 / self.config.generator_every if player == 'autoencoder' else 1)

  def callables(self) -> list[base.Callable]:
    return [*super().callables(), base.Callable(
        'critic', self.critic, self.inputs_of(images=self.image_shape),
        'logit that an image is real, [n]', 'real_logit')]

  def mix(self, codes) -> tf.Tensor:
    """[n, height, width, channels] latents -> mixtures of the same shape, a function of (seed, step)."""
    batch = codes.shape[0] or tf.shape(codes)[0]
    global_codes = replicas.gather(codes)  # [global batch, height, width, channels]

    def permuted(salt):
      order = tf.argsort(replicas.gather(self.uniform(batch, (), salt)))
      return replicas.local_rows(tf.gather(global_codes, order))

    partners = [codes] + [permuted(1 + k) for k in range(self.config.parts - 1)]
    if self.config.mixing == 'bernoulli':
      probability = replicas.gather(self.uniform(batch, (), salt=100))[0]
      mask = tf.cast(self.uniform(batch, (1, 1, codes.shape[3])) < probability, codes.dtype)
      shares = tf.stack([mask, 1 - mask])  # [2, n, 1, 1, channels]
    else:  # Normalized exponential variables are Dirichlet(1, ..., 1).
      shares = tf.stack([-tf.math.log1p(-self.uniform(batch, salt=100 + k)) + 1e-12 for k in range(len(partners))])
      shares /= tf.reduce_sum(shares, 0, keepdims=True)  # [parts, n, 1, 1, 1]
    return tf.reduce_sum(shares * tf.stack(partners), 0)

  def penalty(self, player) -> tf.Tensor:
    """The L2 penalty of a player. Its gradient is weight_decay times the weight, as in the authors' optimizer."""
    return self.l2_penalty(self.variables_of(player))

  def l2_penalty(self, weights) -> tf.Tensor:
    """The L2 penalty of a list of weights."""
    return self.config.weight_decay * tf.add_n([tf.nn.l2_loss(v) for v in weights])

  def regularizers(self, variables) -> list:
    penalized = {id(v) for player in ('autoencoder', 'critic') for v in self.variables_of(player)}
    weights = [v for v in variables if id(v) in penalized]
    return [lambda: self.l2_penalty(weights)] if weights else []

  def iteration(self, data) -> dict[str, tf.Tensor]:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)  # [n, h, w, c]
    self.critic.iterate()
    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)  # [n, width, width, latent]
      reconstructions = self.decode(codes, training=True)
      mixed_codes = self.mix(codes)
      mixed = self.decode(mixed_codes, training=True)
      answer_real, answer_recon, answer_mixed = (self.critic(x) for x in (images, reconstructions, mixed))  # [n] each

      squared = self.config.error == 'squared'
      error = (losses.mean_squared_error if squared else losses.mean_absolute_error)(images, reconstructions)
      fool_loss = losses.real_or_fake(answer_recon, True) + losses.real_or_fake(answer_mixed, True)
      regularizer = self.active_from(self.config.adversarial_from) * fool_loss
      if self.config.beta:
        consistency = losses.mean_absolute_error(mixed_codes, self.encode(mixed, training=True))
        regularizer += self.config.beta * consistency
      autoencoder_loss = self.config.lam * error + self.annealing() * regularizer + self.penalty('autoencoder')
      critic_loss = (losses.real_or_fake(answer_real, True) + losses.real_or_fake(answer_recon, False)
                     + losses.real_or_fake(answer_mixed, False))
      classifier_loss, classifier_logs = self.classifier_losses(self.features(codes), labels)
      skip = {}
      if self.config.generator_every > 1:
        skip['autoencoder'] = tf.convert_to_tensor(self.step) % self.config.generator_every != 0
      critic_objective = critic_loss + self.penalty('critic')
      self.minimize(tape, {'autoencoder': autoencoder_loss, 'critic': critic_objective, **classifier_loss}, skip)
    return {'recon_mse' if squared else 'recon_mae': error, 'fool_loss': fool_loss, 'critic_loss': critic_loss,
            **classifier_logs}
