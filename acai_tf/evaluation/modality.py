"""The two kinds of data, images and sentences: how models of each are evaluated, as one object per kind."""

import dataclasses
import math
from collections.abc import Callable

from acai_tf.evaluation import images, pictures, subject, text
from acai_tf.evaluation.groups import Group, Measured, Task
from acai_tf.experiment.errors import UserError


@dataclasses.dataclass(frozen=True)
class Modality:
  """A kind of data, and how models of it are measured and shown.

  `functions` is `subject.Functions` or `subject.TextFunctions`: a model as functions of arrays or of texts.
  """

  name: str  # 'images' or 'sentences', as in `Config.KIND`, the registry and messages
  groups: dict[str, Group]  # all groups of metrics, in the order in which they are computed
  quick: tuple[str, ...]  # the groups that take seconds, and are also computed during training
  settings: Callable  # dataclass with `groups` (default: the quick ones), `seeds`, `codes` and `facts()`
  task: type[Task]  # class of the argument of the groups' functions
  functions_of: Callable  # live model -> functions
  functions_of_module: Callable  # handle, trust -> (functions, shape of an image or None)
  show: Callable  # functions, dataset, writer -> None: a few decoded paths for TensorBoard, at the writer's step
  save_pictures: Callable  # functions, dataset, measured, title, folder -> list of the files that it writes there
  better: tuple  # (metric, 1 if higher is better, or -1), ...; `session.better` compares evaluations by the first one
  reconstruction: str  # metric of the reconstruction, by which weights are recognized
  medians: tuple = ()  # metrics whose medians over the last evaluations are recorded, because papers publish medians
  crossfade_metrics: Callable = lambda dataset, seeds: {}  # metrics of the pixel cross-fade, if there are any

  def measure(self, functions, dataset, dataset_name, settings=None, model_name='the model',
              progress=lambda *_: None) -> Measured:
    """Computes the metrics of the groups in `settings.groups` that apply to the model and the data set.

    Args:
      functions: the model's functions.
      dataset: the data set.
      dataset_name: name of the data set, for messages.
      settings: object of class `self.settings`; default: the quick groups.
      model_name: name of the model, for messages.
      progress: function (text, done, total); `done` and `total` are omitted if there is nothing to count.

    Returns:
      `Measured`. docs/benchmarks.md explains the metrics.

    Raises:
      UserError: none of the groups applies, the model's outputs are not finite, or a metric refuses its input. The
        message names the model.
    """
    task = self.task(functions, dataset, settings or self.settings(), progress, Measured({}, {}, {}))
    chosen = {name: group.applies(functions, dataset) for name, group in self.groups.items()
              if name in task.settings.groups}
    missing = [name for name, applies in chosen.items() if not applies]
    if missing and any(chosen.values()) and {*chosen} not in ({*self.quick}, {*self.groups}):  # They were asked for.
      print(f'skipping {", ".join(missing)}: not applicable to {model_name} on {dataset_name}.')
    try:
      for name, applies in chosen.items():
        if applies:
          progress(name)
          self.groups[name].score(task)
    except UserError:
      raise
    except ValueError as error:
      raise UserError(f'evaluation of {model_name} on {dataset_name}: {error}') from error
    if not task.measured.metrics and not task.measured.arrays:
      raise UserError(f'evaluation of {model_name} on {dataset_name}: no metric of {", ".join(task.settings.groups)} '
                      'applies; expected --metrics reconstruction, or others (docs/benchmarks.md).')
    task.measured.metrics.update({name: None for name, value in task.measured.metrics.items()
                                  if value is not None and not math.isfinite(value)})  # JSON has no NaN.
    return task.measured


IMAGES = Modality(
    name='images',
    groups=images.GROUPS,
    quick=images.QUICK,
    settings=images.Settings,
    task=images.Task,
    functions_of=subject.of_model,
    functions_of_module=subject.of_module,
    show=images.show,
    save_pictures=pictures.save_pictures,
    better=(('mean_distance', -1), ('probe_accuracy', 1), ('recon_mse', -1)),
    reconstruction='recon_mse',
    medians=('mean_distance', 'smoothness_published', 'probe_accuracy'),
    crossfade_metrics=images.crossfade_metrics)

SENTENCES = Modality(
    name='sentences',
    groups=text.GROUPS,
    quick=text.QUICK,
    settings=text.Settings,
    task=text.Task,
    functions_of=subject.of_text_model,
    functions_of_module=subject.of_text_module,
    show=text.show,
    save_pictures=text.save_pictures,
    better=(('reverse_perplexity', -1), ('recon_nll', -1)),  # not style transfer, which is easiest without content
    reconstruction='recon_nll')

MODALITIES = {modality.name: modality for modality in (IMAGES, SENTENCES)}
