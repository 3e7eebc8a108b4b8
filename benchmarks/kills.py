"""Kills short trainings at random times until each has finished: `python benchmarks/kills.py --kills 50`.

A killed training is resumed with the same command until it finishes. Then its weights, optimizer state and step must
be bit-identical to those of an undisturbed training. The signals are KILL, TERM or INT, at times that are uniform over
most of a training, so that they hit imports, steps, checkpoints and the last evaluation. The output has a line for each
kill, and at the end the number of finished trainings and how long TERM and INT took to end one.
"""

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
from acai_tf.experiment.run import Run

FLAGS = flags.FLAGS
flags.DEFINE_integer('kills', 50, 'Number of kills', 1)
flags.DEFINE_string('model', 'autoencoder', 'Model to train')
flags.DEFINE_integer('seed', 0, 'Seed of the times')

TRAINING = ['--dataset', 'lines', '--recipe', 'fast', '--latent_width', '2', '--latent', '2', '--depth', '2',
            '--batch', '8', '--precision', 'float32', '--samples', '8192', '--set', 'dataset.size=8',
            '--set', 'dataset.test_images=64', '--set', 'training.final_evaluations=0',
            '--set', 'training.checkpoint_every=64', '--set', 'training.evaluate_every=2048']
SIGNALS = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
PATIENCE = 120  # seconds after a signal until a process counts as hanging


def start(folder):
  """Starts the training program on a run folder."""
  command = [sys.executable, '-m', 'acai_tf.train', '--model', FLAGS.model, *TRAINING, '--run_dir', folder]
  return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def state(folder) -> dict:
  """All arrays of a run's newest checkpoint."""
  import tensorflow as tf

  reader = tf.train.load_checkpoint(f'{folder}/checkpoints/last/step-{Run(folder).steps()[-1]}')
  return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def ended(process, number) -> tuple:
  """Sends a signal to a process: (seconds until it ended, its output).

  Raises:
    SystemExit: the process hangs.
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
  """Trains in `folder` to the end with at most `kills` kills; returns [(signal, seconds until the process ended)].

  Raises:
    SystemExit: the training hangs, fails, or does not resume from its newest checkpoint.
  """
  done: list = []
  for i in range(kills + 1):
    before = Run(folder).steps()
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
    after, resumed = Run(folder).steps(), re.search(r'resumed from step (\d+)', output)
    if resumed and int(resumed[1]) != before[-1]:
      raise SystemExit(f'{folder} resumed from step {resumed[1]}; expected {before[-1]}, its newest checkpoint.')
    if before and not (after and after[-1] >= before[-1]):
      raise SystemExit(f'{folder} lost checkpoints: {before} became {after}.')
    if killed is None:
      if process.returncode:
        raise SystemExit(f'a training ended with {process.returncode}: {output[-500:]}')
      return done
    print(f'  {moment:5.1f} s: {killed.name}, exit status {process.returncode}, newest checkpoint '
          f'{after[-1] if after else "none"}', flush=True)
    if process.returncode == 0:
      return done  # The training had finished before the signal.
  return done


def main(_):
  """Runs trainings until enough kills are made, and compares their results."""
  cli.set_environment()
  signal.signal(signal.SIGINT, signal.default_int_handler)  # Background jobs of a shell ignore SIGINT.
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
      kills, trainings, resumed = kills + own, trainings + 1, state(folder)
      differing = [name for name in expected if not np.array_equal(expected[name], resumed.get(name))]
      if differing or resumed.keys() != expected.keys():
        raise SystemExit(f'training {trainings - 1}, killed {len(own)} times, differs in {differing[:3]}.')
    taken = [took for number, took in kills if number != signal.SIGKILL]
    print(f'{len(kills)} kills, {trainings} trainings: all finished with bit-identical results. TERM and INT took '
          f'{np.median(taken):.1f} s, at most {max(taken):.1f} s, to end one.')


if __name__ == '__main__':
  app.run(main)
