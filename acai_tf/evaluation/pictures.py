"""Pictures of an evaluation: reconstructions, interpolations, curves along paths, confusion matrix, t-SNE of codes."""

import numpy as np

from acai_tf.evaluation import figures
from acai_tf.evaluation.images import PAIR_SEED, STEPS, crossfade, reencoded, strips

MAPPED = 2000  # test codes in the t-SNE plot; its run time grows with their number


def save_pictures(functions, dataset, measured, title, folder) -> list:
  """Writes a picture of everything that was measured.

  Args:
    functions: `subject.Functions`.
    dataset: the data set.
    measured: `groups.Measured`.
    title: title of each picture.
    folder: output folder, a path.

  Returns:
    List of the files' paths.
  """
  images, _ = dataset.test(16)
  first, second = dataset.pairs(6, PAIR_SEED)
  both = np.stack([images, functions.decode(functions.encode(images))])  # [2, 16, height, width, channels]
  paths = [folder / 'reconstructions.png', folder / 'interpolation.png']
  figures.save_rows(paths[0], {'test images above, their reconstructions below': both}, title)
  straight = strips(functions, first, second)
  shown = {'codes interpolated linearly, both ends reconstructed': straight,
           'codes interpolated spherically': strips(functions, first, second, kind='spherical')}
  shown['codes interpolated linearly, the images encoded and decoded again'] = reencoded(functions, straight)
  if functions.gaussian:
    shown['codes interpolated so that they keep the prior N(0, I)'] = strips(functions, first, second, kind='gaussian')
  if functions.same_class:
    shown['codes moved towards the second image, with the class of the first one'] = np.stack(
        [functions.same_class(first, second, alpha) for alpha in np.linspace(0, 1, STEPS)], axis=1)
  shown['pixels cross-faded, for comparison'] = crossfade(first, second)
  figures.save_rows(paths[1], shown, title, alpha=True)
  arrays, curves = measured.arrays, measured.curves
  if 'angles' in arrays:
    paths.append(folder / 'angles.png')
    chosen = {f'pair {i + 1}': np.degrees(row - row[0]) for i, row in enumerate(arrays['angles'][:8])}
    figures.save_curves(paths[-1], curves['alpha'], chosen, 'alpha', "degrees that the nearest line has turned", title,
                        even='an even turn')
  if 'frechet' in curves:
    paths.append(folder / 'quality.png')
    figures.save_curves(paths[-1], curves['quality_alpha'], {'decoded interpolants': curves['frechet']}, 'alpha',
                        'Frechet distance to test images', title)
  if 'geodesic' in arrays:
    paths.append(folder / 'geodesics.png')
    figures.save_rows(paths[-1], {'codes interpolated linearly': arrays['straight'][:6],
                                  'the shortest paths of images that were found': arrays['geodesic'][:6]}, title,
                      alpha=True)
  if 'samples' in arrays:
    paths.append(folder / 'samples.png')
    drawn = arrays['samples']
    rows = drawn[:len(drawn) // 12 * 12].reshape(-1, 12, *drawn.shape[1:]) if len(drawn) >= 12 else drawn[None]
    figures.save_rows(paths[-1], {'images of codes drawn from the prior': rows}, title)
  if 'confusion' in arrays:
    paths.append(folder / 'clusters.png')
    figures.save_table(paths[-1], arrays['confusion'], 'matched cluster', 'label', title)
  if 'codes' in arrays and dataset.classes and dataset.test_labels.ndim == 1:
    test = {name: column[:MAPPED] for name, column in arrays['codes']['test'].items()}
    points = figures.embedding(test['codes'])
    if points is not None:
      paths.append(folder / 't-SNE.png')
      figures.save_scatter(paths[-1], points, test['labels'], f't-SNE of {len(points):,} test codes; {title}')
  return paths
