"""Generative adversarial interpolative autoencoding: GAIA (Sainburg, Thielk, Theilman, Migliori, Gentner 2018)."""

from typing import Annotated, Literal

import keras
import tensorflow as tf

from acai_tf import losses, replicas
from acai_tf.experiment.config import Training
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.fields import config_dataclass
from acai_tf.interpolation import lerp
from acai_tf.models import base, image_base
from acai_tf.networks import convolutional


@config_dataclass('model')
class Config:
  """Settings of `Model`. `slope`, `weight` and `direct` are ours; the authors give no values, or have no such term."""

  direct: Annotated[float, '[0, inf)'] = 10.0  # weight of the error of x^ itself; the authors: 0
  adversarial_from: Annotated[int, '[0, inf)'] = 0  # step before which e_i and e_f have weight 0 in L_G
  weight: Annotated[float, '[0, inf)'] = 0.01  # w, weight of the loss of the distances between latents
  deviation: Annotated[float, '[0, inf)'] = 0.25  # standard deviation of the mixing coefficients, whose mean is 0.5
  error: Literal['absolute', 'squared'] = 'squared'  # kind of all errors; paper: absolute, later program: squared
  # What keeps the players in balance. 'sigmoid': the paper's weights and learning rates; 'bound': D increases e_i only
  # up to e_r, as in a later program of the authors.
  balance: Literal['sigmoid', 'bound'] = 'bound'
  slope: Annotated[float, '[0, inf)'] = 20.0  # s, slope of the sigmoids
  sigma: Annotated[float, '[0, inf)'] = 0.5  # factor of e_i in p
  cap: Annotated[float, '[0, 1]'] = 0.9  # bound on p

  MIN_BATCH = 2
  # As published, with direct = 0, g did not begin to reconstruct lines of 16 x 16 pixels in trials of 2,000 steps of
  # batch 16. With absolute errors and a sigmoid, D learned a blank image. With squared errors and linear outputs, D
  # learned lines, but g learned nothing through D. Nor did g with direct = 1 if it met D before it reconstructed.
  RECIPES = {'paper': {'model': {'direct': 0.0, 'error': 'absolute', 'balance': 'sigmoid'}},
             'fast': {'model': {'adversarial_from': 512}}}


