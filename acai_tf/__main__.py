"""The program `acai`, which is also `python -m acai_tf`. Its commands are the programs of this package."""

import importlib
import sys

import acai_tf
from acai_tf.experiment.errors import unknown

# Command -> (module, which has a function `program`; description).
COMMANDS = {
    'train': ('acai_tf.train', 'trains or resumes a model, and evaluates it'),
    'evaluate': ('acai_tf.evaluate', 'evaluates a run, pretrained weights, a module, or the output of any program'),
    'export': ('acai_tf.export.__main__', 'exports a run as a SavedModel, and as LiteRT or ONNX'),
    'zoo': ('acai_tf.zoo.__main__', 'lists, trains and compares the definitions of the zoo; builds the gallery'),
}
HELP = '\n'.join(['acai COMMAND ...', *(f'  {name:<10} {text}' for name, (_, text) in COMMANDS.items()),
                  '', '`acai COMMAND --help` lists the flags of a command; `acai --version` prints the version.'])


def main() -> None:
  """Runs the command that the first argument names. Exits with 2 if there is no such command."""
  name = sys.argv[1] if len(sys.argv) > 1 else ''
  if name in ('--help', '-h', 'help'):
    print(HELP)
  elif name == '--version':
    print(f'acai_tf {acai_tf.__version__}')
  elif name in COMMANDS:
    sys.argv = [f'acai {name}', *sys.argv[2:]]
    importlib.import_module(COMMANDS[name][0]).program()
  else:
    problem = unknown('command', name, COMMANDS) if name else f'no command; expected one of {", ".join(COMMANDS)}.'
    print(f'error: {problem} See acai --help.', file=sys.stderr)
    sys.exit(2)


if __name__ == '__main__':
  main()
