"""Tests that bad input is refused with one line: `python benchmarks/bad_input.py`; `--only TEXT` selects cases.

Each case is a command line with a mistake, a damaged file or folder, or a call of the library with invalid arguments.
It must end within SECONDS of CPU time with a non-zero exit status and a single line on standard error that says what
is wrong, without a traceback or log lines of TensorFlow. All files from before must be unchanged. The output has each
case with its message and `ok` or the problem, and a count.

For speed, each case runs in a fork of a Python process that has imported TensorFlow, but has not created a device or
thread. The child redirects the descriptors of standard output and error to files, so that lines from C++ are caught,
too. It changes into its own folder with fresh copies of good files and runs the program as `python -m` does. Every
REAL-th case also runs in a new process and must give the same message and status. Cases about permissions drop root's
capabilities.
"""

import ctypes
import dataclasses
import gc
import gzip
import hashlib
import importlib
import io
import json
import os
import pathlib
import re
import resource
import runpy
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib

ZOO = pathlib.Path(__file__).parents[1] / 'zoo'
SECONDS, REAL = 10, 20
PROGRESS = re.compile('^Downloading data from |━')  # progress lines of Keras's downloads
PATIENCE = 120  # seconds of wall time after which a case counts as hanging
PROGRAMS = {'train': 'acai_tf.train', 'evaluate': 'acai_tf.evaluate', 'export': 'export', 'zoo': 'zoo',
            'demo': 'zoo._demo', 'demo_text': 'zoo._demo_text'}
HEAVY = ('tensorflow', 'keras', 'tensorflow_hub', 'tensorflow_datasets', 'matplotlib.pyplot', 'scipy.stats',
         'sklearn.linear_model', 'rich.progress', 'PIL.Image')  # imported once, before the forks
SMALL = ('--recipe fast --batch 8 --samples 64 --precision float32 --set training.final_evaluations=0 '
         '--set training.checkpoint_every=32')
LINES = f'train --dataset lines --latent_width 2 --latent 2 --depth 2 --set dataset.size=8 {SMALL}'
PLAIN = f'{LINES} --model autoencoder --set dataset.test_images=16'
TEXT = (f'train --model text_autoencoder --set network.embedding=4 --set network.hidden=4 --set network.latent=4 '
        f'{SMALL}')
FOLDER = f'train --dataset folder --model autoencoder --latent 2 --depth 2 --set dataset.size=8 {SMALL} --data_dir data'


@dataclasses.dataclass(frozen=True)
class Case:
  """One bad input and the expected message."""

  command: str  # words of a program's command line, or 'python: ' and code; the good files that it names exist
  message: str  # regular expression for the line on standard error
  change: object = None  # function (folder of the case) that damages a file
  note: str = ''  # what is damaged
  environment: dict = dataclasses.field(default_factory=dict)  # of the process
  plain: bool = False  # whether root's capabilities are dropped


# The child: runs a program in a process that has imported TensorFlow.


def serve():
  """Forks for each request, a line of JSON on standard input. Returns the request in the child, None at the end."""
  from acai_tf import cli

  cli.set_environment()
  with cli.silent():
    for name in HEAVY:
      importlib.import_module(name)
  gc.freeze()  # Children then do not copy memory that they only read.
  for line in sys.stdin:
    request = json.loads(line)
    began, process, done = time.monotonic(), os.fork(), 0
    if not process:
      return request
    while not done:
      time.sleep(0.02)
      done, status, used = os.wait4(process, os.WNOHANG)
      if not done and time.monotonic() - began > PATIENCE:
        os.killpg(process, signal.SIGKILL)
    print(json.dumps([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime]), flush=True)
  return None


def become(request) -> None:
  """Makes this process look as if a shell had started it for the request."""
  os.chdir(request['folder'])
  sys.path[0] = request['folder']  # as for `python -m`; in benchmarks/, files have the names of programs
  os.setpgid(0, 0)
  for descriptor, name, flags in ((0, os.devnull, os.O_RDONLY), (1, request['output'], os.O_WRONLY | os.O_CREAT),
                                  (2, request['errors'], os.O_WRONLY | os.O_CREAT)):
    opened = os.open(name, flags)
    os.dup2(opened, descriptor)
    os.close(opened)
  os.environ.update(request['environment'])
  memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  resource.setrlimit(resource.RLIMIT_AS, (memory, memory))  # A missing check of sizes must not exhaust the machine.
  if request['plain'] and not os.getuid():  # Without capabilities, permissions apply to root, too.
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None).capset(header, none):
      sys.exit('capset failed')


def call(code) -> None:
  """Runs a call of the library. A ValueError of one line is printed like a program's message; others are raised."""
  import numpy as np
  import tensorflow as tf

  rng = np.random.default_rng(0)
  names = {'np': np, 'rng': rng, 'batches': tf.data.Dataset.from_tensors, 'made': made, 'text': text_model,
           'images': rng.uniform(-1, 1, [8, 8, 8, 1]).astype(np.float32), 'labels': rng.integers(3, size=8)}
  try:
    exec(code, names)
  except ValueError as error:
    if len(str(error).splitlines()) > 1:
      raise
    print(f'error: {error}', file=sys.stderr)
    sys.exit(2)


def made(name='acai', compiled=True, **settings):
  """A small model of 8x8x1 images in 3 classes."""
  from acai_tf.experiment import config, registry

  module = registry.load('acai_tf.models', name)
  network = config.Network(latent_width=2, latent=2, depth=2)
  model = module.Model(module.Config(**settings), network, (8, 8, 1), 3)
  if compiled:
    model.compile()
  return model


def text_model():
  """A small model of sentences of at most 4 words out of 9."""
  from acai_tf import vocabulary
  from acai_tf.experiment import config
  from acai_tf.models.sentences import text_autoencoder

  network = config.TextNetwork(embedding=4, hidden=4, latent=4)
  model = text_autoencoder.Model(text_autoencoder.Config(), network, (5, 13))
  model.words.set(vocabulary.Vocabulary(['the', 'a', 'cat', 'dog', 'sees', 'is', '.', 'big', 'old'], 4))
  model.compile()
  return model


# Damage.


def put(path, data=b''):
  """Replaces a file's content, text or bytes."""
  def change(folder):
    target = folder / path
    if target.is_dir():
      shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data if isinstance(data, bytes) else data.encode())

  return change


def alter(path, function):
  """Replaces a JSON file's value by what `function` makes of it, or the last line's in a .jsonl file."""
  def change(folder):
    *lines, last = (folder / path).read_text().splitlines() if path.endswith('l') else [(folder / path).read_text()]
    value = json.loads(last)
    value = function(value) or value
    (folder / path).write_text('\n'.join([*lines, json.dumps(value)]) + '\n')

  return change


def each(pattern, function):
  """Damages every file that fits a pattern: `function` takes and gives bytes."""
  def change(folder):
    found = [path for path in folder.glob(pattern) if path.is_file()]
    assert found, pattern
    for path in found:
      path.write_bytes(function(path.read_bytes()))

  return change


def half(data):
  """The first half."""
  return data[:len(data) // 2]


def flipped(data):
  """With one bit in the middle flipped."""
  middle = len(data) // 2
  return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1:]


def remove(*patterns):
  """Deletes files or folders."""
  def change(folder):
    for pattern in patterns:
      for path in folder.glob(pattern):
        shutil.rmtree(path) if path.is_dir() else path.unlink()

  return change


def closed(path, mode=0):
  """Takes rights away."""
  return lambda folder: (folder / path).chmod(mode)


def both(*changes):
  """One after the other."""
  def change(folder):
    for one in changes:
      one(folder)

  return change


def npy(shape, kind='<f4', data=b'', header=None):
  """A .npy file that says of itself what is asked for."""
  text = header or str({'descr': kind, 'fortran_order': False, 'shape': shape})
  return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(text)) + text.encode() + data


def array(values, kind='float32'):
  """A .npy file of values."""
  import numpy as np

  stream = io.BytesIO()
  np.save(stream, np.asarray(values, kind))
  return stream.getvalue()


def png(width, height):
  """A PNG that claims to be so large, without pixels."""
  def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

  return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
          + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b''))


def picture(form, kind):
  """A picture of 8x8 pixels in a format of Pillow's, of a NumPy type."""
  import numpy as np
  from PIL import Image

  stream = io.BytesIO()
  Image.fromarray(np.arange(64, dtype=kind).reshape(8, 8)).save(stream, form)
  return stream.getvalue()


def cache(name, **arrays):
  """A data cache with checksums that are right, of arrays that may not be."""
  def change(folder):
    target = folder / 'data' / 'acai_tf' / name
    target.mkdir(parents=True)
    sums = {}
    for key, data in arrays.items():
      (target / f'{key}.npy').write_bytes(data)
      sums[f'{key}.npy'] = f'{zlib.crc32(data):08x} {len(data)}'
    (target / 'sums.json').write_text(json.dumps(sums))

  return change


