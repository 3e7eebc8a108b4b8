"""A vocabulary stored as model weights, so that it is saved and loaded together with the model."""

import keras
import numpy as np
import tensorflow as tf

from acai_tf import vocabulary


class Words(keras.layers.Layer):
  """Stores the words of a model's vocabulary as non-trainable weights, in checkpoints, archives and exported modules.

  Args:
    ids: vocabulary size, the four special tokens included.
    longest: maximum number of words per sentence.
  """

  def __init__(self, ids: int, longest: int):
    super().__init__(name='words', dtype='float32')
    self.longest = longest
    self._cached: tuple = None, None  # key, vocabulary

    def weight(name, *shape):  # Bytes, stored as int32: smaller integers cannot be sent between hosts.
      return self.add_weight(name=name, shape=shape, dtype='int32', initializer='zeros', trainable=False)

    self.text, self.lower = weight('text', ids - 4, vocabulary.LONGEST_WORD), weight('lower')
    self.built = True

  def set(self, known: vocabulary.Vocabulary) -> None:
    """Stores a vocabulary.

    Raises:
      ValueError: the vocabulary has more words than there are ids, or another vocabulary is already stored.
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
    """Returns the stored vocabulary. It is cached until the weights change."""
    with tf.init_scope():
      rows, lower = self.text.numpy().astype(np.uint8), bool(self.lower.numpy())
    key = rows.tobytes(), lower
    if self._cached[0] != key:
      words = [row.tobytes().rstrip(b'\0').decode() for row in rows]
      self._cached = key, vocabulary.Vocabulary([w for w in words if w], self.longest, lower, len(rows))
    return self._cached[1]
