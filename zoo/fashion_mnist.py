"""Fashion-MNIST with the latent dimensions of MNIST. These papers publish no figures for it."""

ROWS = {'d32': {'latent': 2}, 'd256': {'latent': 16}}