def archive(arrays, compression=zipfile.ZIP_STORED):
  """A zip of dict: name -> bytes."""
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w', compression) as opened:
    for name, data in arrays.items():
      opened.writestr(name, data)
  return stream.getvalue()


# What a JSON file may hold instead of what it should.
NO_JSON = {
    'empty': b'', 'cut off': b'{"samples": 1', 'no UTF-8': b'\xff\xfe{}', 'zeros': bytes(100),
    'a list': b'[1]', 'a number': b'3', 'null': b'null', 'a text': b'"x"', 'NaN': b'{"samples": NaN}',
    'a million brackets': b'[' * 10**6, 'a key twice': b'{"samples": 1, "samples": 2}'}


def damaged(command, path, message, kinds=tuple(NO_JSON)) -> list:
  """A case for each kind of what is no JSON, a folder in the file's place, and one without the right to read it."""
  cases = [Case(command, message, put(path, NO_JSON[kind]), f'{path}: {kind}') for kind in kinds]
  return [*cases, Case(command, message, both(remove(path), lambda folder: (folder / path).mkdir()),
                       f'{path}: a folder'),
          Case(command, message, closed(path), f'{path}: no right to read', plain=True)]


def cases() -> list:
  """All of them."""
  return [*of_flags(), *of_values(), *of_paths(), *of_runs(), *of_folders(), *of_sentences(), *of_caches(),
          *of_arrays(), *of_modules(), *of_exports(), *of_zoo(), *of_calls()]


def of_flags() -> list:
  """Names, flags, and flags that do not apply."""
  return [
      Case('train', '--dataset is missing'),
      Case('train --dataset mnits', "did you mean 'mnist'"),
      Case('train --dataset ../lines', 'unknown data set'),
      Case('train --dataset lines --model acia', "did you mean 'acai'"),
      Case('train --dataset lines --model arae', 'is a model of sentences'),
      Case('train --dataset grammar --model acai', 'is a model of images'),
      Case('train --zoo lines_acia', "did you mean 'lines_acai'"),
      Case('train --zoo lines_acai --dataset lines', 'omit --dataset'),
      Case('train --dataset lines more', "unexpected argument 'more'"),
      Case('train --dataset lines --bacth 3', "'bacth'"),
      Case('train --dataset', 'Missing value'),
      Case('train --dataset lines --batch 0', '--batch'),
      Case('train --dataset lines --batch x', '--batch'),
      Case('train --dataset lines --batch 1.5', '--batch'),
      Case('train --dataset lines --batch', 'Missing value'),
      Case('train --dataset lines --latent -1', '--latent'),
      Case('train --dataset lines --seed -1', '--seed'),
      Case('train --dataset lines --recipe fats', '--recipe'),
      Case('train --dataset lines --strategy gpu', '--strategy'),
      Case('train --dataset lines --precision int8', '--precision'),
      Case(f'{PLAIN} --strategy multi_worker', 'TF_CONFIG is not set'),
      Case(f'{PLAIN} --strategy tpu', 'no TPU'),
      *(Case(PLAIN, 'TF_CONFIG', note=f'TF_CONFIG={text}', environment={'TF_CONFIG': text}) for text in (
          '{', '[]', '{}', '{"cluster": {"worker": ["a:1"]}}', '{"cluster": 3, "task": {"type": "worker", "index": 0}}',
          '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 2}}',
          '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": -3}}',
          '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": "0"}}',
          '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
          '{"cluster": {"worker": ["a:99999", "b:2"]}, "task": {"type": "worker", "index": 0}}',
          '{"cluster": {"worker": ["a:0", "b:2"]}, "task": {"type": "worker", "index": 0}}',
          '{"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}',
          '{"cluster": {"chief": ["a:1", "b:2"]}, "task": {"type": "chief", "index": 0}}', '[' * 20_000)),
      Case(f'{PLAIN} --set training.batch', 'SECTION.KEY=VALUE'),
      Case(f'{PLAIN} --set trainig.batch=3', "did you mean 'training'"),
      Case(f'{PLAIN} --set training.bacth=3', "did you mean 'batch'"),
      Case(f'{PLAIN} --set =', 'SECTION.KEY=VALUE'),
      Case(f'{PLAIN} --set training.recipe=fast', '--recipe'),
      Case(f'{PLAIN} --set model.lambda_=1', 'lambda_'),
      Case(f'{PLAIN} --set training.samples=128', 'samples'),
      Case(f'{PLAIN} --set training.batch=16', 'batch'),
      Case(f'{PLAIN} --set network.latent=3', 'latent'),
      Case(f'{PLAIN} --seed 1 --set training.seed=2', 'seed'),
      Case('train --dataset grammar --latent_width 2', 'latent_width'),
      Case('evaluate', 'expected one of --run'),
      Case('evaluate --run run --zoo lines_acai', 'expected one of --run'),
      Case('evaluate --run run --metrics qick', "did you mean 'quick'"),
      Case('evaluate --run run --metrics quick,all', 'metrics'),
      Case('evaluate --run run --metrics lines,', 'metrics'),
      Case('evaluate --run run --checkpoint first', '--checkpoint'),
      Case('evaluate --run run --restarts 0', '--restarts'),
      Case('evaluate --run run --train_images 3', '--train_images'),
      Case('evaluate --run run --dataset lines', '--dataset'),
      Case('evaluate --run run --set dataset.size=8', '--set'),
      Case('evaluate --run run --to other', '--to'),
      Case('evaluate --run run --features module', '--features'),
      Case('evaluate --run run --feature_size 32', '--feature_size'),
      Case('evaluate --run text_run --restarts 3', '--restarts'),
      Case('evaluate --run text_run --metrics lines', 'metrics'),
      Case('evaluate --zoo lines_acai --checkpoint best', '--checkpoint'),
      Case('evaluate --zoo lines_acai --weights raw', '--weights'),
      Case('evaluate --zoo lines_acia', "did you mean 'lines_acai'"),
      Case('evaluate --zoo lines_aeai', 'no weights'),
      Case('evaluate --interpolations lines.npy --dataset mnist', '--dataset'),
      Case('evaluate --interpolations lines.npy --to other', '--to'),
      Case('evaluate --interpolations lines.npy --metrics probe', '--metrics'),
      Case('evaluate --sentences sentences.txt', '--dataset is missing'),
      Case('evaluate --sentences sentences.txt --dataset lines', 'unknown data set'),
      Case('evaluate --sentences sentences.txt --dataset grammar --set training.batch=x', 'training'),
      Case('evaluate --sentences sentences.txt --dataset grammar --metrics all', '--metrics'),
      Case('evaluate --module module', '--dataset is missing'),
      Case('evaluate --module module --dataset mnits', "did you mean 'mnist'"),
      Case('evaluate --module module --dataset lines --set training.batch=x', 'training'),
      Case('evaluate --module module --dataset lines --weights raw', '--weights'),
      Case('export', '--run DIR and --to DIR'),
      Case('export --run run', '--to'),
      Case('export --run run --to other --formats tflite', 'unknown format'),
      Case('export --run text_run --to other --formats litert', 'takes no strings'),
      Case('export --run run --to other --weights mean', '--weights'),
      Case('zoo', 'no command'),
      Case('zoo lsit', "lsit"),
      Case('zoo list lines', 'expected'),
      Case('zoo list --dataset mnits', "did you mean 'mnist'"),
      Case('zoo list --model acia', "did you mean 'acai'"),
      Case('zoo list --seeds 3', '--seeds'),
      Case('zoo show', 'expected'),
      Case('zoo show lines_acia', "did you mean 'lines_acai'"),
      Case('zoo show lines_acai --samples 3', '--samples'),
      Case('zoo table', 'expected'),
      Case('zoo table lnes', "did you mean 'lines'"),
      Case('zoo table lines --format pdf', '--format'),
      Case('zoo table lines --format huggingface', '--format'),
      Case('zoo table lines --brief --all', 'are different tables'),
      Case('zoo table lines --metrics recon_msee', "did you mean 'recon_mse'"),
      Case('zoo table lines --recipe fast', '--recipe'),
      Case('zoo table lines_acia --ablation', "did you mean 'lines_acai'"),
      Case('zoo table lines_acai', 'unknown data set'),
      Case('zoo table svhn --brief', 'no results'),
      Case('zoo keep lines_acai', '--run is missing'),
      Case('zoo card lines_acai --format pdf', '--format'),
      Case('zoo card lines_acai --format html', '--format'),
      Case('zoo card lines_acai --format huggingface', '--owner'),
      Case('zoo card lines_aeai', 'no weights'),
      Case('zoo publish lines_acai', '--to kaggle'),
      Case('zoo publish lines_acai --to github --owner me', '--to kaggle'),
      Case('zoo publish lines_acai --to kaggle', '--owner'),
      Case('zoo reproduce lines_acia', "did you mean 'lines_acai'"),
      Case('zoo reproduce x*', 'definition'),
      Case('zoo reproduce lines_acai --seeds 0', '--seeds'),
      Case('zoo reproduce lines_acai --set training.seed=3', '--seeds'),
      Case('zoo reproduce lines_acai --set dataset.size=8', 'as in the definition'),
      Case('zoo reproduce lines_acai --set network.latent=3', 'as in the definition'),
      Case('zoo reproduce lines_acai --set model.lambda=3', "did you mean 'lambda_'"),
      Case('zoo gallery lines_acia --to other', "did you mean 'lines_acai'"),
      Case('demo', '--module DIR is missing'),
      Case('demo_text', '--module DIR is missing'),
  ]


