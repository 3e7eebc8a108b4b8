"""Images and sentences: what an evaluation does differently for each, as one object each."""

import dataclasses
from collections.abc import Callable

from acai_tf.evaluation import images, pictures, subject, text
from acai_tf.evaluation.groups import Group, Measured, Task
from acai_tf.experiment.errors import UserError


@dataclasses.dataclass(frozen=True)
class Modality:
  """A kind of data, and how models of it are measured and shown.

  `functions` is `subject.Functions` or `subject.TextFunctions`: a model as functions of arrays or of texts.
  """

  name: str  # as in configurations (`Config.KIND`), the registry and messages
  groups: dict[str, Group]  # all groups of metrics, in the order in which they are computed
  quick: tuple[str, ...]  # those that take seconds, and are also computed during training
  settings: Callable  # dataclass with `groups` (default: the quick ones), `draw`, `codes` and `facts()`
  task: type[Task]  # argument of the groups' functions
  functions_of: Callable  # live model -> functions
  functions_of_module: Callable  # handle, trust -> (functions, shape of an image or None)
  show: Callable  # functions, dataset, writer -> None: a few decoded paths for TensorBoard, at the writer's step
  draw: Callable  # functions, dataset, measured, title, folder -> list of the files written there
  better: tuple  # ((metric, 1 if more is better, else -1), ...); evaluations are compared by the first that they have
  reconstruction: str  # metric that tells whether weights are those of a record
  medians: tuple = ()  # metrics whose medians over the last evaluations are recorded, since papers publish these
  floor: Callable = lambda dataset, draw: {}  # dataset, seeds -> metrics of the pixel cross-fade, {} if none apply

  def measure(self, functions, dataset, dataset_name, settings=None, model_name='the model',
              progress=lambda *_: None) -> Measured:
    """Computes all metrics of the chosen groups that apply.

    Args:
      functions: of the model.
      dataset: the data set.
      dataset_name: its name, for messages.
      settings: `self.settings` object; default: the quick groups.
      model_name: for messages.
      progress: function (text, done, total); the last two are omitted if there is nothing to count.

    Returns:
      `Measured`. docs/benchmarks.md explains the metrics.

    Raises:
      UserError: groups of which none applies, a model whose outputs are not finite, or another input that a metric
        refuses; it names the model.
    """
    task = self.task(functions, dataset, settings or self.settings(), progress, Measured({}, {}, {}))
    try:
      for name, group in self.groups.items():
        if name in task.settings.groups and group.applies(functions, dataset):
          progress(name)
          group.score(task)
    except UserError:
      raise
    except ValueError as error:
      raise UserError(f'evaluation of {model_name} on {dataset_name}: {error}') from error
    if not task.measured.metrics and not task.measured.arrays:
      raise UserError(f'evaluation of {model_name} on {dataset_name}: no metric of {", ".join(task.settings.groups)} '
                      'applies; expected --metrics reconstruction, or others (docs/benchmarks.md).')
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
    draw=pictures.draw,
    better=(('mean_distance', -1), ('probe_accuracy', 1), ('recon_mse', -1)),
    reconstruction='recon_mse',
    medians=('mean_distance', 'smoothness_published', 'probe_accuracy'),
    floor=images.floor)

SENTENCES = Modality(
    name='sentences',
    groups=text.GROUPS,
    quick=text.QUICK,
    settings=text.Settings,
    task=text.Task,
    functions_of=subject.of_text_model,
    functions_of_module=subject.of_text_module,
    show=text.show,
    draw=text.draw,
    better=(('reverse_perplexity', -1), ('transfer_accuracy', 1), ('recon_nll', -1)),
    reconstruction='recon_nll')

MODALITIES = {modality.name: modality for modality in (IMAGES, SENTENCES)}
