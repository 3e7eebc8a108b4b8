"""The reusable SavedModel: TF-Hub's interface, its callables against the live model, serving, and fine-tuning."""

import contextlib
import functools
import importlib.util
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
from tensorflow.python.tools import saved_model_cli
from tiny import SHAPE, create, exported

from acai_tf import vocabulary
from acai_tf.data import mnist
from acai_tf.evaluation import subject
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.experiment.run import Run
from acai_tf.export import __main__ as program
from acai_tf.export import check, module
from acai_tf.export.layer import ModuleLayer, module_at
from acai_tf.models import amr, autoencoder
from acai_tf.training import build
from acai_tf.training.checkpoints import Checkpoints

# A process that saves a module and nothing else.
SAVES = """
import sys
from acai_tf.experiment import config
from acai_tf.experiment.run import Run
from acai_tf.models import autoencoder
from acai_tf.export import module
network = config.Network(latent_width=2, latent=3, depth=2)
module.save(autoencoder.Model(autoencoder.Config(), network, (8, 8, 1), seed=1), sys.argv[1])
"""

# A process that loads and runs a module with TensorFlow alone. Importing what is None fails.
LOADS = """
import sys
sys.modules.update(dict.fromkeys(['tensorflow_hub', 'tf_keras', 'acai_tf']))
import numpy as np
import tensorflow as tf
module, images = tf.saved_model.load(sys.argv[1]), np.load(sys.argv[2])
codes = module.encoder(images)
path = module.interpolator({'images_a': images, 'images_b': images[::-1], 'alpha': np.float32(0.25)})
np.savez(sys.argv[3], codes=codes, decoded=module.decoder(codes), path=path)
"""


def images(count, seed=0):
  return np.random.default_rng(seed).uniform(size=[count, *SHAPE]).astype(np.float32)


@functools.cache
def expected():
  """What `acai export` compares the exported model with."""
  return program.expected(exported()[0])


class ModuleTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.model, cls.folder = exported()
    cls.loaded = hub.load(cls.folder)

  def test_callables_equal_the_live_model_at_any_batch_size(self):
    model, loaded = self.model, self.loaded
    for count in (1, 5):
      first, second = images(count), images(count, 1)
      codes = model.encode(2 * first - 1)
      self.assertAllClose(loaded.encoder(first), codes, atol=1e-6)
      self.assertAllClose(loaded(first), tf.reshape(codes, [count, -1]), atol=1e-6)
      self.assertAllClose(loaded.decoder(codes), (model.decode(codes) + 1) / 2, atol=1e-6)
      self.assertAllClose(loaded.critic(first), model.critic(2 * first - 1), atol=1e-6)
      for alpha, expected in ((0.0, model(2 * first - 1)), (1.0, model(2 * second - 1))):
        mixed = loaded.interpolator({'images_a': first, 'images_b': second, 'alpha': np.full([count], alpha, 'f')})
        self.assertAllClose(mixed, (expected + 1) / 2, atol=1e-5)

  def test_alpha_is_one_number_or_one_a_pair(self):
    model, loaded, first, second = self.model, self.loaded, images(3), images(3, 1)
    ends = {'images_a': first, 'images_b': second}
    for name, path in (('interpolator', 'linear'), ('interpolator_spherical', 'spherical')):
      between = getattr(loaded, name)
      for alpha in (0.3, np.float32(0.3), [0.3], [0.0, 0.3, 1.0]):
        expected = model.interpolate(2 * first - 1, 2 * second - 1, np.broadcast_to(alpha, [3]), path)
        self.assertAllClose(between({**ends, 'alpha': alpha}), (expected + 1) / 2, atol=1e-5)
      with self.assertRaises((ValueError, tf.errors.InvalidArgumentError)):
        between({**ends, 'alpha': [0.3, 0.4]})
      with self.assertRaises((ValueError, tf.errors.InvalidArgumentError)):
        between({**ends, 'alpha': [[0.3], [0.4], [0.5]]})
      unknown = between({**ends, 'alpha': [0.5, np.nan, 0.5]}).numpy()
      self.assertAllEqual(np.isnan(unknown).all(axis=(1, 2, 3)), [False, True, False])
    linear, spherical = (getattr(loaded, name)({**ends, 'alpha': 0.5})
                         for name in ('interpolator', 'interpolator_spherical'))
    self.assertNotAllClose(linear, spherical, atol=1e-6)
    first_codes, second_codes = model.encode(2 * first - 1), model.encode(2 * second - 1)
    beyond = (model.decode(first_codes + 2.0 * (second_codes - first_codes)) + 1) / 2
    self.assertAllClose(loaded.interpolator({**ends, 'alpha': 2.0}), beyond, atol=1e-5)

  def test_refused_inputs_are_named(self):
    loaded, x = self.loaded, images(2)
    for wrong in ((255 * x).astype(np.uint8), x.astype(np.float64)):
      with self.assertRaisesRegex(ValueError, "dtype=tf.float32, name='images'"):
        loaded.encoder(wrong)
    ends = {'images_a': x, 'images_b': x[:, :4], 'alpha': 0.5}
    for part, wrong, name in ((loaded, x[:, :4], 'images'), (loaded.encoder, x[0], 'images'),
                              (loaded.critic, x[..., 0], 'images'), (loaded.interpolator, ends, 'images_b')):
      with self.assertRaisesRegex(ValueError, rf'^(Dimension 1|Shape must).*shape=\[\?,8,8,1\]\]\({name}\).*$'):
        part(wrong)
    self.assertAllClose(loaded.encoder(3 * x), self.model.encode(6 * x - 1), atol=1e-5)

  def test_a_signature_checks_shapes(self):
    """TensorFlow itself would not: it would encode images of another size, and a single image would end the process."""
    signatures, x = self.loaded.signatures, images(2)
    for name, inputs in (('encode', {'images': x[:, :4]}), ('encode', {'images': x[0]}),
                         ('encode_uint8', {'images': np.zeros([8, 8, 1], np.uint8)}),
                         ('decode', {'codes': np.zeros([1, 4, 4, 3], np.float32)}),
                         ('interpolate', {'images_a': x, 'images_b': x[0], 'alpha': np.zeros(2, np.float32)})):
      with self.assertRaisesRegex(tf.errors.InvalidArgumentError, r'is not compatible with expected shape \[\?,'):
        signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})

  def test_a_session_runs_the_signatures_as_a_server_does(self):
    """As `saved_model_cli run` does: a session of TensorFlow 1 on the signature's tensors."""
    out, names = self.get_temp_dir(), list(self.loaded.signatures)
    self.assertCountEqual(names, ['serving_default', 'encode', 'encode_uint8', 'decode', 'interpolate',
                                  'interpolate_spherical', 'critic'])
    for name in names:
      inputs = {key.rpartition(' ')[2]: value for key, value in expected().items()
                if key.startswith(f'signature {name} 7 ')}
      with contextlib.redirect_stdout(io.StringIO()):
        saved_model_cli.run_saved_model_with_feed_dict(self.folder, 'serve', name, inputs, f'{out}/{name}', False)
      written, = pathlib.Path(out, name).iterdir()
      self.assertAllClose(np.load(written), expected()[f'signature {name} 7'], rtol=1e-5, atol=1e-5, msg=name)
    self.assertEqual(written.name, 'alpha.npy')  # the critic's, named for what it answers

  @pytest.mark.slow
  def test_fresh_processes_write_the_same_bytes(self):
    folders = [pathlib.Path(self.get_temp_dir(), name) for name in ('first', 'second')]
    saving = [subprocess.Popen([sys.executable, '-c', SAVES, folder], stderr=subprocess.PIPE,
                               env={**os.environ, 'PYTHONHASHSEED': str(i)}) for i, folder in enumerate(folders)]
    for process in saving:
      errors = process.communicate()[1]
      self.assertEqual(process.returncode, 0, errors)
    first, second = ({path.name: path.read_bytes() for path in folder.rglob('*') if path.is_file()}
                     for folder in folders)
    self.assertCountEqual(first, second)
    self.assertEqual([name for name in first if first[name] != second[name] and name != 'fingerprint.pb'], [])

  @pytest.mark.slow
  def test_a_process_with_tensorflow_alone_loads_it(self):
    folder = pathlib.Path(self.get_temp_dir())
    np.save(folder / 'images.npy', images(3))
    subprocess.run([sys.executable, '-I', '-c', LOADS, self.folder, folder / 'images.npy', folder / 'found.npz'],
                   check=True, stderr=subprocess.DEVNULL)
    found, codes = np.load(folder / 'found.npz'), self.loaded.encoder(images(3))
    self.assertAllClose(found['codes'], codes, atol=1e-6)
    self.assertAllClose(found['decoded'], self.loaded.decoder(codes), atol=1e-6)
    ends = {'images_a': images(3), 'images_b': images(3)[::-1]}
    self.assertAllClose(found['path'], self.loaded.interpolator({**ends, 'alpha': np.float32(0.25)}), atol=1e-6)

  def test_reusable_interface(self):
    model, loaded = self.model, self.loaded
    owners = {'encoder': [model.encoder], 'decoder': [model.decoder], 'critic': [model.critic],
              'interpolator': [model.encoder, model.decoder], 'interpolator_spherical': [model.encoder, model.decoder]}
    for part, layers in [(loaded, [model.encoder])] + [(getattr(loaded, name), owners[name]) for name in owners]:
      self.assertLen(part.trainable_variables, sum(len(layer.trainable_variables) for layer in layers))
      self.assertLen(part.variables, len(part.trainable_variables))
      self.assertEmpty(part.regularization_losses)
      self.assertTrue(callable(part))
    self.assertAllClose(loaded(images(2), training=True), loaded(images(2), training=False))
    self.assertAllClose(loaded.classifier(images(2)), model.classifier(model.represent(2 * images(2) - 1)), atol=1e-6)
    features = loaded.signatures['serving_default'](images=tf.constant(images(2)))['features']
    self.assertAllClose(features, loaded(images(2)))
    answer = loaded.signatures['interpolate'](
        images_a=tf.constant(images(2)), images_b=tf.constant(images(2, 1)), alpha=tf.constant([0.2, 0.4]))
    self.assertEqual(answer['images'].shape, (2, *SHAPE))
    pixels = np.random.default_rng(0).integers(256, size=[2, *SHAPE], dtype=np.uint8)
    self.assertAllClose(loaded.signatures['encode_uint8'](images=tf.constant(pixels))['codes'],
                        loaded.encoder((pixels / 255).astype(np.float32)), atol=1e-6)

  def test_regularization_losses(self):
    model = create(amr)
    offered = {c.name: c for c in model.callables()}
    for name, layer in (('encoder', model.encoder), ('critic', model.critic)):
      loss, = module.Part(model, offered[name]).regularization_losses
      squares = sum(np.sum(v.numpy()**2) for v in layer.trainable_variables)
      self.assertAllClose(loss(), model.config.weight_decay * squares / 2, rtol=1e-5)
    self.assertEqual(module.Part(self.model, self.model.callables()[0]).regularization_losses, [])

  def test_fine_tuning_changes_the_weights(self):
    loaded = hub.load(self.folder)
    before = [v.numpy() for v in loaded.trainable_variables]
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(tf.square(loaded(images(4), training=True)))
    for variable, gradient in zip(loaded.trainable_variables,
                                  tape.gradient(loss, loaded.trainable_variables), strict=True):
      variable.assign_sub(gradient)
    for old, new in zip(before, loaded.trainable_variables, strict=True):
      self.assertTrue((old != new.numpy()).any())
    self.assertLess(tf.reduce_mean(tf.square(loaded(images(4)))), loss)

  def test_a_keras_layer_trains_and_is_saved_with_its_model(self):
    x, y = images(32), np.arange(32) % 2
    x[y == 1, :4] /= 4  # The latents differ between the classes.
    for trainable in (True, False):
      layer = ModuleLayer(self.folder, trainable=trainable)
      self.assertLen(layer.trainable_weights, len(self.model.encoder.trainable_variables) if trainable else 0)
      model = keras.Sequential([keras.Input(SHAPE), layer, keras.layers.Dense(2)])
      model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                    run_eagerly=not trainable)
      before = [v.numpy() for v in layer.weights]
      losses = model.fit(x, y, batch_size=8, epochs=5 if trainable else 2, verbose=0).history['loss']
      self.assertLess(losses[-1], losses[0])
      moved = [bool((old != new.numpy()).any()) for old, new in zip(before, layer.weights, strict=True)]
      self.assertEqual(moved, [trainable] * len(moved))
      file = f'{self.get_temp_dir()}/{trainable}.keras'
      model.save(file)
      again = keras.models.load_model(file)
      self.assertAllClose(again(x), model(x), atol=1e-6)
      self.assertEqual((again.layers[0].trainable, again.layers[0].handle), (trainable, self.folder))
      self.assertLen(again.trainable_weights, len(model.trainable_weights))
    layer.trainable = True
    self.assertLen(layer.trainable_weights, len(before))
    layer.function.regularization_losses = [lambda: tf.constant(2.0)]
    layer(x)
    self.assertAllEqual(layer.losses, [2.0])
    self.assertAllClose(ModuleLayer(self.folder, 'critic')(x), self.model.critic(2 * x - 1), atol=1e-5)

  def test_a_layer_of_no_module_is_refused(self):
    with self.assertRaisesRegex(UserError, 'nowhere cannot be loaded'):
      ModuleLayer('/nowhere')
    with self.assertRaisesRegex(UserError, "has no 'critics'; expected features"):
      ModuleLayer(self.folder, 'critics')

  def test_a_layer_refuses_inputs_in_one_line(self):
    x, number = images(2), tf.constant(0.5)
    features, classifier, between = (ModuleLayer(self.folder, part)
                                     for part in ('features', 'classifier', 'interpolator'))
    for layer, wrong, message in (
        (features, np.uint8(x), 'expected dtype=float32, found dtype=uint8'), (features, x[0], 'expected ndim=4'),
        (classifier, x[:, :4], r'expected shape=\(None, 8, 8, 1\), found shape=\(2, 4, 8, 1\)'),
        (between, {'images_a': x, 'images_b': x}, 'Missing data for input "alpha"'),
        (between, {'images_a': x, 'images_b': x[0], 'alpha': number}, "'images_b' of layer .*expected ndim=4")):
      with self.assertRaisesRegex(ValueError, f'^.*{message}.*$'):
        layer(wrong)
    for alpha in number, tf.constant([0.25, 0.75]):
      ends = {'images_a': x, 'images_b': images(2, 1), 'alpha': alpha}
      self.assertAllClose(between(ends), self.loaded.interpolator(ends), atol=1e-6)
    self.assertAllClose(features(x.astype(np.float64)), self.loaded(x), atol=1e-6)  # Keras casts floats.

  @pytest.mark.slow
  def test_a_keras_file_finds_its_module(self):
    folder = pathlib.Path(self.get_temp_dir()).resolve()
    self.addCleanup(os.chdir, os.getcwd())
    os.chdir(folder)
    shutil.copytree(self.folder, 'first')
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, ModuleLayer('first', 'decoder')(ModuleLayer('first', 'encoder')(inputs)))
    model.save('m.keras')
    (folder / 'elsewhere').mkdir()
    os.chdir('elsewhere')
    self.assertAllClose(keras.models.load_model('../m.keras')(images(2)), model(images(2)), atol=1e-6)
    (folder / 'first').rename('second')
    for safe in True, False:
      with self.assertRaisesRegex(UserError, rf'^module {folder}/first does not exist.* `with \S+module_at\(FOLDER\)'):
        keras.models.load_model('../m.keras', safe_mode=safe)
    for place in 'second', {str(folder / 'first'): 'second'}:
      with module_at(place):
        again = keras.models.load_model('../m.keras')
      self.assertAllClose(again(images(2)), model(images(2)), atol=1e-6)
      self.assertEqual(again.layers[1].handle, f'{folder}/elsewhere/second')
    address = 'http://127.0.0.1:9/m'
    with module_at(address), self.assertRaisesRegex(UserError, f'^module {address} cannot be loaded'):
      keras.models.load_model('../m.keras', safe_mode=False)
    with self.assertRaisesRegex(UserError, 'first does not exist'):  # The context has ended.
      keras.models.load_model('../m.keras')

  @unittest.skipUnless(importlib.util.find_spec('tf_keras'), 'tf_keras is not installed')
  def test_a_layer_of_the_hub_trains_in_tf_keras(self):
    import tf_keras

    layer = hub.KerasLayer(self.folder, trainable=True)
    model = tf_keras.Sequential([layer, tf_keras.layers.Dense(2)])
    model.compile('adam', tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = [v.numpy() for v in layer.trainable_weights]
    self.assertLen(before, len(self.model.encoder.trainable_variables))
    model.fit(images(8), np.arange(8) % 2, verbose=0)
    for old, new in zip(before, layer.trainable_weights, strict=True):
      self.assertTrue((old != new.numpy()).any())

  def test_it_holds_weights_once_and_no_optimizer(self):
    model = self.model
    self.assertNotEmpty(model.optimizers)
    sizes = {path.name: path.stat().st_size for path in pathlib.Path(self.folder).rglob('*') if path.is_file()}
    graph = sizes.pop('saved_model.pb')
    owned = sum(4 * layer.count_params() for layer in (model.encoder, model.decoder, model.critic, model.classifier))
    print(f'parameters {owned:,} bytes, graph {graph:,}, all else {sum(sizes.values()):,}: {sizes}')
    self.assertBetween(sum(sizes.values()), owned, 1.05 * owned)
    self.assertLess(graph, 1_200_000)  # It would be twice as large if the callables did not share what they run.

  def test_a_module_of_another_type_is_not_measured(self):
    functions, shape = subject.of_module(self.folder)
    self.assertEqual((shape, functions.encode(images(2)).dtype), (SHAPE, np.float32))
    other, folder = tf.train.Checkpoint(), tempfile.mkdtemp(dir=self.get_temp_dir())
    spec = tf.TensorSpec([None, *SHAPE], tf.float32, 'images')
    codes = tf.TensorSpec([None, 3], tf.float32, 'codes')
    other.encoder = tf.function(lambda images: images[:, 0, :3, 0], input_signature=[spec])
    other.decoder = tf.function(lambda codes: tf.cast(codes, tf.float64), input_signature=[codes])
    other.interpolator = other.encoder
    encode = tf.function(lambda images: {'codes': other.encoder(images)}, input_signature=[spec])
    decode = tf.function(lambda codes: {'images': other.decoder(codes)}, input_signature=[codes])
    tf.saved_model.save(other, folder, signatures={'encode': encode, 'decode': decode})
    with self.assertRaisesRegex(UserError, 'decode gives images of type float64, not float32'):
      subject.of_module(folder)

  def test_a_run_in_bfloat16_gives_a_module_in_float32(self):
    made = resolve('lines', 'autoencoder', 'fast', {
        'dataset': {'size': 8}, 'network': {'latent_width': 2, 'latent': 2, 'depth': 2},
        'training': {'precision': 'mixed_bfloat16'}})
    run, model = Run(self.get_temp_dir() + '/run'), build.create(made)
    self.assertEqual(model.encoder.layers[0].compute_dtype, 'bfloat16')
    model.step.assign(1)
    run.claim(made)
    Checkpoints(model, run.checkpoints, 1, made).save()
    with unittest.mock.patch.object(program, 'compare', return_value='agree'):  # It costs a process.
      program.export(run, f'{run}_module')
    loaded, x = hub.load(f'{run}_module'), images(3)
    exact = build.load_model(run, precision='float32')[1]
    self.assertAllClose(loaded.encoder(x), exact.encode(2 * x - 1), atol=1e-6)
    self.assertNotAllClose(model.encode(2 * x - 1), exact.encode(2 * x - 1), atol=1e-6)  # which bfloat16 differs from
    self.assertFalse(hasattr(loaded, 'critic'))  # The model has none.
    self.assertNotIn('critic', loaded.signatures)

  def test_sentences_of_the_check_are_utf_8(self):
    texts = program.texts(vocabulary.Vocabulary(['niño'], 2), 5)
    self.assertEqual([text.decode() for text in texts], [
        '', 'niño niño niño niño', 'niño ?unknown?', 'niño niño', 'niño niño'])

  def test_a_module_that_differs_fails_its_check(self):
    """In this process, whose modules of this project the check refuses after all outputs have agreed."""
    path, one = self.get_temp_dir() + '/expected.npz', 'callable decoder 1'
    for values, message in ((expected(), 'with other modules than it should: .*acai_tf'),
                            ({**expected(), one: expected()[one] + 5e-4},
                             'decoder of the reloaded module, a batch of 1, differs by 0.0005')):
      np.savez(path, **values)
      with self.assertRaisesRegex(SystemExit, message):
        check.main(self.folder, path)
    with (unittest.mock.patch.object(sys, 'executable', shutil.which('false')),
          self.assertRaisesRegex(UserError, 'the exported module failed its check: no message')):
      program.compare(create(autoencoder), self.folder)

  @pytest.mark.slow
  def test_a_module_passes_its_check_in_a_fresh_process(self):
    self.assertIn('agree', program.compare(self.model, self.folder))

  def test_the_program_exports_with_the_folders_of_the_data(self):
    folder = tempfile.mkdtemp(dir=self.get_temp_dir())
    run = Run(folder + '/run')
    run.folder.mkdir()
    run.claim(resolve('mnist', 'autoencoder', 'fast'))
    self.addCleanup(program.FLAGS.unparse_flags)
    for words, expected in (([], None), (['--data_dir', folder], folder)):
      program.FLAGS.unparse_flags()
      program.FLAGS(['export', '--run', str(run), '--to', folder + '/to', '--manual_dir', folder, *words])
      with (unittest.mock.patch.object(program, 'export', return_value='') as made,
            contextlib.redirect_stdout(io.StringIO())):
        program.main()
      self.assertEqual(made.call_args.args[-2:], (expected, folder))
    with (unittest.mock.patch.object(mnist, 'load') as load, unittest.mock.patch.dict(os.environ),
          contextlib.redirect_stdout(io.StringIO())):
      os.environ.pop('TFDS_DATA_DIR', None)
      build.load_data(run.experiment())  # without a folder, as from Python
    self.assertEqual(load.call_args.args[1:], (os.path.expanduser('~/tensorflow_datasets'), None))


if __name__ == '__main__':
  tf.test.main()
