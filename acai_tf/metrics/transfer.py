"""Style transfer between two classes of sentences: which class a judge reads, and what a code still tells of it."""

from collections.abc import Sequence

import numpy as np

Sentences = Sequence[Sequence]


class Judge:
  """Logistic regression on the uni- and bigrams of sentences (scikit-learn); both classes weigh the same.

  Args:
    sentences: n sequences of words (strings, or ids).
    labels: [n] 0 or 1.
  """

  def __init__(self, sentences: Sentences, labels: Sequence[int]):
    from sklearn import feature_extraction, linear_model, pipeline

    self.model = pipeline.make_pipeline(
        feature_extraction.text.CountVectorizer(analyzer=_grams, binary=True),
        linear_model.LogisticRegression(max_iter=200, class_weight='balanced', solver='liblinear'))
    self.model.fit(sentences, labels)

  def accuracy(self, sentences: Sentences, labels: Sequence[int]) -> float:
    """Share of the sentences that are judged to be of the class that `labels` says, 0 to 1."""
    return float(np.mean(self.model.predict(sentences) == np.asarray(labels)))


def _grams(sentence):
  """Uni- and bigrams, the latter with the sentence's ends."""
  words = ['<', *map(str, sentence), '>']
  return words[1:-1] + [f'{first} {second}' for first, second in zip(words[:-1], words[1:], strict=True)]


def class_in_codes(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray,
                   seed: int = 0) -> float:
  """Accuracy of a fresh perceptron with one hidden layer (scikit-learn) on [n, d] codes: .5 where they tell nothing.

  A linear probe misleads here. Both sets should have equally many of each class.
  """
  from sklearn import neural_network, pipeline, preprocessing

  probe = pipeline.make_pipeline(preprocessing.StandardScaler(), neural_network.MLPClassifier(
      (128,), early_stopping=True, max_iter=50, random_state=seed))
  return float(probe.fit(train, train_labels).score(test, test_labels))
