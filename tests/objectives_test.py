"""What every player of every model minimises, against its docstring's sum in NumPy: no term and no weight is free."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from acai_tf import losses
from acai_tf.experiment import config, registry

TINY, SHAPE, BATCH = config.Network(latent_width=2, latent=3, depth=2), (8, 8, 1), 6
ACAI = {'lambda_': 0.5, 'gamma': 0.2}
# Model -> (the defaults, which are the papers', and others).
WEIGHTS = {
    'aae': ({'adversarial': 1.0}, {'adversarial': 3.0}),
    'acai': (ACAI, {'lambda_': 2.0, 'gamma': 0.7}),
    'aeai': ({'adversarial': 0.01, 'cycle': 0.01, 'smoothness': 0.1},
             {'adversarial': 2.0, 'cycle': 3.0, 'smoothness': 4.0}),
    'amr': ({'lam': 10.0, 'beta': 0.0, 'weight_decay': 1e-5}, {'lam': 2.0, 'beta': 3.0, 'weight_decay': 0.1}),
    'arae_image': ({'noise_r': 0.4, 'clip': 0.05, 'grad_lambda': 0.2},
                   {'noise_r': 0.1, 'clip': 0.1, 'grad_lambda': 2.0}),
    'autoencoder': ({}, {}),
    'denoising': ({'sigma': 1.0}, {'sigma': 0.3}),
    'dropout': ({'keep': 0.5}, {'keep': 0.8}),
    'lrae': ({**ACAI, 'weight': 1.0}, {'lambda_': 2.0, 'gamma': 0.7, 'weight': 3.0}),
    'lsgan_ae': ({'weight': 0.5}, {'weight': 2.0}),
    'miae': (ACAI, {'lambda_': 2.0, 'gamma': 0.7}),
    'midrae': ({**ACAI, 'advnoise': 0.05, 'advfake': 1.0, 'weight': 1.0},
               {'lambda_': 2.0, 'gamma': 0.7, 'advnoise': 3.0, 'advfake': 4.0, 'weight': 5.0}),
    'vae': ({'beta': 1.0}, {'beta': 3.0}),
    'vqvae': ({'commitment': 10.0}, {'commitment': 0.5}),
}


def mean_square(values):
  return np.mean(np.square(np.asarray(values, np.float64)))


def entropy(logits, real):
  return np.mean(np.logaddexp(0, -np.asarray(logits, np.float64) if real else np.asarray(logits, np.float64)))


class Parts:
  """A model's pieces on one batch, before its step, as arrays; noise as the step draws it."""

  def __init__(self, model, x):
    self.model, self.x, self.codes = model, x.numpy(), model.encode(x).numpy()
    self.decoded = self.decode(self.codes)
    self.error = mean_square(self.x - self.decoded)

  def decode(self, codes):
    return self.model.decode(tf.constant(codes, tf.float32)).numpy()

  def critic(self, images):
    return self.model.critic(tf.constant(images)).numpy()

  def real(self, gamma):
    return self.critic(gamma * self.x + np.float32(1 - gamma) * self.decoded)

  def mixed(self, alpha):
    """Codes mixed with the reversed batch, which has the share 1 - alpha."""
    return alpha * self.codes + (1 - alpha) * self.codes[::-1]

  def uniform(self, shape=(1, 1, 1), salt=0):
    return self.model.uniform(BATCH, shape, salt).numpy()

  def normal(self, shape, salt=0):
    return self.model.normal(BATCH, shape, salt).numpy()

  def discrepancy(self, noise):
    flat = (tf.constant(np.reshape(z, [BATCH, -1])) for z in (self.codes, noise))
    return max(float(losses.squared_mmd(*flat)), 0)


def aae(p, w):
  features = p.codes.reshape(BATCH, -1)
  fake, real = p.model.discriminator(features), p.model.discriminator(p.normal(features.shape[1:]))
  return {'autoencoder': p.error + w['adversarial'] * entropy(fake, True),
          'discriminator': entropy(real, True) + entropy(fake, False)}


def acai(p, w):
  alpha = 0.5 * p.uniform()
  answer = p.critic(p.decode(p.mixed(alpha)))
  return {'autoencoder': p.error + w['lambda_'] * mean_square(answer),
          'critic': mean_square(answer - alpha.ravel()) + mean_square(p.real(w['gamma']))}


