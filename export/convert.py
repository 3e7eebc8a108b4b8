"""A module's encode, decode and interpolate for other runtimes, LiteRT and ONNX; needs the extra `export`.

Images are as the module's: [n, height, width, channels] float32 in [0, 1], any n; inputs and outputs have the names of
the module's signatures. Sentences are strings, which neither runtime takes.
"""

import importlib.util
import pathlib

import numpy as np
from rich import table as rich_table

from acai_tf import cli
from acai_tf.experiment import config
from acai_tf.experiment.errors import UserError

CALLABLES = ('encoder', 'decoder', 'interpolator')  # what other runtimes get, under the signatures' names
SIGNATURES = ('encode', 'decode', 'interpolate')
PACKAGES = {'saved_model': (), 'litert': ('ai_edge_litert',), 'onnx': ('tf2onnx', 'onnxruntime')}  # of each format
KINDS = ('float32', 'float16', 'dynamic', 'int8')  # of LiteRT
OPSET = 17  # of ONNX; onnxruntime-web has it since 1.13, and tf2onnx writes up to 18
CALIBRATION, COMPARED = 128, 64  # training images that int8's ranges are taken from; test images that all are held to

# How far an output may be from the SavedModel's, as a share of the range: 1 for pixels, for codes what the compared
# images' codes cover. Quantised weights move an edge of a picture by a fraction of a pixel, and a path may turn the
# other way where its ends are as far apart as can be: there the largest difference of 65,536 pixels says nothing.
TOLERANCES = {'litert/float32': ('largest', 1e-4), 'litert/float16': ('mean', 1e-3), 'litert/dynamic': ('mean', 1e-2),
              'litert/int8': ('mean', 3e-2), 'onnx': ('largest', 1e-4)}


def require(formats, experiment) -> None:
  """UserError where a format is unknown, lacks its packages, or is not for the experiment's models."""
  for name in formats:
    if name not in PACKAGES:
      raise UserError(f'unknown format {name!r} (--formats); expected some of {", ".join(PACKAGES)}.')
    if name != 'saved_model' and isinstance(experiment.network, config.TextNetwork):
      raise UserError(f'{experiment.model_name} is a model of sentences, and {name} takes no strings; expected '
                      '--formats saved_model, or a model of images.')
    _packages(*PACKAGES[name])


def _packages(*names):
  missing = [name for name in names if importlib.util.find_spec(name) is None]
  if missing:
    raise UserError(f"{' and '.join(missing)} not installed; expected the extra `export`, which other formats than "
                    "saved_model need: pip install 'acai_tf[export]'.")


def onnx(model, folder, callables=CALLABLES) -> dict:
  """Writes encode.onnx, decode.onnx and interpolate.onnx of a live model of images into `folder`, which exists.

  Each has the inputs of the signature of that name, and one output, `codes` or `images` (`Callable.output`).

  Args:
    model: acai_tf.models.base.Model, of images.
    folder: where the files are written.
    callables: names of those of its callables that are written, where it has them.

  Returns:
    Dict: name of the signature -> path.

  Raises:
    UserError: tf2onnx is not installed.
  """
  from export import module

  _packages('tf2onnx')
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

  from export import module

  function = module.outside(offered)
  specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in offered.inputs.items()]
  traced = tf.function(lambda *inputs: {offered.output: function(inputs)}, input_signature=specs)
  written, _ = tf2onnx.convert.from_function(traced, specs, opset=OPSET)
  for tensor in (*written.graph.input, *written.graph.output):
    tensor.type.tensor_type.shape.dim[0].dim_param = 'n'  # the batch; tf2onnx numbers what it does not know
  return written.SerializeToString()


def litert(module, folder, images, kinds=KINDS) -> None:
  """Writes a module as KIND.tflite into `folder`, which exists; each has all three signatures.

  float16: weights only. dynamic: int8 weights, and ranges of activations taken as they come. int8: weights and
  activations, with ranges of `images`; inputs and outputs stay float32, and so does what has no int8 form.

  Args:
    module: folder of a SavedModel.
    folder: where to.
    images: [m, height, width, channels] float32 in [0, 1], real ones.
    kinds: of KINDS.
  """
  import tensorflow as tf

  arrays = inputs(module, images)

  def calibration():
    for i in range(len(images)):
      for signature in SIGNATURES:
        yield signature, {name: values[i:i + 1] for name, values in arrays[signature].items()}

  for kind in kinds:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(module), signature_keys=list(SIGNATURES))
    if kind != 'float32':
      converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == 'float16':
      converter.target_spec.supported_types = [tf.float16]
    if kind == 'int8':
      converter.representative_dataset = calibration
      converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    with cli.silent():  # the converter tells what it does; what stops it is raised
      written = converter.convert()
    (pathlib.Path(folder) / f'{kind}.tflite').write_bytes(written)


def inputs(module, images) -> dict:
  """What the signatures of a module are called with, from m images: dict: signature -> dict: input -> array [m, ...].

  Each image is interpolated with the one before it in reverse order, alpha from 0 to 1.
  """
  import tensorflow as tf

  encode = tf.saved_model.load(str(module)).signatures['encode']
  alpha = np.linspace(0, 1, len(images), dtype=np.float32)
  return {'encode': {'images': images}, 'decode': {'codes': encode(images=tf.constant(images))['codes'].numpy()},
          'interpolate': {'images_a': images, 'images_b': images[::-1], 'alpha': alpha}}


def write(model, module, formats, dataset) -> dict:
  """Writes `formats` of a model beside its SavedModel, into the folders `litert` and `onnx` of it.

  Args:
    model: the live one.
    module: folder of its SavedModel.
    formats: names out of PACKAGES.
    dataset: the model's; its training images calibrate.

  Returns:
    What the formats are to be compared on, from test images, as `inputs` gives it.
  """
  for name in formats:
    if name != 'saved_model':
      (pathlib.Path(module) / name).mkdir()
  if 'litert' in formats:
    litert(module, pathlib.Path(module) / 'litert', (dataset.train(CALIBRATION)[0] + 1) / 2)
  if 'onnx' in formats:
    onnx(model, pathlib.Path(module) / 'onnx')
  return inputs(module, (dataset.test(COMPARED)[0] + 1) / 2)


def judge(measured) -> None:
  """UserError where a format is further from the SavedModel than its tolerance; `measured` as check.py prints it."""
  for name, (kind, limit) in TOLERANCES.items():
    for signature, found in measured.get(name, {}).get('signatures', {}).items():
      if not found[kind] <= limit:
        raise UserError(f"{name}: {signature} differs from the SavedModel's by {found[kind]:.2g} of the range "
                        f'({kind}); expected at most {limit:g}. Export without it (--formats).')


def table(measured) -> str:
  """What check.py found, a row for each format and signature."""
  grid = rich_table.Table(box=None, title=f'{COMPARED} test images; ms: one image, one thread', title_justify='left')
  for heading in ('format', 'kB', 'callable', 'largest', 'mean', 'tolerated', 'ms'):
    grid.add_column(heading, justify='left' if heading in ('format', 'callable', 'tolerated') else 'right')
  for name, format_ in measured.items():
    kind, limit = TOLERANCES.get(name, ('', 0))
    for signature, found in format_['signatures'].items():
      first = signature == SIGNATURES[0]
      grid.add_row(name if first else '', f'{format_["bytes"] / 1e3:,.0f}' if first else '', signature,
                   *([f'{found["largest"]:.1e}', f'{found["mean"]:.1e}', f'{kind} {limit:g}'] if kind else [''] * 3),
                   f'{found["ms"]:.2f}')
  return cli.text_of(grid)
