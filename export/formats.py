"""Exports encode, decode and interpolate of a module to other runtimes, LiteRT and ONNX; needs the extra `export`.

As in the module, images are [n, height, width, channels] float32 in [0, 1] for any n, and inputs and outputs have the
names of the module's signatures. Models of sentences are not exported: neither runtime takes strings.

`python -m acai_tf.export.formats MODULE INPUTS.npz FORMAT...` compares formats with the SavedModel (`compare`).
"""

import dataclasses
import functools
import importlib.util
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from rich import table as rich_table

from acai_tf import cli
from acai_tf.experiment import config
from acai_tf.experiment.errors import UserError

CALLABLES = ('encoder', 'decoder', 'interpolator')  # exported to other runtimes, under the names of the signatures
SIGNATURES = ('encode', 'decode', 'interpolate')
OPSET = 17  # of ONNX; supported by onnxruntime-web since 1.13; tf2onnx writes up to 18
CALIBRATION, COMPARED = 128, 64  # training images for the ranges of int8; test images on which formats are compared
ROUNDS = 15  # of timing; a latency is their median


@dataclasses.dataclass(frozen=True)
class Source:
  """What formats are written from."""

  model: Any  # acai_tf.models.base.Model, a live model of images
  module: pathlib.Path  # folder of its SavedModel
  images: np.ndarray  # [m, height, width, channels] float32 in [0, 1], training images for the ranges of int8

  @functools.cached_property
  def calibration(self) -> dict:
    """Inputs of the signatures, as from `inputs`."""
    return inputs(self.module, self.images)


@dataclasses.dataclass(frozen=True)
class Format:
  """A file format of a model of images in the folder of its module, and the runtime that reads it."""

  name: str  # in cards: a value of --formats, or 'NAME/VARIANT' if a value writes several formats
  packages: tuple[str, ...]  # packages that writing and running it need
  write: Callable[[Source], None]
  # Folder of the module -> (bytes on disk, function (signature, dict: input -> array) -> array, on one thread).
  run: Callable[[pathlib.Path], tuple[int, Callable]]
  # Tolerated difference of outputs from the SavedModel's, relative to the range: 1 for pixels; for codes the range of
  # the codes of the compared images. None for the SavedModel itself.
  tolerance: float | None = None
  # Difference that is bounded. Quantised weights move an edge of a picture by a fraction of a pixel, and a path between
  # opposite ends may turn the other way: there the largest difference of 65,536 pixels says nothing.
  measure: Literal['largest', 'mean'] = 'largest'

  @property
  def option(self) -> str:
    """The name that --formats takes."""
    return self.name.partition('/')[0]

  def judge(self, signatures) -> None:
    """Raises a UserError if it differs from the SavedModel more than tolerated; `signatures` as from `compare`."""
    for signature, found in signatures.items() if self.tolerance is not None else ():
      if not found[self.measure] <= self.tolerance:
        raise UserError(f"{self.name}: {signature} differs from the SavedModel's by {found[self.measure]:.2g} of the "
                        f'range ({self.measure}); expected at most {self.tolerance:g}. Export without it (--formats).')


def require(options, experiment) -> None:
  """Raises a UserError if a value of --formats is unknown, lacks packages, or does not apply to the model."""
  known = {format_.option: format_ for format_ in FORMATS.values()}
  for name in options:
    if name not in known:
      raise UserError(f'unknown format {name!r} (--formats); expected some of {", ".join(known)}.')
    if name != 'saved_model' and isinstance(experiment.network, config.TextNetwork):
      raise UserError(f'{experiment.model_name} is a model of sentences, and {name} takes no strings; expected '
                      '--formats saved_model, or a model of images.')
    require_packages(*known[name].packages)


def require_packages(*names) -> None:
  """UserError where a package that a format needs is not installed."""
  missing = [name for name in names if importlib.util.find_spec(name) is None]
  if missing:
    raise UserError(f"{' and '.join(missing)} not installed; expected the extra `export`, which other formats than "
                    "saved_model need: pip install -e '.[export]' in a checkout.")


def inputs(module, images) -> dict:
  """Returns inputs of the signatures of a module, made from m images: dict: signature -> dict: input -> array [m, ...].

  Image i is interpolated with image m - 1 - i; alpha goes from 0 to 1.
  """
  import tensorflow as tf

  encode = tf.saved_model.load(str(module)).signatures['encode']
  alpha = np.linspace(0, 1, len(images), dtype=np.float32)
  return {'encode': {'images': images}, 'decode': {'codes': encode(images=tf.constant(images))['codes'].numpy()},
          'interpolate': {'images_a': images, 'images_b': images[::-1], 'alpha': alpha}}


