"""Experiments: strict overrides, suggestions, JSON round trip; the registries; run folders."""

import contextlib
import dataclasses
import io
import json
import math
import os
import pathlib
import subprocess
import sys
import textwrap
import unittest.mock
from typing import Annotated, Literal

import tensorflow as tf

from acai_tf import files
from acai_tf.data import lines
from acai_tf.experiment import config, machine, module_card, registry, run
from acai_tf.experiment.errors import UserError, unknown
from acai_tf.experiment.fields import config_dataclass
from acai_tf.experiment.overrides import make, parse_overrides
from acai_tf.experiment.resolve import parse_experiment, resolve, resolve_dataset
from acai_tf.experiment.run import Run
from acai_tf.models import dropout, sentences
from acai_tf.training import build


class OverrideTest(tf.test.TestCase):

  def test_values_take_their_field_type(self):
    overrides = parse_overrides(['training.samples=2**10', 'training.clipnorm=1', 'model.lambda_=0.25'])
    experiment = resolve('lines', 'acai', 'paper', overrides)
    self.assertEqual(experiment.training.samples, 1024)
    self.assertIsInstance(experiment.training.clipnorm, float)
    self.assertEqual(experiment.model.lambda_, 0.25)

  def test_mistakes_are_told_with_the_remedy(self):
    for texts, message in (
        (['training.sampels=3'], "'sampels'; did you mean 'samples'"),
        (['trainig.samples=3'], "did you mean 'training'"),
        (['samples=3'], 'SECTION.KEY=VALUE'), (['training.samples=many'], 'type int'),
        (['training.batch=0'], r'in \[1, inf\)'), (['training.schedule=cosin'], "did you mean 'cosine'"),
        (['training.learning_rate=nan'], 'type float'), (['training.beta_1=1'], r'\[0, 1\)'),
        (['training.recipe=fast'], 'choose it with --recipe'),
        (['network.latent_width=3'], 'widths that fit it: 16, 8'), (['model.lambda=1'], "did you mean 'lambda_'")):
      with self.assertRaisesRegex(UserError, message):
        resolve('lines', 'acai', 'paper', parse_overrides(texts))

  def test_a_code_of_one_pixel_is_not_normalised_over_its_pixels(self):
    resolve('lines', 'acai', 'paper', {'network': {'latent_width': '1'}})
    with self.assertRaisesRegex(UserError, 'gives all images the same latent; expected 2'):
      resolve('lines', 'amr', 'paper', {'network': {'latent_width': '1'}})

  def test_what_a_field_may_be_is_its_annotation(self):
    @config_dataclass('model')
    class Config:
      weight: float = 1
      share: Annotated[float, '(0, 1]'] = 0.5
      later: 'int' = 3
      way: Literal['linear', 'spherical'] = 'linear'

    @config_dataclass('model')
    class Derived(Config):
      late: Annotated[int, '[0, inf)'] = 0

      def __post_init__(self):
        if self.late > self.later:
          raise ValueError(f'late {self.late} of {self.later}')

    self.assertEqual(make(Config, {'weight': '0.5', 'share': '1', 'later': '2**3'}, 'model'), Config(0.5, 1.0, 8))
    for key, value, message in (
        ('share', '0', r'model.share is 0.0; expected a number in \(0, 1\]'), ('share', '1.5', 'is 1.5'),
        ('later', '2**-1', 'type int'), ('later', '9**99999999', 'type int'), ('way', 'x', 'Known: linear, spherical')):
      with self.assertRaisesRegex(UserError, message):
        make(Config, {key: value}, 'model')
    for key, value, message in (('share', 0, 'a number in'), ('later', 0.5, 'type int'), ('way', 1, 'type str'),
                                ('later', True, 'type int'), ('weight', math.nan, 'finite'), ('weight', 'a', 'float')):
      with self.assertRaisesRegex(ValueError, message):
        Config(**{key: value})
    with self.assertRaisesRegex(ValueError, 'late 4 of 3'):
      Derived(late=4)
    with self.assertRaisesRegex(ValueError, 'model.share is 2'):
      Derived(share=2)

    for model, text in (('dropout', 'keep=2.0'), ('vqvae', 'codebook=0'), ('denoising', 'sigma=-1'), ('vae', 'beta=-1'),
                        ('vqvae', 'decay=2'), ('aae', 'units=-3'), ('vqvae', 'codes=0'), ('acai', 'partners=0')):
      with self.assertRaisesRegex(UserError, f'model.{text.partition("=")[0]} is .*expected a number in'):
        resolve('lines', model, 'paper', parse_overrides([f'model.{text}']))
    with self.assertRaisesRegex(ValueError, 'keep is 2'):
      dropout.Config(keep=2.0)

  def test_what_no_training_can_have_is_refused_before_it_starts(self):
    for model, texts, message in (
        ('acai', ['training.samples=64', 'training.warmup=65'], 'warmup is 65; expected at most training.samples, 64'),
        ('acai', ['training.samples=10**12'], 'expected at most 10,000,000 evaluations'),
        ('acai', ['training.samples=10**30'], 'training.samples is'),
        ('acai', ['training.seed=2**40'], 'training.seed is'),
        ('acai', ['training.batch=1'], 'training.batch is 1; expected 2 or more: acai mixes'),
        ('arae_image', ['training.batch=1'], 'expected 2'), ('acai', ['dataset.test_seed=-5'], 'dataset.test_seed is'),
        ('acai', ['dataset.size=3'], 'dataset.size is 3'), ('acai', ['dataset.drawing=foo'], 'dataset.drawing')):
      with self.assertRaisesRegex(UserError, message):
        resolve('lines', model, 'fast', parse_overrides(texts))
    resolve('lines', 'autoencoder', 'fast', parse_overrides(['training.batch=1']))
    with self.assertRaisesRegex(UserError, 'training.batch is 65; expected a multiple of 2: arae_transfer has as many'):
      resolve('yelp', 'arae_transfer', 'paper', parse_overrides(['training.batch=65']))
    resolve('yelp', 'arae_transfer', 'paper', parse_overrides(['training.batch=65', 'model.by_class=false']))

  def test_of_many_names_the_nearest_are_told(self):
    self.assertEqual(unknown('key', 'b', 'abc'), "unknown key 'b'; did you mean 'b'? Known: a, b, c.")
    told = unknown('key', 'x17', [f'x{i}' for i in range(100)])
    self.assertRegex(told, r"did you mean 'x17'\? Known: x17, .*, and 88 more\.$")

  def test_a_data_set_alone_needs_no_network_that_fits(self):
    self.assertEqual(resolve_dataset('lines', {'size': '12'}).size, 12)
    with self.assertRaisesRegex(UserError, 'latent width 2 does not fit'):
      resolve('lines', 'acai', 'paper', {'dataset': {'size': '12'}})

  def test_unknown_names(self):
    with self.assertRaisesRegex(UserError, "'acia'; did you mean 'acai'"):
      resolve('lines', 'acia')
    with self.assertRaisesRegex(UserError, "'mnits'; did you mean 'mnist'"):
      resolve('mnits', 'acai')
    with self.assertRaisesRegex(UserError, "did you mean 'fast'"):
      resolve('lines', 'acai', 'fats')

  def test_json_round_trip(self):
    experiment = resolve('mnist', 'acai', 'fast', {'training': {'seed': 7}})
    self.assertEqual(parse_experiment(json.loads(experiment.to_json())), experiment)

  def test_paper_recipe_is_the_protocol(self):
    training = resolve('lines', 'acai', 'paper').training
    expected = {
        'samples': 2**24, 'batch': 64, 'learning_rate': 1e-4, 'classifier_learning_rate': 1e-4, 'beta_1': 0.9,
        'beta_2': 0.999, 'epsilon': 1e-8, 'schedule': 'constant', 'warmup': 0, 'clipnorm': 0.0, 'precision': 'float32',
    }
    self.assertEqual({key: getattr(training, key) for key in expected}, expected)
    self.assertEqual(training.steps, 262_144)

  def test_a_model_s_recipe_may_differ_between_data_sets(self):
    lines, mnist = (resolve(dataset, 'acai', 'fast') for dataset in ('lines', 'mnist'))
    self.assertEqual((lines.model.anneal_to, lines.training.schedule, lines.training.floor), (0.02, 'linear', 0.1))
    self.assertEqual((mnist.model.anneal_to, mnist.training.schedule), (1.0, 'constant'))
    self.assertEqual((lines.model.partners, lines.training.batch), (mnist.model.partners, mnist.training.batch))
    paper = resolve('lines', 'acai')
    self.assertEqual((paper.model.anneal_to, paper.training.schedule), (1.0, 'constant'))
    own = resolve('lines', 'acai', 'fast', {'model': {'anneal_to': 1.0}})
    self.assertEqual((own.model.anneal_to, own.training.schedule), (1.0, 'linear'))
    # Fits the values of the recipe, but not the model's defaults.
    queue = resolve('yelp', 'arae_transfer', 'fast', {'model': {'queue': 640}})
    self.assertEqual((queue.model.queue, queue.model.by_class), (640, False))

  def test_papers_evaluations(self):
    training = resolve('lines', 'acai', 'paper').training
    self.assertEqual(training.evaluation_steps, list(range(1024, 262_145, 1024)))
    self.assertEqual(training.final_steps, training.evaluation_steps[-20:])

  def test_final_evaluations_cover_the_same_share_of_a_shorter_training(self):
    training = config.Training(samples=2**19, batch=16, evaluate_every=2**18)
    self.assertEqual(training.final_steps, list(range(32768 - 19 * 128, 32769, 128)))
    self.assertEqual(training.evaluation_steps, [16384, *training.final_steps])
    self.assertEqual(config.Training(samples=96, batch=16, evaluate_every=0).evaluation_steps, [])
    self.assertEqual(config.Training(samples=90, batch=16, evaluate_every=32, final_evaluations=0).evaluation_steps,
                     [2, 4, 6])

  def test_keys_that_older_files_lack_have_the_values_of_their_time(self):
    values = resolve('mnist', 'acai', 'fast').to_dict()
    del values['training']['optimizer'], values['network']['slope'], values['model']['partners']
    read = parse_experiment(values)
    self.assertEqual((read.training.optimizer, read.network.slope, read.model.partners), ('adam', 0.2, 1))

  def test_networks_are_the_protocols(self):
    self.assertEqual(dataclasses.astuple(resolve('lines', 'acai').network), (2, 16, 16, 'none', 0.2))
    self.assertEqual(dataclasses.astuple(resolve('mnist', 'acai').network), (4, 16, 16, 'none', 0.2))


