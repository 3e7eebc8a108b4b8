"""The likelihood of images under a latent variable model, by importance sampling (Burda et al. 2016, equation 8)."""

import numpy as np


def log_likelihood(images, posterior, log_decoder, samples=64, seed=0) -> np.ndarray:
  """Lower bound, tight for many samples, of log p(x): log mean_k p(x given z_k) p(z_k) / q(z_k given x), z_k ~ q.

  Args:
    images: [n, ...].
    posterior: function images -> ([n, d] means, [n, d] log variances) of the Gaussian q(z given x).
    log_decoder: function (images, [n, d] codes) -> [n] log p(x given z) in nats.
    samples: codes an image.
    seed: of the codes.

  Returns:
    [n] float64, nats.

  Raises:
    ValueError: a model whose answers are not finite.
  """
  import scipy.special

  mean, log_variance = (np.asarray(x, np.float64) for x in posterior(images))
  generator, terms = np.random.default_rng(seed), []
  for _ in range(samples):
    noise = generator.standard_normal(mean.shape)
    codes = mean + np.exp(log_variance / 2) * noise
    # log p(z) - log q(z given x); the constants of both Gaussians cancel.
    ratio = 0.5 * np.sum(noise**2 + log_variance - codes**2, axis=1)
    terms.append(np.asarray(log_decoder(images, codes.astype(np.float32)), np.float64) + ratio)
  found = np.stack(terms)
  if not np.isfinite(found).all():
    raise ValueError('likelihoods are NaN or infinite; the model that made them has diverged.')
  return scipy.special.logsumexp(found, axis=0) - np.log(samples)