def run_saved_model(module) -> tuple[int, Callable]:
  """`Format.run` of the SavedModel."""
  import tensorflow as tf
  import tensorflow_hub as hub

  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  loaded = hub.load(str(module))  # held: signatures alone do not keep the weights

  def run(signature, arrays):
    output, = loaded.signatures[signature](**{name: tf.constant(values) for name, values in arrays.items()}).values()
    return output.numpy()

  return sum(path.stat().st_size for part in ('*.pb', 'variables/*') for path in module.glob(part)), run


def litert(variant, tolerance, measure='largest') -> Format:
  """Returns the format litert/VARIANT, one file of LiteRT with all three signatures.

  float16: of the weights only. dynamic: int8 weights, with ranges of activations found at run time. int8: weights and
  activations, with ranges from `Source.images`; inputs, outputs and operations without an int8 kernel stay float32.
  """
  file = pathlib.Path('litert') / f'{variant}.tflite'

  def write(source):
    import tensorflow as tf

    def calibration():
      for i in range(len(source.images)):
        for signature in SIGNATURES:
          yield signature, {name: values[i:i + 1] for name, values in source.calibration[signature].items()}

    converter = tf.lite.TFLiteConverter.from_saved_model(str(source.module), signature_keys=list(SIGNATURES))
    if variant != 'float32':
      converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == 'float16':
      converter.target_spec.supported_types = [tf.float16]
    if variant == 'int8':
      converter.representative_dataset = calibration
      converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    with cli.silent():  # The converter prints its steps; its errors are raised.
      written = converter.convert()
    (source.module / file).parent.mkdir(exist_ok=True)
    (source.module / file).write_bytes(written)

  def run(module):
    from ai_edge_litert import interpreter

    loaded = interpreter.Interpreter(str(module / file), num_threads=1)
    runners = {signature: loaded.get_signature_runner(signature) for signature in loaded.get_signature_list()}

    def run(signature, arrays):
      output, = runners[signature](**arrays).values()
      return output

    return (module / file).stat().st_size, run

  return Format(f'litert/{variant}', ('ai_edge_litert',), write, run, tolerance, measure)


def onnx(model, folder, callables=CALLABLES) -> dict:
  """Writes encode.onnx, decode.onnx and interpolate.onnx of a live model of images to an existing folder.

  Each has the inputs of the signature of that name, and one output, `codes` or `images` (`Callable.output`).

  Args:
    model: acai_tf.models.base.Model, of images.
    folder: output folder.
    callables: names of callables; those that the model has are written.

  Returns:
    Dict: name of the signature -> path.

  Raises:
    UserError: tf2onnx is not installed.
  """
  from acai_tf.export import module

  require_packages('tf2onnx')
  paths = {}
  for offered in model.callables():
    if offered.name in callables:
      name = module.SIGNATURES[offered.name]
      paths[name] = pathlib.Path(folder) / f'{name}.onnx'
      paths[name].write_bytes(_onnx(offered))
  return paths


def _onnx(offered):
  import tensorflow as tf
  import tf2onnx

  from acai_tf.export import module

  function = module.outside(offered)
  specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in offered.inputs.items()]
  traced = tf.function(lambda *inputs: {offered.output: function(inputs)}, input_signature=specs)
  written, _ = tf2onnx.convert.from_function(traced, specs, opset=OPSET)
  for tensor in (*written.graph.input, *written.graph.output):
    tensor.type.tensor_type.shape.dim[0].dim_param = 'n'  # the batch size; tf2onnx would number it
  return written.SerializeToString()


def _write_onnx(source):
  folder = source.module / 'onnx'
  folder.mkdir()
  onnx(source.model, folder)


def _run_onnx(module):
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = options.inter_op_num_threads = 1
  paths = list((module / 'onnx').glob('*.onnx'))
  sessions = {path.stem: onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
              for path in paths}
  return (sum(path.stat().st_size for path in paths),
          lambda signature, arrays: sessions[signature].run(None, arrays)[0])


# In the order in which they are written and shown. All are compared with the SavedModel, which exists already.
FORMATS = {format_.name: format_ for format_ in (
    Format('saved_model', (), lambda source: None, run_saved_model),
    litert('float32', 1e-4),
    litert('float16', 1e-3, 'mean'),
    litert('dynamic', 1e-2, 'mean'),
    litert('int8', 3e-2, 'mean'),
    Format('onnx', ('tf2onnx', 'onnxruntime'), _write_onnx, _run_onnx, 1e-4),
)}


