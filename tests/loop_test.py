"""The loop: exact resuming, equality with `fit` and between devices, stops, and what goes wrong."""

import contextlib
import dataclasses
import functools
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest.mock

import devices
import keras
import numpy as np
import pytest
import tensorflow as tf

from acai_tf import cli, replicas, train
from acai_tf.evaluation import images as measure
from acai_tf.evaluation.modality import Modality
from acai_tf.experiment import config, machine, run
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.experiment.run import Run, checkpoint_steps
from acai_tf.models import autoencoder, base
from acai_tf.models.sentences import arae
from acai_tf.training import build, cluster, loop, session, signals
from acai_tf.training.checkpoints import Checkpoints, DivergedError, step_of
from acai_tf.training.optimizer import optimizer

SMALL = {'dataset': {'size': 8, 'test_images': 8}, 'network': {'latent_width': 2, 'latent': 2, 'depth': 2}}
FLAGS = ['--dataset', 'lines', '--latent_width', '2', '--latent', '2', '--depth', '2', '--set', 'dataset.size=8',
         '--set', 'dataset.test_images=64', '--recipe', 'fast', '--batch', '8', '--precision', 'float32',
         '--set', 'training.final_evaluations=0']


def experiment(model='acai', settings=None, **training):
  return resolve('lines', model, 'fast', {
      **SMALL, 'model': settings or {}, 'training': {'batch': 8, 'samples': 256, 'precision': 'float32', **training}})


def make(made, strategy=None):
  strategy = strategy or cluster.Cluster('one_device').strategy
  with strategy.scope():
    model = build.create(made)
  return model, strategy


def trained(made, strategy=None, fused=1):
  model, strategy = make(made, strategy)
  loop.Loop(model, strategy, build.load_data(made), made.training, fused).run(lambda *_: None, [])
  return model


@functools.cache
def plain():
  """The experiment of most tests, 8 steps of the autoencoder, and its model after them; tests only read it."""
  made = experiment('autoencoder', samples=64)
  return made, trained(made)


def state(model):
  return [v.numpy() for v in model.variables] + [
      v.numpy() for player in sorted(model.optimizers) for v in model.optimizers[player].variables]


