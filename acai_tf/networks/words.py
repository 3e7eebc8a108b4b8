"""The words of a vocabulary as weights, so that they travel with a model's other weights."""

import keras
import numpy as np
import tensorflow as tf

from acai_tf import vocabulary


class Words(keras.layers.Layer):
  """Which word each id of a model stands for; in checkpoints, archives and modules it is one of its weights.

  Args:
    ids: how many there are, the four marks included.
    longest: words of the longest sentence.
  """

  def __init__(self, ids: int, longest: int):
    super().__init__(name='words', dtype='float32')
    self.longest = longest
    self._made: tuple = None, None

    def weight(name, *shape):  # Of bytes, in int32: hosts cannot send each other smaller integers.
      return self.add_weight(name=name, shape=shape, dtype='int32', initializer='zeros', trainable=False)

    self.text, self.lower = weight('text', ids - 4, vocabulary.LONGEST_WORD), weight('lower')
    self.built = True

  def set(self, known: vocabulary.Vocabulary) -> None:
    """Takes over a vocabulary.

    Raises:
      ValueError: it has more words than there are ids, or there is another one already.
    """
    if self.text.numpy().any() and self.get().words != known.words:
      raise ValueError('the text has another vocabulary than the model; expected the sentences that it was trained on.')
    if len(known.known) > self.text.shape[0]:
      raise ValueError(f'the vocabulary has {len(known.known)} words; expected at most {self.text.shape[0]}.')
    rows = np.zeros(self.text.shape, np.uint8)
    for row, word in zip(rows, known.known, strict=False):
      row[:len(word.encode())] = np.frombuffer(word.encode(), np.uint8)
    self.text.assign(rows)
    self.lower.assign(int(known.lower))

  def get(self) -> vocabulary.Vocabulary:
    """The vocabulary; made anew where the weights are others than at the last call."""
    with tf.init_scope():
      rows, lower = self.text.numpy().astype(np.uint8), bool(self.lower.numpy())
    key = rows.tobytes(), lower
    if self._made[0] != key:
      words = [row.tobytes().rstrip(b'\0').decode() for row in rows]
      self._made = key, vocabulary.Vocabulary([w for w in words if w], self.longest, lower, len(rows))
    return self._made[1]