def of_values() -> list:
  """Values that TensorFlow or NumPy would choke on, or train with."""
  models = ['acai --set model.lambda_=-1', 'acai --set model.gamma=1.5', 'acai --set model.partners=0',
            'acai --set model.lambda_=x', 'acai --set model.lambda_=nan', 'dropout --set model.keep=2',
            'dropout --set model.keep=0', 'denoising --set model.sigma=-1', 'vae --set model.beta=-1',
            'vqvae --set model.codes=0', 'vqvae --set model.codes=10**20', 'vqvae --set model.epsilon=1e-320',
            'vqvae --set model.decay=2', 'vqvae --set model.bottleneck=foo',
            'vqvae --set model.codebook=-1', 'aae --set model.units=-3', 'lrae --set model.interpolate=foo',
            'amr --set model.mixing=foo', 'amr --set model.parts=1', 'midrae --set model.target=foo',
            'arae_image --set model.encoder=foo', 'arae_image --set model.clip=0']
  datasets = ['size=0', 'size=-8', 'size=3', 'size=1048576', 'size=8.5', 'test_images=0', 'test_images=10**12',
              'test_seed=-5', 'drawing=foo', 'sise=8']
  training = ['samples=9**99999999', 'samples=0', 'samples=-3', 'samples=10**30', 'learning_rate=nan',
              'learning_rate=inf', 'learning_rate=1e400', 'learning_rate=-1', 'learning_rate=1e30', 'beta_1=1',
              'schedule=foo', 'warmup=10**9', 'warmup=65', 'keep=0', 'clipnorm=-1', 'average=1', 'floor=2',
              'evaluate_every=-1', 'final_evaluations=-1', 'epsilon=0', 'optimizer=rmsprop', 'seed=2**70']
  short = PLAIN.replace(' --samples 64', '')
  return [
      *(Case(f'{LINES} --model {text}', text.split('model.')[1].split('=')[0]) for text in models),
      *(Case(f'{PLAIN} --set dataset.{text}', 'memory' if '1048576' in text or '**' in text else text.split('=')[0])
        for text in datasets),
      *(Case(f'{short if "samples" in text else PLAIN} --set training.{text}',
             'diverged' if '1e30' in text else text.split('=')[0]) for text in training),
      Case(f'{PLAIN} --latent_width 3', 'widths that fit'),
      Case(f'{PLAIN} --latent_width 8', 'widths that fit'),
      Case(f'{PLAIN} --latent {10**12}', 'memory'),
      Case(f'{LINES} --model vqvae --set model.codes=10**15', 'memory'),
      Case(f'{PLAIN} --depth {10**9}', 'memory'),
      Case(f'{PLAIN} --batch {10**12}', 'memory'),
      Case(f'{PLAIN} --seed {10**30}', 'seed'),
      Case(f'{PLAIN} --set network.normalization=batch', 'normalization'),
      *(Case(f'{LINES} --batch 1 --model {model}', 'batch') for model in (
          'acai', 'aeai', 'amr', 'miae', 'midrae')),
      Case('train --dataset lines --model arae_image --batch 1', 'training.batch is 1'),
      Case(f'{TEXT} --dataset grammar --set dataset.count=5', 'count'),
      Case(f'{TEXT} --dataset grammar --set dataset.count=10**15', 'count'),
      Case(f'{TEXT} --dataset grammar --set dataset.draw_seed=-1', 'draw_seed'),
      Case(f'{TEXT} --dataset grammar --set dataset.test_part=train', 'test_part'),
      Case(f'{TEXT} --dataset grammar --precision mixed_bfloat16', 'precision'),
      Case(f'{TEXT} --dataset grammar --set network.embedding=10**12', 'memory'),
      Case(f'{TEXT} --dataset grammar --set model.noise=-1', 'noise'),
      Case(f'{TEXT} --dataset grammar --set network.start=foo', 'start'),
      Case(f'{TEXT} --model arae_transfer --dataset text --set dataset.path=sentences.txt', 'two'),
      Case(f'{TEXT} --model arae --dataset grammar --set model.queue=7', 'queue'),
      Case('evaluate --module module --dataset lines --set dataset.size=1048576', 'memory'),
      Case('evaluate --module module --dataset lines --set dataset.size=16', '8x8x1'),
  ]


def of_paths() -> list:
  """Places that are empty words, missing, of another kind or closed."""
  return [
      Case(f'{PLAIN} --run_dir=', '--run_dir is empty'),
      Case(f'{PLAIN} --set=', '--set'),
      Case(f'{PLAIN} --data_dir=', '--data_dir is empty'),
      Case(f'{PLAIN} --model=', '--model is empty'),
      Case(f'{PLAIN} --zoo=', '--zoo is empty'),
      Case('evaluate --run=', '--run is empty'),
      Case('evaluate --run run --metrics=', '--metrics is empty'),
      Case('evaluate --zoo lines_acai --to=', '--to is empty'),
      Case('export --run run --to=', '--to is empty'),
      Case('export --run run --to other --formats=', '--formats is empty'),
      Case('zoo table lines --results=', '--results is empty'),
      Case('zoo report --to=', '--to is empty'),
      Case(f'{PLAIN} --run_dir sentences.txt', 'cannot be written'),
      Case(f'{PLAIN} --run_dir sentences.txt/run', 'cannot be written'),
      Case(f'{PLAIN} --run_dir /proc/run', 'cannot be written'),
      Case(f'{PLAIN} --run_dir {"x" * 300}', 'File name too long'),
      Case(f'{PLAIN} --run_dir pictures/run', 'cannot be written', closed('pictures', 0o555), 'no right to write',
           plain=True),
      Case(f'{PLAIN} --run_dir run', 'cannot be written', closed('run', 0o555), 'no right to write', plain=True),
      Case(f'{PLAIN} --run_dir run', 'Permission denied', closed('run/checkpoints'), 'no right to read', plain=True),
      Case('evaluate --run nowhere', 'is not a run folder'),
      Case('evaluate --run sentences.txt', 'is not a run folder|cannot be read'),
      Case('evaluate --run pictures', 'is not a run folder'),
      Case('evaluate --run run', 'cannot be written', closed('run', 0o555), 'no right to write', plain=True),
      Case('evaluate --module module --dataset lines --metrics reconstruction --to sentences.txt', 'sentences.txt'),
      Case('evaluate --module module --dataset lines --metrics reconstruction --to /proc/x', '/proc/x'),
      Case('export --run run --to module', 'exists already'),
      Case('export --run nowhere --to other', 'is not a run folder'),
      Case('export --run run --to sentences.txt/other', 'cannot be written'),
      Case('export --run run --to /proc/other', 'cannot be written'),
      Case('export --run run --to pictures/other', 'cannot be written', closed('pictures', 0o555),
           'no right to write', plain=True),
      Case('train --dataset mnist --data_dir sentences.txt', 'sentences.txt'),
      Case('train --dataset mnist --data_dir data --manual_dir nowhere', 'lacks|nowhere'),
      Case('train --dataset mnist --data_dir data --manual_dir sentences.txt', 'lacks|sentences.txt'),
      Case('train --dataset mnist --data_dir data --manual_dir idx', 'could not be prepared'),
      Case('train --dataset binarized_mnist --data_dir data --manual_dir idx', 'could not be prepared',
           each('idx/*.gz', half), 'cut off'),
      Case('train --dataset svhn --data_dir data --manual_dir idx', 'lacks'),
      Case('train --dataset mnist --model arae_image --latent 7', 'network.latent does not apply to arae_image'),
      Case('train --dataset mnist --model arae_image --set network.depth=3', 'network.depth does not apply'),
      Case('train --dataset yelp', '--manual_dir'),
      Case('train --dataset yelp --manual_dir idx', 'no such file'),
      Case('zoo table lines --results nowhere', 'nowhere'),
      Case('zoo report --results nowhere', 'nowhere'),
      Case('zoo reproduce lines_autoencoder --results nowhere', 'nowhere'),
      Case('zoo keep lines_autoencoder --run run --results nowhere', 'nowhere'),
      Case('zoo report --to pictures', 'pictures'),
      Case('zoo report --to nowhere/report.html', 'nowhere'),
      Case('zoo card lines_autoencoder --to /dev/full', 'No space'),
      Case('zoo card lines_autoencoder --to pictures', 'pictures'),
      Case('zoo card lines_autoencoder --to nowhere/card.md', 'nowhere'),
      Case('zoo keep lines_autoencoder --run nowhere', 'is not a run folder'),
      Case('zoo gallery lines_autoencoder --to pictures', 'exists already'),
      Case('zoo gallery --to pictures --serve', 'exists already'),
      Case('zoo gallery lines_autoencoder --to other --run nowhere', 'is not a run folder'),
      Case('zoo gallery lines_autoencoder --to sentences.txt/other', 'cannot be written'),
      Case('zoo reproduce lines_autoencoder --weights sentences.txt', 'sentences.txt'),
      Case('demo --module nowhere', 'is not a module'),
      Case('demo --module module --picture pictures', 'pictures'),
  ]


