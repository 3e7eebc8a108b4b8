"""What is measured of models, by the kind of data that they are made for."""

import dataclasses

from acai_tf.evaluation import images, subject, text


@dataclasses.dataclass(frozen=True)
class Kind:
  """`functions`: of a live model. `of`: the module of metrics (`Settings`, `measure`, `floor`, `show`, `draw`, ...)."""

  functions: object
  of: object


KINDS = {'images': Kind(subject.of_model, images), 'sentences': Kind(subject.of_text_model, text)}
