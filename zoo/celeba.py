"""CelebA: the ACAI paper shows pictures only; it publishes no figure."""

ROWS = {'d32': {'latent': 2}, 'd256': {'latent': 16}}