def of_runs() -> list:
  """Run folders."""
  again, measure, last = f'{PLAIN} --run_dir run', 'evaluate --run run', 'run/checkpoints/last'

  def section(name, value):
    return alter('run/experiment.json', lambda found: {**found, name: value})

  def key(section, name, value):
    return alter('run/experiment.json', lambda found: {**found, section: {**found[section], name: value}})

  def row(path, **values):
    return alter(f'run/{path}', lambda found: {**found, **values})

  def second(path):
    def change(folder):
      text = (folder / path).read_text()
      (folder / path).write_text(text + text)

    return change

  def foreign(folder):
    for path in folder.glob('other_run/checkpoints/last/*'):
      shutil.copy(path, folder / last)

  def pipe(pattern):
    def change(folder):
      path = max(folder.glob(pattern), default=folder / pattern, key=os.path.getmtime)
      path.unlink(missing_ok=True)
      os.mkfifo(path)

    return change

  return [
      Case(again, 'lock is not a file', pipe('run/lock'), 'a pipe in place of lock'),
      *(Case(command, 'is not a file', pipe(f'{last}/*.{ending}'), f'a pipe in place of .{ending}')
        for command in (measure, again) for ending in ('index', 'data-*')),
      *damaged(measure, 'run/experiment.json', 'experiment.json'),
      *damaged(again, 'run/experiment.json', 'experiment.json', ('cut off', 'a list')),
      *damaged(again, 'run/history.jsonl', 'history.jsonl', [kind for kind in NO_JSON if kind != 'empty']),
      *damaged(again, 'run/origins.jsonl', 'origins.jsonl', [kind for kind in NO_JSON if kind != 'empty']),
      *(Case(measure, 'experiment.json', section(*change), f'experiment.json: {change[0]} {change[1]}') for change in (
          ('dataset_name', 3), ('dataset_name', 'lnes'), ('dataset_name', '../lines'), ('model_name', None),
          ('model_name', 'os'), ('network', []), ('training', 'x'), ('model', 3), ('dataset', None))),
      *(Case(measure, 'memory', key(*change), f'experiment.json: {".".join(map(str, change))}') for change in (
          ('dataset', 'size', 1 << 20), ('network', 'depth', 10**9))),
      *(Case(measure, 'experiment.json', key(*change), f'experiment.json: {".".join(map(str, change))}') for change in (
          ('network', 'depth', None), ('network', 'depth', True), ('network', 'depth', 'two'), ('network', 'depth', 0),
          ('network', 'latent_width', 3), ('training', 'batch', 1e400), ('training', 'more', 1),
          ('training', 'batch', -8), ('dataset', 'size', -8))),
      Case(measure, 'of another training', key('network', 'depth', 4), 'experiment.json: another depth'),
      Case(again, 'batch is', note='another batch there', change=key('training', 'batch', 16)),
      Case(f'{again} --seed 5', 'seed is'),
      Case(f'{again} --model acai', 'model'),
      Case(f'{again} --samples 8', 'trained for'),
      *(Case(again, 'history.jsonl', row('history.jsonl', **values), f'history.jsonl: {values}') for values in (
          {'samples': -1}, {'samples': None}, {'samples': '64'}, {'samples': 1.5}, {'samples': True}, {'seconds': -1},
          {'recon_mse': 'small'}, {'recon_mse': []}, {'samples': 10**9})),
      Case(again, 'history.jsonl', second('run/history.jsonl'), 'history.jsonl: rows twice'),
      Case(again, 'origins.jsonl', second('run/origins.jsonl'), 'origins.jsonl: rows twice'),
      Case(again, 'origins.jsonl', row('origins.jsonl', samples='x'), 'origins.jsonl: samples x'),
      Case(measure, 'has no last checkpoint', remove(f'{last}/*'), 'no checkpoint'),
      Case(f'{measure} --checkpoint best', 'has no best checkpoint', remove('run/checkpoints/best'), 'no best one'),
      Case(again, 'samples of training, but the latest complete checkpoint', remove(f'{last}/*'), 'no checkpoint'),
      *(Case(command, 'cannot be read', each(f'{last}/{pattern}', function), f'{pattern}: {function.__name__}')
        for command in (measure, again) for pattern in ('*.index', '*.data-*')
        for function in (half, flipped, bytes.swapcase)),
      Case(measure, 'cannot be read', each(f'{last}/*', lambda data: b''), 'checkpoints: empty'),
      Case(measure, 'has no last checkpoint', remove(f'{last}/*.index'), 'no index'),
      Case(measure, 'is not a file', both(remove(f'{last}/*.index'), lambda folder: [
          path.with_suffix('.index').mkdir() for path in (folder / last).glob('*.data*')]), 'an index: a folder'),
      Case(f'{measure} --to other', '--to'),
      Case(f'{again} --manual_dir idx', '--manual_dir does not apply to data set lines'),
      Case(f'{measure} --manual_dir idx', '--manual_dir does not apply to data set lines'),
      Case(f'{again} --data_dir other_run', 'of another training', foreign, "another run's checkpoints"),
      Case('evaluate --run run --data_dir other_run', 'of another training', foreign, "another run's checkpoints"),
      Case(measure, 'Permission denied', closed(last), 'checkpoints: no right to read', plain=True),
      Case(measure, 'Permission denied', lambda folder: [path.chmod(0) for path in (folder / last).glob('*.index')],
           'index: no right to read', plain=True),
      Case('evaluate --run text_run', 'vocabulary|cannot be read', each(
          'text_run/checkpoints/last/*.data-*', lambda data: data.replace(b'\0\0\0\0', b'\1\2\3\4')), 'words changed'),
      Case('export --run run --to other', 'cannot be read', each(f'{last}/*.data-*', half), 'checkpoints: cut off'),
      Case('export --run run --to other', 'experiment.json', put('run/experiment.json', '[]'),
           'experiment.json: a list'),
      Case('zoo gallery --run run --to other lines_autoencoder', 'experiment.json', put('run/experiment.json', '3'),
           'experiment.json: a number'),
  ]


def of_folders() -> list:
  """Folders of pictures."""
  use = f'{FOLDER} --set dataset.path=pictures'

  def broken(data):
    return lambda folder: [path.write_bytes(data) for path in list((folder / 'pictures').iterdir())[:10]]

  def move(folder):
    for name in ('train', 'test'):
      (folder / 'pictures' / name).mkdir()
    for i, path in enumerate(sorted((folder / 'pictures').glob('*.png'))):
      path.rename(path.parent / ('test' if i % 3 else 'train') / path.name)

  def odd(folder):
    pathlib.Path(os.fsdecode(os.fsencode(folder / 'pictures') + b'/\xff\xfe.png')).write_bytes(b'x')
    broken(b'')(folder)

  return [
      Case(FOLDER, 'dataset.path is missing'),
      Case(f'{FOLDER} --set dataset.path=nowhere', 'is not a folder'),
      Case(f'{FOLDER} --set dataset.path=sentences.txt', 'is not a folder'),
      Case(f'{FOLDER} --set dataset.path=module', 'has no .png'),
      Case(f'{FOLDER} --set dataset.path=/proc/self', 'is a link to a folder'),
      Case(use, 'is not a file', lambda folder: (folder / 'pictures/x.png').symlink_to('nowhere'), 'a dangling link'),
      Case(use, 'is not a file', lambda folder: os.mkfifo(folder / 'pictures/x.png'), 'a pipe'),
      Case(use, 'is not a file', lambda folder: (folder / 'pictures/x.png').mkdir(), 'a folder x.png'),
      Case(use, 'is not a file|cannot be', lambda folder: (folder / 'pictures/x.png').symlink_to('x.png'),
           'a ring of links'),
      Case(use, 'x.png is a link to a folder', lambda folder: (folder / 'pictures/x.png').symlink_to('.'),
           'a link to the folder itself'),
      Case(use, 'again is a link to a folder', both(
          move, lambda folder: (folder / 'pictures/train/again').symlink_to('..')), 'a link that leads back'),
      Case(use, '10 of 20', broken(picture('TIFF', 'int32')), 'TIFF of int32'),
      Case(use, '10 of 20', broken(picture('TIFF', 'float32')), 'TIFF of float32'),
      Case(use, '10 of 20.*13000x13000', broken(png(13_000, 13_000)), '169 million pixels'),
      Case(use, '10 of 20', broken(b''), 'empty pictures'),
      Case(use, '10 of 20', broken(b'GIF89a'), 'no pictures'),
      Case(use, '10 of 20', broken(png(2**30, 2**30)), 'bombs'),
      Case(use, '10 of 20', broken(png(50_000, 50_000)), 'bombs'),
      Case(use, '10 of 20', broken(png(100, 100)), 'pixels missing'),
      Case(use, 'of 21', odd, 'a name that is no UTF-8'),
      Case(use, 'of 20', lambda folder: [path.chmod(0) for path in list((folder / 'pictures').iterdir())[:10]],
           'no right to read', plain=True),
      Case(use, 'pictures', closed('pictures'), 'no right to read', plain=True),
      Case(use, 'beside train and test', both(move, lambda folder: (folder / 'pictures/x.png').touch()),
           'beside train and test'),
      Case(use, 'gives no (train|test) pictures', remove('pictures/1*.png', 'pictures/[2-9].png'), 'one picture'),
      Case(use, 'both in it and in subfolders', both(lambda folder: (folder / 'pictures/a').mkdir(), lambda folder: (
          shutil.copy(next((folder / 'pictures').glob('*.png')), folder / 'pictures/a/x.png'))), 'mixed'),
      Case(f'{use} --set dataset.size=1048576', 'memory'),
      Case(f'{use} --set dataset.channels=4', 'channels'),
      Case(f'{use} --set dataset.test_share=0', 'test_share'),
      Case(f'{use} --set dataset.test_share=1', 'test_share'),
      Case(f'{use} --set dataset.labels=3', 'labels'),
      Case(f'{FOLDER} --set dataset.path=pictures --data_dir sentences.txt', 'sentences.txt'),
      Case(f'{FOLDER} --set dataset.path=pictures --data_dir /proc', 'cannot|writable'),
  ]


