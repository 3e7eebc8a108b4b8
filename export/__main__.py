"""Program: writes a run as a reusable SavedModel, and for other runtimes. `acai export --run DIR --to DIR`."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from absl import flags

from acai_tf import cli, files
from acai_tf.experiment import module_card
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.run import WEIGHTS, Run
from acai_tf.export import formats as formats_lib
from acai_tf.training import build

FLAGS = flags.FlagValues()  # Not absl's global flags: acai_tf.train defines some of the same names.
flags.DEFINE_string('run', None, 'Run folder of acai train', flag_values=FLAGS)
flags.DEFINE_enum('checkpoint', 'last', ['last', 'best'], 'Checkpoint of --run', flag_values=FLAGS)
flags.DEFINE_enum('weights', 'average', WEIGHTS, 'EMA of the weights (if the run has one), or raw weights',
                  flag_values=FLAGS)
flags.DEFINE_string('to', None, 'New folder for the exported model', flag_values=FLAGS)
flags.DEFINE_list('formats', [], 'Further formats beside saved_model: litert, onnx',
                  flag_values=FLAGS)
cli.define_data_flags(FLAGS)

BATCHES = 1, 7, 64  # batch sizes on which the reloaded module is compared; its signatures on the second one only


def export(run: Run, target, checkpoint='last', weights='average', formats=(), data_dir=None, manual_dir=None) -> str:
  """Exports a run, reloads it in a fresh process and compares; only then does `target` appear.

  Args:
    run: a run of acai_tf.train.
    target: output folder.
    checkpoint: 'last' or 'best'.
    weights: 'average' for the EMA of the weights, if the run has one, or 'raw'.
    formats: values of --formats; these formats are calibrated and compared on the data set of the run.
    data_dir, manual_dir: folders of the data set.

  Returns:
    The results of the comparisons, as lines of text.

  Raises:
    UserError: there is no run or checkpoint, the target exists or cannot be written, or the module differs.
  """
  experiment, model, step = build.load_model(run, checkpoint, precision='float32', weights=weights)
  facts = {'checkpoint': checkpoint, 'weights': weights if experiment.training.average else 'raw'}
  return export_model(model, experiment, step * experiment.training.batch, target, formats, data_dir, manual_dir, facts)


def export_model(model, experiment, samples, target, formats=(), data_dir=None, manual_dir=None, facts=None) -> str:
  """Exports a model in float32 as `export` does a run.

  Args:
    model: the Keras model.
    experiment: its `config.Experiment`.
    samples: number of training samples.
    target, formats, data_dir, manual_dir: as for `export`.
    facts: further values for training.json.
  """
  from acai_tf.export import module

  target = pathlib.Path(target)
  try:
    with files.replacing(target) as made:
      made.mkdir()
      module.save(model, made)
      agreement = compare(model, made)
      card = {**module.card(model, experiment, samples), **(facts or {})}
      if set(formats) - {'saved_model'}:
        dataset = build.load_data(experiment, data_dir, manual_dir)
        card['formats'] = compare_formats(made, formats, formats_lib.write(model, made, formats, dataset))
        agreement += '\n' + formats_lib.table(card['formats'])
      files.write(made / module_card.FILE, json.dumps(card, indent=2) + '\n')
  except OSError as error:
    raise UserError(f'{target} cannot be written: {error.strerror or error}; expected a writable disk with free '
                    'space.') from error
  return agreement


def images(shape, count) -> np.ndarray:
  """Returns `count` images in [0, 1] to compare a reloaded module on."""
  return np.random.default_rng(0).uniform(size=[count, *shape]).astype(np.float32)


def texts(vocabulary, count) -> np.ndarray:
  """Returns `count` sentences to compare a reloaded module on, some empty, too long or with unknown words."""
  generator, words = np.random.default_rng(0), vocabulary.known
  drawn = [' '.join(generator.choice(words, size=vocabulary.longest)) for _ in range(count)]
  sentences = ['', ' '.join(words[0] for _ in range(vocabulary.longest + 2)), f'{words[0]} ?unknown?', *drawn]
  return np.array([sentence.encode() for sentence in sentences[:count]])


def compare(model, folder) -> str:
  """Compares a saved module with the live model by check.py; returns its output. Raises a UserError if they differ."""
  return _check(['-P', pathlib.Path(__file__).with_name('check.py')], folder, expected(model))


def compare_formats(folder, formats, inputs) -> dict:
  """Returns `formats.compare` of a saved module, from a fresh process. Raises a UserError if a format differs too much.

  Args:
    folder: folder of the module.
    formats: values of --formats.
    inputs: as from `formats.write`.
  """
  arrays = {f'{signature}/{name}': values for signature, given in inputs.items() for name, values in given.items()}
  names = [format_.name for format_ in formats_lib.chosen(formats)]
  measured = json.loads(_check(['-m', 'acai_tf.export.formats'], folder, arrays, *names).splitlines()[-1])
  for name, found in measured.items():
    formats_lib.FORMATS[name].judge(found['signatures'])
  return measured


def _check(program, folder, arrays, *words):
  """Runs a program on a module and an archive of `arrays` in a fresh process; returns its output."""
  with tempfile.TemporaryDirectory() as scratch:
    path = pathlib.Path(scratch) / 'arrays.npz'
    np.savez(path, **arrays)
    command = [sys.executable, *program, folder, path, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
  if done.returncode:
    lines = done.stderr.strip().splitlines()
    raise UserError(f'the exported module failed its check: {lines[-1] if lines else "no message"}')
  return done.stdout.strip()


def expected(model) -> dict:
  """Returns outputs of the live model for all callables and signatures, under the names that check.py expects."""
  import tensorflow as tf

  from acai_tf.export import module

  found, callables = {}, model.callables()
  encoder = next(c for c in callables if c.name == 'encoder')
  kind, = encoder.inputs

  def record(key, offered, inputs):
    answer = module.outside(offered)([tf.constant(value) for value in inputs.values()]).numpy()
    found[key] = answer.astype('S') if answer.dtype == object else answer
    found.update({f'{key} {name}': value for name, value in inputs.items()})

  for count in BATCHES:
    ends = images(model.image_shape, count) if kind == 'images' else texts(model.vocabulary, count)
    given = {kind: ends, f'{kind}_a': ends, f'{kind}_b': ends[::-1], 'targets': ends,
             'codes': module.outside(encoder)([tf.constant(ends)]).numpy(),
             'alpha': np.linspace(0, 1, count, dtype=np.float32), 'count': np.int32(count),
             'to': np.arange(count, dtype=np.int32) % 2, 'temperature': np.float32(0.7)}
    for offered in callables:
      record(f'callable {offered.name} {count}', offered, {
          name: given.get(name, np.zeros((), spec.dtype.as_numpy_dtype)) for name, spec in offered.inputs.items()})
  count = BATCHES[1]
  for name, signature in module.SIGNATURES.items():
    keys = [key for key in found if key.startswith(f'callable {name} {count}')]
    found.update({key.replace(f'callable {name}', f'signature {signature}'): found[key] for key in keys})
  if kind == 'images':
    pixels = np.random.default_rng(0).integers(256, size=[count, *model.image_shape], dtype=np.uint8)
    record(f'signature {module.BYTES} {count}', encoder, {'images': (pixels / 255).astype(np.float32)})
    found[f'signature {module.BYTES} {count} images'] = pixels
  return found


def check_new(target) -> None:
  """Raises UserError if `target` exists."""
  if pathlib.Path(target).exists():
    raise UserError(f'{target} exists already; expected a new folder. Exported modules are never changed.')


def main() -> None:
  """Runs the program."""
  arguments = FLAGS
  if not arguments.run or not arguments.to:
    raise UserError('--run DIR and --to DIR are both needed; --run is a run folder of acai train.')
  check_new(arguments.to)
  cli.use_cpu()
  cli.start_tensorflow()
  run = Run(arguments.run)
  experiment = run.experiment()
  formats_lib.require(arguments.formats, experiment)
  build.check_manual_dir(experiment.dataset_name, arguments.manual_dir)
  agreement = export(run, arguments.to, arguments.checkpoint, arguments.weights, arguments.formats,
                     arguments.data_dir, arguments.manual_dir)
  print(f'wrote {arguments.to}; reloaded in a fresh process by hub.load: {agreement}')


def program() -> None:
  """Parses the flags, runs the program and exits."""
  cli.run(main, 'acai export --run DIR --to DIR: exports a run as a SavedModel for hub.load, and checks it.',
          {'What to export': ['run', 'to', 'checkpoint', 'weights', 'formats'],
           'Data, for other formats': ['data_dir', 'manual_dir']}, flag_values=FLAGS)


if __name__ == '__main__':
  program()
