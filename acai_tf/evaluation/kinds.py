"""What is measured of models, by the kind of data that they are made for.

Each module has `functions_of` (a live model), `Settings`, `GROUPS`, `QUICK`, `measure`, `floor`, `show`, `draw`,
`BETTER`, `MEDIANS` and `RECONSTRUCTION`, the metric by which weights are known again.
"""

from acai_tf.evaluation import images, text

KINDS = {'images': images, 'sentences': text}
