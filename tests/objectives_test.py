"""What every model minimizes: its optimizers' gradients and its logs against losses that are computed independently.

All models of images are tested, with settings that come from their Config. The functions below that have a model's name
compute its losses. A new model needs none: its optimizers must then get finite gradients that are not zero.
"""

import dataclasses
import inspect
import typing

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from acai_tf import losses
from acai_tf.experiment import config, registry

TINY, SHAPE, BATCH, STEP = config.Network(latent_width=2, latent=3, depth=2), (8, 8, 1), 6, 5
FEWER = {'arae_image': {'critic_steps': 2}, 'amr': {'generator_every': 1}}  # more rounds a step are slow and the same


def mean_square(values):
  return tf.reduce_mean(tf.square(values))


def entropy(logits, real):
  return tf.reduce_mean(tf.math.softplus(-logits if real else logits))


class Parts:
  """A model's pieces on one batch as its step has them; noise as the step draws it."""

  def __init__(self, model, x, started, seen=None):
    self.model, self.x, self.config = model, x, model.config
    self.started = started  # 1, or 0 before step `adversarial_from`
    self.codes = model.encode(x if seen is None else seen, training=True)
    self.decoded = model.decode(self.codes)
    self.error = mean_square(x - self.decoded)

  def decode(self, codes):
    return self.model.decode(codes)

  def critic(self, images):
    return self.model.critic(images)

  def real(self, gamma):
    return self.critic(gamma * self.x + (1 - gamma) * self.decoded)

  def mixed(self, alpha):
    """Codes mixed with the reversed batch, which has the share 1 - alpha."""
    return alpha * self.codes + (1 - alpha) * self.codes[::-1]

  def uniform(self, shape=(1, 1, 1), salt=0):
    return self.model.uniform(BATCH, shape, salt)

  def normal(self, shape, salt=0):
    return self.model.normal(BATCH, shape, salt)

  def discrepancy(self, noise):
    return tf.maximum(losses.squared_mmd(*(tf.reshape(z, [BATCH, -1]) for z in (self.codes, noise))), 0)


# Each gives a dict: player -> its loss, or the list of the losses of its updates; and name of a log -> value. Their
# parameters are the model's weights with the defaults that the paper has.


def aae(p, adversarial=1.0):
  features = tf.reshape(p.codes, [BATCH, -1])
  fake, real = p.model.discriminator(features), p.model.discriminator(p.normal(features.shape[1:]))
  fool, loss = entropy(fake, True), entropy(real, True) + entropy(fake, False)
  return {'autoencoder': p.error + p.started * adversarial * fool, 'discriminator': loss,
          'recon_mse': p.error, 'fool_loss': fool, 'discriminator_loss': loss}


def acai(p, lambda_=0.5, gamma=0.2):
  alpha = 0.5 * p.uniform()
  answer = p.critic(p.decode(p.mixed(alpha)))
  fool = mean_square(answer)
  loss = mean_square(answer - tf.reshape(alpha, [-1])) + mean_square(p.real(gamma))
  return {'autoencoder': p.error + lambda_ * fool, 'critic': loss,
          'recon_mse': p.error, 'fool_loss': fool, 'critic_loss': loss}


def acai_invariant(p, lambda_=2.0, gamma=0.2):
  return acai(Parts(p.model, p.x, p.started, p.model.augment(p.x)), lambda_, gamma)  # acai_test tests the images


def aeai(p, adversarial=0.01, cycle=0.01, smoothness=0.1):
  alpha = p.uniform()
  codes = (1 - alpha) * p.codes + alpha * p.codes[::-1]
  mixed = p.decode(codes)
  velocity = p.model.decode_with_velocity(codes, p.codes[::-1] - p.codes)[1]

  def norm(values):  # squared, the mean over the batch
    return tf.reduce_sum(tf.square(values)) / BATCH

  ends = sum(norm(end) for end in (p.x - p.decoded, (p.x - p.decoded)[::-1]))
  fool, closed, smooth = entropy(p.critic(mixed), True), norm(codes - p.model.encode(mixed)), norm(velocity)
  updates = [entropy(p.critic(p.x), True), entropy(p.critic(mixed), False)]
  return {'autoencoder': ends + p.started * adversarial * fool + cycle * closed + smoothness * smooth,
          'critic': updates, 'recon_mse': p.error, 'fool_loss': fool, 'cycle_loss': closed,
          'smoothness_loss': smooth, 'critic_loss': sum(updates)}