NAMES = ('mean_distance', 'smoothness_published', 'probe_accuracy')  # of medians


class RegistryTest(tf.test.TestCase):

  def test_names_and_kinds_need_no_tensorflow(self):
    program = textwrap.dedent("""
        import sys
        from acai_tf.experiment import registry
        assert 'arae' in registry.names('acai_tf.models', 'sentences')
        assert 'acai' in registry.names('acai_tf.models', 'images')
        assert not {'tensorflow', 'keras'} & set(sys.modules)
        """)
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    self.assertEqual(done.returncode, 0, done.stderr)

  def test_a_file_is_an_entry(self):
    folder = pathlib.Path(self.get_temp_dir()) / 'toy_entries'
    folder.mkdir()
    for name in ('_hidden', 'base', 'toy_base'):
      (folder / f'{name}.py').write_text('')
    (folder / 'toy_model.py').write_text(textwrap.dedent("""
        from acai_tf.experiment.fields import config_dataclass
        from acai_tf.models.sentences import arae

        @config_dataclass('model')
        class Config(arae.Config):
          size: int = 3
        """))
    sentences.__path__.append(str(folder))
    try:
      self.assertEqual([name for name in registry.names('acai_tf.models') if 'toy' in name], ['toy_model'])
      self.assertEqual(registry.kind_of('acai_tf.models', 'toy_model'), 'sentences')
      self.assertEqual(registry.load('acai_tf.models', 'toy_model').Config(units=5).size, 3)
      self.assertNoCommonElements(registry.names('acai_tf.models'), ('_hidden', 'base'))
    finally:
      sentences.__path__.pop()


