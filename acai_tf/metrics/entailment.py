"""Textual entailment from the codes of two sentences and few labels (SNLI; Zhao et al. 2018, section 6)."""

import numpy as np


def features(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Combines the codes u and v of two sentences into [u, v, |u - v|, u * v] (Conneau et al. 2017).

  Codes have norm 1. They are multiplied by sqrt(d), so that the inputs of a classifier have unit scale.

  Args:
    first, second: [n, d] codes.

  Returns:
    [n, 4 d] float32.
  """
  first, second = (np.asarray(codes, np.float32) * np.float32(codes.shape[1]**0.5) for codes in (first, second))
  return np.concatenate([first, second, abs(first - second), first * second], axis=1)


def accuracy(first: np.ndarray, second: np.ndarray, labels: np.ndarray, test_first: np.ndarray,
             test_second: np.ndarray, test_labels: np.ndarray, seed: int = 0) -> float:
  """Test accuracy of a perceptron on the codes: scikit-learn, 512 hidden units, early stopping.

  The encoder is frozen. The paper's classifier fine-tunes it.

  Args:
    first, second: [n, d] codes of the two sentences of each training pair.
    labels: [n] ints.
    test_first, test_second, test_labels: the same for the test pairs.
    seed: seed of the perceptron.

  Returns:
    Float in [0, 1].

  Raises:
    ValueError: the lengths differ, or there is only one class.
  """
  from sklearn import neural_network

  if not len(first) == len(second) == len(labels) or len(np.unique(labels)) < 2:
    raise ValueError(f'{len(first)} and {len(second)} codes with {len(labels)} labels of {len(np.unique(labels))} '
                     'classes; expected equally many, of two classes at least.')
  network = neural_network.MLPClassifier((512,), early_stopping=True, max_iter=30, random_state=seed)
  network.fit(features(first, second), labels)
  return float(network.score(features(test_first, test_second), test_labels))
