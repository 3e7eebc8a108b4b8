"""CIFAR-10: table 2 (single-layer classifier) of the ACAI paper, as quoted by a later paper."""

from acai_tf.zoo.base import PAPER, PAPER_MODELS, QIAN, QIAN_MODELS, merged, percentages

ROWS = {'d256': {'latent': 16}, 'd1024': {'latent': 64}}
EXCEPTIONS = {
    ('midrae', 'd256'): {'model': {'advnoise': 0.01, 'advfake': 0.01}},
    ('midrae', 'd1024'): {'model': {'advnoise': 0.01, 'advfake': 0.04}},
}

PUBLISHED = merged(
    percentages('probe_accuracy', f'{PAPER}, table 2', PAPER_MODELS, {
        256: ((47.92, 0.20), (40.99, 0.41), (53.78, 0.36), (47.49, 0.22), (40.65, 1.45), (42.80, 0.44), (52.77, 0.45)),
        1024: ((51.62, 0.25), (49.38, 0.77), (60.65, 0.14), (51.39, 0.46), (42.86, 0.88), (16.22, 12.44),
               (63.99, 0.47)),
    }),
    percentages('probe_accuracy', QIAN, QIAN_MODELS, {256: (55.93, 58.46, 63.28), 1024: (67.56, 66.73, 68.27)}),
)