def of_sentences() -> list:
  """Files of text."""
  use = f'{TEXT} --dataset text --set dataset.path=sentences.txt'
  score = 'evaluate --dataset grammar --sentences sentences.txt'
  paths = 'evaluate --dataset grammar --paths paths.txt'
  files = {'empty': (b'', 'no sentence'), 'blanks': (b'\n \n\t\n', 'no sentence'),
           'no UTF-8': (b'a cat\n\xff\xfe\n', 'not UTF-8'), 'UTF-16': ('a cat\n'.encode('utf-16'), 'not UTF-8'),
           'UTF-32': ('a cat\n'.encode('utf-32'), 'not UTF-8'),
           'UTF-32, no mark': ('a cat\n'.encode('utf-32-le'), 'UTF-32'),
           'too long': (b'a ' * 50 + b'\n', 'has 1 to'), 'one line': (b'a cat\n', 'too few'),
           'one line again and again': (b'a cat\n' * 100, 'too few')}
  return [
      Case(f'{TEXT} --dataset text', 'dataset.path is missing'),
      Case(f'{TEXT} --dataset text --set dataset.path=nowhere', 'is not a file'),
      Case(f'{TEXT} --dataset text --set dataset.path=pictures', 'is not a file'),
      Case(f'{TEXT} --dataset text --set dataset.path=/dev/zero', 'is not a file'),
      *(Case(use, message, put('sentences.txt', data), f'sentences.txt: {note}')
        for note, (data, message) in files.items()),
      Case(use, 'is not a file', both(remove('sentences.txt'), lambda folder: os.mkfifo(folder / 'sentences.txt')),
           'sentences.txt: a pipe'),
      Case(use, 'cannot be read', closed('sentences.txt'), 'sentences.txt: no right to read', plain=True),
      *(Case(f'{TEXT} --dataset text --set dataset.path=more.gz', 'cannot be read', put('more.gz', data),
             f'more.gz: {note}') for note, data in (
                 ('no gzip', b'a cat\n'), ('cut off', half(gzip.compress(b'a cat sees\n' * 100))),
                 ('a bit flipped', flipped(gzip.compress(b'a cat sees\n' * 100))))),
      Case(f'{use} --set dataset.labels=a,b', 'not a label, a tab'),
      Case(f'{use} --set dataset.labels=a,b', 'has the label', put('sentences.txt', 'c\ta cat\n' * 30)),
      Case(f'{use} --set dataset.held_out=nowhere', 'is not a file'),
      Case(f'{use} --set dataset.held_out=sentences.txt,sentences.txt', 'names 2 files'),
      Case(f'{use} --set dataset.words=0', 'words'),
      Case(f'{use} --set dataset.words=10**12', 'words'),
      Case(f'{use} --set dataset.longest=0', 'longest'),
      Case(f'{use} --set dataset.longest=10**9', 'longest'),
      Case(f'{use} --set dataset.split_seed=-1', 'split_seed'),
      *(Case(score, 'sentences.txt', put('sentences.txt', files[note][0]), f'sentences.txt: {note}')
        for note in ('empty', 'blanks', 'no UTF-8', 'UTF-16')),
      Case('evaluate --dataset grammar --sentences nowhere', 'nowhere'),
      Case('evaluate --dataset grammar --sentences pictures', 'pictures'),
      Case('evaluate --dataset grammar --paths nowhere', 'nowhere'),
      Case('evaluate --dataset grammar --paths pictures', 'pictures'),
      *(Case(paths, 'paths.txt', put('paths.txt', data), f'paths.txt: {note}') for note, data in (
          ('empty', b''), ('two sentences', b'a cat\ta dog\n'), ('uneven', b'a\tb\tc\na\tb\tc\td\n'),
          ('no UTF-8', b'\xff\tb\tc\n'))),
  ]


def of_caches() -> list:
  """Data caches whose checksums are right, as another version may have left them."""
  import numpy as np

  use = f'train --dataset mnist --model autoencoder --latent_width 2 --latent 2 --depth 2 {SMALL} --data_dir data'
  rng = np.random.default_rng(0)
  whole = {'train_images': array(rng.integers(256, size=[20, 32, 32, 1]), 'uint8'),
           'train_labels': array(np.arange(20) % 10, 'int32'),
           'test_images': array(rng.integers(256, size=[20, 32, 32, 1]), 'uint8'),
           'test_labels': array(np.arange(20) % 10, 'int32')}
  others = {
      'no labels': {'train_labels': None}, 'no test images': {'test_images': None},
      'another size': {'train_images': array(np.zeros([20, 28, 28, 1]), 'uint8')},
      'another rank': {'train_images': array(np.zeros([20, 32, 32]), 'uint8')},
      'floats': {'train_images': array(np.zeros([20, 32, 32, 1]))},
      'fewer labels': {'train_labels': array(np.zeros([3]), 'int32')},
      'labels out of range': {'train_labels': array(np.arange(20), 'int32')},
      'negative labels': {'test_labels': array(np.arange(20) - 1, 'int32')},
      'labels of another rank': {'train_labels': array(np.zeros([20, 7]), 'int32')},
      'labels as floats': {'train_labels': array(np.zeros([20]), 'float32')},
      'no images': {'train_images': array(np.zeros([0, 32, 32, 1]), 'uint8'), 'train_labels': array([], 'int32')},
      'a header of 16 TiB': {'train_images': npy((1 << 34, 32, 32, 1), '|u1')},
      'no header': {'train_images': b'x'}, 'an empty file': {'train_images': b''},
      'objects': {'train_images': npy((20, 32, 32, 1), '|O', b'cos\nsystem\n')}}
  return [Case(use, 'data cache|0 training', cache('mnist_pad2', **{
      key: data for key, data in {**whole, **changed}.items() if data is not None}), f'mnist_pad2: {note}')
          for note, changed in others.items()]


