"""MNIST: tables 2 (single-layer classifier) and 3 (clustering) of the ACAI paper, as quoted by a later paper."""

from acai_tf.zoo.base import PAPER, PAPER_MODELS, QIAN, QIAN_MODELS, merged, percentages

ROWS = {'d32': {'latent': 2}, 'd256': {'latent': 16}}
EXCEPTIONS = {
    ('midrae', 'd32'): {'model': {'advnoise': 0.05, 'advfake': 1.0}},
    ('midrae', 'd256'): {'model': {'advnoise': 0.5, 'advfake': 0.1}},
}

PUBLISHED = merged(
    percentages('probe_accuracy', f'{PAPER}, table 2', PAPER_MODELS, {
        32: ((94.90, 0.14), (96.45, 0.42), (96.00, 0.27), (96.56, 0.31), (70.74, 3.27), (97.50, 0.18), (98.25, 0.11)),
        256: ((93.94, 0.13), (94.50, 0.29), (98.51, 0.04), (98.74, 0.14), (90.03, 0.54), (97.25, 1.42), (99.00, 0.08)),
    }),
    percentages('clustering_accuracy', f'{PAPER}, table 3', PAPER_MODELS, {
        32: (77.56, 82.67, 82.59, 75.74, 79.19, 82.39, 94.38),
        256: (53.70, 61.35, 70.89, 83.44, 81.00, 96.80, 96.17),
    }),
    percentages('probe_accuracy', QIAN, QIAN_MODELS, {
        32: ((98.32, 0.36), (98.09, 0.13), (99.17, 0.03)), 256: ((99.07, 0.10), (99.10, 0.02), (99.19, 0.04))}),
    percentages('clustering_accuracy', QIAN, QIAN_MODELS, {32: (95.66, 94.37, 96.94), 256: (96.38, 96.70, 97.05)}),
)
