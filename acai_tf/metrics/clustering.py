"""Clustering of codes (ACAI paper, section 5.2, table 3): whitening, k-means, clusters matched to labels."""

import warnings

import numpy as np


def whiten(train_codes, codes):
  """Centres both on the training mean, projects on its singular vectors and divides by the singular values + 1e-5.

  Args:
    train_codes, codes: [n, d] and [m, d].

  Returns:
    Both, as float32.
  """
  train_codes, codes = np.asarray(train_codes, np.float64), np.asarray(codes, np.float64)
  mean = train_codes.mean(axis=0)
  # The right singular vectors and squared singular values, from the [d, d] product instead of the [n, d] codes.
  squares, vectors = np.linalg.eigh((train_codes - mean).T @ (train_codes - mean))
  scale = vectors / (np.sqrt(np.maximum(squares, 0)) + 1e-5)
  return ((train_codes - mean) @ scale).astype(np.float32), ((codes - mean) @ scale).astype(np.float32)


def matched_accuracy(clusters, labels, count):
  """Share of codes whose cluster's label is theirs, under the best one-to-one matching (Hungarian method).

  Args:
    clusters, labels: [n] integers below `count`.

  Returns:
    (share in [0, 1], [count] the label of each cluster, [count, count] how many codes of each label (row) are in each
    cluster (column)).
  """
  import scipy.optimize

  table = np.zeros([count, count], np.int64)
  np.add.at(table, (np.asarray(labels), np.asarray(clusters)), 1)
  rows, columns = scipy.optimize.linear_sum_assignment(-table)
  names = np.empty(count, np.int64)
  names[columns] = rows
  return float(table[rows, columns].sum() / len(labels)), names, table


def score(train_codes, codes, labels, classes, restarts, seed=0):
  """Clusters the training codes and measures the test codes.

  Args:
    train_codes: [n, d], the first 60,000 in the paper.
    codes, labels: [m, d] test codes and [m] their classes.
    classes: number of clusters.
    restarts: of k-means from random codes; 1000 in the paper, of up to 1000 iterations each.
    seed: of k-means.

  Returns:
    (dict of `clustering_accuracy`, `clustering_nmi` and `clustering_ari`; the [classes, classes] table of labels by
    matched cluster). Where all codes are equal, the scores are those of one cluster.

  Raises:
    ValueError: codes that are not finite or do not fit the labels, or fewer codes than clusters.
  """
  from sklearn import cluster, metrics

  train_codes, codes, labels = np.asarray(train_codes), np.asarray(codes), np.asarray(labels)
  if train_codes.ndim != 2 or codes.shape != (len(labels), train_codes.shape[1]) or len(train_codes) < classes:
    raise ValueError(f'codes have shapes {train_codes.shape} and {codes.shape}, labels {labels.shape}; expected '
                     f'[n, d], [m, d] and [m], n at least {classes}.')
  if not (np.isfinite(train_codes).all() and np.isfinite(codes).all()):
    raise ValueError('codes hold NaN or infinite values; the model that made them has diverged.')
  train, test = whiten(train_codes, codes)
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # Fewer distinct codes than clusters, which the scores tell.
    model = cluster.KMeans(classes, init='random', n_init=restarts, max_iter=1000, random_state=seed).fit(train)
  clusters = model.predict(test)
  share, names, table = matched_accuracy(clusters, labels, classes)
  return {'clustering_accuracy': share,
          'clustering_nmi': float(metrics.normalized_mutual_info_score(labels, clusters)),
          'clustering_ari': float(metrics.adjusted_rand_score(labels, clusters))}, table[:, np.argsort(names)]
