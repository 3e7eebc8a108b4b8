"""Security check of SavedModels. A SavedModel is a program, and loading it runs parts of it."""

import pathlib
import re
from collections.abc import Iterator

from acai_tf import files
from acai_tf.experiment.errors import UserError

GRAPH = 'saved_model.pb'
LARGEST = 1 << 31  # maximum size of a graph in bytes, protobuf's limit
ADVICE = ('a module is a program, which can do what you can. Expected one that acai export wrote; --trust loads '
          'it all the same')

# Stateful operations that models need. All other stateful operations are refused. They include those that access files,
# summaries, Python functions, networks and processes.
ALLOWED = frozenset((
    'Assert', 'AssignAddVariableOp', 'AssignSubVariableOp', 'AssignVariableOp', 'DisableCopyOnRead', 'HashTableV2',
    'If', 'LookupTableExportV2', 'LookupTableFindV2', 'LookupTableImportV2', 'LookupTableInsertV2', 'LookupTableSizeV2',
    'Multinomial', 'MutableHashTableV2', 'RandomStandardNormal', 'RandomUniform', 'RandomUniformInt', 'ReadVariableOp',
    'ResourceGather', 'StatefulPartitionedCall', 'TruncatedNormal', 'VarHandleOp', 'VarIsInitializedOp', 'While'))
# Stateless operations that can still reach outside the model.
OUTSIDE = re.compile('File|Dataset|Iterator|Debug|Xla|TPU|Proto|PyFunc|Remap|ImmutableConst|Rpc|Remote|Snapshot')


def check_module(handle) -> None:
  """Checks that a SavedModel contains only operations that compute, and none that access files, processes or networks.

  It inspects all functions that loading or calling the module can run, and executes none of them. It skips the
  functions that save and restore variables, because nothing calls them.

  Args:
    handle: as in hub.load. A URL is refused, because its content may change between check and load.

  Raises:
    UserError: the module has other operations, cannot be read, or is a URL.
  """
  if '://' in str(handle):
    raise UserError(f'module {handle} is at an address; {ADVICE}, or download it and name its folder.')
  folder = pathlib.Path(handle)
  others = [path.name for path in folder.glob('saved_model.*') if path.name != GRAPH]
  if others:  # TensorFlow may load one of them instead.
    raise UserError(f'module {handle} has {others[0]} beside {GRAPH}; {ADVICE}.')
  operations = forbidden(_graph(folder / GRAPH, handle))
  if operations:
    raise UserError(f'module {handle} has the operations {", ".join(operations)}; {ADVICE}.')


def _graph(path, handle):
  """Reads the SavedModel protocol buffer at `path`; UserError if it cannot be loaded safely."""
  from tensorflow.core.protobuf import saved_model_pb2

  try:
    if files.regular(path).stat().st_size > LARGEST:
      raise OSError(f'{GRAPH} has more than {LARGEST} bytes')
    graph = saved_model_pb2.SavedModel.FromString(path.read_bytes())
  except Exception as error:  # OSError, or protobuf's DecodeError, whose module depends on the TensorFlow version.
    problem = f'{error.strerror}: {GRAPH}' if getattr(error, 'strerror', None) else str(error)
    raise UserError(f'module {handle} cannot be loaded ({problem}); expected the folder of a SavedModel, which '
                    'acai export writes.') from error
  if not graph.meta_graphs:
    raise UserError(f'module {handle} cannot be loaded ({GRAPH} has no graph); expected the folder of a SavedModel, '
                    'which acai export writes.')
  if not all(meta.object_graph_def.nodes for meta in graph.meta_graphs):
    raise UserError(f'module {handle} is of TensorFlow 1, whose graph runs as it is loaded; {ADVICE}.')
  return graph


def forbidden(graph) -> list[str]:
  """Returns the sorted names of the operations that `check_module` refuses.

  Args:
    graph: SavedModel protocol buffer.
  """
  from tensorflow.python.framework import op_def_registry

  refused = set()
  for meta in graph.meta_graphs:
    library = {function.signature.name: function for function in meta.graph_def.library.function}
    gradients = {row.function_name: row.gradient_func for row in meta.graph_def.library.gradient}
    waiting = [*meta.object_graph_def.concrete_functions,
               *(row.gradient_func for row in meta.graph_def.library.registered_gradients)]
    seen = set()
    while waiting:
      name = waiting.pop()
      if name in seen or name not in library:
        continue
      seen.add(name)
      waiting.append(gradients.get(name, ''))
      for node in library[name].node_def:
        waiting += [node.op, *_functions_of(node)]
        known = op_def_registry.get(node.op)
        if node.op not in library and (known is None or OUTSIDE.search(node.op)
                                       or known.is_stateful and node.op not in ALLOWED):
          refused.add(node.op)
  return sorted(refused)


def _functions_of(node) -> Iterator[str]:
  """Yields the names of the functions in a node's attributes."""
  for value in node.attr.values():
    yield from (function.name for function in (value.func, *value.list.func) if function.name)