def amr(p, lam=10.0, beta=0.0, weight_decay=1e-5):
  codes = p.model.mix(p.codes)
  mixed = p.decode(codes)
  penalty = {player: weight_decay * sum(tf.reduce_sum(tf.square(v)) for v in p.model.variables_of(player)) / 2
             for player in ('autoencoder', 'critic')}
  fake, fake_mixed = p.critic(p.decoded), p.critic(mixed)
  error = p.error if p.config.error == 'squared' else tf.reduce_mean(tf.abs(p.x - p.decoded))
  fool = entropy(fake, True) + entropy(fake_mixed, True)
  loss = entropy(p.critic(p.x), True) + entropy(fake, False) + entropy(fake_mixed, False)
  return {'autoencoder': lam * error + p.started * fool
                         + beta * tf.reduce_mean(tf.abs(p.model.encode(mixed) - codes)) + penalty['autoencoder'],
          'critic': loss + penalty['critic'],
          'recon_mse' if p.config.error == 'squared' else 'recon_mae': error, 'fool_loss': fool, 'critic_loss': loss}


def perceptron(body, x, bound=np.inf):
  """A network's layers in training mode, [n, ...] -> [n, d]; `bound`: of the absolute value of its weights."""
  x = tf.reshape(tf.cast(x, tf.float32), [BATCH, -1])
  for layer in body.layers:
    weights = {}
    for variable in layer.trainable_variables:  # A gradient by the weights as they are after clipping.
      value = tf.cast(variable.value, tf.float32)
      weights[variable.name] = value + tf.stop_gradient(tf.clip_by_value(value, -bound, bound) - value)
    match type(layer).__name__:
      case 'Dense':
        x = x @ weights['kernel'] + weights.get('bias', 0)
      case 'BatchNormalization':
        mean, variance = tf.nn.moments(x, 0)
        x = (x - mean) / tf.sqrt(variance + 1e-5) * weights['gamma'] + weights['beta']
      case 'LeakyReLU':
        x = tf.where(x > 0, x, layer.negative_slope * x)
      case 'Activation':
        x = tf.tanh(x)
      case 'UnitNormalization':
        x = x / tf.norm(x, axis=1, keepdims=True)
      case kind:
        assert kind in ('Flatten', 'Reshape'), kind
  return x


def arae_image(p, noise_r=0.4, clip=0.05, grad_lambda=0.2):
  model, steps = p.model, p.config.critic_steps
  codes = perceptron(model.encoder, p.x)
  noisy = codes + noise_r * tf.cast(p.normal((100,)), tf.float32)
  logits = tf.reshape(perceptron(model.decoder, noisy), [BATCH, *SHAPE, 2])
  white = tf.cast(p.x + 1, tf.float32) / 2
  error = tf.reduce_mean(
      tf.reduce_logsumexp(logits, -1) - white * logits[..., 1] - (1 - white) * logits[..., 0])

  def answer(codes):
    return tf.reduce_mean(perceptron(model.critic, codes, clip))

  fakes = [answer(perceptron(model.generator, p.normal((32,), salt=1 + k))) for k in range(steps + 1)]
  real = answer(codes)
  updates = [fake - real for fake in fakes[:steps]]
  return {'autoencoder': [error, *steps * [grad_lambda * real]], 'critic': updates, 'generator': -fakes[steps],
          'recon_loss': error, 'critic_loss': updates[-1], 'wasserstein': -updates[-1], 'fool_loss': real,
          'generator_loss': -fakes[steps]}


def autoencoder(p):
  return {'autoencoder': p.error, 'recon_mse': p.error}


def denoising(p, sigma=1.0):
  error = mean_square(p.x - p.model(p.x + sigma * p.normal(SHAPE)))
  return {'autoencoder': error, 'recon_mse': error}


def dropout(p, keep=0.5):
  kept = tf.cast(p.uniform(p.codes.shape[1:]) < keep, tf.float32)
  error = mean_square(p.x - p.decode(p.codes * kept / keep))
  return {'autoencoder': error, 'recon_mse': error}


def lrae(p, lambda_=0.5, gamma=0.2, weight=1.0):
  sums, distance = acai(p, lambda_, gamma), p.discrepancy(p.normal((2, 2, 3), salt=1))
  return {**sums, 'autoencoder': sums['autoencoder'] + weight * distance, 'prior_loss': distance}


