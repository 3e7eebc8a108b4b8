"""Kills short trainings at random times until each is through, `python benchmarks/kills.py --kills 50`.

Every training goes on with the same command until it ends by itself; then its weights, optimisers' state and step are
compared with those of one that nobody disturbed, bit for bit. Signals are KILL, TERM or INT, at times that are
uniform over most of a training, so that imports, steps, saves and the last evaluation are all hit. Printed are a line
for each kill, and in the end how many trainings came through, and how long TERM and INT took to end one.
"""

import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

from acai_tf import cli
from acai_tf.experiment.run import checkpoint_steps

FLAGS = flags.FLAGS
flags.DEFINE_integer('kills', 50, 'How many', 1)
flags.DEFINE_string('model', 'autoencoder', 'That is trained')
flags.DEFINE_integer('seed', 0, 'Of the times')

TRAINING = ['--dataset', 'lines', '--recipe', 'fast', '--latent_width', '2', '--latent', '2', '--depth', '2',
            '--batch', '8', '--precision', 'float32', '--samples', '8192', '--set', 'dataset.size=8',
            '--set', 'dataset.test_images=64', '--set', 'training.final_evaluations=0',
            '--set', 'training.checkpoint_every=64', '--set', 'training.evaluate_every=2048']
SIGNALS = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
PATIENCE = 120  # seconds after which a process that was told to end counts as hanging


def start(folder):
  """The training program on a run folder."""
  command = [sys.executable, '-m', 'acai_tf.train', '--model', FLAGS.model, *TRAINING, '--run_dir', folder]
  return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def saved(folder) -> list[int]:
  """The steps of a run's checkpoints."""
  return checkpoint_steps(pathlib.Path(folder) / 'checkpoints' / 'last')


def state(folder) -> dict:
  """All arrays of a run's newest checkpoint."""
  import tensorflow as tf

  reader = tf.train.load_checkpoint(f'{folder}/checkpoints/last/step-{saved(folder)[-1]}')
  return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def ended(process, number) -> tuple:
  """(seconds until it ended, its output) after a signal.

  Raises:
    SystemExit: it hangs.
  """
  began = time.monotonic()
  process.send_signal(number)
  try:
    output, _ = process.communicate(timeout=PATIENCE)
  except subprocess.TimeoutExpired:
    process.kill()
    raise SystemExit(f'a training did not end within {PATIENCE} s of signal {number:d}.') from None
  return time.monotonic() - began, output


def disturbed(folder, whole_seconds, generator, kills) -> list:
  """Trains in `folder` to the end, killed at most `kills` times; a list of (signal, seconds until it had ended).

  Raises:
    SystemExit: a training that hangs, fails, or goes on from another step than its newest checkpoint.
  """
  done: list = []
  for i in range(kills + 1):
    before = saved(folder)
    process, moment = start(folder), generator.uniform(0, 0.7 * whole_seconds)
    try:
      if i == kills:
        moment = 10 * whole_seconds
      output, _ = process.communicate(timeout=moment)
      killed = None
    except subprocess.TimeoutExpired:
      killed = generator.choice(SIGNALS)
      seconds, output = ended(process, killed)
      done.append((killed, seconds))
    after, resumed = saved(folder), re.search(r'resumed from step (\d+)', output)
    if resumed and int(resumed[1]) != before[-1]:
      raise SystemExit(f'{folder} went on from step {resumed[1]}; expected {before[-1]}, its newest checkpoint.')
    if before and not (after and after[-1] >= before[-1]):
      raise SystemExit(f'{folder} lost checkpoints: {before} became {after}.')
    if killed is None:
      if process.returncode:
        raise SystemExit(f'a training ended with {process.returncode}: {output[-500:]}')
      return done
    print(f'  {moment:5.1f} s: {killed.name}, exit status {process.returncode}, newest checkpoint '
          f'{after[-1] if after else "none"}', flush=True)
    if process.returncode == 0:
      return done  # The signal came after the end.
  return done


def main(_):
  """Runs the campaign."""
  cli.set_environment()
  signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background jobs, and theirs, ignore it.
  generator = random.Random(FLAGS.seed)
  with tempfile.TemporaryDirectory() as scratch:
    began, whole = time.monotonic(), start(f'{scratch}/whole')
    output, _ = whole.communicate()
    seconds = time.monotonic() - began
    if whole.returncode:
      raise SystemExit(f'the undisturbed training failed: {output[-500:]}')
    expected, kills, trainings = state(f'{scratch}/whole'), [], 0
    print(f'undisturbed: {seconds:.1f} s, {len(expected)} arrays', flush=True)
    while len(kills) < FLAGS.kills:
      folder = f'{scratch}/{trainings}'
      print(f'training {trainings}', flush=True)
      own = disturbed(folder, seconds, generator, FLAGS.kills - len(kills))
      kills, trainings, found = kills + own, trainings + 1, state(folder)
      differing = [name for name in expected if not np.array_equal(expected[name], found.get(name))]
      if differing or found.keys() != expected.keys():
        raise SystemExit(f'training {trainings - 1}, killed {len(own)} times, differs in {differing[:3]}.')
    taken = [took for number, took in kills if number != signal.SIGKILL]
    print(f'{len(kills)} kills, {trainings} trainings: all came through, bit for bit the same. TERM and INT took '
          f'{np.median(taken):.1f} s, at most {max(taken):.1f} s, to end one.')


if __name__ == '__main__':
  app.run(main)
