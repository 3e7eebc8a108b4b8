"""Evaluation of sentence models: groups of metrics, the data on which they are computed, and their settings."""

import dataclasses
import functools

import numpy as np

from acai_tf import files
from acai_tf.data import text_base
from acai_tf.evaluation import figures, groups
from acai_tf.experiment.errors import UserError, one_of
from acai_tf.metrics import arithmetic, entailment, language, sentences, text_path, transfer

SAMPLES = 20_000  # generated sentences to which a trigram model is fitted
HELD_OUT = 10_000  # real sentences on which it is scored
NOISE = 0.04  # of `sources`: standard deviation of the noise on codes, about half of that in training
RECONSTRUCTED = 2000  # held-out sentences of `reconstruction`
SWAPPED, SWAPS = 1000, 4  # of `swaps`: held-out sentences, and maximum number of swaps
ENCODED = 5000  # held-out sentences of `codes`
TRANSFERRED, PROBED = 1000, 20_000  # of `transfer`: held-out sentences per class; training sentences of the probe
PAIRS, STEPS = 1000, 9  # of `paths`: number of paths, and sentences per path
VALIDATION = 5000  # real sentences for the early stopping of LSTM language models
LSTM_EPOCHS = 6  # of a language model of real text; one of samples, which are fewer, gets twice as many
# Of `arithmetic`: pairs of words, sentences per word, multiples of the offset.
WORD_PAIRS, EXAMPLES, SCALES = 20, 200, (1, 2, 4)
LABELLED = (28_000, 59_000, 120_000)  # of `entailment`: numbers of labelled pairs (Zhao et al. 2018, section 6)
UNKNOWN = (1,)  # ids of out-of-vocabulary tokens
SHOWN = 10  # sentences of each kind in sentences.txt


@dataclasses.dataclass(frozen=True)
class Task(groups.Task):
  """A task on sentences."""

  def real(self, count) -> list[str]:
    """The first `count` held-out sentences, or all if there are fewer."""
    return texts_of(self.dataset, self.dataset.test_ids[:count])

  @property
  def samples(self) -> int:
    """Number of sentences of each source. It is the same for all, because reverse perplexity depends on it."""
    return min(self.settings.samples, len(self.dataset.train_ids))

  def seed(self, salt) -> int:
    """A seed for this evaluation and `salt`."""
    return int(np.random.SeedSequence([*self.settings.seeds, salt]).generate_state(1)[0] >> 1)

  def words(self, texts) -> list[list[int]]:
    """Converts texts to word ids."""
    return self.dataset.vocabulary.word_ids(texts)


def texts_of(dataset, ids) -> list[str]:
  """Decodes [n, longest + 1] ids to n sentences; out-of-vocabulary words are '[UNK]'."""
  return dataset.vocabulary.decode(ids)


def _size(vocabulary):
  """Vocabulary size of the trigram models: all ids except the start and the end token."""
  return len(vocabulary) - 2


@functools.lru_cache(maxsize=1)
def _training(dataset):
  """(All training sentences as word ids, their trigram model), cached for the next evaluation."""
  words = dataset.vocabulary.strip(dataset.train_ids)
  return words, language.KneserNey(words, _size(dataset.vocabulary))


def _reconstruction(task):
  real, functions = task.real(RECONSTRUCTED), task.functions
  written = functions.decode(functions.encode(real))
  pairs = [text.split() for text in written], [text.split() for text in real]
  nll = -functions.log_probability(real, real)
  task.measured.metrics.update(
      token_accuracy=sentences.token_accuracy(*pairs), exact_share=sentences.exact_share(*pairs),
      recon_nll=float(nll.mean()), recon_perplexity=language.perplexity(-nll, pairs[1]))
  task.measured.arrays['reconstructions'] = list(zip(real[:SHOWN], written[:SHOWN], strict=True))


def _covariance(codes):
  """Covariance matrix of [n, d] latents, also for d = 1."""
  return np.atleast_2d(np.cov(codes.T))