class LoopTest(tf.test.TestCase):

  def assert_same(self, first, second, atol=None):
    for one, two in zip(state(first), state(second), strict=True):
      if atol is None:
        self.assertAllEqual(one, two)
      else:
        self.assertAllClose(one, two, atol=atol, rtol=0)

  def test_resuming_is_bit_exact_while_weight_and_rate_fall(self):
    devices.without_graphs(self)
    made = experiment(settings={'partners': 1, 'anneal_to': 0.02, 'anneal_over': 0.25}, samples=64, schedule='linear',
                      floor=0.1)
    uninterrupted = trained(made)
    first, strategy = make(made)
    checkpoints = Checkpoints(first, self.get_temp_dir(), 3)
    stopped = made.training.steps * 5 // 8  # while both fall
    stop = [False]
    loop.Loop(first, strategy, build.load_data(made), made.training).run(
        lambda step, _: stop.__setitem__(0, step == stopped), [], lambda: stop[0])
    self.assertEqual(step_of(first), stopped)
    checkpoints.save()
    second, strategy = make(made)
    self.assertEqual(Checkpoints(second, self.get_temp_dir(), 3).restore(), stopped)
    loop.Loop(second, strategy, build.load_data(made), made.training).run(lambda *_: None, [])
    self.assert_same(uninterrupted, second)

  def test_fused_steps_change_nothing(self):
    made, model = plain()
    self.assert_same(model, trained(made, fused=5))

  def test_fit_gives_the_same_weights(self):
    made, expected = plain()
    model, _ = make(made)
    training = made.training
    devices.without_graphs(self)
    model.fit(build.load_data(made).pipeline(training.seed, training.batch, 0, training.steps), verbose=0)
    self.assert_same(expected, model, atol=1e-7)

  def test_two_devices_equal_one(self):
    """In a graph; ACAI, whose images are mixed across devices: replicas_test."""
    strategy = devices.strategy('mirrored')
    self.assertEqual(strategy.num_replicas_in_sync, 2)
    # A large epsilon, since Adam turns rounding in gradients near 0 into whole steps. The gradient that is clipped is
    # the sum over both devices.
    made = experiment('autoencoder', samples=32, clipnorm=0.1, epsilon=1e-3)
    together = trained(made, strategy)
    devices.without_graphs(self)
    self.assert_same(trained(made), together, atol=1e-6)

  def test_events_get_the_logs_of_their_step(self):
    devices.without_graphs(self)
    made, seen = experiment('autoencoder', samples=24), []
    model, strategy = make(made)
    loop.Loop(model, strategy, build.load_data(made), made.training).run(lambda _, logs: seen.append(logs), [])
    twin, _ = make(made)
    for data, logs in zip(build.load_data(made).pipeline(made.training.seed, 8, 0, 3), seen, strict=True):
      self.assertAllClose(twin.take_step(data), logs, rtol=1e-4, atol=1e-6)

  def test_the_paper_s_recipe_has_no_tf32(self):
    for recipe in ('paper', 'fast', 'paper'):
      build.create(resolve('lines', 'autoencoder', recipe, SMALL))
      self.assertEqual(tf.config.experimental.tensor_float_32_execution_enabled(), recipe != 'paper')

  def test_seed_decides(self):
    devices.without_graphs(self)
    first, again, other = (trained(experiment('autoencoder', samples=8, seed=seed)) for seed in (1, 1, 2))
    self.assert_same(first, again)
    self.assertNotAllClose(first.encoder.variables[0], other.encoder.variables[0])

  def test_divergence_names_step_and_term(self):
    devices.without_graphs(self)
    made = experiment('autoencoder', samples=32)
    model, strategy = make(made)
    runner = loop.Loop(model, strategy, build.load_data(made), made.training, fused=2)

    def poison(step):
      del step
      model.decoder.trainable_variables[-1].assign([np.nan])

    with self.assertRaisesRegex(DivergedError, r'step 3: .*recon_mse = nan'):
      runner.run(lambda *_: None, [([2], poison)])

  def test_events_and_intervals(self):
    devices.without_graphs(self)
    made, seen, called = experiment('autoencoder', samples=64), [], []
    model, strategy = make(made)
    loop.Loop(model, strategy, build.load_data(made), made.training, fused=2).run(
        lambda step, logs: seen.append((step, sorted(logs))), [(range(3, 9, 3), called.append), ([8], called.append)])
    self.assertEqual([step for step, _ in seen], [2, 3, 5, 6, 8])
    self.assertEqual(seen[0][1], ['accuracy', 'classifier_loss', 'recon_mse'])
    self.assertEqual(called, [3, 6, 8])

  def test_cosine_schedule_with_warm_up(self):
    training = config.Training(recipe='fast', samples=1000, batch=10, learning_rate=1.0, schedule='cosine', warmup=100)
    rate = optimizer(training)('autoencoder')._learning_rate
    self.assertAllClose([rate(0), rate(10), rate(55), rate(100)], [0.1, 1.0, 0.5, 0.0], atol=1e-6)
    rate = optimizer(dataclasses.replace(training, floor=0.2))('autoencoder')._learning_rate
    self.assertAllClose([rate(55), rate(100)], [0.6, 0.2], atol=1e-6)

  def test_constant_rate_after_a_warm_up(self):
    training = config.Training(samples=1000, batch=10, learning_rate=1.0, warmup=100)
    rate = optimizer(training)('autoencoder')._learning_rate
    self.assertAllClose([rate(0), rate(5), rate(10), rate(100)], [0.1, 0.55, 1.0, 1.0], atol=1e-6)
    rate = optimizer(dataclasses.replace(training, schedule='linear'))('autoencoder')._learning_rate
    self.assertAllClose([rate(s) for s in (0, 4, 9, 50, 75, 100)], [0.1, 0.5, 1.0, 1.0, 0.5, 0.0], atol=1e-6)

  def test_the_schedules_of_a_player_with_several_updates_per_step_last_as_long(self):
    training = config.Training(samples=1000, batch=10, schedule='linear', warmup=100)
    model = types.SimpleNamespace(config=arae.Config(joint=False, critic_steps=5))
    for player, updates in (('autoencoder', 2), ('critic', 5), ('generator', 1)):
      chosen = arae.Model.training_of(model, player, training)
      rate = optimizer(chosen)(player)._learning_rate
      found = [rate(5 * updates - 1), rate(10 * updates - 1), rate(75 * updates), rate(100 * updates)]
      self.assertAllClose(np.array(found) / chosen.learning_rate, [0.5, 1, 0.5, 0], atol=1e-6)


