"""SVHN: tables 2 (single-layer classifier) and 3 (clustering) of the ACAI paper, as quoted by a later paper."""

from acai_tf.zoo.base import PAPER, PAPER_MODELS, QIAN, QIAN_MODELS, merged, percentages

ROWS = {'d32': {'latent': 2}, 'd256': {'latent': 16}}
EXCEPTIONS = {
    ('midrae', 'd32'): {'model': {'advnoise': 0.1, 'advfake': 0.005}},
    ('midrae', 'd256'): {'model': {'advnoise': 0.5, 'advfake': 0.05}},
}

PUBLISHED = merged(
    percentages('probe_accuracy', f'{PAPER}, table 2', PAPER_MODELS, {
        32: ((26.21, 0.42), (26.09, 1.48), (25.15, 0.78), (29.58, 3.22), (23.43, 0.79), (24.53, 1.33), (34.47, 1.14)),
        256: ((22.74, 0.05), (25.12, 1.05), (77.89, 0.35), (66.30, 1.06), (22.81, 0.24), (44.94, 20.42),
              (85.14, 0.20)),
    }),
    percentages('clustering_accuracy', f'{PAPER}, table 3', PAPER_MODELS, {
        32: (19.38, 21.42, 17.91, 16.83, 17.35, 15.19, 20.86),
        256: (15.62, 15.19, 31.49, 11.36, 13.59, 18.84, 24.98),
    }),
    percentages('probe_accuracy', QIAN, QIAN_MODELS, {
        32: ((46.42, 1.61), (43.81, 1.10), (92.28, 0.62)), 256: ((85.70, 0.39), (88.38, 0.14), (94.30, 0.18))}),
    percentages('clustering_accuracy', QIAN, QIAN_MODELS, {32: (36.91, 29.45, 56.64), 256: (38.28, 34.88, 51.14)}),
)
