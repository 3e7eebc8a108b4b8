"""The index-driven pipeline, its disk cache, and MNIST through the real TFDS builder."""

import contextlib
import io
import os
import pathlib
import time

import numpy as np
import pytest
import tensorflow as tf

from acai_tf.data import _tfds, base, image_base, mnist
from acai_tf.experiment.errors import UserError

REAL = pathlib.Path(__file__).parents[1].parent / 'shared' / 'data' / 'mnist'


def numbered(count=10):
  images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones([1, 2, 2, 1], np.uint8)
  labels = np.arange(count, dtype=np.int32)
  return image_base.ArrayDataset(
      {'train_images': images, 'train_labels': labels, 'test_images': images, 'test_labels': labels}, count)


class PipelineTest(tf.test.TestCase):

  def order(self, dataset, seed, start, stop, size=4, **kwargs):
    return np.concatenate([labels for _, labels in dataset.pipeline(
        seed, size, start, stop, **kwargs).as_numpy_iterator()])

  def test_every_epoch_holds_every_image_once_in_a_new_order(self):
    order = self.order(numbered(), 0, 0, 10).reshape(4, 10)  # 40 images, batches of 4 span the epochs of 10
    for epoch in order:
      self.assertAllEqual(np.sort(epoch), np.arange(10))
    self.assertNotAllEqual(order[0], order[1])

  def test_starting_anywhere_gives_the_same_batches(self):
    whole = self.order(numbered(), 3, 0, 12)
    self.assertAllEqual(whole[7 * 4:], self.order(numbered(), 3, 7, 12))
    self.assertNotAllEqual(whole, self.order(numbered(), 4, 0, 12))

  def test_replicas_share_each_global_batch(self):
    dataset = numbered()
    whole = self.order(dataset, 0, 2, 4, size=8).reshape(2, 8)
    shared = self.order(dataset, 0, 2, 4, size=8, replicas=2).reshape(2, 2, 4)
    self.assertAllEqual(shared[:, 0], whole[:, [0, 1, 6, 7]])
    self.assertAllEqual(shared[:, 1], whole[:, [2, 3, 4, 5]])
    second_worker = self.order(dataset, 0, 2, 4, size=8, replicas=2, first=1, count=1).reshape(2, 4)
    self.assertAllEqual(second_worker, shared[:, 1])

  def test_its_identity_is_what_is_trained_on(self):
    dataset, pixel, label = numbered(), numbered(), numbered()
    self.assertEqual(dataset.identity(), numbered().identity())
    pixel.train_images[3, 1, 1, 0] += 1
    label.train_labels[3] += 1
    self.assertLen({dataset.identity(), pixel.identity(), label.identity()}, 3)
    dataset.test_images = dataset.test_images + 1
    self.assertEqual(dataset.identity(), numbered().identity())

  def test_pairs_hold_no_image_twice_until_all_are_used(self):
    dataset = numbered(11)
    for count in (5, 12):
      pairs = np.stack([images[:, 0, 0, 0] for images in dataset.pairs(count, 0)])
      self.assertEqual(pairs.shape, (2, count))
      self.assertAllLess(-np.abs(pairs[0] - pairs[1]), 0)
      self.assertLen(np.unique(pairs[:, :5]), 10)
    self.assertAllEqual(dataset.pairs(5, 3)[0], dataset.pairs(5, 3)[0])
    self.assertAllEqual(np.stack(dataset.pairs(5, 3))[:, 2:4], dataset.pairs(5, 3, slice(2, 4)))
    self.assertNotAllEqual(dataset.pairs(5, 3)[0], dataset.pairs(5, 4)[0])

  def test_arrays_that_another_version_left_are_refused(self):
    whole = {f'{part}_{name}': array for part in ('train', 'test') for name, array in (
        ('images', np.zeros([4, 2, 2, 1], np.uint8)), ('labels', np.arange(4, dtype=np.int32)))}
    self.assertEqual(image_base.checked(whole, (2, 2, 1), 4).shape, (2, 2, 1))
    for name, array, message in (
        ('train_images', np.zeros([4, 3, 3, 1], np.uint8), 'train_images are uint8'),
        ('test_images', np.zeros([4, 2, 2, 1], np.float32), 'test_images are float32'),
        ('test_labels', None, 'test_labels is missing'),
        ('train_labels', np.arange(3, dtype=np.int32), 'one for each of 4'),
        ('test_labels', np.arange(4), 'test_labels are int64'),
        ('train_labels', np.arange(4, dtype=np.int32) + 1, 'train_labels go from 1 to 4; expected 0 to 3'),
        ('train_labels', np.full([4, 4], 2, np.int32), 'go from 2 to 2; expected 0 to 1')):
      with self.assertRaisesRegex(UserError, f'data cache memory: .*{message}.*delete that folder'):
        image_base.checked({**whole, name: array}, (2, 2, 1), 4)

  def test_the_pipeline_can_be_dropped_at_once(self):
    # Not None, the default, which is on: its thread sleeps up to 60 s.
    self.assertIs(numbered().pipeline(0, 4, 0, 1).options().autotune.enabled, False)

  def test_pixels_go_to_minus_one_and_one(self):
    images = np.array([0, 255, 51], np.uint8).reshape(3, 1, 1, 1)
    dataset = image_base.ArrayDataset({'train_images': images, 'train_labels': np.arange(3, dtype=np.int32),
                                       'test_images': images, 'test_labels': np.arange(3, dtype=np.int32)}, 3)
    batch, labels = next(iter(dataset.pipeline(0, 3, 0, 1)))
    self.assertAllClose(batch[:, 0, 0, 0].numpy()[np.argsort(labels)], [-1, 1, -0.6])
    self.assertAllClose(dataset.test(2)[0].ravel(), [-1, 1])