def _codes(task):
  codes = task.functions.encode(task.real(ENCODED)).astype(np.float64)
  mean = codes.mean(axis=0)
  spectrum = np.linalg.eigvalsh(_covariance(codes))  # code_dimensions is its participation ratio
  task.measured.metrics.update(
      code_std=float(np.sqrt(((codes - mean)**2).sum(axis=1).mean())), code_mean_norm=float(np.linalg.norm(mean)),
      code_dimensions=float(spectrum.sum()**2 / (spectrum**2).sum()))


def score_samples(texts, dataset, suffix='', unseen=None) -> dict[str, float]:
  """Scores generated sentences.

  Args:
    texts: n generated sentences.
    dataset: the data set.
    suffix: suffix of the metrics' names, such as '_gaussian'.
    unseen: texts for forward_perplexity and copied_share; default: `texts`. These two metrics compare with the training
      sentences. If `texts` are training sentences, or made from them, `unseen` must be held-out sentences, or made from
      them in the same way.

  Returns:
    Dict of `reverse_perplexity` (of the first HELD_OUT test sentences, under a trigram model of the texts),
    `forward_perplexity` (of the texts, under a trigram model of all training sentences), `distinct_share` and
    `copied_share`.
  """
  vocabulary, (training, judge) = dataset.vocabulary, _training(dataset)
  words, real = vocabulary.word_ids(texts), vocabulary.strip(dataset.test_ids[:HELD_OUT])
  compared = words if unseen is None else vocabulary.word_ids(unseen)
  metrics = {'reverse_perplexity': language.reverse_perplexity(words, real, _size(vocabulary)),
             'forward_perplexity': judge.perplexity(compared),
             'distinct_share': sentences.distinct_share(words),
             'copied_share': sentences.copied_share(compared, training)}
  return {name + suffix: value for name, value in metrics.items()}


def _samples(task):
  texts = task.functions.sample(task.samples, task.seed(1))
  task.measured.metrics.update(score_samples(texts, task.dataset))
  task.measured.metrics['self_bleu'] = sentences.self_bleu(task.words(texts[:1000]))
  task.measured.arrays['samples'] = texts[:2 * SHOWN]


def _sources(task):
  """Compares the learned prior with other sources of codes, and with real sentences.

  All codes are decoded by the model's decoder, once without noise and once with the same noise for all sources.

  For real sentences and their codes, reverse perplexity fits its trigram model to training sentences. Forward
  perplexity and copies use held-out sentences, since they compare with the training sentences.
  """
  functions, generator = task.functions, np.random.default_rng(task.settings.seeds)
  count = task.samples
  order = generator.permutation(len(task.dataset.train_ids))[:count]
  real, unseen = texts_of(task.dataset, task.dataset.train_ids[order]), task.real(HELD_OUT)
  codes, unseen_codes = functions.encode(real), functions.encode(unseen)
  gaussian = generator.multivariate_normal(codes.mean(axis=0), _covariance(codes), size=count, method='eigh')
  sources = {'gaussian': _unit(gaussian), 'sphere': _unit(generator.standard_normal(codes.shape)), 'real_codes': codes}
  for name, draw, salt in (('prior', functions.prior, 1), ('untrained', functions.untrained, 2)):
    if draw:
      sources[name] = draw(count, task.seed(salt))
  task.measured.metrics.update(score_samples(real, task.dataset, '_real_text', unseen))

  def decoded(points, deviation):
    if deviation:
      noise = np.random.default_rng([*task.settings.seeds, 4]).standard_normal(points.shape)
      points = _unit(points + deviation * noise)
    return functions.decode(points.astype(np.float32))

  for name, points in sources.items():
    for suffix, deviation in (('', 0.0), ('_noise', NOISE)):
      task.progress(f'sources: {name}{suffix}')
      texts = decoded(points, deviation)
      held_out = decoded(unseen_codes, deviation) if name == 'real_codes' else None
      task.measured.metrics.update(score_samples(texts, task.dataset, f'_{name}{suffix}', held_out))
      task.measured.arrays[f'samples_{name}{suffix}'] = texts[:SHOWN]


def _unit(points):
  """Normalizes [n, d] points to norm 1."""
  return points / np.linalg.norm(points, axis=1, keepdims=True)


