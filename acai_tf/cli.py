"""Common code of the programs: environment, flags, grouped help, progress and one-line error messages."""

import contextlib
import difflib
import os
import pathlib
import re
import sys
import tempfile
import textwrap
import time
import traceback
from collections.abc import Iterator

from absl import flags, logging
from rich import console, progress

from acai_tf.experiment import machine
from acai_tf.experiment.errors import UserError

FLAGS = flags.FLAGS
HELP_COLUMN, HELP_WIDTH = 32, 110  # where the text of a flag begins and ends
LONGEST = 2000  # maximum number of characters of an error message
# The messages of Python's int() and float().
NUMBER = re.compile(r"(?:invalid literal for int\(\) with base 10|could not convert string to float): (.*)")


def set_environment() -> None:
  """Sets environment variables that TensorFlow reads at import: no start-up notices, oneDNN's kernels, and GPU memory
  only as it is needed, so that several programs can share a GPU.

  oneDNN's convolutions are about twice as fast on every x86 processor (docs/speed.md). TensorFlow enables them by
  default on the newest processors only.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
  os.environ.setdefault('TF_FORCE_GPU_ALLOW_GROWTH', 'true')


def use_cpu() -> None:
  """Hides GPUs from this process and from those that it starts, for comparisons of outputs to the last digits."""
  os.environ['CUDA_VISIBLE_DEVICES'] = '-1'


@contextlib.contextmanager
def silent() -> Iterator[None]:
  """A context manager that discards the standard error of the process, including that of C++ code."""
  original, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
  try:
    os.dup2(sink, 2)
    yield
  finally:
    os.dup2(original, 2)
    os.close(original)
    os.close(sink)


def start_tensorflow(xla=False) -> None:
  """Imports TensorFlow without its start-up notices, and sets the number of threads that is fastest on a CPU.

  Programs call this before they load the file of a model, which imports TensorFlow. If TensorFlow has already run in
  this process, the number of threads stays unchanged.

  TensorFlow writes its notices directly to standard error, before any log level takes effect. Each operation uses one
  thread, and as many operations run in parallel as there are cores, because the convolutions are too small to split.

  Args:
    xla: whether XLA may also compile for the CPU, where it is slower (`cluster.Cluster` enables it).
  """
  if xla:
    os.environ['TF_XLA_FLAGS'] = f'{os.environ.get("TF_XLA_FLAGS", "")} --tf_xla_cpu_global_jit'
  with silent():
    import tensorflow as tf
  logging.set_verbosity(logging.ERROR)  # Hides the warnings of TensorFlow Datasets.
  with contextlib.suppress(RuntimeError):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(len(machine.cores()))


def make_deterministic() -> None:
  """Restricts TensorFlow to deterministic operations. On a CPU this changes nothing: all of ours are deterministic."""
  import tensorflow as tf

  tf.config.experimental.enable_op_determinism()


def define_data_flags(flag_values) -> None:
  """Defines --data_dir and --manual_dir."""
  flags.DEFINE_string('data_dir', None, 'Folder of the data sets [$TFDS_DATA_DIR or ~/tensorflow_datasets]',
                      flag_values=flag_values)
  flags.DEFINE_string('manual_dir', None, "Folder with the data set's official files, instead of a download",
                      flag_values=flag_values)
  # Also if the data set is prepared already, so that the folder is not read: the path must be a mistake.
  flags.register_validator('manual_dir', lambda folder: not folder or os.path.isdir(os.path.expanduser(folder)),
                           "there is no such folder; expected one with the data set's official files", flag_values)


def run(main, usage, groups, words=False, flag_values=FLAGS, settings=None) -> None:
  """Parses the flags, calls `main` and exits the process.

  The exit status is that of `main`, 1 if the machine lacks something (memory, disk space, access to files), 2 for a
  user error, 130 for Ctrl-C, and 141 if the reader of standard output closes it.

  Args:
    main: function that returns an exit status or None. Its argument is the list of positional arguments if `words`.
    usage: description of the program, for --help.
    groups: dict: heading -> names of absl flags, for --help. Instead of a list of names, a dict: name -> text that
      replaces the flag's own, if it is not empty.
    words: whether the program takes positional arguments.
    flag_values: absl `FlagValues`; default: the global one.
    settings: dict: name -> key of --set, to suggest the key if an unknown flag has such a name.

  Raises:
    Exception: a bug in this project; the traceback is printed.
  """
  set_environment()
  arguments = sys.argv[1:]
  if any(a in ('--help', '-h', '-help', '--helpshort', '--helpfull') for a in arguments):
    print(_help(usage, groups, flag_values))
    sys.exit(0)
  try:
    rest = _parsed(flag_values, [flag for names in groups.values() for flag in names], settings or {})
    _refuse_empty(flag_values)
    _expand_home(flag_values)
    if rest[1:] and not words:
      raise UserError(f'unexpected argument {rest[1]!r}; flags start with --. See --help.')
    sys.exit((main(rest[1:]) if words else main()) or 0)
  except BrokenPipeError:  # The reader, for example `head`, has closed the pipe.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(141)
  except (UserError, flags.Error) as error:
    _clear_frames(error)
    print('error: ' + one_line(NUMBER.sub(r'expected a number, not \1', str(error))), file=sys.stderr)
    sys.exit(2)
  except Exception as error:
    _clear_frames(error)
    expected = expected_of(error)
    if not expected:
      raise  # A bug in this project: a report needs the traceback.
    what = f'{error.strerror}: {error.filename}' if isinstance(error, OSError) and error.filename else str(error)
    print(f'error: {one_line(what, 300)}; {expected} What was saved before is kept.', file=sys.stderr)
    sys.exit(1)
  except KeyboardInterrupt:
    print('interrupted.', file=sys.stderr)
    sys.exit(130)


# Names that other programs give to what is a flag here.
SYNONYMS = {'lr': 'learning_rate', 'rate': 'learning_rate', 'batch_size': 'batch', 'bs': 'batch', 'epochs': 'samples',
            'steps': 'samples', 'images': 'samples', 'iterations': 'samples', 'latent_dim': 'latent',
            'latent_size': 'latent', 'latent_dimension': 'latent', 'z_dim': 'latent', 'data': 'dataset',
            'name': 'zoo', 'definition': 'zoo', 'output': 'to', 'out': 'to', 'o': 'to', 'output_dir': 'run_dir',
            'logdir': 'run_dir', 'log_dir': 'run_dir', 'save_dir': 'run_dir', 'dir': 'run_dir', 'device': 'strategy',
            'devices': 'strategy', 'distribute': 'strategy', 'dtype': 'precision', 'fp16': 'precision',
            'workers': 'jobs', 'parallel': 'jobs', 'n_jobs': 'jobs', 'host': 'serve', 'port': 'serve'}


def _parsed(flag_values, known, settings):
  """The arguments that are not flags. Raises a UserError that suggests a flag or a setting for an unknown flag."""
  try:
    return flag_values(sys.argv)
  except flags.UnrecognizedFlagError as error:
    name = error.flagname.replace('-', '_')
    candidates = {**{key: f'--set {setting}=VALUE' for key, setting in settings.items()},
                  **{flag: f'--{flag}' for flag in known}}
    synonym = SYNONYMS.get(name)
    near = [synonym] if synonym in candidates else difflib.get_close_matches(name, candidates, 1, 0.75)
    hint = f'; did you mean {candidates[near[0]]}?' if near else '.'
    raise UserError(f'unknown flag --{error.flagname}{hint} --help lists all flags.') from error


def _refuse_empty(flag_values):
  """Raises a UserError if a flag has an empty value, for example from an unset shell variable."""
  for name in flag_values:
    if flag_values[name].present and flag_values[name].value in ('', []):
      raise UserError(f'--{name} is empty; expected a value, or omit the flag.')


def one_line(text, longest=LONGEST) -> str:
  """Returns a message as one line of printable characters; after `longest` characters it is cut off with '...'.

  Messages may quote file names or replies of a server. Control characters, which terminals interpret, are removed.
  """
  line = ' '.join(''.join(c if c.isprintable() else ' ' if c.isspace() else '' for c in text).split())
  return line if len(line) <= longest else f'{line[:longest]}...'


def _expand_home(flag_values):
  """Replaces a leading ~ by the home folder. Shells do so for `--flag ~/x`, but not for `--flag=~/x`.

  Raises:
    UserError: the ~ is followed by the name of an unknown user.
  """
  def expanded(path, name):
    absolute = os.path.expanduser(path)
    if absolute.startswith('~'):
      raise UserError(f'--{name}: {path} is in the home folder of an unknown user; expected ~/, or an absolute path.')
    return absolute

  def every(value, name):  # For KEY=PATH,PATH of --set.
    key, sign, paths = value.partition('=')
    return key + sign + ','.join(expanded(path, name) if path.startswith('~') else path for path in paths.split(','))

  for name in flag_values:
    value = flag_values[name].value
    if isinstance(value, str) and value.startswith('~'):
      flag_values[name].value = expanded(value, name)
    elif name == 'set' and any('~' in text for text in value):
      flag_values[name].value = [every(text, name) for text in value]


def check_target(flag, path) -> None:
  """Raises a UserError if an output file cannot be written; call it before the work for the file begins."""
  path = pathlib.Path(path)
  problem = ('is a folder' if path.is_dir() else 'is in a folder that does not exist' if not path.parent.is_dir() else
             '' if os.access(path if path.exists() else path.parent, os.W_OK) else 'cannot be written')
  if problem:
    raise UserError(f'--{flag} {path} {problem}; expected a file in an existing, writable folder.')


def check_folder(flag, path) -> None:
  """Raises a UserError if an output folder, which need not exist yet, cannot be written."""
  path = pathlib.Path(path)
  existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
  try:
    with tempfile.TemporaryDirectory(dir=existing):
      pass
  except OSError as error:
    raise UserError(f'--{flag} {path} cannot be written: {error.strerror}; expected a writable folder, or a new one in '
                    'a writable folder.') from error


def only(flag_values, names, where) -> None:
  """Raises a UserError if a flag other than `names` was given; `where` says in the message when it does not apply."""
  for name in flag_values:
    if flag_values[name].present and name not in names:
      fitting = ', '.join(f'--{fit}' for fit in names)
      raise UserError(f'--{name} does not apply {where}; expected no other flags than {fitting}.')


def _clear_frames(error):
  """Clears the local variables in the frames of an error.

  If one is the iterator of a pipeline, it could keep Python from exiting: its destructor would wait for a thread that
  waits for Python.
  """
  while error:
    traceback.clear_frames(error.__traceback__)
    error = error.__cause__ or error.__context__


def expected_of(error) -> str:
  """Returns the end of a message for an error that the machine caused; '' for any other error, which is our bug."""
  kinds = {kind.__name__ for kind in type(error).__mro__}  # Names, since TensorFlow may not be loaded.
  full = 'No space left' in str(error)
  if kinds & {'MemoryError', 'ResourceExhaustedError'} and not full:
    return 'expected more free memory, of the machine or the GPU: lower training.batch, or end other programs.'
  if full:
    return 'expected a disk with free space.'
  if kinds & {'OSError', 'NotFoundError', 'PermissionDeniedError', 'DataLossError'}:
    return 'expected readable files, and existing, writable folders.'
  return ''


def _help(usage, groups, flag_values):
  lines = [usage]
  for heading, names in groups.items():
    lines += ['', heading]
    for name in names:
      flag, special = flag_values[name], names[name] if isinstance(names, dict) else ''
      kind = '|'.join(getattr(flag.parser, 'enum_values', None) or []) or {'int': 'N', 'float': 'X', 'bool': ''}.get(
          flag.parser.flag_type(), 'TEXT')
      text = special or flag.help.split('>: ')[-1].split(';\n')[0]
      value = ','.join(flag.default) if isinstance(flag.default, list) else flag.default
      default = '' if value in (None, '', False) else f' [{value}]'
      left = f'  --{name} {kind}'.rstrip()
      column = ' ' * (HELP_COLUMN - 1)
      lines += [left] if len(left) >= HELP_COLUMN - 1 else []
      lines += textwrap.wrap(text + default, HELP_WIDTH, subsequent_indent=column, break_on_hyphens=False,
                             initial_indent=column if lines[-1] == left else f'{left:<{HELP_COLUMN - 1}}')
  return '\n'.join(lines)


def text_of(grid, width=100) -> str:
  """Returns a rich table as plain text."""
  screen = console.Console(width=width, no_color=True, highlight=False, force_jupyter=False, force_terminal=False)
  with screen.capture() as capture:
    screen.print(grid)
  return '\n'.join(line.rstrip() for line in capture.get().strip('\n').splitlines())


class Status:
  """Shows the progress of a program: a progress bar on a terminal, else a line per task and every `quiet_seconds`.

  Use it as a context manager.
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
    """Updates the progress: `text` names the current task, of which `done` of `total` items are finished."""
    count = f' {done:,} of {total:,}' if total else ''
    if self.bar:
      self.bar.update(self.task, description=text + count, completed=done or 0, total=total)
    elif text != self.text or time.monotonic() >= self.next_line:
      print(f'  {text}{count} ...', flush=True)
      self.text, self.next_line = text, time.monotonic() + self.quiet_seconds
