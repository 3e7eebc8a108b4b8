"""How metrics are shown: their names in words, units, digits, and whether higher or lower is better."""

import dataclasses

# What the end of a metric's name says about its subject.
SUBJECTS = {
    '_of_means': 'means of the posterior',
    '_of_features': 'features of the probe',
    '_reencoded': 're-encoded',
    '_gaussian': 'a Gaussian fitted to the latents',
    '_sphere': 'uniform points on the sphere',
    '_untrained': 'the generator before training',
    '_prior': 'the prior',
    '_real_codes': 'latents of real sentences (the bound)',
    '_language_model': 'an LSTM language model',
    '_real_text': 'real sentences',
    '_copy': 'the unchanged sentence',
    '_random': 'any sentence of the target class',
}


@dataclasses.dataclass(frozen=True)
class Label:
  """How one metric is shown."""

  metric: str
  heading: str  # in words, with the unit
  scale: float = 1  # factor from the metric to that unit
  decimals: int | None = None  # None: four significant digits
  more: bool | None = None  # whether higher is better; None: neither

  def number(self, value) -> str:
    """Formats a value of the metric in the unit of the heading; 'undefined' for None."""
    if value is None:
      return 'undefined'
    return f'{value * self.scale:.4g}' if self.decimals is None else f'{value * self.scale:.{self.decimals}f}'

  @property
  def name(self) -> str:
    """The heading without the unit: 'mean distance'."""
    return self.heading.removesuffix(self.unit)

  @property
  def unit(self) -> str:
    """How the heading ends if the metric has a scale, ', %' or ', 1e-3'; else ''."""
    return next((unit for unit in (', %', ', 1e-3') if self.heading.endswith(unit)), '')

  def quantity(self, value, spread=None) -> str:
    """Formats a value, and its deviation, with the unit: '97.54 %', '0.24e-3', '(0.24 ± 0.01)e-3'."""
    if value is None:
      return self.number(value)
    text = self.number(value) + ('' if spread is None else f' ± {self.number(spread)}')
    if self.unit == ', 1e-3':
      return f'{text}e-3' if spread is None else f'({text})e-3'
    return text + self.unit.removeprefix(',')

  @property
  def text(self) -> str:
    """The heading with the direction: 'mean distance, 1e-3 (lower is better)'."""
    return self.heading + {None: '', True: ' (higher is better)', False: ' (lower is better)'}[self.more]


