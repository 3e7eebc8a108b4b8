"""What the programs share: environment, flags, short grouped help, and errors of one line."""

import contextlib
import os
import pathlib
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator

from absl import flags, logging
from rich import console, progress

from acai_tf.experiment import machine
from acai_tf.experiment.errors import UserError

FLAGS = flags.FLAGS
LONGEST = 2000  # characters of an error's line
NUMBER = re.compile(r"(?:invalid literal for int\(\) with base 10|could not convert string to float): (.*)")  # Python's


def set_environment() -> None:
  """Settings that TensorFlow reads when it is imported: its one-per-process notices off, oneDNN's kernels on.

  oneDNN's convolutions are about twice as fast on every x86 processor (docs/speed.md); TensorFlow turns them on by
  itself on the newest only.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')


@contextlib.contextmanager
def silent() -> Iterator[None]:
  """A context in which what the process writes to its standard error, C++ included, is dropped."""
  kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
  try:
    os.dup2(sink, 2)
    yield
  finally:
    os.dup2(kept, 2)
    os.close(kept)
    os.close(sink)


def start_tensorflow(xla=False) -> None:
  """Imports TensorFlow without its start-up notices, and sets the threads that are fastest on a CPU.

  A program calls it before it needs a model's file, which imports TensorFlow. In a process where TensorFlow has run
  already, the threads stay as they are.

  The notices come before any log level is heeded, straight to the process's standard error. One thread an operation
  and as many operations side by side as there are cores: the convolutions are too small to share.

  Args:
    xla: whether XLA may compile for a processor, too (`cluster.Cluster` turns it on); it is slower there.
  """
  if xla:
    os.environ['TF_XLA_FLAGS'] = f'{os.environ.get("TF_XLA_FLAGS", "")} --tf_xla_cpu_global_jit'
  with silent():
    import tensorflow as tf
  logging.set_verbosity(logging.ERROR)  # TensorFlow Datasets' warnings; what matters is told as an error
  with contextlib.suppress(RuntimeError):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(len(machine.cores()))


def make_deterministic() -> None:
  """Takes only operations that give the same bits each time; on a CPU, where all of ours do, it changes nothing."""
  import tensorflow as tf

  tf.config.experimental.enable_op_determinism()


def define_data_flags(flag_values) -> None:
  """Defines --data_dir and --manual_dir."""
  flags.DEFINE_string('data_dir', None, 'Folder of the data sets [$TFDS_DATA_DIR or ~/tensorflow_datasets]',
                      flag_values=flag_values)
  flags.DEFINE_string('manual_dir', None, "Folder with the data set's official files, instead of a download",
                      flag_values=flag_values)


def run(main, usage, groups, words=False, flag_values=FLAGS) -> None:
  """Parses the flags and calls `main()`; exits 0, main's own non-zero status, 2 for a user's mistake, 130 on Ctrl-C.

  Args:
    main: function -> None or exit status; without arguments, or of the list of `words`.
    usage: one or two lines of what the program does.
    groups: dict: heading -> names of absl flags, for --help.
    words: whether the program takes arguments that are no flags.
    flag_values: absl's, where the program has its own.
  """
  set_environment()
  arguments = sys.argv[1:]
  if any(a in ('--help', '-h', '-help', '--helpshort', '--helpfull') for a in arguments):
    print(_help(usage, groups, flag_values))
    sys.exit(0)
  try:
    rest = flag_values(sys.argv)
    _refuse_empty(flag_values)
    _expand_home(flag_values)
    if rest[1:] and not words:
      raise UserError(f'unexpected argument {rest[1]!r}; flags start with --. See --help.')
    sys.exit((main(rest[1:]) if words else main()) or 0)
  except BrokenPipeError:  # The reader, `head` say, has enough.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(141)
  except (UserError, flags.Error) as error:
    _let_go(error)
    print('error: ' + one_line(NUMBER.sub(r'expected a number, not \1', str(error))), file=sys.stderr)
    sys.exit(2)
  except Exception as error:
    _let_go(error)
    expected = expected_of(error)
    if not expected:
      raise  # A fault of ours: its traceback is what a report needs.
    what = f'{error.strerror}: {error.filename}' if isinstance(error, OSError) and error.filename else str(error)
    print(f'error: {one_line(what, 300)}; {expected} What was saved before is kept.', file=sys.stderr)
    sys.exit(1)
  except KeyboardInterrupt:
    print('interrupted.', file=sys.stderr)
    sys.exit(130)


def _refuse_empty(flag_values):
  """UserError where a flag was given with nothing behind it, as a shell does of a variable that is not set."""
  for name in flag_values:
    if flag_values[name].present and flag_values[name].value in ('', []):
      raise UserError(f'--{name} is empty; expected a value, or leave it out.')


def one_line(text, longest=LONGEST) -> str:
  """A message as one line of at most about `longest` characters that can be printed.

  It may quote file names or what a server says: control characters, which a terminal would obey, are left out.
  """
  line = ' '.join(''.join(c if c.isprintable() else ' ' if c.isspace() else '' for c in text).split())
  return line if len(line) <= longest else f'{line[:longest]}...'


def _expand_home(flag_values):
  """Replaces a leading ~ by the home folder, which shells do for `--flag ~/x` and not for `--flag=~/x`.

  Raises:
    UserError: ~ before something else, a user that is not known here.
  """
  def expanded(path, name):
    whole = os.path.expanduser(path)
    if whole.startswith('~'):
      raise UserError(f'--{name}: {path} is in the home folder of a user who is not known here; expected ~/, or a '
                      'whole path.')
    return whole

  def every(value, name):  # KEY=PATH,PATH of --set
    key, sign, paths = value.partition('=')
    return key + sign + ','.join(expanded(path, name) if path.startswith('~') else path for path in paths.split(','))

  for name in flag_values:
    value = flag_values[name].value
    if isinstance(value, str) and value.startswith('~'):
      flag_values[name].value = expanded(value, name)
    elif name == 'set' and any('~' in text for text in value):
      flag_values[name].value = [every(text, name) for text in value]


def check_target(flag, path) -> None:
  """UserError where a file that is to be made cannot be written, before the work for it begins."""
  path = pathlib.Path(path)
  problem = ('is a folder' if path.is_dir() else 'lies in no folder' if not path.parent.is_dir() else
             '' if os.access(path if path.exists() else path.parent, os.W_OK) else 'cannot be written')
  if problem:
    raise UserError(f'--{flag} {path} {problem}; expected a file in a folder that is there and can be written.')


def check_folder(flag, path) -> None:
  """UserError where a folder that results go into, and that is made where it is not there, cannot be written."""
  path = pathlib.Path(path)
  there = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
  try:
    with tempfile.TemporaryDirectory(dir=there):
      pass
  except OSError as error:
    raise UserError(f'--{flag} {path} cannot be written: {error.strerror}; expected a folder, or a place for one.'
                    ) from error


def only(flag_values, names, where) -> None:
  """UserError where a flag was given that does not apply `where` it stands, because it is none of `names`."""
  for name in flag_values:
    if flag_values[name].present and name not in names:
      fitting = ', '.join(f'--{fit}' for fit in names)
      raise UserError(f'--{name} does not apply {where}; expected no other flags than {fitting}.')


def _let_go(error):
  """Drops what an error's frames hold. A pipeline's iterator among it, alive when Python ends, could keep it from
  ending: its destructor would wait for a thread that waits for Python."""
  while error:
    traceback.clear_frames(error.__traceback__)
    error = error.__cause__ or error.__context__


def expected_of(error) -> str:
  """What a machine lacked that an error tells of, as the end of a message; '' if the error is a fault of ours."""
  kinds = {kind.__name__ for kind in type(error).__mro__}  # TensorFlow's by name: it need not be loaded
  full = 'No space left' in str(error)
  if kinds & {'MemoryError', 'ResourceExhaustedError'} and not full:
    return 'expected more free memory, of the processor or the GPU: lower training.batch, or end other programs.'
  if full:
    return 'expected a disk with free space.'
  if kinds & {'OSError', 'NotFoundError', 'PermissionDeniedError', 'DataLossError'}:
    return 'expected files that can be read, and places that are there and can be written.'
  return ''


def _help(usage, groups, flag_values):
  lines = [usage]
  for heading, names in groups.items():
    lines += ['', heading]
    for name in names:
      flag = flag_values[name]
      kind = '|'.join(getattr(flag.parser, 'enum_values', None) or []) or {'int': 'N', 'float': 'X', 'bool': ''}.get(
          flag.parser.flag_type(), 'TEXT')
      text = flag.help.split('>: ')[-1].split(';\n')[0]
      default = '' if flag.default in (None, '', [], False) else f' [{flag.default}]'
      lines.append(f'  {"--" + name + " " + kind:<38} {text}{default}')
  return '\n'.join(lines)


def text_of(grid, width=100) -> str:
  """A rich table as plain text."""
  screen = console.Console(width=width, no_color=True, highlight=False, force_jupyter=False, force_terminal=False)
  with screen.capture() as capture:
    screen.print(grid)
  return '\n'.join(line.rstrip() for line in capture.get().strip('\n').splitlines())


class Status:
  """Says what a program is at and how far: one changing line on a terminal, else a line for each thing, and every 10 s.

  Use it as a context.
  """

  def __init__(self, quiet_seconds=10):
    self.quiet_seconds, self.text, self.next_line, self.bar = quiet_seconds, None, 0.0, None
    if console.Console().is_terminal:
      self.bar = progress.Progress(progress.SpinnerColumn(), progress.BarColumn(16), '{task.description}')
      self.task = self.bar.add_task('')

  def __enter__(self):
    if self.bar:
      self.bar.start()
    return self

  def __exit__(self, *_):
    if self.bar:
      self.bar.update(self.task, visible=False)
      self.bar.stop()

  def __call__(self, text, done=None, total=None):
    """`text`: what is done now; `done` of `total`: how far, where that can be counted."""
    far = f' {done:,} of {total:,}' if total else ''
    if self.bar:
      self.bar.update(self.task, description=text + far, completed=done or 0, total=total)
    elif text != self.text or time.monotonic() >= self.next_line:
      print(f'  {text}{far} ...', flush=True)
      self.text, self.next_line = text, time.monotonic() + self.quiet_seconds


def data_dir(given) -> str:
  """The folder of data sets: the flag, else TFDS's own."""
  return os.path.expanduser(given or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets')