def checked_claim(folder, experiment):
  """What a training does with its folder before it begins."""
  Run(folder).check(experiment)
  Run(folder).claim(experiment)


class RunFolderTest(tf.test.TestCase):

  def claim(self, folder, **training):
    checked_claim(folder, resolve('lines', 'acai', training.pop('recipe', 'paper'), {'training': training}))

  def test_another_configuration_is_refused_by_key(self):
    folder = self.get_temp_dir()
    self.claim(folder, seed=1)
    with self.assertRaisesRegex(UserError, 'training.batch is 64 there and 32 here; training.seed is 1 there and 2'):
      self.claim(folder, seed=2, batch=32)

  def test_what_changes_no_weight_may_differ(self):
    folder = self.get_temp_dir()
    self.claim(folder)
    self.claim(folder, keep=9, evaluate_every=5, samples=2**25)
    other = self.get_temp_dir() + '/other'
    self.claim(other, schedule='cosine', samples=1024)
    with self.assertRaisesRegex(UserError, 'training.samples'):  # The cosine schedule depends on it.
      self.claim(other, schedule='cosine', samples=2048)

  def test_less_training_than_there_is_is_refused_and_the_file_stays(self):
    folder = pathlib.Path(self.get_temp_dir())
    self.claim(folder, samples=1024)
    (folder / 'checkpoints' / 'last').mkdir(parents=True)
    for ending in (run.DATA, run.INDEX):
      (folder / 'checkpoints' / 'last' / f'step-10{ending}').touch()
    with self.assertRaisesRegex(UserError, 'already trained for 640 samples, more than 576; expected --samples 640'):
      self.claim(folder, samples=576)
    self.assertEqual(Run(folder).experiment().training.samples, 1024)
    self.claim(folder, samples=640)

  def test_phases_that_are_shares_of_a_training_fix_its_samples(self):
    folder = self.get_temp_dir()
    for samples in (1024, 2048):
      made = resolve('grammar', 'arae', 'fast', {'training': {'schedule': 'constant', 'samples': samples}})
      if samples == 1024:
        checked_claim(folder, made)
      else:
        with self.assertRaisesRegex(UserError, 'training.samples is 1024 there and 2048 here'):
          checked_claim(folder, made)

  def test_a_regularizer_that_falls_fixes_the_training_s_samples(self):
    folder = self.get_temp_dir()
    first, longer = (resolve('lines', 'acai', 'fast', {'model': {'anneal_to': 0.02}, 'training': {'samples': samples}})
                     for samples in (1024, 2048))
    checked_claim(folder, first)
    with self.assertRaisesRegex(UserError, 'samples is 1024 there and 2048 here .its schedule depends on the length'):
      checked_claim(folder, longer)

  def test_where_there_are_no_locks_a_line_says_so(self):
    printed = io.StringIO()
    with (unittest.mock.patch.object(files.fcntl, 'flock', side_effect=OSError(38, 'Function not implemented')),
          contextlib.redirect_stdout(printed), Run(self.get_temp_dir()).locked()):
      self.assertIn('cannot be locked (Function not implemented): make sure', printed.getvalue())

  def test_one_program_trains_in_a_folder(self):
    folder = self.get_temp_dir() + '/run'
    with (Run(folder).locked(),
          self.assertRaisesRegex(UserError, 'another program is training in .*run; expected a folder of its own'),
          Run(folder).locked()):
      self.fail('two at once')
    program = f'from acai_tf.experiment import run\nwith run.Run({folder!r}).locked(): input(1)'
    other = subprocess.Popen([sys.executable, '-uc', program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    self.assertEqual(other.stdout.read(1), b'1')
    with self.assertRaisesRegex(UserError, 'another program'), Run(folder).locked():
      self.fail('two at once')
    other.kill()
    other.wait()
    with Run(folder).locked():  # a process that dies leaves no lock behind
      pass

  def test_what_cannot_be_written_leaves_nothing(self):
    folder = pathlib.Path(self.get_temp_dir()) / 'full'
    (folder / run.HISTORY).mkdir(parents=True)
    with self.assertRaises(OSError):
      Run(folder).write_history([{'samples': 1}])
    self.assertEqual([path.name for path in folder.iterdir()], [run.HISTORY])

  def test_broken_and_missing_folders(self):
    folder = pathlib.Path(self.get_temp_dir())
    with self.assertRaisesRegex(UserError, 'is not a run folder'):
      Run(folder).experiment()
    whole = resolve('lines', 'acai').to_dict()
    for text, message in (
        ('{"dataset_name": ', 'cannot be read'), ('[1]', 'is not a JSON object'),
        ('{"dataset_name": "lines"}', 'model_name is missing'), (json.dumps({**whole, 'model_name': 3}), 'is 3'),
        (json.dumps({**whole, 'network': []}), 'section network is not an object'),
        (json.dumps({k: v for k, v in whole.items() if k != 'training'}), 'section training is missing'),
        (json.dumps({**whole, 'model': {'lambda_': 0.5}}), 'model.gamma missing; expected every key'),
        (json.dumps({**whole, 'network': {**whole['network'], 'depth': None}}), 'network.depth=None: expected'),
        (json.dumps({**whole, 'network': {**whole['network'], 'depth': True}}), 'network.depth=True: expected'),
        (json.dumps({**whole, 'network': {**whole['network'], 'latent_width': 3}}), 'json: latent width 3 does not'),
        (json.dumps({**whole, 'training': {**whole['training'], 'samples': math.inf}}), 'Infinity is not a JSON'),
        (json.dumps({**whole, 'model': {**whole['model'], 'gamma': 10**400}}), 'type float')):
      (folder / run.EXPERIMENT).write_text(text)
      with self.assertRaisesRegex(UserError, message):
        Run(folder).experiment()

  def test_history_is_cut_at_the_resumed_sample(self):
    folder = self.get_temp_dir()
    Run(folder).write_history([{'samples': 10}, {'samples': 20}])
    self.assertEqual(Run(folder).history(15), [{'samples': 10}])

  def test_medians_are_of_the_final_evaluations_and_need_them_all(self):
    training = config.Training(samples=25600, batch=1, evaluate_every=1600)
    history = [{'samples': s, 'mean_distance': s % 1000, 'smoothness_published': None} for s in range(100, 25601, 100)]
    expected = sorted(s % 1000 for s in range(25600 - 1900, 25601, 100))
    self.assertEqual(run.medians(history, training, NAMES), {'mean_distance': (expected[9] + expected[10]) / 2})
    self.assertEqual(run.medians(history[:-1], training, NAMES), {})
    self.assertEqual(run.medians(history[:-20] + history[-19:], training, NAMES), {})
    self.assertEqual(run.medians(history, dataclasses.replace(training, final_evaluations=0), NAMES), {})

  def test_a_broken_history_is_told_in_one_line(self):
    folder = pathlib.Path(self.get_temp_dir())
    for text, message in (
        ('{"samples": 10}\n{"samp', ''), ('[]', 'line 1 is not an object'), ('3', 'line 1'), ('null', 'line 1'),
        ('\xff', ''),
        ('{"samples": "10"}', 'line 1'), ('{"samples": -1}', 'line 1'), ('{"samples": 10}\n{"samples": 10}', 'line 2'),
        ('{"samples": 1, "mean_distance": NaN}', 'NaN is not a JSON number'),
        ('{"samples": 1, "psnr": 1e999}', 'not a finite number'),
        ('{"samples": 1, "psnr": "6"}', 'psnr at 1 samples'), ('{"samples": 1, "seconds": -3}', 'seconds at 1 samples'),
        ('{"samples": 1, "samples": 2}', 'duplicate key in'), ('[' * 10**6, 'nested too deep')):
      (folder / run.HISTORY).write_text(text, 'latin-1')
      with self.assertRaisesRegex(UserError, f'history.jsonl cannot be read .*{message}.*delete it'):
        Run(folder).history()
      (folder / run.EXPERIMENT).write_text(text, 'latin-1')
      with self.assertRaises(UserError):
        Run(folder).experiment()
      (folder / module_card.FILE).write_text(text, 'latin-1')
      with self.assertRaises(UserError):
        module_card.load(folder)

  def test_a_pipe_in_a_file_s_place_is_not_waited_for(self):
    folder = pathlib.Path(self.get_temp_dir())
    for name, read in ((run.HISTORY, Run(folder).history), (run.EXPERIMENT, Run(folder).experiment),
                       (module_card.FILE, lambda: module_card.load(folder))):
      os.mkfifo(folder / name)
      with self.assertRaisesRegex(UserError, f'{name} cannot be read .*is not a file'):
        read()
    os.mkfifo(folder / run.LOCK)
    with self.assertRaisesRegex(UserError, 'lock is not a file'), Run(folder).locked():
      pass

  def test_numbers_that_float32_or_64_bits_lack(self):
    for wrong, message in (({'epsilon': 1e-320}, 'out of range of float32'),
                           ({'learning_rate': 1e39}, 'out of range of float32'),
                           ({'samples': 1 << 63}, 'too large|in'), ({'keep': 10**400}, 'too large')):
      with self.assertRaisesRegex(ValueError, message):
        config.Training(**wrong)

  def test_a_lack_of_memory_is_told_before_anything_is_made(self):
    with unittest.mock.patch.object(machine, 'free_memory', return_value=10**9):
      machine.require_memory({'one': 10**8, 'two': 9 * 10**8})
      with self.assertRaisesRegex(UserError, 'at least 1.1 GB of memory are needed, and 1.0 GB are free; .*lower two'):
        machine.require_memory({'one': 2 * 10**8, 'two': 9 * 10**8})
      with self.assertRaisesRegex(UserError, 'dataset.test_images'):
        lines.load(lines.Config(test_images=10**6))
    for key, value in (('training', {'batch': 10**12}), ('network', {'depth': 10**6}), ('dataset', {'size': 1 << 20})):
      with self.assertRaisesRegex(UserError, 'GB of memory are needed'):
        build.require_memory(resolve('lines', 'acai', 'fast', {key: value}))
    with self.assertRaisesRegex(UserError, 'GB of memory are needed'):
      build.create(resolve('grammar', 'arae', 'fast', {'network': {'embedding': 10**12}}))

  def test_free_memory_is_the_container_s_where_that_is_less(self):
    group, free = pathlib.Path(self.get_temp_dir()), machine.free_memory()
    self.assertBetween(free, 10**6, 10**14)
    for name, text in (('max', '5000000\n'), ('current', '3000000\n'),
                       ('stat', 'anon 1\nfile 2000000\nshmem 500000\n')):
      (group / f'memory.{name}').write_text(text)
    with unittest.mock.patch.object(machine, 'GROUP', group):
      self.assertEqual(machine.free_memory(), 5_000_000 - 3_000_000 + 2_000_000 - 500_000)
      (group / 'memory.max').write_text('max\n')
      self.assertAllClose(machine.free_memory(), free, rtol=0.5)

  def test_no_model_has_fewer_weights_than_it_is_said_to_need(self):
    for dataset, model, network in (('lines', 'autoencoder', {'depth': 4, 'latent': 3}), ('lines', 'autoencoder', {}),
                                    ('grammar', 'text_autoencoder', {'hidden': 5, 'latent': 3, 'embedding': 7})):
      made = resolve(dataset, model, 'fast', {'network': network})
      shape = registry.load('acai_tf.data', dataset).shape(made.dataset)
      count = sum(math.prod(weight.shape) for weight in build.create(made).trainable_variables)
      self.assertBetween(made.network.min_parameters(shape), 0.3 * count, count)

  def test_the_commit_is_that_of_our_own_checkout_or_unknown(self):
    for place in ('installed', '.'):  # The folder is a checkout of somebody else's; '.' is ours.
      root = pathlib.Path(self.get_temp_dir()) / 'other'
      (root / '.git').mkdir(parents=True, exist_ok=True)
      with unittest.mock.patch.object(machine, '__file__', str(root / place / 'acai_tf/experiment/machine.py')), \
           unittest.mock.patch('subprocess.run', return_value=unittest.mock.Mock(stdout='abc\n')) as run:
        self.assertEqual(machine.provenance()['commit'], 'abc' if place == '.' else 'unknown')
        self.assertEqual(run.called, place == '.')
        with unittest.mock.patch('shutil.which', return_value=None):
          self.assertEqual(machine.provenance()['commit'], 'unknown')

  def test_origins_tell_who_trained_from_which_sample_on(self):
    folder, one, two, three = self.get_temp_dir(), {'commit': 'a'}, {'commit': 'b'}, {'commit': 'c'}
    self.assertEqual(Run(folder).provenance(), [])
    for samples, row in ((0, one), (64, one), (128, two), (128, three), (256, two), (192, two)):
      Run(folder).add_provenance(samples, row)
    self.assertEqual(Run(folder).provenance(), [
        {'samples': 0, 'commit': 'a'}, {'samples': 128, 'commit': 'c'}, {'samples': 192, 'commit': 'b'}])


if __name__ == '__main__':
  tf.test.main()
