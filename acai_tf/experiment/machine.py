"""Facts about this process: hardware, free memory, and versions of the code. Functions import TensorFlow if needed."""

import os
import pathlib
import platform
import shutil
import subprocess

from acai_tf.experiment.errors import UserError

GROUP = pathlib.Path('/sys/fs/cgroup')  # the control group of a Linux container


def fastest_precision() -> str:
  """Returns 'mixed_bfloat16' if the device of this process computes in bfloat16, else 'float32'.

  Such devices are NVIDIA GPUs from Ampere on (compute capability 8) and x86 processors with AMX or AVX512-BF16. Other
  devices emulate bfloat16.
  """
  import tensorflow as tf

  gpus = tf.config.list_physical_devices('GPU')
  if gpus:
    capable = all(tf.config.experimental.get_device_details(gpu).get('compute_capability', (0, 0)) >= (8, 0)
                  for gpu in gpus)
  else:
    capable = bool({'amx_bf16', 'avx512_bf16'} & set(processor()['flags'].split()))
  return 'mixed_bfloat16' if capable else 'float32'


def processor() -> dict[str, str]:
  """Returns {'model name': ..., 'flags': ...} of the first processor; `flags` is '' on systems other than Linux."""
  facts = {'model name': platform.processor() or platform.machine(), 'flags': ''}
  path = pathlib.Path('/proc/cpuinfo')
  for line in path.read_text().splitlines() if path.exists() else []:
    key, _, value = line.partition(':')
    if key.strip() in facts and value.strip():
      facts[key.strip()] = value.strip()
    if not line:
      break
  return facts


def free_memory() -> int:
  """Returns the bytes of memory that this process can still allocate, including swap.

  On systems other than Linux, it returns the total memory of the machine.
  """
  path = pathlib.Path('/proc/meminfo')
  if not path.exists():
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  rows = dict(line.split(':') for line in path.read_text().splitlines())
  free = 1024 * sum(int(rows[key].split()[0]) for key in ('MemAvailable', 'SwapFree'))
  try:  # The memory limit of a container, which counts cached files as used.
    bound, used, kinds = ((GROUP / f'memory.{name}').read_text() for name in ('max', 'current', 'stat'))
    rows = dict(line.split() for line in kinds.splitlines())
    return min(free, int(bound) - int(used) + int(rows['file']) - int(rows['shmem']))
  except (OSError, ValueError, KeyError):  # There is no control group, or its limit is 'max'.
    return free


def require_memory(parts) -> None:
  """Raises a UserError if a computation needs more memory than is free.

  Args:
    parts: dict: name of the setting that determines a part of the memory -> bytes needed at least.
  """
  need, free = sum(parts.values()), free_memory()
  if need > free:
    most = max(parts, key=parts.__getitem__)
    raise UserError(f'at least {need / 1e9:,.1f} GB of memory are needed, and {free / 1e9:,.1f} GB are free; expected '
                    f'enough free memory: lower {most}.')


def cores() -> set[int] | range:
  """Returns the processors that this process may use."""
  return os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else range(os.cpu_count() or 1)


def provenance() -> dict:
  """Returns the provenance of this process's results: `commit`, `versions` and `device`.

  `commit` is 'unknown' outside a git checkout, or without git.
  """
  import keras
  import tensorflow as tf

  root, commit = pathlib.Path(__file__).parents[2], ''
  if (root / '.git').exists() and shutil.which('git'):  # An installed package may be inside another project's checkout.
    commit = subprocess.run(['git', '-C', root, 'describe', '--always', '--dirty', '--abbrev=12'],
                            capture_output=True, text=True, check=False).stdout.strip()
  gpus = [tf.config.experimental.get_device_details(gpu).get('device_name', 'GPU')
          for gpu in tf.config.list_physical_devices('GPU')]
  return {
      'commit': commit or 'unknown',
      'versions': {'python': platform.python_version(), 'tensorflow': tf.__version__, 'keras': keras.__version__},
      'device': f'{len(gpus)} x {gpus[0]}' if gpus else f'{processor()["model name"]}, {len(cores())} cores',
  }


def data_dir(given) -> str:
  """Returns the folder of the data sets: the value of --data_dir, or else TFDS's default."""
  return os.path.expanduser(given or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets')