LABELS = {label.metric: label for label in (
    # images
    Label('recon_mse', 'recon. error', 1, 4, False),
    Label('psnr', 'PSNR, dB', 1, 2, True),
    Label('ssim', 'SSIM', 1, 4, True),
    Label('probe_accuracy', 'probe, %', 100, 2, True),
    Label('fitted_probe_accuracy', 'fitted probe, %', 100, 2, True),
    Label('fitted_probe_c', 'C of the fitted probe'),
    Label('clustering_accuracy', 'clustering, %', 100, 2, True),
    Label('clustering_nmi', 'clustering, NMI', 1, 3, True),
    Label('clustering_ari', 'clustering, ARI', 1, 3, True),
    Label('mean_distance', 'mean distance, 1e-3', 1e3, 2, False),
    Label('smoothness_published', 'smoothness', 1, 3, False),
    Label('smoothness_strict', 'smoothness without motionless paths', 1, 3, False),
    Label('smoothness_undefined', 'motionless paths', 1, 0),
    Label('codebook_usage', 'codebook vectors in use, %', 100, 1, True),
    Label('codebook_perplexity', 'codebook perplexity', 1, 0, True),
    Label('rate_bits', 'entropy of the codes, bits per image', 1, 1),
    Label('frechet_gap', 'Frechet gap', 1, 2, False),
    Label('frechet_ends', 'Frechet distance at the ends', 1, 2, False),
    Label('frechet_middle', 'Frechet distance in the middle', 1, 2, False),
    Label('frechet_interpolated', 'interpolated Frechet distance', 1, None, False),
    Label('frechet_samples', 'Frechet of samples', 1, 1, False),
    Label('kernel_gap', 'kernel gap', 1, 2, False),
    Label('kernel_ends', 'kernel distance at the ends', 1, 2, False),
    Label('kernel_middle', 'kernel distance in the middle', 1, 2, False),
    Label('kernel_samples', 'kernel distance of samples', 1, 1, False),
    Label('precision', 'precision', 1, 3, True),
    Label('recall', 'recall', 1, 3, True),
    Label('density', 'density', 1, 3, True),
    Label('coverage', 'coverage', 1, 3, True),
    Label('pixel_path_length', 'path length in pixels', 1, 3),
    Label('pixel_step_variance', 'step variance in pixels', 1, 3, False),
    Label('feature_path_length', 'path length in features', 1, 3),
    Label('feature_step_variance', 'step variance in features', 1, 3, False),
    Label('log_likelihood', 'log-likelihood, nats', 1, 2, True),
    Label('rate', 'rate (KL divergence), nats', 1, 2),
    Label('distortion', 'distortion, nats', 1, 2, False),
    Label('geodesic_gain', 'geodesic gain', 1, 3, False),
    Label('straight_length', 'length of the straight path', 1, 3),
    Label('geodesic_length', 'length of the shortest path', 1, 3),
    Label('direct_length', 'length of the pixel cross-fade', 1, 3),
    Label('straight_distance', 'mean distance along the straight path, 1e-3', 1e3, 2, False),
    Label('geodesic_distance', 'mean distance along the shortest path, 1e-3', 1e3, 2, False),
    Label('class_kept_middle', 'class kept in the middle of class-keeping paths, %', 100, 1, True),
    Label('class_kept_end', 'class kept at the end of class-keeping paths, %', 100, 1, True),
    Label('class_kept_straight_middle', 'class kept in the middle of straight paths, %', 100, 1),
    Label('class_kept_straight_end', 'class kept at the end of straight paths, %', 100, 1),
    Label('class_kept_change', 'change of images along class-keeping paths, share of straight ones', 1, 2),
    # sentences
    Label('token_accuracy', 'words reconstructed, %', 100, 2, True),
    Label('exact_share', 'sentences reconstructed exactly, %', 100, 1, True),
    Label('recon_nll', 'NLL per sentence', 1, 2, False),
    Label('recon_perplexity', 'perplexity of the reconstruction', 1, 3, False),
    Label('reconstruction_bleu', 'BLEU of the reconstruction', 1, 1, True),
    Label('code_std', 'standard deviation of the latents', 1, 3),
    Label('code_mean_norm', 'norm of the mean latent', 1, 3),
    Label('code_dimensions', 'directions that the latents fill', 1, 1),
    Label('reverse_perplexity', 'reverse perplexity', 1, 1, False),
    Label('forward_perplexity', 'forward perplexity', 1, 1, False),
    Label('reverse_perplexity_lstm', 'reverse perplexity, LSTM', 1, 1, False),
    Label('forward_perplexity_lstm', 'forward perplexity, LSTM', 1, 1, False),
    Label('distinct_share', 'distinct, %', 100, 1, True),
    Label('copied_share', 'copied, %', 100, 1, False),
    Label('self_bleu', 'self-BLEU', 1, 1, False),
    *(Label(f'nll_swap_{k}', f'NLL per sentence after {k} swaps', 1, 2) for k in range(5)),
    Label('path_perplexity_gap', 'path gap', 1, 2, False),
    Label('path_perplexity_middle', 'perplexity in the middle of paths', 1, 1, False),
    Label('path_largest_step', 'largest step', 1, 2, False),
    Label('path_distinct', 'different sentences per path', 1, 2),
    Label('path_stray', 'words of neither end, %', 100, 1, False),
    Label('path_still', 'paths that do not move, %', 100, 1, False),
    Label('transfer_accuracy', 'transfer, %', 100, 1, True),
    Label('transfer_bleu', 'BLEU', 1, 1, True),
    Label('transfer_perplexity', 'perplexity of the transferred sentences', 1, 1, False),
    Label('class_in_codes', 'class predicted from latents, %', 100, 1, False),
    Label('judge_accuracy', 'accuracy of the judge, %', 100, 1),
    *(Label(f'arithmetic_match_{k}', f'word arithmetic, offset {k}: word decoded, %', 100, 1, True) for k in (1, 2, 4)),
    *(Label(f'arithmetic_kept_{k}', f'word arithmetic, offset {k}: rest kept, %', 100, 1, True) for k in (1, 2, 4)),
    Label('entailment_most_common', 'entailment: most common class, %', 100, 1),
    *(Label(f'entailment_accuracy_{n}', f'entailment, {n:,} pairs, %', 100, 1, True) for n in (28000, 59000, 120000)),
)}


def of(metric: str) -> Label:
  """Returns the label of a metric.

  The label of a metric of another subject, such as 'reverse_perplexity_gaussian_noise', consists of the metric's and
  the subject's. A metric that is not in LABELS is shown under its own name.
  """
  if metric in LABELS:
    return LABELS[metric]
  name, subjects = metric, []
  for end, subject in {'_noise': 'with noise', **SUBJECTS}.items():
    if name.endswith(end):
      name = name.removesuffix(end)
      subjects.insert(0, subject)
  if name not in LABELS:
    return Label(metric, metric)
  label = LABELS[name]
  return dataclasses.replace(label, metric=metric, heading=f'{label.heading}: {", ".join(subjects)}')
