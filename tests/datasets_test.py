"""Every data set's own facts: TFDS builders on files of the official formats, made here, and folders of pictures."""

import contextlib
import hashlib
import importlib.util
import io
import os
import pathlib
import shutil
import tarfile
import unittest.mock
import warnings
import zipfile

import numpy as np
import pytest
import scipy.io
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download import checksums

from acai_tf.data import _tfds, binarized_mnist, celeba, cifar10, folder, image_base, svhn
from acai_tf.experiment import config, registry
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve

SHARED = pathlib.Path(__file__).parents[1].parent / 'shared' / 'data'
OF_TFDS = ('binarized_mnist', 'celeba', 'cifar10', 'fashion_mnist', 'mnist', 'svhn')


@contextlib.contextmanager
def accepted(files):
  """Lets TFDS take the official files of a folder, made by a test, for the official ones: their checksums differ."""
  make = tfds.builder

  def builder(*args, **kwargs):
    made = make(*args, **kwargs)
    for url, info in made.url_infos.items():
      path = files / (info.filename or url.rsplit('/', 1)[-1])
      made.url_infos[url] = checksums.compute_url_info(path) if path.exists() else info
    return made

  with unittest.mock.patch.object(tfds, 'builder', builder):
    yield


def pixels(shape, seed=0):
  return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


class RegistryTest(tf.test.TestCase):

  def test_every_set_fits_its_network(self):
    for name in registry.names('acai_tf.data', 'images'):
      with self.subTest(name):
        module = registry.load('acai_tf.data', name)
        height, width, channels = module.shape(module.Config())
        if not height:  # as in the user's file
          continue
        self.assertEqual(height, width)
        self.assertIn(channels, (1, 3))
        self.assertGreater(config.scales(height, module.NETWORK.latent_width), 0)
        self.assertIsInstance(module.classes(module.Config()), int)

  def test_mocked_builders(self):
    for name in OF_TFDS:
      with (self.subTest(name), tfds.testing.mock_data(num_examples=7),
            unittest.mock.patch.object(_tfds, '_unknown_host', return_value=None)):
        module = registry.load('acai_tf.data', name)
        data = module.load(module.Config(), f'{self.get_temp_dir()}/{name}')
        self.assertEqual((data.shape, data.classes), (module.shape(module.Config()), module.classes(module.Config())))
        self.assertLen(data.train_images, 14 if name == 'svhn' else 7)  # of train and of extra
        images, labels = next(iter(data.pipeline(0, 4, 0, 1)))
        self.assertEqual((images.shape, images.dtype), ((4, *data.shape), tf.float32))
        self.assertAllInRange(images, -1, 1)
        self.assertAllInRange(labels, 0, data.classes - 1)

  def test_binarized_mnist_is_mnist_from_mid_grey_on(self):
    grey = np.array([0, 127, 128, 255], np.uint8)[np.random.default_rng(0).integers(4, size=[5, 28, 28, 1])]
    labels, folder = np.arange(5), self.get_temp_dir() + '/binary'

    def examples(_, **kwargs):
      del kwargs
      return tf.data.Dataset.from_tensor_slices({'image': grey, 'label': labels})

    with (tfds.testing.mock_data(as_dataset_fn=examples),
          unittest.mock.patch.object(_tfds, '_unknown_host', return_value=None)):
      data = binarized_mnist.load(binarized_mnist.Config(), folder)
    self.assertEqual(data.train_images.dtype, np.uint8)
    self.assertAllEqual(data.train_images, 255 * (grey >= 128))
    self.assertAllEqual(data.train_labels, labels)
    self.assertAllEqual(data.test(5)[0], 2.0 * (grey >= 128) - 1)
    images, _ = next(iter(data.pipeline(0, 4, 0, 1)))
    self.assertAllEqual(np.unique(images), [-1, 1])

  def test_a_host_that_is_not_found_is_told_at_once(self):
    with (unittest.mock.patch('socket.getaddrinfo', side_effect=OSError), unittest.mock.patch('os.environ', {}),
          self.assertRaisesRegex(UserError, 'data set svhn_cropped.*host ufldl.stanford.edu cannot be found.*manual')):
      svhn.load(svhn.Config(), self.get_temp_dir() + '/nothing')


