"""An adversarially regularized autoencoder of binarized images (Zhao, Kim, Zhang, Rush, LeCun, ICML 2018)."""

from typing import Annotated

import keras
import tensorflow as tf

from acai_tf import losses
from acai_tf.experiment.config import Training
from acai_tf.experiment.fields import config_dataclass
from acai_tf.models import base, image_base
from acai_tf.networks import convolutional, dense


@config_dataclass('model')
class Config:
  """Settings of `Model`."""

  code: Annotated[int, '[1, inf)'] = 100  # latent dimension
  z: Annotated[int, '[1, inf)'] = 32  # dimension of the generator's noise
  encoder: str = '800-400'  # widths of the hidden layers
  decoder: str = '400-800-1000'  # widths of the hidden layers
  generator: str = '64-100-150'  # widths of the hidden layers
  critic: str = '100-60-20'  # widths of the hidden layers
  noise_r: Annotated[float, '[0, inf)'] = 0.4  # initial standard deviation of the noise on latents in training
  anneal: Annotated[float, '(0, 1]'] = 0.99  # factor by which `noise_r` decays after each `epoch`
  epoch: Annotated[int, '[1, inf)'] = 100  # steps after which `noise_r` is multiplied by `anneal`
  critic_steps: Annotated[int, '[1, inf)'] = 10  # updates of critic and encoder in a step
  critic_learning_rate: Annotated[float, '(0, inf)'] = 5e-5  # all other players use `training.learning_rate`
  clip: Annotated[float, '(0, inf)'] = 0.05  # bound on the absolute value of the critic's weights
  grad_lambda: Annotated[float, '[0, inf)'] = 0.2  # weight of the critic's gradient into the encoder
  start: Annotated[float, '(0, inf)'] = 0.02  # standard deviation of the initial weights of generator and critic

  MIN_BATCH = 2
  OWN_NETWORKS = True  # networks have the widths above, and the section `network` does not apply

  # The authors' batch size, training length and learning rate. The common fast recipe has batches too small for batch
  # norm, and its casts take more time than its matrix products save at batch 64. Networks with batch norm have no EMA.
  RECIPES = {
      'paper': {'training': {'batch': 100, 'samples': 1_000_000, 'learning_rate': 5e-4}},
      'fast': {'training': {'batch': 64, 'learning_rate': 5e-4, 'beta_2': 0.999, 'average': 0.0,
                            'precision': 'float32'}},
  }

  def __post_init__(self):
    for key in ('encoder', 'decoder', 'generator', 'critic'):
      if not all(width.isdecimal() and int(width) for width in getattr(self, key).split('-')):
        raise ValueError(f"model.{key} is {getattr(self, key)!r}; expected widths, for example '400-800'.")

  def widths(self, key) -> list[int]:
    """The hidden layers of a network, as ints."""
    return [int(width) for width in getattr(self, key).split('-')]


