"""Clustering of latent codes (ACAI paper, section 5.2, table 3): whitening, k-means, clusters matched to labels."""

import os
import typing
import warnings
from concurrent import futures

import numpy as np
import threadpoolctl

if typing.TYPE_CHECKING:
  from sklearn import cluster

TOGETHER = 10  # restarts in one call of scikit-learn, on one thread
ROWS = 10_000  # codes whitened at a time; a float64 copy of all codes would take twice their memory


def whiten(train_codes, codes) -> tuple[np.ndarray, ...]:
  """Whitens training and test codes with the statistics of the training codes.

  Codes are centred on the training mean, projected onto the right singular vectors of the centred training codes and
  divided by the singular values + 1e-5.

  Args:
    train_codes, codes: [n, d] and [m, d].

  Returns:
    (train_codes, codes), whitened, float32.
  """
  mean = np.mean(train_codes, axis=0, dtype=np.float64)

  def centred(array):
    return (array[start:start + ROWS] - mean for start in range(0, len(array), ROWS))

  # The eigenvectors of the [d, d] Gram matrix are the right singular vectors of the [n, d] codes, and its eigenvalues
  # are the squared singular values.
  squares, vectors = np.linalg.eigh(sum(rows.T @ rows for rows in centred(train_codes)))
  scale = vectors / (np.sqrt(np.maximum(squares, 0)) + 1e-5)
  return tuple(np.concatenate([(rows @ scale).astype(np.float32) for rows in centred(array)])
               for array in (train_codes, codes))


def k_means(codes, classes, restarts, seed=0, progress=lambda done, total: None) -> 'cluster.KMeans':
  """Runs k-means `restarts` times from random codes and returns the clustering with the lowest inertia.

  Each run takes at most 1000 iterations on one thread, and runs are executed in parallel. Threads that share one
  iteration mostly wait for each other, because it is short (on two busy cores: seven times the CPU time). The same seed
  gives the same clusters on any number of cores.

  Args:
    codes: [n, d] float32.
    classes: number of clusters.
    restarts: number of runs.
    seed: seed of the initial centres.
    progress: function (restarts done, total restarts).

  Returns:
    The fitted sklearn.cluster.KMeans.
  """
  from sklearn import cluster

  firsts = range(0, restarts, TOGETHER)
  seeds = np.random.default_rng(seed).integers(1 << 31, size=len(firsts))

  def fit(first, seed):
    with threadpoolctl.threadpool_limits(1):  # OpenMP has one limit per calling thread.
      return cluster.KMeans(classes, init='random', n_init=min(TOGETHER, restarts - first), max_iter=1000,
                            random_state=int(seed)).fit(codes)

  best = None
  # The outer limit is for BLAS. Its limit is global, and each parallel fit of scikit-learn sets and restores it.
  with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1), futures.ThreadPoolExecutor(
      len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()) as pool:
    warnings.simplefilter('ignore')  # Fewer distinct codes than clusters; the scores show it.
    for first, model in zip(firsts, pool.map(fit, firsts, seeds), strict=True):
      best = model if best is None or model.inertia_ < best.inertia_ else best
      progress(min(first + TOGETHER, restarts), restarts)
  return best


def matched_accuracy(clusters, labels, count) -> tuple[float, np.ndarray, np.ndarray]:
  """Computes the accuracy under the best one-to-one matching of clusters to labels (Hungarian method).

  Args:
    clusters, labels: [n] integers below `count`.
    count: number of clusters and of labels.

  Returns:
    (accuracy in [0, 1], [count] label of each cluster, [count, count] confusion matrix with labels as rows and clusters
    as columns).
  """
  import scipy.optimize

  table = np.zeros([count, count], np.int64)
  np.add.at(table, (np.asarray(labels), np.asarray(clusters)), 1)
  rows, columns = scipy.optimize.linear_sum_assignment(-table)
  names = np.empty(count, np.int64)
  names[columns] = rows
  return float(table[rows, columns].sum() / len(labels)), names, table


def score(train_codes, codes, labels, classes, restarts, seed=0, progress=lambda done, total: None) -> tuple:
  """Clusters the training codes and scores the clusters of the test codes.

  Args:
    train_codes: [n, d]; the paper uses the first 60,000.
    codes, labels: [m, d] test codes and their [m] classes.
    classes: number of clusters.
    restarts: number of k-means runs; 1000 in the paper.
    seed: seed of k-means.
    progress: as in `k_means`.

  Returns:
    (dict of `clustering_accuracy`, `clustering_nmi` and `clustering_ari`; [classes, classes] confusion matrix of labels
    by matched cluster). If all codes are equal, they form a single cluster, which is scored as such.

  Raises:
    ValueError: the codes are not finite or do not match the labels, or there are fewer training codes than clusters.
  """
  from sklearn import metrics

  train_codes, codes, labels = np.asarray(train_codes), np.asarray(codes), np.asarray(labels)
  if train_codes.ndim != 2 or codes.shape != (len(labels), train_codes.shape[1]) or len(train_codes) < classes:
    raise ValueError(f'codes have shapes {train_codes.shape} and {codes.shape}, labels {labels.shape}; expected '
                     f'[n, d], [m, d] and [m], n at least {classes}.')
  if not (np.isfinite(train_codes).all() and np.isfinite(codes).all()):
    raise ValueError('codes hold NaN or infinite values; the model that made them has diverged.')
  train, test = whiten(train_codes, codes)
  clusters = k_means(train, classes, restarts, seed, progress).predict(test)
  share, names, table = matched_accuracy(clusters, labels, classes)
  return {'clustering_accuracy': share,
          'clustering_nmi': float(metrics.normalized_mutual_info_score(labels, clusters)),
          'clustering_ari': float(metrics.adjusted_rand_score(labels, clusters))}, table[:, np.argsort(names)]