def lsgan_ae(p, weight=0.5):
  answer = p.critic(p.decoded)
  fool, loss = mean_square(answer), mean_square(p.critic(p.x)) + mean_square(answer - 1)
  return {'autoencoder': p.error + p.started * weight * fool, 'critic': loss,
          'recon_mse': p.error, 'fool_loss': fool, 'critic_loss': loss}


def miae(p, lambda_=0.5, gamma=0.2):
  alpha = 0.5 - tf.abs(p.uniform((2, 2, 3)) - 0.5)
  answer = p.critic(p.decode(p.mixed(alpha)))
  fool, loss = mean_square(answer), mean_square(answer - alpha) + mean_square(p.real(gamma))
  return {'autoencoder': p.error + lambda_ * fool, 'critic': loss,
          'recon_mse': p.error, 'fool_loss': fool, 'critic_loss': loss}


def midrae(p, lambda_=0.5, gamma=0.2, advnoise=0.05, advfake=1.0, weight=1.0):
  sums, share, noise = miae(p, lambda_, gamma), p.uniform((2, 2, 3), salt=1), p.normal((2, 2, 3), salt=2)
  noisy, fake = p.critic(p.decode(share * p.codes + (1 - share) * noise)), p.critic(p.decode(noise))
  fool = lambda_ * sums['fool_loss'] + advnoise * mean_square(noisy) + advfake * mean_square(fake)
  target = share if p.config.target == 'code' else 1 - share
  loss = sums['critic_loss'] + mean_square(noisy - target) + mean_square(fake - 0.5)
  distance = p.discrepancy(noise)
  return {'autoencoder': p.error + p.started * (fool + weight * distance), 'critic': loss,
          'recon_mse': p.error, 'fool_loss': fool, 'prior_loss': distance, 'critic_loss': loss}


def vae(p, beta=1.0):
  mean, log_variance = p.model.posterior(p.x)[:2]
  codes = mean + tf.exp(log_variance / 2) * p.normal((12,))
  logits = p.model.decoder(tf.reshape(codes, [BATCH, 2, 2, 3]))
  rate = tf.reduce_sum(mean**2 + tf.exp(log_variance) - log_variance - 1) / 2 / BATCH
  distortion = tf.reduce_sum(tf.math.softplus(logits) - (p.x + 1) / 2 * logits) / BATCH
  return {'autoencoder': distortion + beta * rate, 'kl_loss': rate, 'likelihood_loss': distortion,
          'recon_mse': mean_square(p.x - 2 * tf.sigmoid(logits) + 1)}


def vqvae(p, commitment=10.0):
  quantized, vectors, indices = p.model.bottleneck(p.codes)
  far = mean_square(vectors - tf.gather(tf.convert_to_tensor(p.model.quantizer.codebook), indices))
  error = mean_square(p.x - p.model.decoder(quantized))
  return {'autoencoder': error + commitment * far, 'recon_mse': error, 'commitment_loss': far}


def flat(arrays):
  return np.concatenate([np.ravel(array) for array in arrays])


def gradients(tape, values, variables):
  """[updates, number of weights]: the gradients of a loss, or of a list of losses."""
  return np.array([flat(tape.gradient(value, [v.value for v in variables], unconnected_gradients='zero'))
                   for value in (values if isinstance(values, list) else [values])])


class Recorder(keras.optimizers.SGD):
  """Keeps the gradients that it is given, and no variable changes."""

  def __init__(self):
    super().__init__(0.0)
    self.given = []

  def apply(self, grads, trainable_variables=None):
    self.given.append(flat(grads))


def cases():
  """(name, model, settings): each model as its Config has it, with every other choice, and before its adversary."""
  for name in registry.names('acai_tf.models', 'images'):
    kind = registry.load('acai_tf.models', name).Config
    choices = [{}]
    for field, annotation in typing.get_type_hints(kind, include_extras=True).items():
      if typing.get_origin(annotation) is typing.Literal:
        choices += [{field: value} for value in typing.get_args(annotation)]
      elif annotation is bool:
        choices += [{field: True}, {field: False}]
      elif field == 'adversarial_from':
        choices.append({field: STEP + 1})
    for choice in choices:
      if not choice or any(getattr(kind(), field) != value for field, value in choice.items()):
        yield '_'.join([name, *(f'{field}_{value}' for field, value in choice.items())]), name, choice


