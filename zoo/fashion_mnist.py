"""Fashion-MNIST, in the code sizes of MNIST; it has no published figures in these papers."""

ROWS = {'d32': {'latent': 2}, 'd256': {'latent': 16}}
