"""What is looked at before a SavedModel is loaded: a module is a program, and loading one runs parts of it."""

import pathlib
import re
from collections.abc import Iterator

from acai_tf import files
from acai_tf.experiment.errors import UserError

GRAPH = 'saved_model.pb'
LARGEST = 1 << 31  # bytes of a graph, protobuf's own limit
ADVICE = ('a module is a program, which can do what you can. Expected one that python -m export wrote; --trust loads '
          'it all the same')

# Operations with state that a module of numbers and words needs. Any other operation with state is refused: those of
# files, summaries, Python functions, networks and processes all have some.
ALLOWED = frozenset((
    'Assert', 'AssignAddVariableOp', 'AssignSubVariableOp', 'AssignVariableOp', 'DisableCopyOnRead', 'HashTableV2',
    'If', 'LookupTableExportV2', 'LookupTableFindV2', 'LookupTableImportV2', 'LookupTableInsertV2', 'LookupTableSizeV2',
    'Multinomial', 'MutableHashTableV2', 'RandomStandardNormal', 'RandomUniform', 'RandomUniformInt', 'ReadVariableOp',
    'ResourceGather', 'StatefulPartitionedCall', 'TruncatedNormal', 'VarHandleOp', 'VarIsInitializedOp', 'While'))
# Operations without state that reach outside all the same.
OUTSIDE = re.compile('File|Dataset|Iterator|Debug|Xla|TPU|Proto|PyFunc|Remap|ImmutableConst|Rpc|Remote|Snapshot')


def check_module(handle) -> None:
  """UserError unless a SavedModel has only operations that compute: none of files, processes or networks.

  Looked at are all functions that loading or calling the module can run. Those that save and restore its variables
  are left out: nothing calls them. Nothing of the module is executed.

  Args:
    handle: as hub.load takes it. An address is refused: what it gives may change from one look to the next.
  """
  if '://' in str(handle):
    raise UserError(f'module {handle} is at an address; {ADVICE}, or download it and name its folder.')
  folder = pathlib.Path(handle)
  others = [path.name for path in folder.glob('saved_model.*') if path.name != GRAPH]
  if others:  # TensorFlow may take one of them instead.
    raise UserError(f'module {handle} has {others[0]} beside {GRAPH}; {ADVICE}.')
  found = forbidden(_graph(folder / GRAPH, handle))
  if found:
    raise UserError(f'module {handle} has the operations {", ".join(found)}; {ADVICE}.')


def _graph(path, handle):
  """The SavedModel of a file."""
  from tensorflow.core.protobuf import saved_model_pb2

  try:
    if files.regular(path).stat().st_size > LARGEST:
      raise OSError(f'{GRAPH} has more than {LARGEST} bytes')
    graph = saved_model_pb2.SavedModel.FromString(path.read_bytes())
  except Exception as error:  # OSError, and protobuf's DecodeError, whose package is TensorFlow's choice.
    problem = f'{error.strerror}: {GRAPH}' if getattr(error, 'strerror', None) else str(error)
    raise UserError(f'module {handle} cannot be loaded ({problem}); expected the folder of a SavedModel, which '
                    'python -m export writes.') from error
  if not graph.meta_graphs:
    raise UserError(f'module {handle} cannot be loaded ({GRAPH} holds no graph); expected the folder of a SavedModel, '
                    'which python -m export writes.')
  if not all(meta.object_graph_def.nodes for meta in graph.meta_graphs):
    raise UserError(f'module {handle} is of TensorFlow 1, whose graph runs as it is loaded; {ADVICE}.')
  return graph


def forbidden(graph) -> list[str]:
  """Sorted names of the operations of a SavedModel (its protocol buffer) that `check_module` refuses."""
  from tensorflow.python.framework import op_def_registry

  found = set()
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
          found.add(node.op)
  return sorted(found)


def _functions_of(node) -> Iterator[str]:
  """Names of the functions that a node's attributes name."""
  for value in node.attr.values():
    yield from (function.name for function in (value.func, *value.list.func) if function.name)
