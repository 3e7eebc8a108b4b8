"""Code and machine of this process. What asks TensorFlow loads it by itself."""

import os
import pathlib
import platform


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


def cores() -> set[int] | range:
  """The processors that this process may use."""
  return os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else range(os.cpu_count() or 1)


def origin() -> dict:
  """Code and machine of this process: `commit` ('unknown' outside a checkout, or without git), `versions`, `device`."""
  import shutil
  import subprocess

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
