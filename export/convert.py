"""A module's encode, decode and interpolate for other runtimes; needs the extra `export`.

Images are as the module's: [n, height, width, channels] float32 in [0, 1], any n; so are inputs' and outputs' names.
"""

import importlib
import pathlib
import types

import tensorflow as tf

from acai_tf.experiment.errors import UserError
from export import module

CALLABLES = ('encoder', 'decoder', 'interpolator')  # what other runtimes get, under its signature's name
OPSET = 17  # of ONNX; onnxruntime-web has it since 1.13, and tf2onnx writes up to 18


def package(name) -> types.ModuleType:
  """Imports a module of the extra `export`; UserError where it is not installed."""
  try:
    return importlib.import_module(name)
  except ImportError as error:
    raise UserError(f"{name.split('.')[0]} is not installed; expected the extra `export`, which other formats than "
                    "saved_model need: pip install 'acai_tf[export]'.") from error


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
    UserError: the packages are missing.
  """
  tf2onnx, paths = package('tf2onnx'), {}
  for offered in model.callables():
    if offered.name in callables:
      name = module.SIGNATURES[offered.name]
      paths[name] = pathlib.Path(folder) / f'{name}.onnx'
      paths[name].write_bytes(_onnx(tf2onnx, offered))
  return paths


def _onnx(tf2onnx, offered):
  function = module.outside(offered)
  specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in offered.inputs.items()]
  traced = tf.function(lambda *inputs: {offered.output: function(inputs)}, input_signature=specs)
  graph, _ = tf2onnx.convert.from_function(traced, specs, opset=OPSET)
  for tensor in (*graph.graph.input, *graph.graph.output):
    tensor.type.tensor_type.shape.dim[0].dim_param = 'n'  # the batch; tf2onnx numbers what it does not know
  return graph.SerializeToString()