@functools.lru_cache(maxsize=1)
def _lstm_of(dataset):
  """An LSTM language model of all training sentences, cached for the next evaluation."""
  from acai_tf.evaluation import language_model  # Loads TensorFlow.

  return language_model.train(
      _training(dataset)[0], len(dataset.vocabulary), _validation(dataset), LSTM_EPOCHS)


def _validation(dataset):
  """Validation sentences as word ids, for the early stopping of language models. They are not scored."""
  return dataset.vocabulary.strip(dataset.validation_ids[:VALIDATION])


def _lstm(task):
  """Reverse and forward perplexity under LSTMs, as in the paper, and scores of samples of the LSTM of real text."""
  from acai_tf.evaluation import language_model

  vocabulary, count = task.dataset.vocabulary, task.samples
  task.progress('lstm: a language model of the text')
  judge = _lstm_of(task.dataset)
  texts = [' '.join(vocabulary.words[i] for i in row) for row in judge.sample(count, task.seed(3))]
  task.measured.metrics.update(score_samples(texts, task.dataset, '_language_model'))
  task.measured.arrays['samples_language_model'] = texts[:SHOWN]
  words = task.words(task.functions.sample(count, task.seed(1)))
  task.progress('lstm: a language model of the samples')
  fitted = language_model.train(words, len(vocabulary), _validation(task.dataset), 2 * LSTM_EPOCHS)
  task.measured.metrics.update(
      reverse_perplexity_lstm=fitted.perplexity(vocabulary.strip(task.dataset.test_ids[:HELD_OUT])),
      forward_perplexity_lstm=judge.perplexity(words))


def _swaps(task):
  real = task.real(SWAPPED)
  words = [text.split() for text in real]
  for k in range(SWAPS + 1):
    noisy = [' '.join(sentence) for sentence in sentences.swapped(words, k, seed=0)]
    task.measured.metrics[f'nll_swap_{k}'] = float(-task.functions.log_probability(noisy, real).mean())


