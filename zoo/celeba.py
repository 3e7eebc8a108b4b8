"""CelebA: the ACAI paper shows only pictures and publishes no figures."""

ROWS = {'d32': {'latent': 2}, 'd256': {'latent': 16}}
