"""Valid ranges of metrics."""

import math
import re

# (pattern, minimum, maximum). The first pattern that matches the whole name applies. Names may have a suffix that says
# what was measured ('clustering_accuracy_of_means', 'forward_perplexity_prior').
RANGES = tuple((re.compile(f'(?:{pattern})(?:_.*)?'), low, high) for pattern, low, high in (
    ('.*_ci95|seconds|samples', 0, math.inf),  # half widths of confidence intervals, times and counts
    ('.*accuracy|.*share|precision|recall|coverage|codebook_usage|class_in_codes|clustering_nmi|code_std|code_mean_norm'
     '|arithmetic_kept|arithmetic_match|path_still|path_stray|path_largest_step'
     '|class_kept_(?:straight_)?(?:middle|end)|entailment_most_common', 0, 1),
    ('ssim|clustering_ari', -1, 1),
    ('.*_distance', 0, 2),  # cosine distance, 1 - cosine
    ('.*bleu', 0, 100),
    ('geodesic_gain', -math.inf, 1),
    ('frechet_gap|kernel|psnr|log_likelihood', -math.inf, math.inf),
    ('.*perplexity|recon|nll|rate|smoothness|frechet|density|distortion|code_dimensions|path_distinct|.*length|.*variance',
     0, math.inf)))
ROUNDING = 1e-6  # by which a computed metric may exceed its range


def range_of(name) -> tuple[float, float]:
  """Returns (minimum, maximum) of a metric; (-inf, inf) if it has no range."""
  return next(((low, high) for pattern, low, high in RANGES if pattern.fullmatch(name)), (-math.inf, math.inf))