class PrecisionTest(tf.test.TestCase):

  def test_bfloat16_only_where_the_processor_has_it(self):
    for flags, expected in (('fma avx512_bf16', 'mixed_bfloat16'), ('amx_bf16', 'mixed_bfloat16'), ('avx2', 'float32')):
      with unittest.mock.patch.object(machine, 'processor', return_value={'flags': flags}):
        self.assertEqual(machine.fastest_precision(), expected)

  def test_a_run_keeps_its_precision(self):
    folder = self.get_temp_dir()
    Run(folder).claim(experiment(precision='mixed_bfloat16'))
    for place, precision in ((folder, 'mixed_bfloat16'), (folder + 'x', machine.fastest_precision())):
      self.assertEqual(Run(place).check(experiment(precision='auto')).training.precision, precision)
    with self.assertRaisesRegex(UserError, 'training.precision is mixed_bfloat16 there and float32 here'):
      Run(folder).check(experiment(precision='float32'))


class ReplicasTest(tf.test.TestCase):

  def test_every_image_once_and_partners_together(self):
    for batch, count in ((4, 2), (2, 4), (5, 1)):
      rows = replicas.rows(batch, count)
      self.assertAllEqual(np.sort(rows.ravel()), np.arange(batch * count))
      self.assertAllEqual(rows[:, ::-1], batch * count - 1 - rows)

  def test_odd_batches_have_no_partner(self):
    with self.assertRaisesRegex(ValueError, 'even'):
      replicas.rows(3, 2)
    with self.assertRaisesRegex(UserError, 'training.batch=7 cannot be shared by 2 devices; .* such as 4 or 8'):
      build.load_data(experiment()).pipeline(0, 7, 0, 1, replicas=2)


class Layers(base.Model):
  """Layers of one shape, made in the order of `names`; every weight is its own."""

  def __init__(self, names):
    super().__init__(autoencoder.Config())
    for name in names:
      setattr(self, name, keras.layers.Dense(3))
      getattr(self, name).build((None, 3))
    self.stack = keras.Sequential([keras.layers.Dense(3, name=name) for name in names])
    self.stack.build((None, 3))
    self.names = names
    self.compile()
    for name in names:
      for i, variable in enumerate(self.of(name)):
        variable.assign(tf.fill(variable.shape, np.float32(100 * names.index(name) + i)))
    self.step.assign(1)

  def players(self):
    return {'player': [*(getattr(self, name) for name in self.names), self.stack]}

  def of(self, name):
    """The weights of the layers of that name, two of each."""
    return [*getattr(self, name).variables, *self.stack.get_layer(name).variables]

  def update(self, scale):
    """A step of the optimiser by gradients of which each weight has its own: its moments are its own, too."""
    gradients = {id(variable): tf.fill(variable.shape, np.float32(scale * (1 + i) * (1 if name == 'a' else -2)))
                 for name in self.names for i, variable in enumerate(self.of(name))}
    variables = self.variables_of('player')
    self.optimizers['player'].apply([gradients[id(variable)] for variable in variables], variables)


class DeterminismTest(tf.test.TestCase):

  def test_the_flag_turns_it_on(self):
    command = ['train', '--dataset', 'lines', '--run_dir', self.get_temp_dir() + '/run', '--precision', 'float32']
    for more, calls in (([], 0), (['--deterministic'], 1)):
      train.flags.FLAGS.unparse_flags()
      train.flags.FLAGS(command + more)
      with (unittest.mock.patch.object(tf.config.experimental, 'enable_op_determinism') as enabled,
            unittest.mock.patch.object(cli, 'start_tensorflow'),
            unittest.mock.patch.object(session, 'train', return_value=0)):
        self.assertEqual(train.main(), 0)
      self.assertEqual(enabled.call_count, calls)
    train.flags.FLAGS.unparse_flags()


