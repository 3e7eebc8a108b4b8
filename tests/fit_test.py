"""Training on arrays of the user's own: acai_tf.fit and load, the data set `arrays`, callbacks, and the time left."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest.mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from devices import without_graphs

import acai_tf
from acai_tf.data import arrays
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.experiment.run import Run
from acai_tf.training import callback, progress

SETTINGS = {'network.latent_width': 2, 'network.latent': 2, 'network.depth': 2, 'training.batch': 4,
            'training.samples': 16, 'training.evaluate_every': 8, 'training.final_evaluations': 0,
            'training.precision': 'float32'}


def images(count=24, size=8, channels=1):
  return np.random.default_rng(0).integers(256, size=[count, size, size, channels], dtype=np.uint8)


class Recorder(acai_tf.Callback):
  """Records all calls."""

  def __init__(self):
    self.calls = []

  def on_begin(self, experiment, run, samples):
    self.calls.append(('begin', experiment.model_name, str(run), samples))

  def on_losses(self, samples, losses):
    self.calls.append(('losses', samples, losses['recon_mse']))

  def on_metrics(self, samples, metrics):
    self.calls.append(('metrics', samples, metrics['recon_mse']))

  def on_end(self, metrics):
    self.calls.append(('end', metrics and metrics['recon_mse']))


class Failing(acai_tf.Callback):

  def on_losses(self, samples, losses):
    raise OSError('no route to host')


class FitTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / 'run'
    self.enterContext(contextlib.redirect_stdout(io.StringIO()))
    without_graphs(self)

  def fit(self, data=None, labels=None, **arguments):
    arguments = {'run_dir': self.folder, 'settings': SETTINGS, **arguments}
    return acai_tf.fit('autoencoder', images() if data is None else data, labels, **arguments)

  def test_it_trains_resumes_and_loads(self):
    labels, recorder = np.arange(24) % 3, Recorder()
    errors = self.enterContext(contextlib.redirect_stderr(io.StringIO()))
    model = self.fit(labels=labels, callbacks=[recorder, Failing()])
    run = Run(self.folder)
    self.assertEqual(run.experiment().dataset.labels, 3)
    self.assertEqual([row['samples'] for row in run.history()], [8, 16])
    self.assertTrue(run.metrics.exists())
    inputs = tf.constant(images(2) / 127.5 - 1, tf.float32)
    self.assertAllEqual(model(inputs), acai_tf.load(self.folder)(inputs))
    self.assertNotAllClose(model(inputs), acai_tf.load(self.folder, weights='raw')(inputs), atol=0)

    with self.subTest('callbacks'):
      self.assertEqual(recorder.calls[0], ('begin', 'autoencoder', str(self.folder), 0))
      metrics = [call[1:] for call in recorder.calls if call[0] == 'metrics']
      self.assertEqual(metrics, [(row['samples'], row['recon_mse']) for row in run.history()])
      self.assertEqual([call[1] for call in recorder.calls if call[0] == 'losses'][-1], 16)
      self.assertEqual(recorder.calls[-1][0], 'end')
      message = 'Failing.on_losses failed (OSError: no route to host); training continues'
      self.assertEqual(errors.getvalue().count(message), 1)  # It is called once only.

    with self.subTest('resumed'):
      again = Recorder()
      self.fit(labels=labels, settings={**SETTINGS, 'training.samples': 24}, callbacks=[again])
      self.assertEqual(again.calls[0][-1], 16)
      self.assertEqual([row['samples'] for row in run.history()], [8, 16, 24])

    with self.subTest('a moved run is resumed'):
      moved = self.folder.rename(self.folder.with_name('moved'))
      self.fit(labels=labels, run_dir=moved, settings={**SETTINGS, 'training.samples': 32})
      self.assertEqual([row['samples'] for row in Run(moved).history()], [8, 16, 24, 32])
      self.assertEqual(Run(moved).experiment().dataset.path, str(moved / 'images.npz'))
      moved.rename(self.folder)

    with self.subTest('other images are refused'):
      other = images()
      other[5, 0, 0, 0] ^= 1
      with self.assertRaisesRegex(UserError, 'has other images or labels than those given; expected the same'):
        self.fit(other, labels)
      with self.assertRaisesRegex(UserError, 'other images or labels'):
        self.fit(labels=None)

  def test_a_training_that_is_stopped_says_so_and_resumes(self):
    class Interrupt(acai_tf.Callback):

      def on_losses(self, samples, losses):
        import signal
        signal.raise_signal(signal.SIGINT)

    recorder = Recorder()
    with self.assertRaisesRegex(KeyboardInterrupt, 'stopped by signal 2; call fit again to resume'):
      self.fit(callbacks=[Interrupt(), recorder])
    self.assertEqual(recorder.calls[-1], ('end', None))
    self.assertNotEmpty(Run(self.folder).steps())
    self.fit()
    self.assertEqual(Run(self.folder).steps()[-1], 4)

  def test_a_tf_data_set_equals_its_arrays(self):
    labels = np.arange(24) % 3
    with unittest.mock.patch('acai_tf.api.session.train', return_value=0), \
         unittest.mock.patch('acai_tf.api.load', return_value=None):
      self.fit(tf.data.Dataset.from_tensor_slices((images(), labels)))
      expected = arrays.split(images(), labels)
      for name, array in arrays.read(self.folder / 'images.npz', 0.1).items():
        self.assertAllEqual(array, expected[name])
      self.fit(labels=labels)  # the same data
    with self.assertRaisesRegex(UserError, 'infinite'):
      self.fit(tf.data.Dataset.from_tensor_slices(images()).repeat())
    with self.assertRaisesRegex(UserError, r'expected images, or \(image, label\)'):
      self.fit(tf.data.Dataset.from_tensor_slices({'image': images()}))
    with self.assertRaisesRegex(UserError, 'labels is given beside'):
      self.fit(tf.data.Dataset.from_tensor_slices(images()), labels)
    with self.assertRaisesRegex(UserError, 'test_labels is given beside'):
      self.fit(test_images=tf.data.Dataset.from_tensor_slices(images()), test_labels=labels)
    with self.assertRaisesRegex(UserError, 'cannot be stacked .*expected one size'):
      self.fit(tf.data.Dataset.from_generator(lambda: (np.zeros([n, n, 1], np.uint8) for n in (8, 9)),
                                              output_signature=tf.TensorSpec([None, None, 1], tf.uint8)))

  def test_mistakes_leave_nothing_behind(self):
    for message, arguments in (
        ('images has shape .24, 8, 9, 1.', {'data': np.zeros([24, 8, 9, 1], np.uint8)}),
        ('images is no array .*expected images of one size', {'data': [np.zeros([n, n]) for n in (8, 9)]}),
        ('labels is no array .*expected whole numbers', {'labels': [[1], [1, 2]]}),
        ('images has type int64; expected uint8, or floats', {'data': images().astype(int)}),
        ('images has values from 0 to 255; expected floats from 0 to 1', {'data': images().astype(float)}),
        ('images has values from nan', {'data': np.full([4, 8, 8], np.nan)}),
        ('labels is int64 of shape .3,.; expected whole numbers', {'labels': np.arange(3)}),
        ('test_images has images of shape .8, 8, 3.', {'test_images': images(channels=3)}),
        ('there are test_labels and no test_images', {'test_labels': np.arange(24)}),
        ('only one of labels and test_labels', {'test_images': images(), 'labels': np.arange(24)}),
        ('only one of labels and test_labels', {'test_images': images(), 'test_labels': np.arange(24)}),
        ("unknown strategy 'mirored'; did you mean 'mirrored'", {'strategy': 'mirored'}),
        ('dataset.path cannot be set', {'settings': {'dataset.path': 'x'}}),
        ("unknown key of training 'sampels'; did you mean 'samples'", {'settings': {'training.sampels': 1}}),
        ('expected at least 2', {'data': images(1)})):
      with self.subTest(message), self.assertRaisesRegex(UserError, message):
        self.fit(**arguments)
    with self.assertRaisesRegex(UserError, "weights is 'ema'; expected 'average' or 'raw'"):
      acai_tf.load(self.folder, weights='ema')
    self.assertFalse((self.folder / 'experiment.json').exists())
    other = Run(self.folder.with_name('other'))
    other.claim(resolve('lines', 'acai'))
    with self.assertRaisesRegex(UserError, 'other is a training on lines; expected another run_dir'):
      self.fit(run_dir=other.folder)
    self.assertEqual([path.name for path in other.folder.iterdir()], ['experiment.json'])
    with unittest.mock.patch('acai_tf.api.session.train', return_value=0), \
         unittest.mock.patch('acai_tf.api.load', return_value=None):
      self.fit(images()[::-1])  # Other images than in the calls that failed: no training has begun.
    self.assertLen(arrays.read(self.folder / 'images.npz', 0.1)['train_images'], 22)


class ArraysTest(parameterized.TestCase, tf.test.TestCase):

  def write(self, **named):
    path = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / 'a.npz'
    np.savez(path, **named)
    return path

  def load(self, path, **settings):
    return arrays.load(resolve('arrays', 'acai', overrides={'dataset': {'path': str(path), **settings}}).dataset)

  def test_split_types_and_classes(self):
    labels = np.repeat([0, 1, 4], 20)
    data = self.load(self.write(images=images(60, 16), labels=labels), test_share=0.25)
    self.assertEqual((len(data.train_images), len(data.test_images), data.classes), (45, 15, 5))
    both = np.concatenate([data.train_images, data.test_images])
    order = [int(np.flatnonzero((images(60, 16) == image).all((1, 2, 3)))[0]) for image in both]
    self.assertCountEqual(order, range(60))  # each image is in one split, with its label
    self.assertAllEqual(np.concatenate([data.train_labels, data.test_labels]), labels[order])

  def test_floats_are_rounded_to_bytes_and_grey_images_need_no_channel(self):
    data = self.load(self.write(images=images(8, 16)[..., 0] / np.float32(255), test_images=images(4, 16)))
    self.assertAllEqual(data.train_images, images(8, 16))
    self.assertEqual((len(data.test_images), data.classes), (4, 0))

  @parameterized.parameters(
      (b'', 'cannot be read'), (b'PK\x03\x04 and so on', 'cannot be read'), (b'\x93NUMPY', 'cannot be read'))
  def test_broken_files(self, content, message):
    path = self.write(images=images())
    path.write_bytes(content)
    with self.assertRaisesRegex(UserError, message) as caught:
      self.load(path)
    self.assertNotIn('\n', str(caught.exception))

  def test_other_arrays_and_truncated_ones(self):
    path = self.write(pictures=images())
    with self.assertRaisesRegex(UserError, 'it has the arrays pictures.; expected an .npz file with the array images'):
      self.load(path)
    path = self.write(images=images())
    path.write_bytes(path.read_bytes()[:-500])
    with self.assertRaisesRegex(UserError, 'cannot be read'):
      self.load(path)
    np.save(path.with_suffix('.npy'), images())
    with self.assertRaisesRegex(UserError, r'cannot be read \(it is a single array\)'):
      self.load(path.with_suffix('.npy'))
    np.savez_compressed(path, images=images())
    good = path.read_bytes()
    for place in range(0, len(good), 29):
      path.write_bytes(good[:place] + bytes([good[place] ^ 0xff]) + good[place + 1:])
      with contextlib.suppress(UserError):  # Some bytes, such as those of times, mean nothing.
        self.load(path)
    with self.assertRaisesRegex(UserError, 'dataset.size is 16, and .* has 8'):
      self.load(self.write(images=images()), size=16)
    with self.assertRaisesRegex(UserError, 'dataset.path is missing'):
      resolve('arrays', 'acai')


class CallbackTest(tf.test.TestCase):

  def test_by_name(self):
    self.assertIsInstance(callback.load(f'{__name__}:Recorder'), Recorder)
    folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
    (folder / 'my_tracker.py').write_text('import acai_tf\nclass Mine(acai_tf.Callback): pass\n')
    with contextlib.chdir(folder), unittest.mock.patch('sys.path', list(sys.path[1:])):
      self.assertEqual(type(callback.load('my_tracker:Mine')).__name__, 'Mine')
    for name, message in (('no_such_module:A', 'ModuleNotFoundError'), (f'{__name__}:Nothing', 'AttributeError'),
                          ('collections:OrderedDict', 'is not an acai_tf'), ('collections', 'expected package.module')):
      with self.assertRaisesRegex(UserError, message):
        callback.load(name)


class TimeLeftTest(tf.test.TestCase):

  def test_evaluations_to_come_count_at_their_mean_time(self):
    clock = self.enterContext(unittest.mock.patch('time.monotonic'))
    clock.return_value = 0.0
    shown = progress.Progress(100, 4, [50, 90, 100])
    with contextlib.redirect_stdout(io.StringIO()) as out:
      shown(10, {})  # the first call starts the clock
      clock.return_value = 40.0
      shown(50, {})  # one step a second
      with shown.evaluation():
        clock.return_value = 60.0
      clock.return_value = 70.0
      shown(60, {})
    lines = out.getvalue().splitlines()
    self.assertIn('200 / 400 samples, 4 samples/s, 0:50 left', lines[0])  # no evaluation yet
    self.assertIn('240 / 400 samples, 4 samples/s, 1:20 left', lines[1])  # 40 steps, two evaluations of 20 s


if __name__ == '__main__':
  tf.test.main()