class SvhnTest(tf.test.TestCase):

  def files(self):
    files = pathlib.Path(self.get_temp_dir()) / 'files'
    files.mkdir()
    made = {}
    for seed, (split, count) in enumerate((('train', 40), ('extra', 30), ('test', 3))):
      made[split] = pixels([32, 32, 3, count], seed), np.arange(1, count + 1)[:, None] % 10 + 1
      scipy.io.savemat(files / f'{split}_32x32.mat', {'X': made[split][0], 'y': made[split][1]})
    return files, made

  def test_damaged_records_are_named_and_never_cached(self):
    files, made = self.files()
    data_dir, prepare = pathlib.Path(self.get_temp_dir()) / 'data', tfds.core.DatasetBuilder.download_and_prepare

    def late(builder, **kwargs):  # as where another host has prepared the same meanwhile
      prepare(builder, **kwargs)
      raise FileExistsError('Destination already exists')

    with accepted(files):
      with unittest.mock.patch.object(tfds.core.DatasetBuilder, 'download_and_prepare', late):
        self.assertLen(svhn.load(svhn.Config(), str(data_dir), str(files)).train_images, 70)
      records, = data_dir.rglob('*svhn_cropped-test.tfrecord*')
      facts, = data_dir.rglob('dataset_info.json')

      def refused(path, content, message):
        shutil.rmtree(data_dir / 'acai_tf')
        whole = path.read_bytes()
        path.unlink()
        if content is not None:
          path.write_bytes(content(whole))
        with self.subTest(message), self.assertRaisesRegex(
            UserError, f'data set svhn_cropped: .*{message}.*Delete that folder and run again'):
          svhn.load(svhn.Config(), str(data_dir), str(files))
        self.assertEmpty(list((data_dir / 'acai_tf').glob('*')))
        path.write_bytes(whole)

      (data_dir / 'acai_tf').mkdir(exist_ok=True)
      refused(records, lambda whole: whole[:-5], 'test in .* is damaged .truncated record')
      refused(records, lambda whole: whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], 'test in .*corrupted')
      refused(records, lambda whole: b'', 'test in .*3')
      refused(records, None, 'test in ')
      refused(facts, lambda whole: whole[:50], 'dataset_info.json')
      refused(facts, None, 'train in ')
      self.assertLen(svhn.load(svhn.Config(), str(data_dir), str(files)).test_images, len(made['test'][1]))

  def test_the_official_format(self):
    files, made = self.files()
    data_dir = self.get_temp_dir() + '/data'
    with accepted(files):
      whole = svhn.load(svhn.Config(), data_dir, str(files))
      short = svhn.load(svhn.Config(extra=False), data_dir, str(files))
    self.assertEqual((len(whole.train_images), len(short.train_images), len(whole.test_images)), (70, 40, 3))
    for split, images in (('train', whole.train_images[:40]), ('extra', whole.train_images[40:])):  # in that order
      self.assertCountEqual([image.tobytes() for image in images],
                            [image.tobytes() for image in np.moveaxis(made[split][0], 3, 0)])
    # The official labels call zero 10.
    lookup = {image.tobytes(): label % 10 for image, label in zip(
        np.moveaxis(made['test'][0], 3, 0), made['test'][1][:, 0], strict=True)}
    self.assertAllEqual([lookup[image.tobytes()] for image in whole.test_images], whole.test_labels)