def four(append):
  append('train_images', np.arange(2, dtype=np.uint8))
  append('train_images', np.arange(2, 4, dtype=np.uint8))


class CacheTest(tf.test.TestCase):

  def test_prepared_once_and_memory_mapped(self):
    calls, folder = [], self.get_temp_dir() + '/cache'

    def prepare(append):
      calls.append(1)
      four(append)

    for _ in range(2):
      arrays = base.cached_arrays(folder, prepare)
      self.assertIsInstance(arrays['train_images'], np.memmap)
      self.assertAllEqual(arrays['train_images'], np.arange(4))
    self.assertLen(calls, 1)

  def test_rows_of_many_digits_and_no_rows(self):
    def prepare(append):
      append('none', np.zeros([0, 3], np.int32))
      for start in range(0, 100_000, 10_000):
        append('many', np.arange(start, start + 10_000, dtype=np.int32).reshape(-1, 2))

    arrays = base.cached_arrays(self.get_temp_dir() + '/rows', prepare)
    self.assertAllEqual(arrays['many'].ravel(), np.arange(100_000))
    self.assertEqual(arrays['none'].shape, (0, 3))

  def test_it_says_where_it_lies(self):
    self.assertEqual(numbered(10).describe(), '10 training and 10 test images, 2x2x1 uint8, 8e-08 GB')

  def test_an_interrupted_preparation_leaves_nothing(self):
    folder = pathlib.Path(self.get_temp_dir()) / 'interrupted' / 'cache'

    def interrupted(append):
      four(append)
      raise KeyboardInterrupt

    with self.assertRaises(KeyboardInterrupt):
      base.cached_arrays(folder, interrupted)
    self.assertEmpty(list(folder.parent.iterdir()))

  def test_what_a_killed_preparation_left_is_deleted_a_day_later(self):
    folder = pathlib.Path(self.get_temp_dir()) / 'left' / 'cache'
    for name, age in (('cache.old.part', 90_000), ('cache.new.part', 10), ('other.old.part', 90_000)):
      (folder.parent / name).mkdir(parents=True)
      (folder.parent / name / 'x.npy').write_bytes(b'x')
      for path in (folder.parent / name / 'x.npy', folder.parent / name):
        os.utime(path, (time.time() - age,) * 2)
    base.cached_arrays(folder, four)
    left = [path.name for path in folder.parent.iterdir()]
    self.assertCountEqual(left, ['cache', 'cache.new.part', 'other.old.part'])

  def test_of_two_that_prepare_at_once_both_have_it(self):
    folder = pathlib.Path(self.get_temp_dir()) / 'shared' / 'cache'

    def slower(append):
      base.cached_arrays(folder, four)  # as another host does on the same disk
      four(append)

    self.assertAllEqual(base.cached_arrays(folder, slower)['train_images'], np.arange(4))
    self.assertEqual([path.name for path in folder.parent.iterdir()], ['cache'])

  def test_a_cache_that_changed_is_named_and_made_anew(self):
    folder = pathlib.Path(self.get_temp_dir()) / 'changed'
    base.cached_arrays(folder, four)
    images, whole = folder / 'train_images.npy', (folder / 'train_images.npy').read_bytes()
    for spoil, named in (
        (lambda: images.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1])), 'train_images.npy changed'),
        (lambda: images.write_bytes(whole[:-4]), 'train_images.npy changed'),
        (images.unlink, 'train_images.npy changed'),
        (lambda: np.save(folder / 'more.npy', [1]), 'more.npy changed'),
        ((folder / 'sums.json').unlink, 'sums.json is missing'),
        (lambda: (folder / 'sums.json').write_text('[1]'), 'sums.json is not a JSON object'),
        (lambda: (folder / 'sums.json').write_text('null'), 'sums.json is not a JSON object')):
      spoil()
      with contextlib.redirect_stdout(io.StringIO()) as output:
        self.assertAllEqual(base.cached_arrays(folder, four)['train_images'], np.arange(4))
      self.assertIn(f'{folder}: {named}', output.getvalue())
      self.assertEqual(images.read_bytes(), whole)
      with contextlib.redirect_stdout(io.StringIO()) as output:
        base.cached_arrays(folder, four)
      self.assertEqual(output.getvalue(), '')
    self.assertEqual([path.name for path in folder.parent.glob('changed*')], ['changed'])


