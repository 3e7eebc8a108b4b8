"""Style transfer between two classes of sentences: a classifier as judge, and a probe for the class in codes."""

from collections.abc import Sequence

import numpy as np

Sentences = Sequence[Sequence]


class Judge:
  """Logistic regression on unigrams and bigrams of sentences (scikit-learn), with balanced class weights.

  Args:
    sentences: n sequences of words, which are strings or ids.
    labels: [n] 0 or 1.
  """

  def __init__(self, sentences: Sentences, labels: Sequence[int]):
    from sklearn import feature_extraction, linear_model, pipeline

    self.model = pipeline.make_pipeline(
        feature_extraction.text.CountVectorizer(analyzer=_grams, binary=True),
        linear_model.LogisticRegression(max_iter=200, class_weight='balanced', solver='liblinear'))
    self.model.fit(sentences, labels)

  def accuracy(self, sentences: Sentences, labels: Sequence[int]) -> float:
    """Share of sentences that are classified as their label, in [0, 1]."""
    return float(np.mean(self.model.predict(sentences) == np.asarray(labels)))


def _grams(sentence):
  """Unigrams and bigrams of a sentence; bigrams include its start and end."""
  words = ['<', *map(str, sentence), '>']
  return words[1:-1] + [f'{first} {second}' for first, second in zip(words[:-1], words[1:], strict=True)]


def class_in_codes(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray,
                   seed: int = 0) -> float:
  """Test accuracy of a perceptron trained on codes: 0.5 if codes carry no information about the class.

  The perceptron has one hidden layer (scikit-learn), because a linear probe is misleading here.

  Args:
    train, train_labels: [n, d] codes and [n] classes, both classes equally frequent.
    test, test_labels: the same for the test set.
    seed: seed of the perceptron.
  """
  from sklearn import neural_network, pipeline, preprocessing

  probe = pipeline.make_pipeline(preprocessing.StandardScaler(), neural_network.MLPClassifier(
      (128,), early_stopping=True, max_iter=50, random_state=seed))
  return float(probe.fit(train, train_labels).score(test, test_labels))