class CheckpointsTest(tf.test.TestCase):

  def test_the_last_few_are_kept(self):
    model = Layers('ab')
    checkpoints = Checkpoints(model, self.get_temp_dir(), 2)
    for step in (1, 2, 3, 4):
      model.step.assign(step)
      checkpoints.save()
    self.assertEqual(checkpoint_steps(checkpoints.last), [3, 4])
    self.assertLen(list(checkpoints.last.iterdir()), 4)
    checkpoints = Checkpoints(model, self.get_temp_dir(), 6)
    for step in (5, 6):
      model.step.assign(step)
      checkpoints.save()
      checkpoints.save(checkpoints.best)
    self.assertEqual((checkpoint_steps(checkpoints.last), checkpoint_steps(checkpoints.best)), ([3, 4, 5, 6], [6]))

  def test_a_damaged_checkpoint_is_reported_with_a_remedy(self):
    model = Layers('ab')
    checkpoints = Checkpoints(model, self.get_temp_dir(), 2)
    for step in (1, 2):
      model.step.assign(step)
      checkpoints.save()
    data = next(pathlib.Path(self.get_temp_dir()).glob('last/step-2.data*'))
    data.write_bytes(data.read_bytes()[:100])
    other = Layers('ab')
    with self.assertRaisesRegex(UserError, r'step-2 cannot be read .*go on from .*step-1, delete .*step-2.index'):
      Checkpoints(other, self.get_temp_dir(), 2).restore()
    (pathlib.Path(self.get_temp_dir()) / 'last' / 'step-2.index').unlink()
    self.assertEqual(Checkpoints(other, self.get_temp_dir(), 2).restore(), 1)
    checkpoints.save(checkpoints.best)
    for ending in (run.INDEX, run.DATA):  # With this name, the weights of step 2 would pass for those of step 3.
      (checkpoints.best / f'step-2{ending}').rename(checkpoints.best / f'step-3{ending}')
    with self.assertRaisesRegex(UserError, 'step-3 holds step 2; expected .* its own name'):
      checkpoints.restore(checkpoints.best)
    (checkpoints.best / f'step-3{run.DATA}').write_bytes(b'')
    with self.assertRaisesRegex(UserError, 'best/step-3 cannot be read .*; take the last one instead'):
      checkpoints.restore(checkpoints.best)

  def test_folders_of_any_name(self):
    model = Layers('ab')
    beside = Checkpoints(model, f'{self.get_temp_dir()}/run 12', 2)
    beside.save()
    for name in ('run [12]', 'run *', 'run ??', 'run\\12', '[', 'run {12}', 'ä%41'):
      checkpoints = Checkpoints(model, f'{self.get_temp_dir()}/{name}', 2)
      for step in (1, 2, 3):
        model.step.assign(step)
        checkpoints.save()
      model.step.assign(0)
      self.assertEqual(Checkpoints(model, f'{self.get_temp_dir()}/{name}', 2).restore(), 3, name)
      self.assertEqual(sorted(path.name for path in pathlib.Path(self.get_temp_dir(), name, 'last').glob('*.index')),
                       ['step-2.index', 'step-3.index'], name)
    self.assertEqual(beside.restore(), 1)  # The pattern 'run *' would match its name.

  def test_a_checkpoint_of_another_training_is_refused(self):
    steady = {'settings': {'anneal_to': 1.0}, 'schedule': 'constant'}  # else it could not be lengthened
    ours, longer = experiment(seed=1, **steady), experiment(seed=1, samples=512, **steady)
    theirs = experiment(seed=2, learning_rate=0.01, **steady)
    model = Layers('ab')
    Checkpoints(model, self.get_temp_dir(), 1, ours).save()
    self.assertEqual(Checkpoints(model, self.get_temp_dir(), 1, longer).restore(), 1)
    with self.assertRaisesRegex(UserError, 'step-1 is of another training: training.learning_rate is 0.0003 there and '
                                           '0.01 here; training.seed is 1 there and 2 here'):
      Checkpoints(model, self.get_temp_dir(), 1, theirs).restore()
    with unittest.mock.patch.dict(config.DEFAULTS_OF_OLDER_FILES, {'training.keep': 3}):
      older = ours.to_dict()
      del older['training']['keep']  # an older version, without this key
      with unittest.mock.patch.object(config.Experiment, 'to_json', return_value=json.dumps(older)):
        Checkpoints(model, self.get_temp_dir(), 1, ours).save()
      self.assertEqual(Checkpoints(model, self.get_temp_dir(), 1, ours).restore(), 1)
    Checkpoints(model, self.get_temp_dir(), 1, ours, 'abc').save()
    for data in ('abc', ''):
      self.assertEqual(Checkpoints(model, self.get_temp_dir(), 1, ours, data).restore(), 1)
    with self.assertRaisesRegex(UserError, 'step-1 was trained on other data than there are now .checksum abc, now de'):
      Checkpoints(model, self.get_temp_dir(), 1, ours, 'de').restore()
    Checkpoints(model, self.get_temp_dir(), 1).save()  # the older format, without the experiment
    self.assertEqual(Checkpoints(model, self.get_temp_dir(), 1, theirs, 'de').restore(), 1)

  def test_checkpoints_are_found_by_their_files(self):
    model = Layers('ab')
    folder = pathlib.Path(self.get_temp_dir()) / 'last'
    for step in (9, 10, 11):
      model.step.assign(step)
      Checkpoints(model, self.get_temp_dir(), 3).save()
    (folder / 'checkpoint').write_text('model_checkpoint_pa')  # TensorFlow's own index of the folder, truncated
    (folder / 'step-11.data-00000-of-00001').unlink()
    (folder / 'step-12.index').write_bytes(b'')
    self.assertEqual(Checkpoints(model, self.get_temp_dir(), 3).restore(), 10)
    (folder / 'checkpoint').unlink()
    self.assertEqual(Checkpoints(model, self.get_temp_dir(), 3).restore(), 10)

  def test_killed_while_saving_keeps_the_previous_checkpoint(self):
    model = Layers('ab')
    checkpoints = Checkpoints(model, self.get_temp_dir(), 1)
    checkpoints.save()
    rename = pathlib.Path.rename
    for ending in ('.data-00000-of-00001', '.index'):
      model.step.assign(2)

      def killed(path, target, ending=ending):
        if path.name.endswith(ending):
          raise KeyboardInterrupt
        rename(path, target)

      with unittest.mock.patch.object(pathlib.Path, 'rename', killed), self.assertRaises(KeyboardInterrupt):
        checkpoints.save()
      self.assertEqual(checkpoints.restore(), 1)
    model.step.assign(2)
    checkpoints.save()
    self.assertLen(list(checkpoints.last.iterdir()), 2)
    self.assertEqual(checkpoints.restore(), 2)

  def test_layers_created_in_another_order_get_their_own_values(self):
    first, other = Layers('ab'), Layers('ba')
    first.update(1.0)
    Checkpoints(first, self.get_temp_dir(), 1).save()
    Checkpoints(other, self.get_temp_dir(), 1).restore()
    for model in (first, other):
      model.update(0.0)  # Gradients are 0: only the moments move the weights.
    for name in 'ab':
      for one, two in zip(first.of(name), other.of(name), strict=True):
        self.assertAllEqual(one, two)

  def test_a_layer_of_another_name_is_reported(self):
    Checkpoints(Layers('ab'), self.get_temp_dir(), 1).save()
    with self.assertRaisesRegex(UserError, r'does not fit loop_test: a/bias has shape \[3\] there and none here.*anew'):
      Checkpoints(Layers('bc'), self.get_temp_dir(), 1).restore()

  def test_weights_that_are_not_finite_are_not_saved(self):
    model = Layers('ab')
    checkpoints = Checkpoints(model, self.get_temp_dir(), 2)
    checkpoints.save()
    model.a.kernel.assign(model.a.kernel * np.inf)
    with self.assertRaisesRegex(DivergedError, 'not finite.*step-1'):
      checkpoints.save()

  def test_a_folder_that_cannot_be_written(self):
    model = Layers('ab')
    checkpoints = Checkpoints(model, self.get_temp_dir(), 2)
    (pathlib.Path(self.get_temp_dir()) / 'last').write_text('a file where the folder should be')
    with self.assertRaisesRegex(UserError, 'could not be written.*MB free.*no earlier checkpoint'):
      checkpoints.save()