class CelebaTest(tf.test.TestCase):

  def files(self):
    files = pathlib.Path(self.get_temp_dir()) / 'files'
    files.mkdir()
    names, flags = [f'{i:06d}.jpg' for i in range(1, 10)], np.random.default_rng(0).choice([-1, 1], [9, 40])
    attributes = sorted(tfds.builder_cls('celeb_a')(data_dir=str(files)).info.features['attributes'])
    with zipfile.ZipFile(files / 'img_align_celeba.zip', 'w') as archive:
      for i, name in enumerate(names):
        face, stream = np.zeros([218, 178, 3], np.uint8), io.BytesIO()
        face[36:-36, 16:-16] = 25 * (i + 1)  # what is cropped away is black
        Image.fromarray(face).save(stream, 'JPEG', quality=100)
        archive.writestr(f'img_align_celeba/{name}', stream.getvalue())
    (files / 'list_eval_partition.txt').write_text(''.join(f'{n} {i // 3}\n' for i, n in enumerate(names)))
    (files / 'list_attr_celeba.txt').write_text(f'9\n{" ".join(attributes)}\n' + ''.join(
        f'{n}  {" ".join(map(str, row))}\n' for n, row in zip(names, flags, strict=True)))
    points = [f'{eye}_{axis}' for eye in ('lefteye', 'righteye', 'nose', 'leftmouth', 'rightmouth') for axis in 'xy']
    (files / 'list_landmarks_align_celeba.txt').write_text(
        f'9\n{" ".join(points)}\n' + ''.join(f'{n} {" ".join(["1"] * 10)}\n' for n in names))
    (files / 'identity_CelebA.txt').write_text(''.join(f'{n} 1\n' for n in names))
    return files, flags

  def test_the_official_format(self):
    files, flags = self.files()
    data_dir = self.get_temp_dir() + '/data'
    with accepted(files):
      data = celeba.load(celeba.Config(), data_dir, str(files))
      validation = celeba.load(celeba.Config(size=64, test_part='valid'), data_dir, str(files))
    self.assertEqual((data.shape, validation.shape), ((32, 32, 3), (64, 64, 3)))
    for images, labels, first in ((data.train_images, data.train_labels, 0), (data.test_images, data.test_labels, 6),
                                  (validation.test_images, validation.test_labels, 3)):
      numbers = np.round(np.mean(images, axis=(1, 2, 3)) / 25).astype(int) - 1  # the images' brightness names them
      self.assertCountEqual(numbers, range(first, first + 3))
      self.assertAllEqual(labels, flags[numbers] > 0)
      self.assertLess(np.std(images, axis=(1, 2, 3)).max(), 12)  # none of the black border is left
    with self.assertRaisesRegex(ValueError, 'dataset.test_part'):
      celeba.Config(test_part='validation')


class CifarTest(tf.test.TestCase):

  @pytest.mark.slow
  def test_the_real_subset(self):
    if not SHARED.exists():
      self.skipTest(f'needs the real CIFAR-10 subset in {SHARED}')
    spec = importlib.util.spec_from_file_location('build_cifar10', SHARED / 'build_cifar10.py')
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    files = pathlib.Path(self.get_temp_dir()) / 'files'
    with unittest.mock.patch('sys.argv', ['build', str(files), '--batches', '1']):
      build.main()
    with accepted(files):
      data = cifar10.load(cifar10.Config(), self.get_temp_dir() + '/data', str(files))
    self.assertEqual((len(data.train_images), len(data.test_images)), (10_000, 1_000))
    with tarfile.open(files / 'cifar-10-binary.tar.gz') as archive:
      raw = archive.extractfile('cifar-10-batches-bin/data_batch_1.bin').read()
    self.assertEqual(hashlib.sha256(raw).hexdigest(), build.SHA256[0])
    rows = np.frombuffer(raw, np.uint8).reshape(-1, 3073)
    official = {row[1:].reshape(3, 32, 32).transpose(1, 2, 0).tobytes(): row[0] for row in rows}
    self.assertAllEqual([official[image.tobytes()] for image in data.train_images], data.train_labels)


