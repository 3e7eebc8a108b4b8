"""Names of a model's variables, the same in each process."""

import re


def named_variables(model, names=False) -> dict:
  """All variables of the model's layers, under names that are the same in each process.

  A name is made of the model's attribute, the number or name of the layer in its network, and the variable's name.
  Keras's own paths are not stable, because they count layers over the whole process ('conv2d_32').

  Args:
    model: built.
    names: whether layers with an explicit name are identified by it instead of by their number.

  Returns:
    Dict: name, such as 'encoder/3/kernel' -> variable.

  Raises:
    ValueError: a layer is not reachable through the model's attributes.
  """
  import keras

  found, seen = {}, set()

  def walk(prefix, layer):
    if id(layer) not in seen:
      seen.add(id(layer))
      if hasattr(layer, 'layers'):
        inner = {(names and _own_name(child)) or number: child for number, child in enumerate(layer.layers)}
      else:
        inner = {key: child for key, child in sorted(vars(layer).items()) if isinstance(child, keras.layers.Layer)}
      below = {id(variable) for child in inner.values() for variable in child.variables}
      found.update({f'{prefix}/{v.name}': v for v in layer.variables if id(v) not in below})
      for key, child in inner.items():
        walk(f'{prefix}/{key}', child)

  for name, value in sorted(vars(model).items()):
    if isinstance(value, keras.layers.Layer):
      walk(name, value)
  missed = {id(v): v.path for layer in model.layers for v in layer.variables}
  missed = {key: path for key, path in missed.items() if key not in {id(v) for v in found.values()}}
  if missed:
    raise ValueError(f'{model.name}: {", ".join(missed.values())} are not reachable; expected each layer in an '
                     'attribute of the model, and variables with different names in a layer.')
  return found


def _own_name(layer):
  """The explicit name of a layer; '' if Keras made the name from its class and a count: 'batch_normalization_7'."""
  plain = re.sub(r'_\d+$', '', layer.name).replace('_', '')
  return '' if plain == type(layer).__name__.replace('_', '').lower() else layer.name