def _paths(task):
  paths = paths_of(task.functions, task.dataset)
  scores = score_paths([[text.split() for text in path] for path in paths], task.dataset)
  curves = ('alpha', 'perplexity', 'share_a', 'share_b', 'progress')
  task.measured.curves.update({f'path_{name}' if name != 'alpha' else name: scores[name] for name in curves})
  for name in ('perplexity_gap', 'largest_step', 'distinct', 'stray', 'still'):
    task.measured.metrics[f'path_{name}'] = scores[name]
    if scores.get(f'{name}_interval'):
      low, high = scores[f'{name}_interval']
      task.measured.metrics[f'path_{name}_ci95'] = (high - low) / 2
  task.measured.metrics['path_perplexity_middle'] = scores['perplexity'][STEPS // 2]
  task.measured.arrays['paths'] = paths[:SHOWN]


def paths_of(functions, dataset, count=PAIRS, steps=STEPS) -> list[list]:
  """Decodes `count` paths between held-out sentences, each a list of `steps` strings."""
  first, second = (texts_of(dataset, dataset.test_ids[part]) for part in pairs(len(dataset.test_ids), count))
  alpha = np.linspace(0, 1, steps, dtype=np.float32)
  columns = [functions.interpolate(first, second, np.full(len(first), a, np.float32)) for a in alpha]
  return [list(path) for path in zip(*columns, strict=True)]


def pairs(total, count) -> tuple[np.ndarray, np.ndarray]:
  """Draws `count` disjoint pairs of `total` sentences with a fixed seed.

  Returns:
    ([count] indices of the first sentences, [count] indices of the second sentences); fewer if there are not enough.

  Raises:
    UserError: there are fewer than two sentences.
  """
  order = np.random.default_rng(1).permutation(total)
  count = min(count, total // 2)
  if not count:
    raise UserError(f'{total} held-out sentences; expected at least two, so that there are paths between them.')
  return order[:count], order[count:2 * count]


def score_paths(paths, dataset) -> dict:
  """`text_path.score` of paths of words, with a trigram model of all training sentences."""
  ids = [dataset.vocabulary.word_ids([' '.join(sentence) for sentence in path]) for path in paths]
  return text_path.score(ids, _training(dataset)[1].log_probabilities)


def _neighbours(task):
  """Finds the nearest neighbours of a few held-out sentences by cosine similarity of codes, for sentences.txt only."""
  real = list(dict.fromkeys(task.real(2000)))
  codes = task.functions.encode(real)
  cosine = codes[:SHOWN] @ codes.T
  cosine[np.arange(len(cosine)), np.arange(len(cosine))] = -np.inf
  nearest = np.argsort(-cosine, axis=1)[:, :3]
  task.measured.arrays['neighbours'] = [[real[i], *(real[j] for j in row)] for i, row in enumerate(nearest)]


def _arithmetic(task):
  """Latent space arithmetic: adds multiples of the offset between two words' mean codes to held-out sentences.

  Each pair of words is tested in both directions.
  """
  functions, dataset = task.functions, task.dataset
  training, held_out = (dataset.vocabulary.strip(ids) for ids in (dataset.train_ids, dataset.test_ids))
  scores, shown = {scale: [] for scale in SCALES}, []
  for pair in arithmetic.pairs_of(training, WORD_PAIRS, UNKNOWN):
    rows = [arithmetic.having(training, *words)[:EXAMPLES] for words in (pair, pair[::-1])]
    if not all(map(len, rows)):
      continue  # One word never occurs without the other.
    means = [functions.encode(texts_of(dataset, dataset.train_ids[part])).mean(axis=0) for part in rows]
    for (word, other), offset in ((pair, means[1] - means[0]), (pair[::-1], means[0] - means[1])):
      part = arithmetic.having(held_out, word, other)[:EXAMPLES]
      if not len(part):
        continue
      sources = texts_of(dataset, dataset.test_ids[part])
      codes = functions.encode(sources)
      for scale in SCALES:
        written = functions.decode(_unit(codes + scale * offset).astype(np.float32))
        scores[scale].append(arithmetic.score([held_out[i] for i in part], task.words(written), word, other))
        if scale == SCALES[1]:
          names = (dataset.vocabulary.words[i] for i in (word, other))
          shown.append((' -> '.join(names), sources[0], written[0]))
  for scale, matches in scores.items():
    if matches:
      task.measured.metrics[f'arithmetic_match_{scale}'] = float(np.mean([match for match, _ in matches]))
      kept = [share for match, share in matches if match]
      task.measured.metrics[f'arithmetic_kept_{scale}'] = float(np.mean(kept)) if kept else None
  task.measured.arrays['arithmetic'] = shown[:SHOWN]


def _transfer(task):
  functions, dataset, metrics = task.functions, task.dataset, task.measured.metrics
  task.progress('transfer: judge')
  training, language_model = _training(dataset)
  judge = transfer.Judge(training, dataset.train_labels)
  rows = [np.flatnonzero(dataset.test_labels == label)[:TRANSFERRED] for label in (0, 1)]
  rows = np.concatenate([part[:min(map(len, rows))] for part in rows])
  texts, labels = texts_of(dataset, dataset.test_ids[rows]), dataset.test_labels[rows]
  words, other = task.words(texts), (1 - labels).astype(np.int32)
  metrics['judge_accuracy'] = judge.accuracy(words, labels)
  generator = np.random.default_rng(0)
  held_out = dataset.vocabulary.strip(dataset.test_ids)
  targets = [generator.choice(np.flatnonzero(dataset.test_labels == label)) for label in other]
  written = functions.transfer(texts, other)
  for suffix, results in (('', task.words(written)), ('_copy', words), ('_random', [held_out[i] for i in targets])):
    metrics.update({f'transfer_accuracy{suffix}': judge.accuracy(results, other),
                    f'transfer_bleu{suffix}': sentences.bleu(results, words),
                    f'transfer_perplexity{suffix}': language_model.perplexity(results)})
  metrics['reconstruction_bleu'] = sentences.bleu(task.words(functions.transfer(texts, labels)), words)
  task.progress('transfer: what codes tell of the class')
  probed = np.random.default_rng(1).permutation(text_base.balanced(dataset.train_labels, 0))[:PROBED]
  metrics['class_in_codes'] = transfer.class_in_codes(
      functions.encode(texts_of(dataset, dataset.train_ids[probed])), dataset.train_labels[probed],
      functions.encode(texts), labels)
  shown = np.random.default_rng(2).permutation(len(texts))[:2 * SHOWN]
  task.measured.arrays['transfers'] = [(texts[i], written[i]) for i in shown]


def _entailment(task):
  """Textual entailment from frozen codes and few labels, on the same sentence pairs for all models."""
  metrics, encode = task.measured.metrics, task.functions.encode
  training, held_out = task.dataset.labelled_pairs()
  order = np.random.default_rng(0).permutation(len(training[2]))[:LABELLED[-1]]
  labels, test_labels = training[2][order], held_out[2]
  task.progress(f'entailment: codes of {len(order):,} pairs')
  codes = [encode([column[i] for i in order]) for column in training[:2]]
  test_codes = [encode(column) for column in held_out[:2]]
  metrics['entailment_most_common'] = float(np.bincount(test_labels).max() / len(test_labels))
  for count in (*(count for count in LABELLED if count < len(order)), len(order)):
    task.progress(f'entailment: {count:,} labels')
    metrics[f'entailment_accuracy_{count}'] = entailment.accuracy(
        *(column[:count] for column in codes), labels[:count], *test_codes, test_labels)


GROUPS = {
    'reconstruction': groups.Group(_reconstruction, lambda functions, dataset: functions.decode, quick=True),
    'codes': groups.Group(_codes, lambda functions, dataset: True, quick=True),
    'samples': groups.Group(_samples, lambda functions, dataset: functions.sample, quick=True),
    'sources': groups.Group(_sources, lambda functions, dataset: functions.decode),
    'lstm': groups.Group(_lstm, lambda functions, dataset: functions.sample),
    'swaps': groups.Group(_swaps, lambda functions, dataset: functions.log_probability),
    'paths': groups.Group(_paths, lambda functions, dataset: functions.interpolate),
    'transfer': groups.Group(_transfer, lambda functions, dataset: (
        functions.transfer and {0, 1} <= {*dataset.test_labels.tolist()}), quick=True),
    'entailment': groups.Group(_entailment, lambda functions, dataset: dataset.labelled_pairs),
    'neighbours': groups.Group(_neighbours, lambda functions, dataset: True),
    'arithmetic': groups.Group(_arithmetic, lambda functions, dataset: functions.decode),
}
QUICK = tuple(name for name, group in GROUPS.items() if group.quick)


@dataclasses.dataclass(frozen=True)
class Settings:
  """Settings of an evaluation of sentence models."""

  groups: tuple = QUICK  # names of the groups of metrics
  samples: int = SAMPLES  # number of generated sentences
  seeds: tuple = (0, 0)  # of samples, for example the run's seed and step
  codes: object = None  # not used; `images.Settings` has it

  def __post_init__(self):
    for group in self.groups:
      one_of('--metrics', group, GROUPS)

  def facts(self) -> dict:
    """The settings that a record stores."""
    return {'pairs': {'count': PAIRS, 'steps': STEPS}, 'max_generated': self.samples, 'draw': list(self.seeds),
            'held_out': HELD_OUT, 'source_noise': NOISE,
            'language_model': 'trigram, interpolated Kneser-Ney, discount 0.75, end mark counted'}


def show(functions, dataset, writer) -> None:
  """Writes a few decoded paths as text to TensorBoard, at the writer's step."""
  import tensorflow as tf

  if not functions.interpolate:
    return
  lines = [' | '.join(path) for path in paths_of(functions, dataset, 6)]
  with writer:
    tf.summary.text('interpolation', tf.constant(lines))


def save_pictures(functions, dataset, measured, title, folder) -> list:
  """Writes sentences.txt, and a plot of perplexity along paths if it was measured; returns the files' paths."""
  del functions, dataset
  arrays, lines = measured.arrays, [title]
  for name, rows in arrays.items():
    lines += ['', name.replace('_', ' '), '']
    lines += ['\t'.join(row) if not isinstance(row, str) else row for row in rows]
  paths = [folder / 'sentences.txt']
  files.write(paths[0], '\n'.join(lines) + '\n')
  if 'path_perplexity' in measured.curves:
    paths.append(folder / 'paths.png')
    figures.save_curves(paths[-1], measured.curves['alpha'], {'decoded sentences': measured.curves['path_perplexity']},
                        'alpha', 'forward perplexity (trigram of real text)', title)
  return paths