def aeai(p, w):
  alpha = p.uniform()
  codes = (1 - alpha) * p.codes + alpha * p.codes[::-1]
  mixed = p.decode(codes)
  velocity = p.model.decode_with_velocity(tf.constant(codes), tf.constant(p.codes[::-1] - p.codes))[1]

  def norm(values):  # squared, the mean over the batch
    return np.sum(np.square(values, dtype=np.float64)) / BATCH

  ends = sum(norm(end) for end in (p.x - p.decoded, (p.x - p.decoded)[::-1]))
  return {'autoencoder': ends + w['adversarial'] * entropy(p.critic(mixed), True)
                         + w['cycle'] * norm(codes - p.model.encode(mixed)) + w['smoothness'] * norm(velocity),
          'critic': [entropy(p.critic(p.x), True), entropy(p.critic(mixed), False)]}


def amr(p, w):
  codes = p.model.mix(tf.constant(p.codes)).numpy()
  mixed = p.decode(codes)
  penalty = {player: w['weight_decay'] * sum(np.sum(np.square(v.numpy(), dtype=np.float64)) for v in variables) / 2
             for player, variables in (('autoencoder', p.model.variables_of('autoencoder')),
                                       ('critic', p.model.variables_of('critic')))}
  fake, fake_mixed = p.critic(p.decoded), p.critic(mixed)
  return {'autoencoder': w['lam'] * np.mean(np.abs(p.x - p.decoded)) + entropy(fake, True) + entropy(fake_mixed, True)
                         + w['beta'] * np.mean(np.abs(p.model.encode(mixed) - codes)) + penalty['autoencoder'],
          'critic': entropy(p.critic(p.x), True) + entropy(fake, False) + entropy(fake_mixed, False)
                    + penalty['critic']}


def perceptron(body, x, bound=np.inf):
  """A network's layers in training mode, [n, ...] -> [n, d]; `bound`: of the absolute value of its weights."""
  x = np.reshape(x, [BATCH, -1])
  for layer in body.layers:
    weights = {v.name: np.clip(v.numpy().astype(np.float64), -bound, bound) for v in layer.trainable_variables}
    match type(layer).__name__:
      case 'Dense':
        x = x @ weights['kernel'] + weights.get('bias', 0)
      case 'BatchNormalization':
        x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * weights['gamma'] + weights['beta']
      case 'LeakyReLU':
        x = np.where(x > 0, x, layer.negative_slope * x)
      case 'Activation':
        x = np.tanh(x)
      case 'UnitNormalization':
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
      case kind:
        assert kind in ('Flatten', 'Reshape'), kind
  return x


def arae_image(p, w):
  model, steps = p.model, 10
  codes = perceptron(model.encoder, p.x)
  logits = perceptron(model.decoder, codes + w['noise_r'] * p.normal((100,))).reshape(BATCH, *SHAPE, 2)
  white = (p.x + 1) / 2
  entropy = np.logaddexp(logits[..., 0], logits[..., 1]) - white * logits[..., 1] - (1 - white) * logits[..., 0]

  def answer(codes):
    return perceptron(model.critic, codes, w['clip']).mean()

  fakes = [answer(perceptron(model.generator, p.normal((32,), salt=1 + k))) for k in range(steps + 1)]
  real = answer(codes)
  return {'autoencoder': [entropy.mean(), *steps * [w['grad_lambda'] * real]],
          'critic': [fake - real for fake in fakes[:steps]], 'generator': -fakes[steps]}


def autoencoder(p, w):
  del w
  return {'autoencoder': p.error}


def denoising(p, w):
  noisy = p.x + w['sigma'] * p.normal(SHAPE)
  return {'autoencoder': mean_square(p.x - p.model(tf.constant(noisy)))}


def dropout(p, w):
  kept = p.uniform(p.codes.shape[1:]) < w['keep']
  return {'autoencoder': mean_square(p.x - p.decode(p.codes * kept / w['keep']))}


def lrae(p, w):
  found = acai(p, w)
  found['autoencoder'] += w['weight'] * p.discrepancy(p.normal((2, 2, 3), salt=1))
  return found


def lsgan_ae(p, w):
  answer = p.critic(p.decoded)
  return {'autoencoder': p.error + w['weight'] * mean_square(answer),
          'critic': mean_square(p.critic(p.x)) + mean_square(answer - 1)}


def miae(p, w):
  alpha = 0.5 - np.abs(p.uniform((2, 2, 3)) - 0.5)
  answer = p.critic(p.decode(p.mixed(alpha)))
  return {'autoencoder': p.error + w['lambda_'] * mean_square(answer),
          'critic': mean_square(answer - alpha) + mean_square(p.real(w['gamma']))}


