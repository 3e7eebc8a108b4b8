"""MNIST: the ACAI paper's table 2 (single-layer classifier), read from a later paper that excerpts it."""

from zoo.base import Published

MODELS = ('autoencoder', 'dropout', 'denoising', 'vae', 'aae', 'vqvae', 'acai')
ACCURACY = {
    32: ((94.90, 0.14), (96.45, 0.42), (96.00, 0.27), (96.56, 0.31), (70.74, 3.27), (97.50, 0.18), (98.25, 0.11)),
    256: ((93.94, 0.13), (94.50, 0.29), (98.51, 0.04), (98.74, 0.14), (90.03, 0.54), (97.25, 1.42), (99.00, 0.08)),
}

PUBLISHED = {
    (model, dimension): (Published('probe_accuracy', percent[0] / 100, percent[1] / 100, 'table 2'),)
    for dimension, row in ACCURACY.items() for model, percent in zip(MODELS, row, strict=True)
}
