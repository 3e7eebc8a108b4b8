"""A module is checked before it is loaded: one that may write files, read them or run programs is refused and not run.

export_test and text_models_test load modules of images and sentences, which pass the check.
"""

import os
import pathlib
import tempfile
import unittest.mock

import keras
import tensorflow as tf
import tiny

from acai_tf import cli, evaluate, safety
from acai_tf.evaluation import feature_network, subject
from acai_tf.experiment.errors import UserError
from acai_tf.export import layer


class Initializer(tf.Module):
  """Writes a file as soon as the module is loaded, in the way in which tables are filled."""

  def __init__(self, path):
    super().__init__()
    self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(['a'], [1]), 0)

    original = self.table._initialize

    @tf.function(input_signature=[])
    def write():
      tf.io.write_file(path, 'written')
      original()
      return 1

    self.table._initialize = write


class Called(tf.Module):
  """Has `operation` in a function that its users call, two functions deep."""

  def __init__(self, operation):
    super().__init__()
    inner = tf.function(operation)
    self.encoder = tf.function(lambda x: inner(x) + 0, input_signature=[tf.TensorSpec([None], tf.float32)])


def saved(root):
  folder = tempfile.mkdtemp()
  tf.saved_model.save(root, folder)
  return folder


class SafetyTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(tempfile.mkdtemp())

  def test_what_is_written_as_it_is_loaded_is_refused_and_not_written(self):
    path = str(self.folder / 'victim')
    bad = saved(Initializer(path))
    pathlib.Path(path).unlink(missing_ok=True)  # Saving may have traced it, and run it.
    for load in (subject.of_module, subject.of_text_module, lambda handle: feature_network.of_module(handle, 32)):
      with self.assertRaisesRegex(UserError, r'^module \S+ has the operations WriteFile; a module is a program'):
        load(bad)
    evaluate.FLAGS(['evaluate', '--module', bad, '--dataset', 'lines'])
    with unittest.mock.patch.object(cli, 'start_tensorflow'), self.assertRaisesRegex(UserError, 'WriteFile'):
      evaluate.main()
    for name in ('module', 'dataset'):
      evaluate.FLAGS[name].unparse()
    self.assertFalse(os.path.exists(path))
    with self.assertRaisesRegex(UserError, 'cannot be loaded'):  # Trusted, it runs, and is no module of ours.
      subject.of_module(bad, trust=True)
    self.assertTrue(os.path.exists(path))

  def test_each_kind_of_operation_that_reaches_outside(self):
    kinds = {
        'ReadFile': lambda x: tf.strings.length(tf.io.read_file('/etc/hostname')),
        'MatchingFiles': lambda x: tf.shape(tf.io.matching_files('/*'))[0],
        'EagerPyFunc': lambda x: tf.py_function(lambda: 1, [], tf.int32),
        'PrintV2': lambda x: (tf.print('a', output_stream='file:///tmp/x'), 1)[1],
        'TextLineDataset': lambda x: tf.data.TextLineDataset('/etc/hostname').reduce(0, lambda n, _: n + 1),
        'SaveV2': lambda x: (tf.raw_ops.SaveV2(prefix='/tmp/x', tensor_names=['a'], shape_and_slices=[''],
                                               tensors=[x]), 1)[1]}
    for name, operation in kinds.items():
      with self.subTest(name), self.assertRaisesRegex(UserError, f'has the operations [^;]*{name}'):
        safety.check_module(saved(Called(lambda x, run=operation: x + tf.cast(run(x), tf.float32))))
    safety.check_module(saved(Called(lambda x: tf.map_fn(tf.sin, x) + tf.random.normal([1]))))

  def test_addresses_and_other_graphs(self):
    for handle in ('https://example.org/m', 'gs://bucket/m', 'file:///m'):
      with self.assertRaisesRegex(UserError, 'is at an address; a module is a program'):
        safety.check_module(handle)
    other = pathlib.Path(saved(tf.Module()))
    (other / 'saved_model.cpb').write_bytes(b'')
    with self.assertRaisesRegex(UserError, 'has saved_model.cpb beside saved_model.pb'):
      safety.check_module(other)
    (other / 'saved_model.cpb').unlink()
    (other / 'saved_model.pb').write_bytes(b'no graph')
    with self.assertRaisesRegex(UserError, 'cannot be loaded'):
      safety.check_module(other)
    (other / 'saved_model.pb').unlink()
    os.mkfifo(other / 'saved_model.pb')
    with self.assertRaisesRegex(UserError, 'saved_model.pb is not a file'):
      safety.check_module(other)
    with self.assertRaisesRegex(UserError, 'No such file'):
      safety.check_module(self.folder / 'nowhere')
    old, images = str(self.folder / 'old'), tf.TensorSpec([1], tf.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
      inputs = tf.compat.v1.placeholder(images.dtype, images.shape)
      tf.compat.v1.saved_model.simple_save(session, old, {'a': inputs}, {'b': inputs + 1})
    with self.assertRaisesRegex(UserError, 'is of TensorFlow 1'):
      safety.check_module(old)

  def test_a_keras_file_loads_no_other_module_in_safe_mode(self):
    path = str(self.folder / 'written by a layer')
    bad, good = saved(Initializer(path)), layer.ModuleLayer(tiny.exported()[1], 'encoder')
    inputs = keras.Input(tiny.SHAPE)
    keras.Model(inputs, good(inputs)).save(self.folder / 'good.keras')
    keras.models.load_model(self.folder / 'good.keras')
    good.handle = bad
    keras.Model(inputs, good(inputs)).save(self.folder / 'bad.keras')
    pathlib.Path(path).unlink(missing_ok=True)
    with self.assertRaisesRegex(UserError, '^module .* has the operations WriteFile'):
      keras.models.load_model(self.folder / 'bad.keras')
    self.assertFalse(os.path.exists(path))
    with layer.module_at(tiny.exported()[1]):  # What is loaded is checked, and not what the file names.
      keras.models.load_model(self.folder / 'bad.keras')
    with layer.module_at(bad), self.assertRaisesRegex(UserError, '^module .* has the operations WriteFile'):
      keras.models.load_model(self.folder / 'good.keras')
    self.assertFalse(os.path.exists(path))
    good.handle = 'https://attacker.example/module'
    keras.Model(inputs, good(inputs)).save(self.folder / 'far.keras')
    with self.assertRaisesRegex(UserError, 'is at an address'):
      keras.models.load_model(self.folder / 'far.keras')


if __name__ == '__main__':
  tf.test.main()
