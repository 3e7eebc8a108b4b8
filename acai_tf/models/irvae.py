"""An isometrically regularized VAE: IRVAE (Lee, Yoon, Son, Park, ICLR 2022)."""

from typing import Annotated

import tensorflow as tf

from acai_tf import losses, replicas
from acai_tf.experiment.fields import config_dataclass
from acai_tf.interpolation import lerp
from acai_tf.models import vae


@config_dataclass('model')
class Config(vae.Config):
  """Settings of `Model`; `lambda_` and `eta` are the paper's."""

  lambda_: Annotated[float, '[0, inf)'] = 1.0  # weight of F; the authors, on MNIST with 2 dimensions: 100, and 1,000
  eta: Annotated[float, '[0, inf)'] = 0.2  # how far F is measured beyond both latents of a pair, relative to its length

  # A VAE uses only a few dimensions, k, and F is 1 / k or more, so a large weight keeps up dimensions that have nothing
  # to say. With 1,000 and 64 dimensions, lines stay faint and blurred.
  RECIPES = {'paper': {'model': {'lambda_': 100.0}}, 'fast': {'model': {'lambda_': 10.0}}}


class Model(vae.Model):
  """A VAE whose decoder g is pulled towards an isometry up to scale, so that straight paths become shortest paths.

  With J the Jacobian of g at a latent and the pull-back metric H = J^T J, d x d:

      objective:          L = -log p(x given z) + beta KL(q(z given x) || N(0, I)) + lambda F
      relaxed distortion: F = E[Tr(H^2)] / E[Tr(H)]^2 = E[|J^T J v|^2] / E[|J v|^2]^2, v ~ N(0, I)
      where it is taken:  at a z + (1 - a) z', a ~ U[-eta, 1 + eta] for each pair of latents z, z' ~ q

  F is at least 1 / d. It reaches that if all singular values of J are equal, and the same at all latents: g then
  preserves angles and ratios of distances. F does not change if g is scaled. The second form is Hutchinson's estimate
  of both traces, with one v for each latent: a Jacobian-vector product and a vector-Jacobian product, both exact.
  Expectations are means over the global batch.

  Some choices differ from the authors' program. z' is from the reversed batch; theirs is from a random permutation.
  p is Bernoulli, as in `vae`, so that the two models differ by F alone; theirs is a Gaussian with a learned variance.
  Their encoder and decoder are dense. Networks, optimizer and batch size are the recipe's.
  """

  def relaxed_distortion(self, codes, direction) -> tf.Tensor:
    """F at `codes`, estimated with v = `direction`, both [n, width, width, latent]; scalar, of the global batch."""
    with tf.GradientTape() as tape:
      tape.watch(codes)
      with tf.autodiff.ForwardAccumulator(codes, direction) as forward:
        images = self.decode(codes, training=True)
      velocity = forward.jvp(images)  # J v, [n, h, w, c]
    pulled = tape.gradient(images, codes, velocity)  # J^T J v, [n, width, width, latent]
    square, trace = (tf.reduce_mean(replicas.gather(losses.squared_norms(x))) for x in (pulled, velocity))
    return square / tf.square(trace)

  def objective(self, images) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
    loss, features, logs, codes = self.bound(images)
    batch, eta = codes.shape[0] or tf.shape(codes)[0], self.config.eta
    alpha = (1 + 2 * eta) * self.uniform(batch, salt=1) - eta  # [n, 1, 1, 1]
    distortion = self.relaxed_distortion(lerp(tf.reverse(codes, [0]), codes, alpha),
                                         self.normal(batch, self.code_shape, salt=2))
    return loss + self.config.lambda_ * distortion, features, {**logs, 'distortion_loss': distortion}