def of_arrays() -> list:
  """Interpolations of any program, and archives of weights."""
  import numpy as np

  use = 'evaluate --interpolations lines.npy'
  line = np.full([2, 3, 32, 32, 1], -1)
  files = {
      'empty': b'', 'text': b'hello', 'no array, a zip': archive({'a.npy': array([1])}), 'cut off': half(array(line)),
      'a header of 2**60 bytes': npy((1 << 20, 1 << 20, 32, 32, 1)), 'a negative shape': npy((-1, 3, 32, 32, 1)),
      'a header that is code': npy((), header='__import__("os").system("touch ran")'),
      'a header that is cut': b'\x93NUMPY\x01\x00\xff\xff{', 'a header of 4 GB': b'\x93NUMPY\x02\x00\xff\xff\xff\xff{',
      'a header of brackets': npy((), header='(' * 60000), 'version 9': b'\x93NUMPY\x09\x00\x10\x00' + bytes(16),
      'objects': npy((2,), '|O', b'cos\nsystem\n(S"touch ran"\ntR.'), 'texts': array([['a']], 'U1'),
      'complex numbers': array(line, 'complex64'), 'another rank': array(line[0]),
      'another size': array(line[..., :8, :]),
      'two images a path': array(line[:, :2]), 'no paths': array(line[:0]), 'NaN': array(np.full(line.shape, np.nan)),
      '[0, 255]': array(np.full(line.shape, 255)), '[0, 1]': array(np.full(line.shape, 0.5)),
      '[-1, 0]': array(np.where(np.arange(32)[:, None] == 5, 0, line)), 'background alone': array(line),
      'four bytes behind it': array(np.where(np.arange(32)[:, None] == 5, 1, line)) + b'1234',
      'a header of dicts': npy((), header='{1:' * 9000),
      'structures': array(np.zeros([2, 3, 32, 32, 1]), 'f4,f4')}
  code = 'python: from acai_tf.training import weights; weights.load("weights.npz")'
  about = array(np.frombuffer(b'{"experiment": {}, "samples": 3}', np.uint8), 'uint8')
  archives = {
      'empty': b'', 'text': b'hello', 'a bit flipped': flipped, 'cut off': half,
      'no about.json': archive({'a.npy': array([1])}),
      'about.json is no JSON': archive({'about.json.npy': array(np.frombuffer(b'{', np.uint8), 'uint8')}),
      'about.json is a list': archive({'about.json.npy': array(np.frombuffer(b'[]', np.uint8), 'uint8')}),
      'an experiment of nothing': archive({'about.json.npy': about}),
      'compressed': archive({'about.json.npy': about}, zipfile.ZIP_DEFLATED),
      'a bomb': archive({'about.json.npy': about, 'a.npy': bytes(10**7)}, zipfile.ZIP_DEFLATED),
      'a header of 16 TiB': archive({'about.json.npy': about, 'a.npy': npy((1 << 44,))}),
      'objects': archive({'about.json.npy': about, 'a.npy': npy((2,), '|O', b'cos\nsystem\n')}),
      'a way out': archive({'about.json.npy': about, '../../out.npy': array([1])})}
  return [
      Case('evaluate --interpolations nowhere.npy', 'nowhere.npy'),
      Case('evaluate --interpolations pictures', 'pictures'),
      Case('evaluate --interpolations /dev/zero', '/dev/zero'),
      *(Case(use, 'lines.npy', put('lines.npy', data), f'lines.npy: {note}') for note, data in files.items()),
      Case(use, 'lines.npy', closed('lines.npy'), 'lines.npy: no right to read', plain=True),
      *(Case(code, 'weights.npz', each('weights.npz', data) if callable(data) else put('weights.npz', data),
             f'weights.npz: {note}') for note, data in archives.items()),
      Case('zoo gallery lines_autoencoder --weights weights --to other', 'sha256', each('weights/*.npz', flipped),
           'a bit flipped'),
      Case('zoo gallery lines_autoencoder --weights weights --to other', 'bytes', each('weights/*.npz', half),
           'cut off'),
  ]


def of_modules() -> list:
  """Exported modules and networks of features."""
  use, about = 'evaluate --module module --dataset lines --set dataset.size=8 --metrics reconstruction', 'training.json'
  text = 'evaluate --module text_module --dataset grammar --metrics reconstruction'
  return [
      Case('evaluate --module nowhere --dataset lines', 'cannot be loaded'),
      Case('evaluate --module pictures --dataset lines', 'cannot be loaded'),
      Case('evaluate --module sentences.txt --dataset lines', 'cannot be loaded|cannot be read'),
      Case('evaluate --module http://127.0.0.1:9/x --dataset lines', 'is at an address'),
      Case('evaluate --module https://nowhere.invalid/x --dataset lines', 'is at an address'),
      Case('evaluate --module text_module --dataset lines', 'cannot be loaded'),
      Case('evaluate --module module --dataset grammar', 'cannot be loaded'),
      Case('evaluate --module module --dataset lines', '8x8x1'),
      *damaged(use, f'module/{about}', about),
      Case(use, about, alter(f'module/{about}', lambda card: {**card, 'samples': -1}), f'{about}: samples -1'),
      Case(use, about, alter(f'module/{about}', lambda card: {**card, 'experiment': 3}), f'{about}: experiment 3'),
      Case('demo --module module', about, put(f'module/{about}', 'x'), f'{about}: x'),
      Case(use, 'cannot be loaded', put('module/saved_model.pb', b''), 'saved_model.pb: empty'),
      Case(use, 'cannot be loaded', put('module/saved_model.pb', b'x' * 100), 'saved_model.pb: text'),
      Case(use, 'cannot be loaded', each('module/saved_model.pb', half), 'saved_model.pb: cut off'),
      Case(use, 'cannot be loaded', remove('module/saved_model.pb'), 'no saved_model.pb'),
      Case(use, 'cannot be loaded', remove('module/variables'), 'no variables'),
      Case(use, 'cannot be loaded', remove('module/variables/*.index'), 'no index of variables'),
      *(Case(use, 'cannot be loaded', each(f'module/variables/{pattern}', function),
             f'{pattern}: {function.__name__}') for pattern in ('*.index', '*.data-*') for function in (half, flipped)),
      Case(text, 'cannot be loaded', each('text_module/variables/*.data-*', half), '*.data-*: half'),
      Case(use, 'cannot be loaded', closed('module/saved_model.pb'), 'saved_model.pb: no right to read', plain=True),
      Case('evaluate --run run --metrics quality --features nowhere', 'nowhere'),
      Case('evaluate --run run --metrics quality --features module', 'module'),
      Case('evaluate --run run --metrics quality --features pictures', 'pictures'),
      Case('evaluate --run run --metrics quality --data_dir data', 'feature network', lambda folder: _features(folder),
           'a damaged feature network'),
  ]


def _features(folder):
  """Damages the feature network of the run's data set, in `data`."""
  code = ("from acai_tf.evaluation import feature_network; from acai_tf.training import build; from acai_tf.experiment "
          "import run; experiment = run.Run('run').experiment(); print(feature_network.path_of("
          "build.load_data(experiment), 'lines', 'data'))")
  done = subprocess.run([sys.executable, '-c', code], cwd=folder, capture_output=True, text=True, check=True)
  put(done.stdout.splitlines()[-1], b'no zip')(folder)


def of_exports() -> list:
  """`zoo`'s handles and what an export leaves."""
  return [
      Case('python: import zoo; zoo.load("lines_acia")', "did you mean 'lines_acai'"),
      Case('python: import zoo; zoo.load("lines_aeai")', 'no weights'),
      Case('python: import zoo; zoo.load("lines_acai", "float8")', 'precision'),
      Case('python: import zoo; zoo.handle("lines_acia")', "did you mean 'lines_acai'"),
      Case('python: import zoo; zoo.handle("lines_autoencoder")', 'cannot be written',
           environment={'ACAI_TF_CACHE': '/proc/cache'}),
      Case('python: from zoo import _weights; _weights.load("lines_autoencoder", folder="pictures")', 'ACAI_TF_ZOO'),
      Case('python: from zoo import _weights; _weights.load("lines_autoencoder", folder="pictures")', 'ACAI_TF_ZOO',
           environment={'ACAI_TF_ZOO': 'pictures', 'ACAI_TF_CACHE': 'cache'}),
      Case('python: from zoo import _weights; _weights.load("lines_autoencoder", folder="pictures")', 'ACAI_TF_ZOO',
           environment={'ACAI_TF_ZOO': 'http://127.0.0.1:9', 'ACAI_TF_CACHE': 'cache'}),
      Case('python: from zoo import _weights; _weights.load("lines_autoencoder", folder="pictures")', 'ACAI_TF_ZOO',
           both(lambda folder: (folder / 'mirror').mkdir(), put('mirror/lines_autoencoder.npz', b'x')),
           'a mirror with another file', environment={'ACAI_TF_ZOO': 'mirror', 'ACAI_TF_CACHE': 'cache'}),
      Case('python: from export import layer; layer.ModuleLayer("nowhere")', 'cannot be loaded'),
      Case('python: from export import layer; layer.ModuleLayer("module", "foo")', "has no 'foo'"),
  ]