class FolderTest(tf.test.TestCase):

  def write(self, name, value, size=(60, 40), **options):
    path = pathlib.Path(self.get_temp_dir()) / 'pictures' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros([size[1], size[0], 3], np.uint8)
    side = min(size)
    top, left = (size[1] - side) // 2, (size[0] - side) // 2
    image[top:top + side, left:left + side] = value
    Image.fromarray(image).save(path, **options)
    return path

  def load(self, **settings):
    settings = folder.resolve(folder.Config(path=self.get_temp_dir() + '/pictures', size=8, **settings))
    return folder.load(settings, self.get_temp_dir() + '/data')

  def test_what_is_no_picture_in_its_place_is_told(self):
    self.write('train/a.png', 1)
    self.write('test/\udcff.png', 2)  # a name that is not UTF-8
    self.assertLen(self.load().test_images, 1)
    root = pathlib.Path(self.get_temp_dir()) / 'pictures'
    os.mkfifo(root / 'train' / 'pipe.png')
    with self.assertRaisesRegex(UserError, 'pipe.png is not a file'):
      self.load()
    (root / 'train' / 'pipe.png').unlink()
    (root / 'train' / 'link.png').symlink_to('nowhere')
    with self.assertRaisesRegex(UserError, 'link.png is not a file'):
      self.load()
    (root / 'train' / 'link.png').unlink()
    self.write('beside.png', 3)
    with self.assertRaisesRegex(UserError, 'beside train and test, such as beside.png'):
      self.load()

  def test_sixteen_bits_and_transparent_pixels(self):
    path = pathlib.Path(self.get_temp_dir()) / 'deep.png'
    Image.fromarray(np.array([[0, 257 * 100], [65535, 257 * 200]], np.uint16)).save(path)
    self.assertAllEqual(image_base.read_square(path, 2, 1)[..., 0], [[0, 100], [255, 200]])
    hidden = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]], [[10, 20, 30, 51], [0, 0, 0, 255]]], np.uint8)
    Image.fromarray(hidden).save(path)
    seen = [[[10, 20, 30], [255] * 3], [[206, 208, 210], [0] * 3]]  # 255 - (255 - colour) alpha / 255
    self.assertAllClose(image_base.read_square(path, 2, 3), seen, atol=1)
    Image.fromarray(hidden).quantize(4).save(path)  # a palette with a transparent colour
    self.assertAllEqual(image_base.read_square(path, 2, 3)[0, 1], [255] * 3)

  def test_other_formats_and_huge_pictures_are_refused(self):
    path = pathlib.Path(self.get_temp_dir()) / 'odd.png'
    for kind in (np.int32, np.float32, np.uint8):
      Image.fromarray(np.zeros([4, 4], kind)).save(path, 'TIFF')
      with self.assertRaisesRegex(OSError, 'cannot identify'):
        image_base.read_square(path, 2, 1)
    with unittest.mock.patch.object(image_base, 'MAX_PIXELS', 15), warnings.catch_warnings(record=True) as shown:
      Image.fromarray(np.zeros([4, 4], np.uint8)).save(path)
      with self.assertRaisesRegex(ValueError, '4x4 pixels, more than 15'):
        image_base.read_square(path, 2, 1)
    self.assertEmpty(shown)

  def test_links_to_folders_are_followed_once(self):
    outside = pathlib.Path(self.get_temp_dir()) / 'outside'
    for name in ('train/a/0.png', 'test/a/0.png', 'test/b/0.png'):
      self.write(name, 50)
    self.write('../outside/0.png', 90)
    (outside.parent / 'pictures/train/b').symlink_to(outside)
    self.addCleanup((outside.parent / 'pictures/train/b').unlink)  # TensorFlow cannot delete it at exit.
    data = self.load()
    self.assertEqual((data.classes, sorted(data.train_labels)), (2, [0, 1]))
    (outside / 'back').symlink_to('..')
    self.addCleanup((outside / 'back').unlink)  # TensorFlow deletes the folder at exit, and would follow it for ever.
    with self.assertRaisesRegex(UserError, 'back is a link to a folder; expected links in place of class folders only'):
      self.load()

  def test_classes_formats_crops_and_splits(self):
    for i in range(20):
      for label, name in enumerate(('cats', 'dogs')):
        ending = ('png', 'jpg', 'webp', 'JPEG')[i % 4]
        self.write(f'{name}/{i}.{ending}', 100 + 100 * label, [(60, 40), (40, 60), (8, 8)][i % 3],
                   lossless=True, quality=100)
    data = self.load(test_share=0.3)
    self.assertEqual((data.shape, data.classes), ((8, 8, 3), 2))
    self.assertEqual(len(data.train_images) + len(data.test_images), 40)
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
      self.assertAllClose(images.astype(float), np.broadcast_to(
          (100 + 100 * labels)[:, None, None, None], images.shape), atol=4)
    with self.subTest('a few images are not of the first class alone'):
      self.assertAllEqual(np.unique(data.train(12)[1]), [0, 1])
      self.assertAllEqual(np.unique(np.concatenate([labels for _, labels in data.blocks('train', 12)])), [0, 1])
      for part, count in (('train', len(data.train_images)), ('test', None)):
        images, labels = getattr(data, part)(count)
        self.assertAllEqual(labels, getattr(data, f'{part}_labels'))
        self.assertAllClose(images, getattr(data, f'{part}_images') / 127.5 - 1, atol=1e-6)
      images, labels = data.test(5)
      for rows in (slice(1, 4), np.array([1, 2, 3])):
        self.assertAllEqual(data.test(5, rows)[0], images[1:4])
      self.assertAllClose(images.mean((1, 2, 3)), (100 + 100 * labels) / 127.5 - 1, atol=0.04)
    grey = self.load(test_share=0.3, channels=1)
    self.assertEqual(grey.shape, (8, 8, 1))
    self.assertLen(grey.test_images, len(data.test_images))
    with self.subTest('a new picture stays where its name puts it, and is seen'):
      self.write('cats/new.png', 100)
      again = self.load(test_share=0.3)
      self.assertEqual(len(again.train_images) + len(again.test_images), 41)

  def test_given_splits_without_classes(self):
    for i in range(3):
      self.write(f'train/{i}.png', 50)
    self.write('test/0.png', 80)
    data = self.load()
    self.assertEqual((len(data.train_images), len(data.test_images), data.classes), (3, 1, 0))

  def test_broken_files_are_named_and_counted(self):
    for i in range(12):
      self.write(f'{i}.png', 50)

    def cut(name):
      path = self.write(name, 50)
      path.write_bytes(path.read_bytes()[:300])

    cut('cut.jpg')
    with self.assertRaisesRegex(UserError, r'1 of 13 pictures cannot be read.*broken_share=0: .*cut.jpg'):
      self.load(test_share=0.3, broken_share=0.0)
    with contextlib.redirect_stdout(io.StringIO()) as out:  # one of 13 is more than a hundredth, but only a few files
      data = self.load(test_share=0.3)
    self.assertRegex(out.getvalue(), r'skipped 1 of 13 pictures.*cut.jpg')
    self.assertEqual(len(data.train_images) + len(data.test_images), 12)
    with self.assertRaisesRegex(UserError, '1 of 13 pictures cannot be read'):
      self.load(test_share=0.3, broken_share=0.0)  # not from the cache that allows it
    for i in range(folder.FEW):
      cut(f'cut{i}.jpg')
    with self.assertRaisesRegex(UserError, r'6 of 18 pictures cannot .* no more than 5.*broken_share=0.01'):
      self.load(test_share=0.3)
    with contextlib.redirect_stdout(io.StringIO()):
      data = self.load(test_share=0.3, broken_share=0.5)
    self.assertEqual(len(data.train_images) + len(data.test_images), 12)

  def test_mistakes_are_named(self):
    with self.assertRaisesRegex(UserError, 'dataset.path is missing'):
      resolve('folder', 'acai')
    with self.assertRaisesRegex(UserError, 'is not a folder'):
      self.load()
    picture = self.write('a.png', 0)
    with self.assertRaisesRegex(UserError, 'no test pictures'):
      self.load(test_share=1e-9)
    self.write('cats/b.png', 0)
    with self.assertRaisesRegex(UserError, 'both in it and in subfolders'):
      self.load()
    picture.unlink()
    (picture.parent / 'cats' / 'b.png').unlink()
    with self.assertRaisesRegex(UserError, 'has no .png'):
      self.load()
    with self.assertRaisesRegex(UserError, 'dataset.channels 4. Known: 1, 3'):
      resolve('folder', 'acai', overrides={'dataset': {'path': str(picture.parent), 'channels': 4}})
    with self.assertRaisesRegex(UserError, 'size 36; widths that fit it: 18, 9; nearest.*16 and 32'):
      self.write('a.png', 0)
      resolve('folder', 'acai', overrides={'dataset': {'path': str(picture.parent), 'size': 36}})


if __name__ == '__main__':
  tf.test.main()