class MnistTest(tf.test.TestCase):

  def test_missing_files_are_named(self):
    empty = pathlib.Path(self.get_temp_dir()) / 'empty'
    empty.mkdir()
    with self.assertRaises(UserError) as caught:
      mnist.load(mnist.Config(), self.get_temp_dir() + '/data', str(empty))
    self.assertRegex(str(caught.exception), '^data set mnist: .* lacks t10k-images.*train-images.*expected the')
    self.assertNotIn('\n', str(caught.exception))

  @pytest.mark.slow
  def test_the_real_thing(self):
    if not REAL.exists():
      self.skipTest(f'needs the official MNIST files in {REAL}')
    dataset = mnist.load(mnist.Config(), self.get_temp_dir() + '/data', str(REAL))
    self.assertEqual(dataset.shape, (32, 32, 1))
    self.assertEqual((len(dataset.train_images), len(dataset.test_images)), (60_000, 10_000))
    # The digits' published counts and mean brightness (0.1307 of 28x28), and the padding.
    self.assertAllEqual(np.bincount(dataset.train_labels),
                        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    inner = np.asarray(dataset.train_images[:, 2:30, 2:30])
    self.assertAllClose(inner.mean() / 255, 0.1307, atol=1e-4)
    self.assertEqual(np.asarray(dataset.train_images, np.int64).sum(), inner.astype(np.int64).sum())
    images, labels = dataset.test(5)
    self.assertAllEqual(labels.shape, [5])
    self.assertEqual(images[0, 0, 0, 0], -1)
    with self.subTest('again from the cache, without the files'):
      again = _tfds.arrays('mnist', self.get_temp_dir() + '/data', '/nowhere', '_pad2')
      self.assertAllEqual(again['test_labels'], dataset.test_labels)


if __name__ == '__main__':
  tf.test.main()