def midrae(p, w):
  found, share, noise = miae(p, w), p.uniform((2, 2, 3), salt=1), p.normal((2, 2, 3), salt=2)
  noisy, fake = p.critic(p.decode(share * p.codes + (1 - share) * noise)), p.critic(p.decode(noise))
  found['autoencoder'] += (w['advnoise'] * mean_square(noisy) + w['advfake'] * mean_square(fake)
                           + w['weight'] * p.discrepancy(noise))
  found['critic'] += mean_square(noisy - share) + mean_square(fake - 0.5)
  return found


def vae(p, w):
  mean, log_variance = (t.numpy().astype(np.float64) for t in p.model.posterior(tf.constant(p.x))[:2])
  codes = mean + np.exp(log_variance / 2) * p.normal((12,))
  logits = p.model.decoder(tf.constant(codes.reshape(BATCH, 2, 2, 3), tf.float32)).numpy().astype(np.float64)
  divergence = np.sum(mean**2 + np.exp(log_variance) - log_variance - 1) / 2
  return {'autoencoder': (np.sum(np.logaddexp(0, logits) - (p.x + 1) / 2 * logits) + w['beta'] * divergence) / BATCH}


def vqvae(p, w):
  quantized, vectors, indices = p.model.bottleneck(tf.constant(p.codes))
  chosen = p.model.quantizer.codebook.numpy()[indices.numpy()]
  return {'autoencoder': (mean_square(p.x - p.model.decoder(quantized))
                          + w['commitment'] * mean_square(vectors - chosen))}


EXPECTED = {f.__name__: f for f in (
    aae, acai, aeai, amr, arae_image, autoencoder, denoising, dropout, lrae, lsgan_ae, miae, midrae, vae, vqvae)}


class ObjectivesTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*(
      (f'{name}_{which}', name, which) for name in registry.names('acai_tf.models', 'images')
      for which in ('default', 'other')))
  def test_each_player_minimises_its_docstring_s_sum(self, name, which):
    weights = WEIGHTS[name][which == 'other']
    module = registry.load('acai_tf.models', name)
    model = module.Model(module.Config(**({} if which == 'default' else weights)), TINY, SHAPE, 3, seed=2)
    # Codes, images and answers of a size that is seen: fresh networks' hardly differ from 0.
    for variable in model.trainable_variables:
      if len(variable.shape) == 4:
        variable.assign(2 * variable)
    for variable in model.variables_of('generator') + model.variables_of('critic') if name == 'arae_image' else ():
      variable.assign(20 * variable)
    for player in set(model.players()) & {'critic', 'discriminator'}:
      bias = model.variables_of(player)[-1]
      bias.assign(bias + 0.5)
    model.compile(lambda player: keras.optimizers.SGD(0.0))
    generator, minimised = np.random.default_rng(0), {player: [] for player in model.players()}
    x = tf.constant(generator.uniform(-1, 1, [BATCH, *SHAPE]), tf.float32)
    labels = tf.constant(generator.integers(3, size=BATCH), tf.int32)
    model.step.assign(5)  # a multiple of amr's default generator_every
    if name in ('aeai', 'amr'):
      model.critic.iterate()
      model.critic.iterate = lambda: None
    parts = Parts(model, x)
    expected = EXPECTED[name](parts, weights)
    for key, weight in weights.items():
      changed = EXPECTED[name](parts, {**weights, key: 1.5 * weight + 0.1})
      ratios = np.concatenate([np.ravel(np.divide(changed[player], expected[player])) for player in changed])
      self.assertGreater(np.abs(ratios - 1).max(), 1e-4, f'{key} is unseen')
    logits = model.classifier(model.represent(x, training=True)).numpy().astype(np.float64)
    picked = np.take_along_axis(logits, labels.numpy()[:, None], 1)[:, 0]
    expected['classifier'] = np.mean(np.log(np.sum(np.exp(logits), 1)) - picked)
    model.move = lambda tape, player_losses, rests=None: [
        minimised[player].append(loss) for player, loss in player_losses.items()]
    model.take_step((x, labels))
    self.assertCountEqual(minimised, expected)
    for player, moves in minimised.items():  # of most players one, as the expected number
      self.assertAllClose(moves, np.atleast_1d(expected[player]), rtol=2e-5, atol=1e-8, msg=player)


if __name__ == '__main__':
  tf.test.main()