def of_zoo() -> list:
  """Result files."""
  use, path = 'zoo table lines --results results', 'results/lines_autoencoder.json'
  gather = ('python: from acai_tf.experiment.run import Run; from zoo import _reproduce, base; '
            '_reproduce.gather(Run("run"), base.definition("lines_autoencoder"), "results")')

  def run(**values):
    return alter(path, lambda found: {**found, 'runs': [{**found['runs'][0], **values}, *found['runs'][1:]]})

  def deeper(section, **values):
    return alter(path, lambda found: {**found, 'runs': [
        {**found['runs'][0], section: {**found['runs'][0][section], **values}}]})

  changes = {
      **{f'{key} {value}': run(**{key: value}) for key, value in (
          ('samples', -1), ('samples', None), ('samples', '64'), ('samples', 1.5), ('samples', True), ('metrics', []),
          ('metrics', None), ('medians', 3), ('curves', 3), ('history', {}), ('history', [3]), ('experiment', None),
          ('weights', 'mean'), ('train_seconds', 'x'), ('kept', 3), ('kept', {'file': '../x.npz'}))},
      'a figure that is text': deeper('metrics', recon_mse='small'),
      'a figure that is a list': deeper('metrics', recon_mse=[1]),
      'a figure that is true': deeper('metrics', recon_mse=True),
      **{f'{name} {value}': deeper('metrics', **{name: value}) for name, value in (
          ('mean_distance', -1), ('probe_accuracy', 7), ('ssim', -5), ('recon_mse', 10**400), ('psnr', 10**400))},
      'a negative figure of the history': run(history=[{'samples': 64, 'recon_mse': -1}]),
      'a size below 1': run(kept={'file': 'x.npz', 'sha256': 'a' * 64, 'bytes': -1}),
      'weights of all runs': alter(path, lambda found: {**found, 'runs': [
          {**one, 'kept': {'file': 'x.npz', 'sha256': 'a' * 64, 'bytes': 3}} for one in found['runs']]}),
      "another definition's runs": put(path, (ZOO / 'results/lines_vae.json').read_text().replace(
          '"definition": "lines_vae"', '"definition": "lines_autoencoder"')),
      'a curve that is text': deeper('curves', alpha='x'),
      'a curve of texts': deeper('curves', alpha=['x']),
      'runs twice': alter(path, lambda found: {**found, 'runs': found['runs'] * 2}),
      'no runs': alter(path, lambda found: {'definition': found['definition']}),
      'runs of numbers': alter(path, lambda found: {**found, 'runs': [1, 2]}),
      "another definition's": alter(path, lambda found: {**found, 'definition': 'lines_acai'}),
      'an unknown model': deeper('experiment', model_name='acia'),
      'an unknown key': deeper('experiment', training={'batch': 3})}
  return [
      *damaged(use, path, 'lines_autoencoder.json'),
      *(Case(use, 'lines_autoencoder.json', change, f'lines_autoencoder.json: {note}')
        for note, change in changes.items()),
      Case('zoo report --results results --to other.html', 'lines_autoencoder.json', put(path, '{'), 'cut off'),
      Case('zoo keep lines_autoencoder --run run --results results --weights weights', 'is not the run'),
      Case(gather, 'lines_autoencoder'),
      *(Case(gather, 'metrics.json', put('run/metrics.json', NO_JSON[kind]), f'metrics.json: {kind}')
        for kind in ('cut off', 'a list', 'NaN', 'a million brackets')),
  ]


def of_calls() -> list:
  """Calls of the library."""
  fit = {  # arguments of fit -> what the message must match
      'images[:, :4]': 'shape', 'images[..., 0]': 'shape', 'np.repeat(images, 3, 3)': 'shape', 'images[0]': 'shape',
      'rng.uniform(-1, 1, [8, 28, 28, 1])': 'shape', 'images * 255': r'\[-1, 1\]', 'images + 2': r'\[-1, 1\]',
      'np.where(images > 0, np.nan, images)': 'NaN|finite', 'np.full_like(images, np.inf)': 'finite|inf',
      'np.uint8(images * 100 + 100)': 'uint8|type|float', 'images > 0': 'bool|type|float',
      'images[:0]': 'nothing', 'images, labels + 3': 'label', 'images, labels - 1': 'label',
      'images, labels + 0.5': 'label', 'images, np.eye(3)[labels]': 'label',
      'images, np.eye(3, dtype=int)[labels][:, :2]': 'label',
      'images, labels[:4]': 'cardinality|size|label', 'images, np.array(["a"] * 8)': 'label',
      'images, labels, sample_weight=np.ones(8)': 'sample_weight',
      'images, labels, class_weight={0: 2.0}': 'class_weight',
      'images, labels, validation_data=(images * 9, labels)': r'\[-1, 1\]',
      'images, labels, validation_data=(images, labels + 3)': 'label'}
  pair = {  # arguments of interpolate
      'images, images, 1.5': 'alpha', 'images, images, -0.1': 'alpha', 'images, images, float("nan")': 'alpha',
      'images, images, np.linspace(0, 1, 3)': 'alpha', 'images, images, np.full([8, 1], 0.5)': 'alpha',
      'images, images, np.full([8], np.nan)': 'alpha', 'images, images, "half"': 'alpha',
      'images, images, None': 'alpha|None',
      'images, images[:4], 0.5': 'images', 'images[:, :4], images[:, :4], 0.5': 'shape',
      'images, images, 0.5, path="curved"': 'path', 'np.uint8(images), np.uint8(images), 0.5': 'uint8|type|float'}
  uint8 = 'np.uint8(images * 100 + 100)'
  return [
      *(Case(f'python: made().fit({text}, verbose=0)', message) for text, message in fit.items()),
      *(Case(f'python: made({name!r}).fit(images * 255, labels, verbose=0)', r'\[-1, 1\]') for name in (
          'vae', 'vqvae', 'arae_image', 'denoising')),
      *(Case(f'python: made().{name}(images * 255, labels{quiet})', r'\[-1, 1\]') for name, quiet in (
          ('evaluate', ', verbose=0'), ('train_on_batch', ''), ('test_on_batch', ''))),
      Case('python: made().predict(images * 255, verbose=0)', r'\[-1, 1\]'),
      Case('python: made().predict(images[:, :4], verbose=0)', 'shape'),
      Case(f'python: made().predict({uint8}, verbose=0)', 'uint8|type|float'),
      Case('python: made().fit(batches(images[:, :4]), verbose=0)', 'shape'),
      Case('python: made().fit(batches((images, labels + 0.5)), verbose=0)', 'label'),
      Case('python: made().compile(loss="mse")', 'loss'),
      Case('python: made().compile(metrics=["mae"])', 'metrics'),
      Case('python: made().compile("adam")', 'optimizer'),
      Case('python: made().compile(clipnorm=-1.0)', 'clipnorm'),
      Case('python: made(compiled=False).fit(images, labels, verbose=0)', 'compile'),
      *(Case(f'python: made().interpolate({text})', message) for text, message in pair.items()),
      Case('python: made("vqvae").interpolate(images, images, 0.5, path="geodesic")', 'geodesic'),
      *(Case(f'python: made({name!r}).encode(images[:, :4])', 'shape') for name in (
          'acai', 'vae', 'vqvae', 'arae_image')),
      Case('python: made().encode(rng.uniform(-1, 1, [2, 28, 28, 1]))', 'shape'),
      Case('python: made().encode(images[0])', 'shape'),
      Case(f'python: made().encode({uint8})', 'uint8|type|float'),
      Case('python: made()(images[:, :4])', 'shape'),
      Case('python: made().represent(images[:, :4])', 'shape'),
      *(Case(f'python: made({name!r}).decode(np.zeros([2, 3, 3, 2], np.float32))', 'shape')
        for name in ('acai', 'vae', 'vqvae', 'arae_image')),
      Case('python: made().decode(np.zeros([2, 8], np.float32))', 'shape'),
      *(Case(f'python: made().fit({text}, verbose=0)', message) for text, message in (
          ('{"x": images}', 'x is a dict'), ('(images, labels)', 'x is a tuple'), ('[images]', 'x is a list'),
          ('None', 'x is a NoneType'), ('"images"', 'x is a str'), ('images, list(labels)', 'labels are a list'),
          ('images.astype("datetime64[s]")', 'images are datetime64'),
          ('images, labels.astype("datetime64[s]")', 'labels are datetime64'),
          ('images, labels, batch_size=1.5', 'batch_size'), ('images, labels, batch_size=0', 'batch_size'),
          ('batches({"image": images})', 'a batch holds a dict'),
          ('batches((images, labels + 3)), shuffle=False', 'a label is'),
          ('batches((images, labels - 3)), shuffle=False', 'a label is'))),
      *(Case(f'python: made("vae").{name}({text})', 'expected') for name in ('encode', 'decode', 'represent')
        for text in ('{"x": images}', 'None', '"x"', 'images[:0]', 'np.zeros([0, 2, 2, 2], np.float32)',
          'images.astype("datetime64[s]")', '[images]')),
      *(Case(f'python: made("vae").predict({text}, verbose=0)', 'expected') for text in (
          '{"x": images}', '[images]', 'None', 'images, 1.5')),
      *(Case(f'python: made("vae").sample({text})', message) for text, message in (
          ('2.5', 'count'), ('10**12', 'memory'), ('10**400', 'count'), ('"a"', 'count'), ('None', 'count'),
          ('2, 1.5', 'seed'), ('2, 2**70', 'seed'))),
      Case('python: from acai_tf.models import aae, acai; from acai_tf.experiment.config import Network; '
           'aae.Model(acai.Config(), Network(), (32, 32, 1))', 'config of aae'),
      Case('python: from acai_tf.models import aae; from acai_tf.experiment.config import Network; '
           'aae.Model(aae.Config(), Network(depth=10**6), (32, 32, 1))', 'memory'),
      Case('python: from acai_tf.models import aae; from acai_tf.experiment.config import Network; '
           'aae.Model(aae.Config(), Network(), (32, 32))', 'shape of aae'),
      Case('python: from acai_tf import vocabulary; vocabulary.Vocabulary([], 4)', 'no words'),
      Case('python: import zoo; zoo.load(["lines_acai"])', 'is a list'),
      Case('python: made().sample(3)', 'no prior'),
      Case('python: made("vae").sample(-3)', 'count'),
      *(Case(f'python: from acai_tf.models import {name}; {name}.Config({text})', text.split('=')[0])
        for name, text in (
          ('dropout', 'keep=2'), ('denoising', 'sigma=-1'), ('vqvae', 'codes=0'), ('aae', 'units=-3'),
          ('acai', 'gamma=1.5'), ('vae', 'beta=float("nan")'), ('amr', 'mixing="foo"'), ('vqvae', 'decay=2'),
          ('acai', 'partners=1.5'), ('acai', 'lambda_="1"'))),
      Case('python: from acai_tf.experiment import config; config.Network(latent_width=0)', 'latent_width'),
      Case('python: from acai_tf.experiment import config; config.Training(batch=0)', 'batch'),
      Case('python: from acai_tf.experiment import config; config.Training(warmup=65, samples=64)', 'warmup'),
      Case('python: from acai_tf.data import lines; lines.load(lines.Config(test_seed=-5))', 'test_seed'),
      Case('python: from acai_tf.data import lines; lines.load(lines.Config(size=1 << 20))', 'memory|size'),
      Case('python: from acai_tf.data import lines; lines.render([0.5], 0)', 'size'),
      Case('python: from acai_tf.data import lines; lines.render([float("nan")])', 'angle'),
      Case('python: from acai_tf.experiment.resolve import resolve; resolve("lines", "acai", "fats")', 'fast'),
      Case('python: text().fit(np.zeros([4, 7], int), verbose=0)', 'shape'),
      Case('python: text().fit(np.full([4, 5], 99), verbose=0)', '99|12|ids'),
      Case('python: text().fit(np.zeros([4, 5]), verbose=0)', 'type|float|int'),
      Case('python: text().fit(np.array([["a cat"]]), verbose=0)', 'type|ids|string'),
      Case('python: text().encode(["a cat"])', 'ids'),
      Case('python: text().decode(np.zeros([2, 7], np.float32))', 'shape'),
      Case('python: from acai_tf import vocabulary; vocabulary.Vocabulary(["a", "a"], 4)', 'twice|duplicate|repeated'),
  ]


