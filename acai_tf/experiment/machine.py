"""Code and machine of this process. What asks TensorFlow loads it by itself."""

import os
import pathlib
import platform
import shutil
import subprocess

from acai_tf.experiment.errors import UserError

GROUP = pathlib.Path('/sys/fs/cgroup')


def fastest_precision() -> str:
  """'mixed_bfloat16' where this process's device computes in bfloat16, which else is emulated; 'float32' elsewhere.

  That is a GPU from NVIDIA's Ampere on (compute capability 8), or an x86 processor with AMX or AVX512-BF16.
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
  """{'model name': ..., 'flags': ...} of the first processor, as Linux tells it; elsewhere the name alone."""
  found = {'model name': platform.processor() or platform.machine(), 'flags': ''}
  path = pathlib.Path('/proc/cpuinfo')
  for line in path.read_text().splitlines() if path.exists() else []:
    key, _, value = line.partition(':')
    if key.strip() in found and value.strip():
      found[key.strip()] = value.strip()
    if not line:
      break
  return found


def free_memory() -> int:
  """Bytes of memory that this process may still get, swap included; on others than Linux, all that the machine has."""
  path = pathlib.Path('/proc/meminfo')
  if not path.exists():
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  rows = dict(line.split(':') for line in path.read_text().splitlines())
  free = 1024 * sum(int(rows[key].split()[0]) for key in ('MemAvailable', 'SwapFree'))
  try:  # a container's own bound, in which files that are only cached count as used
    bound, used, kinds = ((GROUP / f'memory.{name}').read_text() for name in ('max', 'current', 'stat'))
    rows = dict(line.split() for line in kinds.splitlines())
    return min(free, int(bound) - int(used) + int(rows['file']) - int(rows['shmem']))
  except (OSError, ValueError, KeyError):  # There is no such group, or its bound is 'max'.
    return free


def require_memory(parts) -> None:
  """UserError where more memory is needed than there is.

  Args:
    parts: dict: setting that decides -> bytes that are needed at least.
  """
  need, free = sum(parts.values()), free_memory()
  if need > free:
    most = max(parts, key=parts.__getitem__)
    raise UserError(f'{need / 1e9:,.1f} GB of memory are needed at least, and {free / 1e9:,.1f} GB are free; expected '
                    f'as much: lower {most}.')


def cores() -> set[int] | range:
  """The processors that this process may use."""
  return os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else range(os.cpu_count() or 1)


def provenance() -> dict:
  """Code and machine of this process: `commit` ('unknown' outside a checkout, or without git), `versions`, `device`."""
  import keras
  import tensorflow as tf

  root, commit = pathlib.Path(__file__).parents[2], ''
  if (root / '.git').exists() and shutil.which('git'):  # An installed package may lie in somebody else's checkout.
    commit = subprocess.run(['git', '-C', root, 'describe', '--always', '--dirty', '--abbrev=12'],
                            capture_output=True, text=True, check=False).stdout.strip()
  gpus = tf.config.list_physical_devices('GPU')
  return {
      'commit': commit or 'unknown',
      'versions': {'python': platform.python_version(), 'tensorflow': tf.__version__, 'keras': keras.__version__},
      'device': f'{len(gpus)} GPU' if gpus else f'{processor()["model name"]}, {len(cores())} cores',
  }