class Model(image_base.Autoencoder):
  """The discriminator D is an autoencoder, too: it reconstructs images well, but not what g decodes.

  With x^ = g(f(x)), mixtures x_a = g(a z + (1 - a) z'), a ~ N(0.5, deviation^2), errors |.| that are means over pixels
  in [0, 1], and S(t) = 1 / (1 + exp(-s t)):

      errors:        e_r = |x - D(x)|, e_f = |x - D(x^)|, e_i = |x_a - D(x_a)|, e = (e_f + e_i) / 2
      distances:     L_z = mean over all pairs of (log(1 + X_ij / mean X) - log(1 + Z_ij / mean Z))^2,
                     X_ij = |x_i - x_j|^2, Z_ij = |z_i - z_j|^2

      paper, `balance` 'sigmoid':
      discriminator: L_D = e_r - p e, p = min(S(sigma e_i - e_r), cap), at S(e_r - e) times the learning rate
      autoencoder:   L_G = q e_i + (1 - q) e_f + w L_z, q = S(e_i - e_f), at S(e - e_r) times the learning rate

      later program, 'bound':
      discriminator: L_D = e_r + e_f - min(e_i, e_r)
      autoencoder:   L_G = e_i + e_f + w L_z

  So x^ is compared with x only after D has reconstructed it. To that we add direct |x - x^| in L_G, 0 in the recipe
  `paper`. L_z keeps the proportions of the distances between images, as multidimensional scaling does. Gradients flow
  through p, q and the minimum. Means are over the global batch.

  The first objective is that of the program (timsainb/GAIA) that the authors published as the paper's. Where the paper
  and that program differ, it is the program's. The second is that of their program for Fashion-MNIST of 2019, which has
  no L_z. Some choices are ours: networks and batch size are those of the other models, D has the networks of f and g,
  whose outputs are linear (theirs: a sigmoid; on lines, it saturates at black), a pair is an image and its partner in
  the reversed batch, and losses are not clipped to [-1, 1].
  """

  def create_networks(self, size, precision) -> None:
    channels = self.image_shape[2]
    self.critic_encoder = convolutional.encoder(size, self.network, self.seed, precision, 'critic_encoder')
    self.critic_decoder = convolutional.decoder(size, channels, self.network, self.seed, precision, 'critic_decoder')

  def players(self) -> dict[str, list]:
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic_encoder, self.critic_decoder],
            **self._classifier_player()}

  def callables(self) -> list[base.Callable]:
    return [*super().callables(), base.Callable(
        'discriminator', self.discriminate, self.inputs_of(images=self.image_shape),
        "the discriminator's reconstruction of an image", 'images')]

  def build(self, input_shape) -> None:
    self.critic_encoder.build(input_shape)
    self.critic_decoder.build((None, *self.code_shape))
    super().build(input_shape)

  def discriminate(self, images, training=False) -> tf.Tensor:
    """D: images -> the discriminator's reconstructions."""
    return self.critic_decoder(self.critic_encoder(images, training=training), training=training)

  def distance_loss(self, images, codes) -> tf.Tensor:
    """L_z of the global batch, from this replica's images and latents; scalar."""
    def logs(values):
      values = replicas.gather(self.features(values))  # [N, d]
      squares = tf.reduce_sum(tf.square(values), 1)
      distances = tf.nn.relu(squares[:, None] + squares - 2 * tf.matmul(values, values, transpose_b=True))
      return tf.math.log1p(tf.math.divide_no_nan(distances, tf.reduce_mean(distances)))  # [N, N]

    return losses.mean_squared_error(logs(images), logs(codes))

  def iteration(self, data) -> dict[str, tf.Tensor]:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)  # [n, h, w, c]
    settings = self.config
    alpha = 0.5 + settings.deviation * self.normal(images.shape[0] or tf.shape(images)[0], (1, 1, 1))

    def error(targets, outputs):
      difference = (targets - outputs) / 2
      values = tf.square(difference) if settings.error == 'squared' else tf.abs(difference)
      return tf.reduce_mean(replicas.gather(tf.reduce_mean(values, [1, 2, 3])))

    def balance(difference):
      return tf.sigmoid(settings.slope * difference)

    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)  # [n, width, width, latent]
      reconstructions, mixed = convolutional.map_batches(
          lambda batch: self.decode(batch, training=True), codes, lerp(tf.reverse(codes, [0]), codes, alpha))
      real, fake, between = convolutional.map_batches(
          lambda batch: self.discriminate(batch, training=True), images, reconstructions, mixed)
      real_error, fake_error, mixed_error = error(images, real), error(images, fake), error(mixed, between)
      if settings.balance == 'sigmoid':
        generated_error = (fake_error + mixed_error) / 2
        share = tf.minimum(balance(settings.sigma * mixed_error - real_error), settings.cap)  # p
        critic_loss = real_error - share * generated_error
        share = balance(mixed_error - fake_error)  # q
        fool_loss = share * mixed_error + (1 - share) * fake_error
        pace = balance(real_error - generated_error)
        rates = {'autoencoder': 1 - pace, 'critic': pace}
      else:
        critic_loss = real_error + fake_error - tf.minimum(mixed_error, real_error)
        fool_loss, rates = mixed_error + fake_error, {}

      recon_loss, distance_loss = error(images, reconstructions), self.distance_loss(images, codes)
      started = self.active_from(settings.adversarial_from)
      autoencoder_loss = settings.direct * recon_loss + started * fool_loss + settings.weight * distance_loss
      classifier_loss, classifier_logs = self.classifier_losses(self.features(codes), labels)
      self.minimize_at(tape, {'autoencoder': autoencoder_loss, 'critic': critic_loss, **classifier_loss}, rates)
    return {'recon_mse': losses.mean_squared_error(images, reconstructions), 'fool_loss': fool_loss,
            'distance_loss': distance_loss, 'critic_loss': critic_loss, 'real_loss': real_error, **classifier_logs}

  def training_of(self, player, training) -> Training:
    if self.config.balance == 'sigmoid' and training.average:
      raise UserError(f"training.average is {training.average}; expected 0 with model.balance='sigmoid', which undoes "
                      'parts of the steps that an EMA would contain.')
    return training

  def minimize_at(self, tape, objectives, rates) -> None:
    """`minimize` of `objectives`, where the learning rates of some players are multiplied by `rates`.

    Args:
      tape: as in `minimize`.
      objectives: dict: player -> scalar.
      rates: dict: player -> scalar in [0, 1].
    """
    with tape.stop_recording():
      before = {player: [tf.identity(v.value) for v in self.variables_of(player)] for player in rates}
      self.apply(self.gradients(tape, objectives))
      for player, rate in rates.items():
        for variable, old in zip(self.variables_of(player), before[player], strict=True):
          variable.value.assign(lerp(old, variable.value, rate))
