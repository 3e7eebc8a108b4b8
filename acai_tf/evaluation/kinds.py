"""What is measured of models, by the kind of data that they are made for."""

import dataclasses

from acai_tf.evaluation import images, pictures, subject, text


@dataclasses.dataclass(frozen=True)
class Kind:
  """`functions`: of a live model. `of`: the module of metrics (`Settings`, `measure`, `floor`, `show`, `BETTER`, ...).

  `draw`: writes pictures or texts of what was measured.
  """

  functions: object
  of: object
  draw: object


KINDS = {'images': Kind(subject.of_model, images, pictures.draw),
         'sentences': Kind(subject.of_text_model, text, text.draw)}
