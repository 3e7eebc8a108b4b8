"""Likelihood of images under a latent variable model, by importance sampling (Burda et al. 2016, equation 8)."""

import numpy as np


def log_likelihood(images, posterior, log_decoder, samples=64, seed=0) -> np.ndarray:
  """Estimates log p(x) from below by log mean_k p(x|z_k) p(z_k) / q(z_k|x), with z_k ~ q(z|x).

  The bound becomes tight as the number of samples grows.

  Args:
    images: [n, ...].
    posterior: function images -> ([n, d] means, [n, d] log variances) of the Gaussian q(z|x).
    log_decoder: function (images, [n, d] codes) -> [n] log p(x|z) in nats.
    samples: number of codes drawn per image.
    seed: seed of the codes.

  Returns:
    [n] float64, nats.

  Raises:
    ValueError: the model's outputs are not finite.
  """
  import scipy.special

  mean, log_variance = (np.asarray(x, np.float64) for x in posterior(images))
  generator, terms = np.random.default_rng(seed), []
  for _ in range(samples):
    noise = generator.standard_normal(mean.shape)
    codes = mean + np.exp(log_variance / 2) * noise
    # log p(z) - log q(z|x); the constants of both Gaussians cancel.
    ratio = 0.5 * np.sum(noise**2 + log_variance - codes**2, axis=1)
    terms.append(np.asarray(log_decoder(images, codes.astype(np.float32)), np.float64) + ratio)
  log_weights = np.stack(terms)  # [samples, n]
  if not np.isfinite(log_weights).all():
    raise ValueError('likelihoods are NaN or infinite; the model that made them has diverged.')
  return scipy.special.logsumexp(log_weights, axis=0) - np.log(samples)