class Model(image_base.Autoencoder):
  """An encoder gives latents c = f(x) / |f(x)|; a generator gives latents G(z), z ~ N(0, I).

  With e ~ N(0, I), s = noise_r anneal^floor(step / epoch) and H the cross-entropy of a pixel's two classes, a step
  consists of one update of the first line; `critic_steps` times the second line (after clipping the critic's weights to
  +-clip) and the third; and one update of the last line:

      autoencoder: L_rec = mean H(x, g(c + s e))
      critic:      L_D = mean D(G(z)) - mean D(c)             (-L_D estimates the Wasserstein distance)
      autoencoder: L_E = grad_lambda mean D(c)
      generator:   L_G = -mean D(G(z))

  The autoencoder's two losses share one Adam, as in the authors' program. Two optimizers would scale both gradients to
  the same size, and grad_lambda would have no effect. The decoder's gradient of L_E is 0, but momentum still changes
  the decoder, which makes its effective learning rate about three times as large. All updates of a step use the same
  images; the authors' critic gets new ones for each update.

  All layers have batch norm except the critic's first. Activations are ReLU, and LeakyReLU in the critic. The generator
  ends in tanh, and its latents are not normalized. An image is 2 p(white) - 1.
  """

  has_prior = True

  @property
  def code_shape(self) -> tuple:
    return 1, 1, self.config.code

  def create_autoencoder(self, size, channels, precision) -> tuple:
    shape, config = (size, size, channels), self.config
    encoder = [
        keras.layers.Flatten(dtype=precision),
        *dense.perceptron(config.widths('encoder'), config.code, 'encoder', self.seed, precision=precision),
        keras.layers.UnitNormalization(axis=1, dtype='float32'), keras.layers.Reshape(self.code_shape, dtype='float32')]
    decoder = [
        keras.layers.Flatten(dtype=precision),
        *dense.perceptron(config.widths('decoder'), 2 * size * size * channels, 'decoder', self.seed,
                          precision=precision),
        keras.layers.Reshape((*shape, 2), dtype='float32')]
    return keras.Sequential(encoder, name='encoder'), keras.Sequential(decoder, name='decoder')

  def create_networks(self, size, precision) -> None:
    config = self.config
    self.generator = keras.Sequential(
        [*dense.perceptron(config.widths('generator'), config.code, 'generator', self.seed, deviation=config.start),
         keras.layers.Activation('tanh')], name='generator')
    self.generator.build((None, config.z))
    self.critic = keras.Sequential(dense.perceptron(
        config.widths('critic'), 1, 'critic', self.seed, convolutional.SLOPE, config.start, without_norm=1, bias=False),
                                   name='critic')  # an output bias would cancel in every loss
    self.critic.build((None, config.code))

  def players(self) -> dict[str, list]:
    return {'autoencoder': [self.encoder, self.decoder], 'critic': [self.critic], 'generator': [self.generator],
            **self._classifier_player()}

  def training_of(self, player, training) -> Training:
    steps, rate = self.config.critic_steps, self.config.critic_learning_rate
    updates = {'autoencoder': 1 + steps, 'critic': steps}.get(player, 1)
    return training.of_player(updates, **({'learning_rate': rate} if player == 'critic' else {}))

  def callables(self) -> list[base.Callable]:
    def generate(noise, training=False):
      return tf.reshape(self.generator(noise, training=training), [-1, *self.code_shape])

    def criticise(codes, training=False):
      return tf.squeeze(self.critic(self.features(codes), training=training), 1)

    return [
        *super().callables(),
        base.Callable('generator', generate, self.inputs_of(noise=(self.config.z,)),
                      'code generated from noise, N(0, I)', 'codes'),
        base.Callable('critic', criticise, self.inputs_of(codes=self.code_shape),
                      "the critic's output for a code: high for images, low for the generator, [n]", 'answer')]

  def decode(self, codes, training=False) -> tf.Tensor:
    return self.to_images(self.decoder(base.as_checked_tensor(codes, self.code_shape, 'codes'), training=training))

  def to_images(self, logits) -> tf.Tensor:
    """[..., 2] logits of black and white -> 2 p(white) - 1."""
    return tf.tanh((logits[..., 1] - logits[..., 0]) / 2)

  def sample(self, count, seed=0) -> tf.Tensor:
    """`count` images decoded from the generator's latents; a function of `seed`."""
    codes = self.generator(self.draw_noise(count, seed, [self.config.z]))
    return self.decode(tf.reshape(codes, [-1, *self.code_shape]))

  def noise_deviation(self) -> tf.Tensor:
    """s, the standard deviation of the noise at this step."""
    epochs = tf.cast(tf.convert_to_tensor(self.step) // self.config.epoch, tf.float32)
    return self.config.noise_r * self.config.anneal**epochs

  def clip_critic(self) -> None:
    """Clips all parameters of the critic to [-clip, clip], those of its batch norm included."""
    self.clip_weights('critic', self.config.clip)

  def iteration(self, data) -> dict:
    images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)  # [n, h, w, c]
    batch = images.shape[0] or tf.shape(images)[0]

    def mean_answer(codes):
      return tf.reduce_mean(self.critic(codes, training=True))

    with tf.GradientTape(persistent=True) as tape:
      codes = self.encode(images, training=True)
      noise = self.noise_deviation() * self.normal(batch, self.code_shape)
      logits = self.decoder(codes + noise, training=True)  # [n, h, w, c, 2]
      recon_loss = losses.two_classes(images, logits)
      classifier_loss, classifier_logs = self.classifier_losses(self.features(codes), labels)
      self.minimize(tape, {'autoencoder': recon_loss, **classifier_loss})
    logs = {'recon_loss': recon_loss, 'recon_mse': losses.mean_squared_error(images, self.to_images(logits)),
            **self.code_spread(self.features(codes)), **classifier_logs}

    for k in range(self.config.critic_steps):
      self.clip_critic()
      with tf.GradientTape(persistent=True) as tape:
        codes = self.features(self.encode(images, training=True))  # [n, d]
        fakes = tf.stop_gradient(self.generator(self.normal(batch, [self.config.z], salt=1 + k), training=True))
        critic_loss = mean_answer(fakes) - mean_answer(tf.stop_gradient(codes))
        self.minimize(tape, {'critic': critic_loss})
        fool_loss = mean_answer(codes)  # after the critic's update
        self.minimize(tape, {'autoencoder': self.config.grad_lambda * fool_loss})
      del tape

    with tf.GradientTape(persistent=True) as tape:
      noise = self.normal(batch, [self.config.z], salt=1 + self.config.critic_steps)
      generator_loss = -mean_answer(self.generator(noise, training=True))
      self.minimize(tape, {'generator': generator_loss})
    return {**logs, 'critic_loss': critic_loss, 'wasserstein': -critic_loss, 'fool_loss': fool_loss,
            'generator_loss': generator_loss}
