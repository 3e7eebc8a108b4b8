"""Lines: table 1 of the ACAI paper. A second source confirms only the distances of the autoencoder and of ACAI."""

from acai_tf.zoo.base import PAPER, PAPER_MODELS, Published

DISTANCE = ((6.88, 0.21), (2.85, 0.54), (4.21, 0.32), (1.21, 0.17), (3.26, 0.19), (5.41, 0.49), (0.24, 0.01))
SMOOTHNESS = ((0.44, 0.04), (0.74, 0.02), (0.66, 0.02), (0.49, 0.13), (0.14, 0.02), (0.77, 0.02), (0.10, 0.01))

ROWS = {'': {'latent_width': 2, 'latent': 16}}
EXCEPTIONS = {('vqvae', ''): {'network': {'latent_width': 4}}}  # as in the authors' program

PUBLISHED = {
    (model, 256 if model == 'vqvae' else 64): [
        Published('mean_distance', distance[0] * 1e-3, distance[1] * 1e-3, f'{PAPER}, table 1',
                  model in ('autoencoder', 'acai')),
        Published('smoothness_published', *smooth, f'{PAPER}, table 1'),
    ] for model, distance, smooth in zip(PAPER_MODELS, DISTANCE, SMOOTHNESS, strict=True)
}
