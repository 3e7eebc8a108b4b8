"""Installs acai_tf as a newcomer does and runs what README and docs/ print: `python benchmarks/newcomer.py`.

It clones the checkout's last commit and makes two empty environments: one with the wheel, one with an editable
installation. In a folder elsewhere, which holds a zoo.py and an export.py of the user's, it runs the commands and the
Python of the pages, with trainings shortened to a few hundred samples. What it skips, it prints with the reason. It
needs the package registry, and takes about ten minutes on two cores.
"""

import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags
from PIL import Image

FLAGS = flags.FLAGS
flags.DEFINE_list('pages', [], 'Only these pages, such as README.md,docs/modules.md')
flags.DEFINE_string('keep', None, 'New folder to work in, which is kept')

ROOT = pathlib.Path(__file__).parents[1]
BLOCK = re.compile(r'^```(sh|python)\n(.*?)^```$', re.M | re.S)
SAMPLES = 512  # of each training
# Commands that are not run, and why.
SKIPPED = {
    r'^make ': 'the continuous integration runs it',
    r'acai (train|evaluate) .*(--dataset|--zoo) (mnist|svhn)': 'it downloads a data set',
    r'gallery': 'it downloads ONNX Runtime Web (33 MB)',
    r'--yes': 'it uploads',
    r'--format huggingface': 'it replaces README.md',
    r'^pip install|^export ': 'it changes the environment',
    r'^saved_model_cli|^tensorflow_model_server|^curl': 'a program of others, on files of the reader',
}


def commands_of(block) -> list[str]:
  """The commands of a block. Lines that end with a backslash or within quotes belong to the next one."""
  commands, begun = [], ''
  for line in re.sub(r'\\\n\s*', '', block).splitlines():
    begun += line
    try:
      shlex.split(begun)
    except ValueError:  # a quotation without its end
      begun += '\n'
    else:
      commands.append(begun)
      begun = ''
  return [command for command in commands if command.strip()]


def shortened(command) -> str:
  """The command with few samples. A module that an earlier page exported is replaced."""
  command = re.sub(r'--samples \d+', f'--samples {SAMPLES}', command)
  if 'acai train' in command and '--samples' not in command:
    command = command.replace('acai train', f'acai train --samples {SAMPLES}')
  if 'acai zoo reproduce' in command:
    command += ' --plan'
  if made := re.match(r'acai export .*--to (\S+)', command):
    command = f'rm -rf {made[1]}\n{command}'
  return command


def prepare(folder) -> None:
  """Writes the files that the pages name."""
  for name in ('zoo', 'export'):
    (folder / f'{name}.py').write_text(f'raise SystemExit("{name}.py of the user was imported")\n')
  (folder / 'PICTURES').mkdir()
  pixels = np.random.default_rng(0)
  for i in range(40):
    Image.fromarray(pixels.integers(256, size=[40, 40, 3], dtype=np.uint8)).save(folder / f'PICTURES/{i}.png')
  words = [f'{a} and {b} .' for a in range(20) for b in range(20)]
  for name in ('first.png', 'second.png'):
    Image.fromarray(pixels.integers(256, size=[28, 28], dtype=np.uint8)).save(folder / name)
  (folder / 'SENTENCES.txt').write_text('\n'.join(words))
  (folder / 'SAMPLES.txt').write_text('\n'.join(words[:200]))
  (folder / 'PATHS.tsv').write_text('\n'.join('\t'.join(words[i:i + 5]) for i in range(50)))
  images = -np.ones([4, 16, 32, 32, 1], np.float32)
  images[:, :, :16, 15:17] = 1  # a line upwards
  np.save(folder / 'file.npy', images)


class Environment:
  """A virtual environment and a working folder. `failures` is the number of commands that failed."""

  def __init__(self, name, folder, options):
    self.name, self.work, self.failures = name, folder / f'work_{name}', 0
    self.binaries = folder / f'venv_{name}' / 'bin'
    self.work.mkdir()
    prepare(self.work)
    subprocess.run([sys.executable, '-m', 'venv', self.binaries.parent], check=True)
    self.run('install', f'pip install --quiet --constraint {ROOT}/requirements.txt {options}')
    self.run('acai --version', 'acai --version && python -m acai_tf zoo list --pretrained')

  def run(self, what, script):
    """Runs a script of bash with the programs of the environment; prints what, the status and the seconds."""
    begun = time.monotonic()
    done = subprocess.run(
        ['bash', '-ec', script], cwd=self.work, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={'PATH': f'{self.binaries}:/usr/bin:/bin', 'HOME': str(self.work), 'TF_CPP_MIN_LOG_LEVEL': '3'})
    failed = done.returncode != 0 or 'of the user was imported' in done.stdout
    self.failures += failed
    print(f'{self.name}: {what}: {"FAILED" if failed else "ok"}, {time.monotonic() - begun:.0f} s', flush=True)
    if failed:
      print('    ' + '\n    '.join(done.stdout.splitlines()[-15:]), flush=True)

  def run_page(self, page, text):
    """Runs all blocks of a page: its commands, then its Python as one program."""
    python = []
    for kind, block in BLOCK.findall(text):
      if kind == 'python':
        python.append(block)
        continue
      script = []
      for command in commands_of(block):
        reason = next((why for pattern, why in SKIPPED.items() if re.search(pattern, command)), None)
        if reason:
          print(f'{self.name}: {page}: not run, since {reason}: {command[:80]}')
        else:
          script.append(shortened(command))
      if script:
        self.run(f'{page}: {script[0].strip()[:70]}', '\n'.join(script))
    if python:
      (self.work / 'page.py').write_text('\n'.join(python))
      self.run(f'{page}: Python', 'python page.py')


def main(_) -> None:
  """Runs both installations; the exit status is 1 if a command failed."""
  with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(FLAGS.keep or scratch).absolute()
    folder.mkdir(exist_ok=True)
    clone = folder / 'clone'
    subprocess.run(['git', 'clone', '--quiet', ROOT, clone], check=True)
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--wheel-dir', folder, clone],
                   check=True)
    wheel, = folder.glob('*.whl')
    print(f'{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB')
    pages = FLAGS.pages or ['README.md', *sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'docs').glob('*.md'))]
    failures = 0
    for name, options, chosen in (('wheel', f"'{wheel}[export]'", pages),
                                  ('editable', f"--editable '{clone}'", pages[:1])):
      environment = Environment(name, folder, options)
      for kind, settings in (('demo', '--dataset lines'), ('demo-text', '--dataset grammar')):
        environment.run(kind, f'acai train {settings} --recipe fast --samples {SAMPLES} --run_dir {kind}/run\n'
                              f'acai export --run {kind}/run --to {kind}/module')
      for page in chosen:
        environment.run_page(page, (clone / page).read_text())
      failures += environment.failures
    print(f'{failures} failed')
    sys.exit(failures > 0)


if __name__ == '__main__':
  app.run(main)
