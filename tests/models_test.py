"""Likelihoods and quantization against closed forms, NumPy loops and integrals; objectives_test tests the losses."""

import keras
import numpy as np
import scipy.integrate
import scipy.stats
import tensorflow as tf

from acai_tf import losses
from acai_tf.experiment import config
from acai_tf.models import vae, vqvae
from acai_tf.networks import quantizer

TINY, SHAPE, BATCH = config.Network(latent_width=2, latent=3, depth=2), (8, 8, 1), 5


def images(count=BATCH, seed=0):
  return tf.constant(np.random.default_rng(seed).uniform(-1, 1, [count, *SHAPE]), tf.float32)


def make(kind, rate=1e-3, **settings):
  model = kind.Model(kind.Config(**settings), TINY, SHAPE, 0, seed=2)
  model.compile(lambda player: keras.optimizers.SGD(rate))
  return model


class LikelihoodTest(tf.test.TestCase):

  def test_kl_against_the_numerical_integral(self):
    mean, log_variance = np.array([[0.5, -1.0]]), np.array([[0.2, -0.7]])

    def integrand(z, m, v):
      q = scipy.stats.norm.pdf(z, m, np.exp(v / 2))
      return q * (scipy.stats.norm.logpdf(z, m, np.exp(v / 2)) - scipy.stats.norm.logpdf(z))

    expected = sum(scipy.integrate.quad(integrand, -12, 12, args=(m, v))[0]
                   for m, v in zip(mean[0], log_variance[0], strict=True))
    self.assertAllClose(losses.gaussian_kl(tf.constant(mean), tf.constant(log_variance)), expected, rtol=1e-6)
    self.assertAllClose(losses.gaussian_kl(tf.zeros([4, 3]), tf.zeros([4, 3])), 0)

  def test_vae_encodes_the_mean_and_samples_by_seed(self):
    model, count = make(vae), 4000
    model.log_variance_head.bias.assign(np.linspace(-2, 2, 12))
    x = tf.repeat(images(1), count, 0)  # one image, so that rows differ by their noise alone
    mean, log_variance = (t.numpy()[0].astype(np.float64) for t in model.posterior(x)[:2])
    self.assertAllClose(model.encode(x)[0], mean.reshape(2, 2, 3))
    noise = []
    for seed in (3, tf.constant(4)):
      codes = model.encode_sample(x, seed)
      self.assertEqual(codes.shape, (count, 2, 2, 3))
      self.assertAllEqual(codes, model.encode_sample(x, int(seed)))
      noise.append((codes.numpy().reshape(count, 12) - mean) / np.exp(log_variance / 2))
    draws = np.concatenate([noise[0], noise[1], noise[0][::-1]], axis=1)[:count // 2]  # and a reversed pair
    self.assertAllClose(draws.mean(0), np.zeros(36), atol=4 / np.sqrt(count / 2))
    self.assertAllClose(np.corrcoef(draws.T), np.eye(36), atol=4.5 / np.sqrt(count / 2))
    self.assertGreater(scipy.stats.kstest(draws.ravel(), 'norm').pvalue, 1e-3)
    self.assertAllInRange(model(x), -1, 1)


class QuantizerTest(tf.test.TestCase):

  def test_moving_averages_against_a_loop_dead_codes_included(self):
    layer = quantizer.Quantizer(6, 2, decay=0.9, epsilon=1e-3)
    codebook = layer.codebook.numpy().astype(np.float64)
    counts, sums = np.zeros(6), codebook.copy()
    generator = np.random.default_rng(0)
    for _ in range(5):
      vectors = generator.normal(size=[8, 2]).astype(np.float32) * [0.1, 1]
      quantized, indices = layer(tf.constant(vectors, tf.float32))
      new_counts, new_sums = np.zeros(6), np.zeros([6, 2])
      for vector, index, code in zip(vectors, indices.numpy(), quantized.numpy(), strict=True):
        distances = [np.sum((vector - c)**2) for c in codebook]
        self.assertEqual(index, int(np.argmin(distances)))
        self.assertAllClose(code, codebook[index], atol=1e-5)
        new_counts[index] += 1
        new_sums[index] += vector
      self.assertAllEqual(layer.update(tf.constant(vectors, tf.float32), indices, [0, 0]), new_counts)
      counts, sums = 0.9 * counts + 0.1 * new_counts, 0.9 * sums + 0.1 * new_sums
      smoothed = (counts + 1e-3) / (counts.sum() + 6e-3) * counts.sum()
      codebook = sums / smoothed[:, None]
      self.assertAllClose(layer.codebook, codebook, atol=1e-5, rtol=1e-5)
    self.assertTrue((new_counts == 0).any(), 'no code was dead: the test tests less than it says')

  def test_the_start_throws_codes_out_and_unused_ones_fall_back(self):
    layer = quantizer.Quantizer(1 << 14, 2)
    start = layer.codebook.numpy()
    self.assertAllInRange(start, -np.sqrt(3 / (1 << 14)), np.sqrt(3 / (1 << 14)))
    self.assertAllClose(start.std(), 1 / 128, rtol=0.02)
    self.assertAllEqual(layer.sums, start)
    self.assertAllEqual(layer.counts, np.zeros(1 << 14))
    step = tf.function(lambda: layer.update(tf.ones([160, 2]), tf.zeros([160], tf.int32), [0, 0]))
    for t in range(1, 101):
      step()
      if t in (1, 10, 100):
        total = 160 * (1 - 0.999**t)
        smoothed = 1e-5 * total / (total + (1 << 14) * 1e-5)
        self.assertAllClose(layer.codebook[1:], 0.999**t * start[1:] / smoothed, rtol=1e-3)
        self.assertGreater(np.abs(layer.codebook[1:]).mean(), 600)

  def test_little_used_codes_start_anew_as_vectors_of_the_step(self):
    layer = quantizer.Quantizer(8, 2, decay=0.5, epsilon=0, restart=0.8)
    layer.counts.assign([1.0, 0.5, 1.0, 0.8, 1.0, 0.1, 0.2, 1.0])
    layer.sums.assign(layer.codebook * layer.counts[:, None])
    before, vectors = layer.codebook.numpy(), np.arange(6, dtype=np.float32).reshape(3, 2)
    # Even use is 3/8. After one step of decay: 0.5, 0.25, 0.5, 0.4, 0.5, 0.05 + 1.5, 0.1, 0.5; two are below 0.3.
    layer.update(tf.constant(vectors), tf.constant([5, 5, 5]), [0, 1])
    self.assertAllClose(layer.counts, [0.5, 0.375, 0.5, 0.4, 0.5, 1.55, 0.375, 0.5])
    new = [tuple(row) for row in np.round(tf.gather(layer.codebook, [1, 6]), 5)]
    self.assertLen(set(new) & {tuple(row) for row in vectors}, 2)
    self.assertAllClose(tf.gather(layer.codebook, [0, 2, 3, 4, 7]), before[[0, 2, 3, 4, 7]], atol=1e-6)
    layer = quantizer.Quantizer(3, 2, decay=0.5, epsilon=0, restart=0.99)  # more vectors than codes
    layer.update(tf.constant(vectors[[0, 1, 2, 0, 1]]), tf.zeros([5], tf.int32), [0, 1])
    self.assertAllClose(layer.counts, [2.5, 5 / 3, 5 / 3])
    self.assertContainsSubset(map(tuple, np.round(layer.codebook[1:], 5)), map(tuple, vectors))

  def run_steps(self, layer, count, steps, draw):
    """[steps, size]: whether a code started anew in an update with `count` vectors.

    draw: function step -> (vectors, indices or None).
    """
    before = layer.counts.numpy()

    @tf.function
    def run():
      history = tf.TensorArray(tf.float32, steps)
      for t in tf.range(steps):
        vectors, indices = draw(t)
        if indices is None:
          indices = layer(vectors)[1]
        layer.update(vectors, indices, tf.stack([7, t]))
        history = history.write(t, tf.convert_to_tensor(layer.counts))
      return history.stack()

    history = np.concatenate([before[None], run().numpy()])
    even = np.float32(count / layer.size)
    return (history[1:] == even) & (history[:-1] < layer.restart * even / 0.99)

  def test_a_code_that_is_never_chosen_starts_anew_after_the_decay_s_time(self):
    layer = quantizer.Quantizer(4, 2, restart=0.1)
    layer.counts.assign(np.ones(4))
    new = self.run_steps(layer, 4, 4700, lambda t: (tf.ones([4, 2]), tf.zeros([4], tf.int32)))
    self.assertFalse(new[:, 0].any())
    times = np.sort(np.concatenate([np.flatnonzero(new[:, code]) + 1 for code in (1, 2, 3)]))
    self.assertAllEqual(times, [2302, 2303, 2304, 4604, 4605, 4606])  # one a step; ln 10 / -ln 0.999 = 2301.4

  def test_codes_in_use_stay_and_few_start_anew(self):
    """A sixteenth of the authors' size, 16,384 codes for 160 vectors a step, so at their ratio."""
    layer = quantizer.Quantizer(1024, 2, restart=0.1)

    def draw(t):
      often = [5.0, 5.0] + 0.01 * tf.random.stateless_normal([4, 2], [1, t])
      return tf.concat([often, tf.random.stateless_normal([6, 2], [2, t])], 0), None

    new = self.run_steps(layer, 10, 3000, draw)
    self.assertLessEqual(new.sum(1).max(), 2)
    codes = layer.codebook.numpy()
    kept = np.flatnonzero(np.abs(codes - 5).max(1) < 0.1)
    kept = kept[np.argmax(layer.counts.numpy()[kept])]  # the code that most of the frequent vectors choose
    new = self.run_steps(layer, 10, 3000, draw)
    self.assertLessEqual(new.sum(1).max(), 2)
    self.assertLess(new.sum(1).mean(), 0.5)  # 1,024 codes that all lay idle would be 1024 / 2302
    self.assertFalse(new[:, kept].any())
    self.assertAllClose(layer.codebook[kept], codes[kept], atol=0.05)
    self.assertGreater(quantizer.perplexity(layer.counts), 100)

  def test_the_gradient_passes_straight(self):
    layer = quantizer.Quantizer(4, 2)
    vectors = tf.constant([[0.3, 0.1], [-1.0, 2.0]])
    with tf.GradientTape() as tape:
      tape.watch(vectors)
      loss = tf.reduce_sum(layer(vectors)[0] * tf.constant([[1.0, 2.0], [3.0, 4.0]]))
    self.assertAllClose(tape.gradient(loss, vectors), [[1.0, 2.0], [3.0, 4.0]])

  def test_perplexity_of_known_counts(self):
    self.assertAllClose(quantizer.perplexity(tf.constant([1.0, 1.0, 1.0, 1.0])), 4)
    self.assertAllClose(quantizer.perplexity(tf.constant([5.0, 0.0, 0.0])), 1)

  def test_vqvae_s_bottlenecks(self):
    for bottleneck, size, count in (('dense', 12, 10 * BATCH), ('conv', 3, 4 * BATCH)):
      model = make(vqvae, bottleneck=bottleneck, codebook=32)
      x = images()
      self.assertEqual(model.bottleneck(model.encode(x))[1].shape, (count, size))
      before = model.quantizer.codebook.numpy()
      model.take_step(x)
      self.assertNotAllClose(model.quantizer.codebook, before)
      self.assertEqual(model.represent(x).shape, (BATCH, 12))
      with self.assertRaisesRegex(ValueError, "'geodesic': vqvae decodes the vectors of a codebook"):
        model.interpolate(x, x, 0.5, 'geodesic')
    with self.assertRaisesRegex(ValueError, 'model.bottleneck'):
      make(vqvae, bottleneck='linear')
    with self.assertRaisesRegex(ValueError, 'model.restart'):
      make(vqvae, restart=1.5)


if __name__ == '__main__':
  tf.test.main()