def another(kind, field, value):
  """A value of the field that differs from `value` and is allowed."""
  for other in (3 * value + 0.1, 0.7 * value):
    try:
      kind(**{field: other})
      return other
    except ValueError:
      pass
  raise AssertionError(f'the Config refuses {3 * value + 0.1:g} and {0.7 * value:g} for {field}; expected one to pass')


class ObjectivesTest(parameterized.TestCase, tf.test.TestCase):

  def make(self, module, settings):
    model = module.Model(module.Config(**settings), TINY, SHAPE, 3, seed=2)
    # New networks' codes, images and answers hardly differ from 0.
    for variable in model.trainable_variables:
      if len(variable.shape) == 4:
        variable.assign(2 * variable)
    for player in set(model.players()) - {'autoencoder', 'classifier'}:
      variables = model.variables_of(player)
      for variable in variables:
        if model.has_batch_norm(player):  # and is initialized by N(0, 0.02^2)
          variable.assign(20 * variable)
      if player != 'generator':
        variables[-1].assign(variables[-1] + 0.5)
      if len(variables[0].shape) == 4:  # the one that no spectral norm takes back
        variables[0].assign(200 * variables[0])
    model.compile(lambda player: Recorder())
    model.step.assign(STEP)
    return model

  @parameterized.named_parameters(*cases())
  @pytest.mark.each_model
  def test_gradients_and_logs_equal_the_losses(self, name, choice):
    module, reference = registry.load('acai_tf.models', name), globals().get(name)
    papers = {key: parameter.default for key, parameter in inspect.signature(reference).parameters.items()
              if key != 'p'} if reference else {}
    default = dataclasses.asdict(module.Config())
    self.assertEqual({key: default.get(key) for key in papers}, papers, "the weights' defaults in the model's Config")
    weights = {key: another(module.Config, key, value) for key, value in papers.items()}
    settings = {'adversarial_from': STEP} if 'adversarial_from' in default else {}
    settings.update(**FEWER.get(name, {}), **choice, **weights)
    generator = np.random.default_rng(0)
    x = tf.constant(generator.uniform(-1, 1, [BATCH, *SHAPE]), tf.float32)
    labels = tf.constant(generator.integers(3, size=BATCH), tf.int32)
    twin = self.make(module, settings)
    if hasattr(getattr(twin, 'critic', None), 'iterate'):
      twin.critic.iterate()  # of the spectral norm, once in a step
    with tf.GradientTape(persistent=True) as tape:
      logits = twin.classifier(twin.represent(x, training=True))
      sums = {'classifier': tf.reduce_mean(
          tf.reduce_logsumexp(logits, 1) - tf.gather(logits, labels, axis=1, batch_dims=1))}
      if reference:
        parts = Parts(twin, x, float(settings.get('adversarial_from', 0) <= STEP))
        for key in weights if not choice else ():
          while not self.is_seen(lambda **weights: reference(parts, **weights), weights, key, tape, twin):
            weights[key] *= 100
        sums.update(reference(parts, **weights))

    model = self.make(module, {**settings, **weights})
    logs = model.take_step((x, labels))
    for player, optimizer in model.optimizers.items():
      self.assertNotEmpty(optimizer.given, f'{player} has no update; expected one in a step')
      self.assertTrue(np.all(np.isfinite(optimizer.given)), f'expected finite gradients of {player}')
      self.assertGreater(np.abs(optimizer.given).max(), 0, f'expected gradients of {player} that are not all zero')
      if player in sums:
        wanted = gradients(tape, sums[player], twin.variables_of(player))
        size = np.abs(wanted).max()
        self.assertAllClose(optimizer.given / size, wanted / size, atol=2e-5, rtol=1e-3, msg=player)
    if reference:
      self.assertContainsSubset(model.optimizers, sums)
      for log in set(sums) - set(model.optimizers):
        self.assertAllClose(logs[log], sums[log], rtol=2e-5, atol=1e-7, msg=log)

  def is_seen(self, reference, weights, key, tape, model):
    """Whether the gradient of some player would show that the weight `key` is another; fails where it never does."""
    self.assertLess(weights[key], 1e9, f'no gradient depends on {key}')
    usual, changed = reference(**weights), reference(**{**weights, key: 1.5 * weights[key]})
    for player in set(usual) & set(model.players()):
      with tape.stop_recording():
        one, two = (gradients(tape, values[player], model.variables_of(player)) for values in (usual, changed))
      if np.abs(one - two).max() > 1e-3 * np.abs(one).max():
        return True
    return False


if __name__ == '__main__':
  tf.test.main()
