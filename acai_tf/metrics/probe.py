"""Linear probe on latent codes (ACAI paper, section 5.1, table 2), trained jointly with the model or after it."""

import warnings

import numpy as np
import threadpoolctl

INVERSE_REGULARISATION = (1e-4, 1e-2, 1.0, 100.0)  # candidates for C, selected by validation
CHOOSING = 10_000  # maximum number of training codes for this selection
ITERATIONS = 200


def accuracy(logits, labels) -> float:
  """Classification accuracy in [0, 1].

  Args:
    logits: [n, classes].
    labels: [n] classes, predicted by the largest logit; or [n, classes] of 0 and 1, predicted by the sign of each
      logit.

  Raises:
    ValueError: the shapes do not match, n is 0, or logits are not finite.
  """
  logits, labels = np.asarray(logits), np.asarray(labels)
  if logits.ndim != 2 or labels.shape not in (logits.shape[:1], logits.shape) or not len(labels):
    raise ValueError(f'logits have shape {logits.shape}, labels {labels.shape}; expected [n, classes], and [n] or '
                     '[n, classes], n > 0.')
  if not np.isfinite(logits).all():
    raise ValueError('logits hold NaN or infinite values; the model that made them has diverged.')
  if labels.ndim == 2:
    return float(np.mean((logits > 0) == (labels > 0)))
  return float(np.mean(logits.argmax(axis=1) == labels))


def fitted_accuracy(train_features, train_labels, features, labels, seed=0) -> tuple[float, float]:
  """Test accuracy of logistic regression on frozen, standardized features.

  The inverse regularization C is selected on a random tenth of the training features.

  Args:
    train_features, train_labels: [n, d], and [n] classes or [n, attributes] of 0 and 1.
    features, labels: the same for the test set.
    seed: seed of the validation split.

  Returns:
    (accuracy in [0, 1], selected C).

  Raises:
    ValueError: features are not finite or do not match the labels, or there are fewer than 20 training features.
  """
  train_features, features = _checked(train_features, train_labels), _checked(features, labels)
  train_labels, labels = np.asarray(train_labels), np.asarray(labels)
  if len(train_features) < 20:
    raise ValueError(f'{len(train_features)} features to train a classifier on; expected at least 20.')

  def mean_accuracy(strength, fit, measure):
    """Fits with C = `strength` and returns the accuracy, averaged over the columns of multi-label data."""
    shares = []
    for column in range(train_labels.shape[1]) if train_labels.ndim == 2 else [slice(None)]:
      targets, wanted = (y[:, column] if y.ndim == 2 else y for y in (fit[1], measure[1]))
      if len(np.unique(targets)) < 2:
        shares.append(np.mean(wanted == targets[0]))
        continue
      shares.append(_classifier(strength).fit(fit[0], targets).score(measure[0], wanted))
    return float(np.mean(shares))

  order = np.random.default_rng(seed).permutation(len(train_features))
  held, used = order[:len(order) // 10], order[len(order) // 10:][:CHOOSING]
  # One thread: the matrix products are so small that several threads took ten times the CPU time, most of it waiting.
  with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1):
    warnings.simplefilter('ignore')  # Not converged after ITERATIONS: accurate enough to select C, and to four digits.
    chosen = max(INVERSE_REGULARISATION, key=lambda strength: mean_accuracy(
        strength, (train_features[used], train_labels[used]), (train_features[held], train_labels[held])))
    return mean_accuracy(chosen, (train_features, train_labels), (features, labels)), chosen


def predictions(train_features, train_labels, features) -> np.ndarray:
  """Classes that logistic regression on standardized features predicts, [n].

  Args:
    train_features, train_labels: [m, d], and [m] classes.
    features: [n, d].

  Raises:
    ValueError: features are not finite or do not match the labels.
  """
  with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1):
    warnings.simplefilter('ignore')  # as in `fitted_accuracy`
    model = _classifier(1.0).fit(_checked(train_features, train_labels), train_labels)
  return model.predict(_checked(features, features))


def _classifier(strength):
  """Logistic regression with C = `strength` on standardized features."""
  from sklearn import linear_model, pipeline, preprocessing

  return pipeline.make_pipeline(
      preprocessing.StandardScaler(), linear_model.LogisticRegression(C=strength, max_iter=ITERATIONS))


def _checked(features, labels):
  features = np.asarray(features, np.float32)
  if features.ndim != 2 or len(labels) != len(features) or not len(features):
    raise ValueError(f'features have shape {features.shape}, labels {np.shape(labels)}; expected [n, d] and n of them.')
  if not np.isfinite(features).all():
    raise ValueError('features hold NaN or infinite values; the model that made them has diverged.')
  return features