# The campaign.


def good(folder, ask) -> None:
  """Makes what is damaged later; `ask(command, name)` runs a program in `folder`."""
  import numpy as np
  from PIL import Image

  rng = np.random.default_rng(0)
  (folder / 'pictures').mkdir()
  for i in range(20):
    Image.fromarray(np.uint8(rng.integers(256, size=[8, 8, 3]))).save(folder / 'pictures' / f'{i}.png')
  words = ('the', 'a'), ('cat', 'dog', 'owl', 'fox'), ('sees', 'likes'), ('the', 'a'), ('cat', 'dog', 'fish')
  sentences = [' '.join(column[i // 3**k % len(column)] for k, column in enumerate(words)) for i in range(200)]
  (folder / 'sentences.txt').write_text('\n'.join(sentences) + '\n')
  (folder / 'paths.txt').write_text('a cat\ta dog\ta fox\n' * 3)
  np.save(folder / 'lines.npy', np.full([2, 3, 32, 32, 1], -1, np.float32))
  (folder / 'data').mkdir()
  (folder / 'idx').mkdir()
  for name in ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte',
               't10k-labels-idx1-ubyte'):
    (folder / 'idx' / f'{name}.gz').write_bytes(gzip.compress(b'\0\0\x08\x03' + bytes(100)))
  for part, ending in (('results', 'json'), ('weights', 'npz')):
    (folder / part).mkdir()
    shutil.copy(ZOO / part / f'lines_autoencoder.{ending}', folder / part)
  shutil.copy(ZOO / 'weights' / 'lines_autoencoder.npz', folder / 'weights.npz')
  for command in (f'{PLAIN} --run_dir run', f'{PLAIN} --run_dir other_run --seed 5',
                  f'{TEXT} --dataset grammar --set dataset.count=400 --run_dir text_run',
                  'export --run run --to module', 'export --run text_run --to text_module'):
    status, _, _, errors = ask(Case(command, ''), folder)
    if status:
      raise SystemExit(f'{command} ended with {status}: {errors[-2000:]}')


def sums(folder) -> dict[str, str]:
  """Dict: path -> what it is and the SHA-256 of what it holds."""
  found = {}
  for path in sorted(folder.rglob('*')):
    name = os.fsencode(path.relative_to(folder)).decode(errors='replace')
    if path.is_symlink():
      found[name] = f'link {os.readlink(path)}'
    elif path.is_file():
      found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    else:
      found[name] = 'folder' if path.is_dir() else 'other'
  return found


class Campaign:
  """Runs cases; `only`: a text that a case's words must have."""

  def __init__(self, scratch):
    self.scratch = pathlib.Path(scratch)
    self.folder = self.scratch / 'good'
    self.server = subprocess.Popen([sys.executable, __file__, '--serve'], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
    self.folder.mkdir()
    good(self.folder, self.ask)

  def ask(self, case, folder) -> tuple:
    """(exit status, seconds of processor time, standard output, standard error) of a case in a fork."""
    files = {name: str(self.scratch / name) for name in ('output', 'errors')}
    for path in files.values():
      pathlib.Path(path).write_text('')
    request = {'command': case.command, 'folder': str(folder), 'environment': case.environment, 'plain': case.plain,
               **files}
    self.server.stdin.write(json.dumps(request) + '\n')
    self.server.stdin.flush()
    status, seconds = json.loads(self.server.stdout.readline())
    return status, seconds, *(pathlib.Path(path).read_text(errors='replace') for path in files.values())

  def real(self, case, folder) -> tuple:
    """As `ask`, in a process started from nothing."""
    program, *words = case.command.split(' ')
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, '-m', PROGRAMS[program], *words], cwd=folder, capture_output=True,
                          text=True, env={**os.environ, **case.environment}, stdin=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.returncode, seconds, done.stdout, done.stderr

  def prepared(self, case, name) -> pathlib.Path:
    """A fresh folder with copies of the good files that the case names, damaged."""
    folder = self.scratch / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in self.folder.iterdir():
      if re.search(rf'(?<![\w-]){re.escape(path.name)}(?![\w=-])', case.command):
        (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
    if case.change:
      case.change(folder)
    return folder

  def judged(self, case, run, name='case') -> tuple[str, list[str], tuple]:
    """(the message, what is not as it must be, status and message without numbers, as of memory that is free)."""
    folder = self.prepared(case, name)
    before = sums(folder)
    status, seconds, output, errors = run(case, folder)
    lines, after = [line for line in errors.splitlines() if line.strip() and not PROGRESS.search(line)], sums(folder)
    message = lines[-1] if lines else (output.splitlines() or [''])[-1]
    lost = [path for path, value in before.items() if after.get(path) != value]
    left = [path for path in after if '.part' in path]
    wrong = [text for text, bad in (
        (f'exit status {status}', status not in (1, 2)),
        (f'{len(lines)} lines', len(lines) != 1 or not message.startswith('error: ')),
        ('a traceback', 'Traceback' in errors + output), (f'{seconds:.1f} s', seconds > SECONDS),
        (f'not about {case.message}', not re.search(case.message, message)), ('long', len(message) > 700),
        (f'changed {", ".join(lost)[:100]}', lost), (f'left {", ".join(left)[:100]}', left)) if bad]
    return message, wrong, (status, [re.sub(r'\d[\d.,]*', '#', line) for line in lines])


def main() -> None:
  """Runs the campaign."""
  only = sys.argv[sys.argv.index('--only') + 1] if '--only' in sys.argv else ''
  began, bad, processes = time.monotonic(), 0, 0
  with tempfile.TemporaryDirectory() as scratch:
    campaign = Campaign(scratch)
    chosen = [case for case in cases() if only in case.command + case.note]
    for number, case in enumerate(chosen):
      message, wrong, said = campaign.judged(case, campaign.ask)
      if number % REAL == 0 and case.command.split()[0] in PROGRAMS and not case.plain:
        processes += 1
        _, other, also = campaign.judged(case, campaign.real)
        if not wrong and (other or said != also):
          wrong = ['a real process: ' + ('; '.join(other) or str(also))]
      bad += bool(wrong)
      note = f'  [{case.note}]' if case.note else ''
      print(f'{number:3} {"NOT OK: " + "; ".join(wrong) if wrong else "ok"}\n    {shown(case.command)}{note}\n'
            f'      {message[:1000]}', flush=True)
    campaign.server.stdin.close()
    campaign.server.wait()
  print(f'{len(chosen)} cases, {processes} of them in processes of their own, too; {len(chosen) - bad} ok, {bad} not; '
        f'{time.monotonic() - began:.0f} s')
  sys.exit(bool(bad))


def shown(command) -> str:
  """A command without the settings that make its training small."""
  for name in ('PLAIN', 'LINES', 'TEXT', 'FOLDER', 'SMALL'):
    command = command.replace(globals()[name], name)
  return command.replace('\n', '; ')


if __name__ == '__main__':
  asked = serve() if '--serve' in sys.argv else None
  if asked:
    become(asked)
    if asked['command'].startswith('python: '):
      call(asked['command'].removeprefix('python: '))
    else:
      program, *words = asked['command'].split(' ')
      sys.argv = ['', *words]
      runpy.run_module(PROGRAMS[program], run_name='__main__', alter_sys=True)
  elif '--serve' not in sys.argv:
    main()
