"""What codes tell of two sentences together: entailment, from few labels (Zhao et al. 2018, section 6, SNLI)."""

import numpy as np


def features(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """[n, d] codes of two sentences -> [n, 4 d]: both, their distance and their product in each number (Conneau et al.
  2017), float32. Codes have norm 1; times sqrt(d) their numbers are about 1, as a network wants them."""
  first, second = (np.asarray(codes, np.float32) * np.float32(codes.shape[1]**0.5) for codes in (first, second))
  return np.concatenate([first, second, abs(first - second), first * second], axis=1)


def accuracy(first: np.ndarray, second: np.ndarray, labels: np.ndarray, test_first: np.ndarray,
             test_second: np.ndarray, test_labels: np.ndarray, seed: int = 0) -> float:
  """Accuracy, 0 to 1, on test pairs of a perceptron (scikit-learn; 512 hidden units, stopped early) on the codes.

  The codes stay as they are; the paper's classifier moves its encoder, too.

  Args:
    first, second: [n, d] codes of the training pairs' sentences.
    labels: [n] ints.
    test_first, test_second, test_labels: of the test pairs.
    seed: of the perceptron.

  Raises:
    ValueError: other shapes, or a single class.
  """
  from sklearn import neural_network

  if not len(first) == len(second) == len(labels) or len(np.unique(labels)) < 2:
    raise ValueError(f'{len(first)} and {len(second)} codes with {len(labels)} labels of {len(np.unique(labels))} '
                     'classes; expected equally many, of two classes at least.')
  network = neural_network.MLPClassifier((512,), early_stopping=True, max_iter=30, random_state=seed)
  network.fit(features(first, second), labels)
  return float(network.score(features(test_first, test_second), test_labels))