class SessionTest(tf.test.TestCase):
  """Run folders that have lost something, and trainings that were interrupted."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    tf.config.run_functions_eagerly(True)
    cls.addClassCleanup(tf.config.run_functions_eagerly, False)
    cls.enterClassContext(unittest.mock.patch.object(measure, 'PAIRS', 8))
    cls.report = cls.enterClassContext(unittest.mock.patch('acai_tf.evaluation.report.report'))
    cls.finished = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory())) / 'finished'
    cls.train(cls.finished)
    cls.history = Run(cls.finished).history()

  @staticmethod
  def experiment(samples=32):
    """Two evaluations, and so two checkpoints, in four steps of 8 samples each."""
    return experiment('autoencoder', samples=samples, evaluate_every=16, checkpoint_every=16, final_evaluations=0)

  @classmethod
  def train(cls, folder, samples=32):
    return session.train(cls.experiment(samples), Run(folder), cluster.Cluster('one_device'))

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.get_temp_dir()) / 'run'
    self.last = self.folder / run.CHECKPOINTS / 'last'

  def test_a_training_resumes_from_the_newest_checkpoint_that_can_be_read(self):
    shutil.copytree(self.finished, self.folder)
    damaged = self.last / f'step-4{run.DATA}'
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
      self.assertEqual(self.train(self.folder, 64), 0)
    self.assertIn('step 4 cannot be read and are put aside (.damaged); going on from step 2', printed.getvalue())
    self.assertEqual([row['samples'] for row in Run(self.folder).history()], [16, 32, 48, 64])
    self.assertTrue((self.last / f'step-4{run.DATA}.damaged').exists())
    resumed = build.load_model(Run(self.folder), weights='raw')[1]
    for one, two in zip(state(trained(self.experiment(64))), state(resumed), strict=True):
      self.assertAllEqual(one, two)
    before = sorted(self.last.iterdir())
    for fault in (OSError(28, 'No space left on device'), tf.errors.ResourceExhaustedError(None, None, 'memory')):
      with unittest.mock.patch('tensorflow.train.load_checkpoint', side_effect=fault), self.assertRaises(type(fault)):
        self.train(self.folder, 64)
    self.assertEqual(sorted(self.last.iterdir()), before)  # Such a fault does not mean that the files are damaged.
    for path in self.last.glob(f'*{run.DATA}'):
      path.write_bytes(b'')
    with self.assertRaisesRegex(UserError, 'step-4 cannot be read.*there is no earlier one'):
      self.train(self.folder, 64)

  def test_the_metrics_of_a_finished_training_are_kept(self):
    shutil.copytree(self.finished, self.folder)
    finished, printed = Run(self.folder), io.StringIO()
    for content, kept in (('{"samples": 32, "metrics": {"probe_accuracy": 0.5}}', True), (None, False), ('{', False),
                          ('[]', False), ('{"samples": 16, "metrics": {"probe_accuracy": 0.5}}', False)):
      finished.metrics.unlink(missing_ok=True)
      if content is not None:
        finished.metrics.write_text(content)
      self.report.reset_mock()
      with contextlib.redirect_stdout(printed):
        self.assertEqual(self.train(self.folder), 0)
      self.assertEqual(self.report.called, not kept, content)
    self.assertEqual(printed.getvalue().count('training is complete'), 1)

  def test_lost_checkpoints_are_reported_before_anything_is_written(self):
    shutil.copytree(self.finished, self.folder)
    (self.last / 'step-4.index').unlink()
    with self.assertRaisesRegex(UserError, 'has 32 samples .* checkpoints/last has 16; .*after 16 samples'):
      self.train(self.folder)
    shutil.rmtree(self.folder / run.CHECKPOINTS)
    with self.assertRaisesRegex(UserError, 'has 32 samples .* checkpoints/last has 0; .*Restore the lost files'):
      self.train(self.folder)
    self.assertEqual(Run(self.folder).history(), self.history)
    self.assertFalse(self.last.exists())
    (self.folder / run.HISTORY).unlink()
    self.train(self.folder)
    self.assertLen(Run(self.folder).history(), 2)

  def test_killed_before_the_history_was_written(self):
    write = Run.write_history

    def killed(run, rows):
      if len(rows) == 2:
        raise KeyboardInterrupt
      write(run, rows)

    with unittest.mock.patch.object(Run, 'write_history', killed), self.assertRaises(KeyboardInterrupt):
      self.train(self.folder)
    self.assertLen(Run(self.folder).history(), 1)
    self.train(self.folder)
    for one, two in zip(Run(self.folder).history(), self.history, strict=True):
      self.assertEqual({**one, 'seconds': 0}, {**two, 'seconds': 0})

  def test_an_evaluation_that_fails_loses_no_training(self):
    with unittest.mock.patch.object(Modality, 'measure', side_effect=MemoryError), self.assertRaises(MemoryError):
      self.train(self.folder)
    self.assertEqual(checkpoint_steps(self.last), [2])

  def test_the_same_stop_twice_at_once_is_one_stop_and_a_later_one_ends_the_program(self):
    with signals.stop_signals() as received:
      for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        signal.raise_signal(number)
      self.assertEqual(received, [signal.SIGTERM])
      with unittest.mock.patch.object(signals, 'REPEATED', 0.0), unittest.mock.patch.object(signals.os, 'kill') as kill:
        time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)
        kill.assert_called_once_with(os.getpid(), signal.SIGINT)
        self.assertEqual(signal.getsignal(signal.SIGINT), signal.SIG_DFL)

  def test_a_signal_during_the_last_evaluation_stops_the_program(self):
    write = Run.write_history

    def signalled(run, rows):
      write(run, rows)
      if rows:
        signal.raise_signal(signal.SIGTERM)

    self.report.reset_mock()
    with unittest.mock.patch.object(Run, 'write_history', signalled):
      self.assertEqual(self.train(self.folder, 16), 128 + signal.SIGTERM)
    self.report.assert_not_called()
    self.assertEqual(self.train(self.folder), 0)
    self.report.assert_called_once()
    self.assertLen(Run(self.folder).history(), 2)


@pytest.mark.slow
class ProgramTest(tf.test.TestCase):
  """The program in processes of its own."""

  def command(self, folder, *more):
    return [sys.executable, '-m', 'acai_tf.train', *FLAGS, '--run_dir', str(folder), *more]

  def test_killed_and_resumed_is_bit_exact(self):
    folders = [pathlib.Path(self.get_temp_dir()) / name for name in ('whole', 'killed')]
    flags = ['--samples', '1024', '--set', 'training.checkpoint_every=128', '--set', 'training.evaluate_every=0']
    killed = subprocess.Popen(self.command(folders[1], *flags), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not checkpoint_steps(folders[1] / 'checkpoints' / 'last') and killed.poll() is None:
      time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    self.assertEqual(killed.returncode, -signal.SIGKILL, 'the run ended before it could be killed')
    for folder in folders:
      done = subprocess.run(self.command(folder, *flags), capture_output=True, text=True, check=False)
      self.assertEqual(done.returncode, 0, done.stderr)
      self.assertEqual('resumed from step' in done.stdout, folder == folders[1])
    newest = [checkpoint_steps(f / 'checkpoints' / 'last')[-1] for f in folders]
    self.assertEqual(*newest)
    readers = [tf.train.load_checkpoint(f'{f}/checkpoints/last/step-{newest[0]}') for f in folders]
    names = readers[0].get_variable_to_shape_map()
    self.assertGreater(len(names), 60)
    for name in names:
      self.assertAllEqual(readers[0].get_tensor(name), readers[1].get_tensor(name))

  def test_sigterm_saves_and_says_how_to_resume(self):
    folder = pathlib.Path(self.get_temp_dir()) / 'run'
    process = subprocess.Popen(self.command(folder, '--samples', '10000000', '--set', 'training.evaluate_every=64'),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, 'PYTHONUNBUFFERED': '1'})
    began = any(line.startswith('evaluated at') for line in process.stdout)  # Reads up to there.
    process.terminate()
    output, errors = process.communicate()
    self.assertTrue(began, errors)
    self.assertEqual(process.returncode, 128 + signal.SIGTERM, errors)
    self.assertRegex(output, r'stopped by signal 15 at step \d+; saved. The same command resumes it.')
    self.assertNotEmpty(checkpoint_steps(folder / 'checkpoints' / 'last'))


if __name__ == '__main__':
  tf.test.main()
