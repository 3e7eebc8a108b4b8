"""Several trainings side by side: their order, their processors, failures and stops."""

import os
import pathlib
import signal
import tempfile
import threading
import time
import unittest.mock

import tensorflow as tf

from acai_tf.zoo import _jobs, _records, _reproduce, base


def job(name='lines_vae', seed=0, samples=64, seconds=None):
  definition = base.definition(name)
  return _jobs.Job(definition, _reproduce.experiment_of(definition, seed, 'fast', samples), 0, seconds)


class JobsTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))

  def filed(self, name, samples, seconds, seed=0):
    definition = base.definition(name)
    experiment = _reproduce.experiment_of(definition, seed, 'fast', samples, ['training.precision=float32'])
    _records.add(name, _records.Record(
        experiment=experiment, samples=samples, weights='average', metrics={'recon_mse': seconds * 1e-6}, medians={},
        curves={}, history=[], train_seconds=seconds), self.folder / 'results')

  def test_a_plan_has_what_is_missing_the_longest_first(self):
    self.filed('lines_vae', 1 << 14, 160.0)  # 102.4 samples a second
    self.filed('lines_vae', 1 << 15, 640.0, 1)  # 51.2, so that the median is 76.8
    self.filed('mnist_vae_d32', 1 << 14, 64.0)  # 256
    asked = [(one, _reproduce.experiment_of(one, seed, 'fast', samples)) for one, seed, samples in (
        (base.definition('lines_vae'), 0, 1 << 14), (base.definition('lines_vae'), 2, 1 << 14),
        (base.definition('mnist_vae_d256'), 0, 1 << 16), (base.definition('mnist_vae_d32'), 1, 1 << 15))]
    run = _reproduce.run_of('mnist_vae_d32', asked[3][1], (), self.folder / 'runs').checkpoints / 'last'
    run.mkdir(parents=True)
    for ending in ('index', 'data-00000-of-00001'):
      (run / f'step-1024.{ending}').touch()  # half of 2,048 steps
    jobs = _jobs.plan(asked, (), self.folder / 'runs', self.folder / 'results')
    self.assertEqual([(one.name, one.trained) for one in jobs], [
        ('mnist_vae_d256, seed 0', 0), ('lines_vae, seed 2', 0), ('mnist_vae_d32, seed 1', 1 << 14)])
    self.assertAllClose([one.seconds for one in jobs], [(1 << 16) / 256, (1 << 14) / 76.8, (1 << 14) / 256])
    printed = _jobs.table(jobs, 2)
    self.assertRegex(printed, 'lines_vae, seed 2 +fast +16,384 +0 +0:03 h')
    self.assertIn('missing trainings: 3. Run 2 at a time, they take about 0:04 h', printed)

  def test_a_plan_has_runs_whose_weights_are_not_stored(self):
    self.filed('lines_vae', 1 << 14, 160.0)
    experiment = _reproduce.experiment_of(base.definition('lines_vae'), 0, 'fast', 1 << 14)

    def planned():
      return [one.name for one in _jobs.plan(
          [(base.definition('lines_vae'), experiment)], (), self.folder / 'runs', self.folder / 'results')]

    self.assertEqual(planned(), [])  # The run folder is not here.
    _reproduce.run_of('lines_vae', experiment, (), self.folder / 'runs').folder.mkdir(parents=True)
    self.assertEqual(planned(), ['lines_vae, seed 0'])
    with unittest.mock.patch.object(_jobs._weights, 'refusal', return_value='they may not be distributed'):
      self.assertEqual(planned(), [])
    record, = _records.load('lines_vae', self.folder / 'results')
    _records.set_kept('lines_vae', record, _records.Kept('lines_vae.npz', '0' * 64, 10, 'float16', {}),
                      self.folder / 'results')
    self.assertEqual(planned(), [])

  def test_a_stop_that_comes_while_a_program_starts_reaches_it(self):
    worker = _jobs.Worker(0, 1, None, None, None, self.folder)
    worker.job = job()

    def start(*arguments, **settings):
      worker.stopped = True  # `stop` has found no process yet.
      return unittest.mock.DEFAULT

    with unittest.mock.patch.object(_jobs.subprocess, 'Popen', side_effect=start) as program:
      program.return_value.stdout = []
      worker.call(['acai_tf.train'], '')
    program.return_value.terminate.assert_called_once()

  def test_the_whole_time(self):
    jobs = [job(seconds=seconds) for seconds in (50, 40, 30, 20)]
    self.assertEqual([_jobs.makespan(jobs, count) for count in (1, 2, 3, 9)], [140, 70, 50, 50])
    self.assertIsNone(_jobs.makespan([*jobs, job()], 2))
    self.assertEqual([_jobs.hours(seconds) for seconds in (3900, 59, None)], ['1:05 h', '0:00 h', 'unknown'])

  def work(self, reproduce, count=2, seeds=4):
    return _jobs.work([job(seed=seed) for seed in range(seeds)], count, reproduce, self.folder)

  def test_each_has_processors_and_a_gpu_of_its_own(self):
    found, together = {}, threading.Barrier(2, timeout=30)

    def reproduce(one, call):
      together.wait()
      cores = os.sched_getaffinity(0)
      self.assertEqual(call(['acai_tf.zoo.nothing'], ''), 1)  # a module that is not there
      found[one.experiment.training.seed] = (cores, threading.current_thread().environment)
      return 0

    with unittest.mock.patch.dict(os.environ, CUDA_VISIBLE_DEVICES='3,5'), unittest.mock.patch.object(
        _jobs.machine, 'cores', return_value={min(os.sched_getaffinity(0))}):
      self.assertEqual(self.work(reproduce, seeds=2), 0)
    self.assertEqual(sorted(environment['CUDA_VISIBLE_DEVICES'] for _, environment in found.values()), ['3', '5'])
    self.assertEqual([cores for cores, _ in found.values()], [{min(os.sched_getaffinity(0))}] * 2)
    self.assertIn('No module named acai_tf.zoo.nothing', (self.folder / 'lines_vae_s0.log').read_text())
    cores = sorted(range(5))
    with unittest.mock.patch.object(_jobs.machine, 'cores', return_value=set(cores)):
      shares = [_jobs.Worker(number, 2, None, None, None, self.folder).cores for number in range(2)]
    self.assertEqual(shares, [{0, 2, 4}, {1, 3}])
    for allowed, expected in (('', []), ('-1', []), ('0, 2', ['0', '2'])):
      with unittest.mock.patch.dict(os.environ, CUDA_VISIBLE_DEVICES=allowed):
        self.assertEqual(_jobs.visible_gpus(), expected)

  def test_one_that_fails_stops_no_other(self):
    def reproduce(one, call):
      del call
      if one.experiment.training.seed == 1:
        raise OSError('disk full')
      return 3 if one.experiment.training.seed == 2 else 0

    with unittest.mock.patch('sys.stdout') as out:
      self.assertEqual(self.work(reproduce), 1)
    printed = ''.join(call.args[0] for call in out.write.call_args_list)
    self.assertIn('2 done, 2 failed, 0 left', printed)
    self.assertIn('lines_vae, seed 2: FAILED with status 3', printed)
    self.assertIn('OSError: disk full', (self.folder / 'lines_vae_s1.log').read_text())

  def test_a_log_that_cannot_be_written_stops_no_training(self):
    def reproduce(one, call):
      return call(['acai_tf.zoo.nothing'], '') - 1 + one.experiment.training.seed

    with unittest.mock.patch.object(_jobs, 'log_of', return_value=pathlib.Path('/dev/full')), unittest.mock.patch(
        'sys.stdout') as out:
      self.assertEqual(self.work(reproduce, seeds=2), 1)
    self.assertIn('1 done, 1 failed, 0 left', ''.join(call.args[0] for call in out.write.call_args_list))

  def test_a_signal_ends_all_and_says_what_is_left(self):
    def reproduce(one, call):
      if one.experiment.training.seed == 0:
        return 0
      os.kill(os.getpid(), signal.SIGTERM)
      while not threading.current_thread().stopped:
        time.sleep(0.05)
      return call(['acai_tf.zoo.nothing'], '')

    with unittest.mock.patch('sys.stdout') as out:
      self.assertEqual(self.work(reproduce, count=1), 128 + signal.SIGTERM)
    printed = ''.join(call.args[0] for call in out.write.call_args_list)
    self.assertIn('1 done, 0 failed, 3 left', printed)
    self.assertIn('left: lines_vae, seed 1; lines_vae, seed 2; lines_vae, seed 3.', printed)


if __name__ == '__main__':
  tf.test.main()