def chosen(options) -> list[Format]:
  """Returns the formats that --formats selects; the SavedModel is always among them."""
  return [format_ for format_ in FORMATS.values() if format_.option in ('saved_model', *options)]


def write(model, module, options, dataset) -> dict:
  """Writes formats of a model beside its SavedModel.

  Args:
    model: the live model.
    module: folder of its SavedModel.
    options: values of --formats.
    dataset: the data set of the model; its training images calibrate int8.

  Returns:
    Inputs made from test images, as from `inputs`, to compare the formats on.
  """
  source = Source(model, pathlib.Path(module), (dataset.train(CALIBRATION)[0] + 1) / 2)
  for format_ in chosen(options):
    format_.write(source)
  return inputs(module, (dataset.test(COMPARED)[0] + 1) / 2)


def compare(module, names, given) -> dict:
  """Runs formats of a module on the same inputs, on one thread each. It sets the threads of the whole process.

  Args:
    module: folder of the SavedModel.
    names: names in FORMATS, including 'saved_model'.
    given: as from `inputs`.

  Returns:
    Dict: format -> {'bytes', 'signatures': SIGNATURE -> {'largest', 'mean', 'ms'}}: differences from the SavedModel's
    output, relative to the range (1 for pixels; for codes that of the SavedModel's codes), and milliseconds per image,
    the median of rounds in which the formats take turns.
  """
  runtimes = {name: FORMATS[name].run(pathlib.Path(module)) for name in names}
  measured: dict[str, dict] = {name: {'bytes': size, 'signatures': {}} for name, (size, _) in runtimes.items()}
  for signature, arrays in given.items():
    expected = runtimes['saved_model'][1](signature, arrays)
    scale = float(np.ptp(expected)) or 1.0 if signature == 'encode' else 1.0  # codes of one value have no range
    times = _milliseconds({name: run for name, (_, run) in runtimes.items()}, signature, arrays)
    for name, (_, run) in runtimes.items():
      output = run(signature, arrays)
      apart = np.abs(output - expected) / scale if output.shape == expected.shape else np.array(np.inf)
      measured[name]['signatures'][signature] = {
          'largest': float(apart.max()), 'mean': float(apart.mean(dtype=np.float64)), 'ms': times[name]}
  return measured


def _milliseconds(runtimes, signature, arrays):
  """Dict: format -> median milliseconds of ROUNDS calls with the first image; one call before them is not counted."""
  one, seconds = {name: values[:1] for name, values in arrays.items()}, {name: [] for name in runtimes}
  for _ in range(ROUNDS + 1):
    for name, run in runtimes.items():
      began = time.perf_counter()
      run(signature, one)
      seconds[name].append(time.perf_counter() - began)
  return {name: 1e3 * float(np.median(column[1:])) for name, column in seconds.items()}


def table(measured) -> str:
  """Returns the result of `compare` as text, with a row for each format and signature."""
  grid = rich_table.Table(box=None, title=f'{COMPARED} test images; ms: one image, one thread', title_justify='left')
  for heading in ('format', 'kB', 'callable', 'largest', 'mean', 'tolerated', 'ms'):
    grid.add_column(heading, justify='left' if heading in ('format', 'callable', 'tolerated') else 'right')
  for name, about in measured.items():
    format_ = FORMATS[name]
    for signature, found in about['signatures'].items():
      first = signature == SIGNATURES[0]
      apart = [''] * 3 if format_.tolerance is None else [
          f'{found["largest"]:.1e}', f'{found["mean"]:.1e}', f'{format_.measure} {format_.tolerance:g}']
      grid.add_row(name if first else '', f'{about["bytes"] / 1e3:,.0f}' if first else '', signature, *apart,
                   f'{found["ms"]:.2f}')
  return cli.text_of(grid)


def main(module, archive, *names) -> None:
  """Prints the result of `compare` as JSON; `archive`: a .npz file of arrays SIGNATURE/INPUT."""
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
  recorded, given = np.load(archive), {}
  for key in recorded.files:
    signature, name = key.split('/')
    given.setdefault(signature, {})[name] = recorded[key]
  print(json.dumps(compare(module, names, given)))


if __name__ == '__main__':
  main(*sys.argv[1:])
