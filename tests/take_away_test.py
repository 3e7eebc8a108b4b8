"""Pretrained weights, exported modules in the cache, cards, and publishing."""

import base64
import contextlib
import dataclasses
import functools
import http.server
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import threading
import time
import types
import unittest.mock

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
from absl.testing import parameterized

from acai_tf import zoo
from acai_tf.experiment import registry
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.export import module
from acai_tf.training import build, weights
from acai_tf.zoo import __main__ as program
from acai_tf.zoo import _cache, _card, _handle, _publish, _records, _weights

NAME, SHAPE = 'lines_autoencoder', (8, 8, 1)
PNG = b'\x89PNG\r\n\x1a\n'


def keep(folder, name, experiment, model) -> None:
  """Puts a model's archive and record into folder/weights and folder/results, as `zoo keep` does."""
  arrays = {key: variable.numpy() for key, variable in weights.variables(model).items()}
  training, chosen = experiment.training, {'dtype': 'float32', 'float16_changes': {'recon_mse': 0.5}}
  samples = training.steps * training.batch
  about = {'experiment': experiment.to_dict(), 'samples': samples, 'weights': 'average', **chosen}
  kept = _records.Kept(**weights.write(folder / 'weights' / f'{name}.npz', arrays, about), **chosen)
  record = _records.Record(
      experiment=experiment, samples=samples, weights='average', medians={}, curves={}, history=[], train_seconds=None,
      metrics={'mean_distance': 0.00512, 'smoothness_published': 0.25})
  _records.add(name, record, folder / 'results')
  _records.set_kept(name, record, kept, folder / 'results')
  (folder / 'results' / f'{name}.png').write_bytes(PNG)


@functools.cache
def small():
  """(experiment, model) of `NAME`, small and untrained."""
  experiment = resolve('lines', 'autoencoder', 'fast', {
      'dataset': {'size': 8}, 'network': {'depth': 2},
      'training': {'samples': 32, 'batch': 16, 'precision': 'float32'}})
  return experiment, build.create(experiment)


class Case(tf.test.TestCase):
  """A small model with pretrained weights in self.folder and an empty cache."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
    cls.experiment, cls.model = small()
    keep(cls.folder, NAME, cls.experiment, cls.model)
    cls.results, cls.archives = cls.folder / 'results', cls.folder / 'weights'

  def setUp(self):
    super().setUp()
    self.cache = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
    self.enterContext(unittest.mock.patch.dict(os.environ, {'ACAI_TF_CACHE': str(self.cache)}))

  def serve(self, handler) -> str:
    """Address of a server on loopback, which ends with the test."""
    server = self.enterContext(http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()  # seconds to its shutdown
    self.addCleanup(server.shutdown)
    return f'http://127.0.0.1:{server.server_port}'


class WeightsTest(Case):

  def load(self, data=None):
    """The model from a copy of the archive, or from other bytes (`data`) under its name."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
    (folder / f'{NAME}.npz').write_bytes((self.archives / f'{NAME}.npz').read_bytes() if data is None else data)
    return _weights.load(NAME, 'float32', self.results, folder)[1]

  def test_a_missing_or_changed_archive_is_not_read(self):
    images = np.random.default_rng(0).uniform(-1, 1, [2, *SHAPE]).astype(np.float32)
    self.assertAllEqual(self.load()(images), self.model(images))
    data = (self.archives / f'{NAME}.npz').read_bytes()
    middle = len(data) // 2
    self.enterContext(unittest.mock.patch.object(weights, 'read', side_effect=AssertionError('it was read')))
    for changed, message in ((data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:], 'has sha256 .*; expected'),
                             (data[:-1], f'has {len(data) - 1} bytes; expected {len(data)}')):
      with self.assertRaisesRegex(UserError, f'npz {message}.*: restore it with git'):
        self.load(changed)
    with self.assertRaisesRegex(UserError, 'nowhere/.*npz does not exist; expected the pretrained weights'):
      _weights.load(NAME, 'float32', self.results, pathlib.Path('nowhere'))

  def test_where_the_cache_is(self):
    del os.environ['ACAI_TF_CACHE']
    with unittest.mock.patch.dict(os.environ, {'HOME': '/h', 'XDG_CACHE_HOME': ''}):
      self.assertEqual(str(_cache.folder()), '/h/.cache/acai_tf')
      os.environ['XDG_CACHE_HOME'] = '/x'
      self.assertEqual(str(_cache.folder()), '/x/acai_tf')


class HandleTest(Case):

  def handle(self):
    return pathlib.Path(_handle.handle(NAME, self.results, self.archives))

  def fake_save(self, seconds=0.0, fails=0):
    """In place of `module.save`: writes two files, takes a while, and is interrupted in the middle `fails` times."""
    calls = []

    def save(model, folder):
      calls.append(folder)
      folder.mkdir()  # So nothing of an earlier attempt lies there.
      (folder / 'saved_model.pb').write_bytes(b'graph')
      time.sleep(seconds)
      if len(calls) <= fails:
        raise KeyboardInterrupt
      (folder / 'variables').mkdir()
      (folder / 'variables/data').write_bytes(b'numbers')

    self.enterContext(unittest.mock.patch.object(module, 'save', save))
    self.enterContext(unittest.mock.patch.object(_weights, 'load', return_value=(self.experiment, self.model, 32)))
    return calls

  def test_a_damaged_module_is_exported_again(self):
    calls = self.fake_save()
    folder = self.handle()
    for k, damage in enumerate((
        lambda: (folder / 'variables/data').write_bytes(b'mumbers'), lambda: (folder / 'saved_model.pb').unlink(),
        lambda: (folder / 'more').write_text(''), lambda: (folder / 'sums.json').write_text('{'),
        lambda: shutil.rmtree(folder))):
      damage()
      self.assertEqual(self.handle(), folder)
      self.assertEqual((folder / 'variables/data').read_bytes(), b'numbers')
      self.assertLen(calls, k + 2)
    self.handle()
    self.assertLen(calls, 6)

  def test_two_programs_at_once_export_once(self):
    calls, found = self.fake_save(seconds=0.5), []
    threads = [threading.Thread(target=lambda: found.append(self.handle())) for _ in range(2)]
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    self.assertLen(calls, 1)
    self.assertEqual(found[0], found[1])
    self.assertTrue(_handle.intact(found[0]))

  def test_an_interrupted_export_leaves_nothing_that_is_used(self):
    calls = self.fake_save(fails=1)
    with self.assertRaises(KeyboardInterrupt):
      self.handle()
    self.assertFalse(calls[0].exists())
    self.assertTrue(_handle.intact(self.handle()))
    self.assertEmpty(list(self.cache.rglob('*.part')))

  def test_modules_of_another_version_are_not_used(self):
    self.fake_save()
    with unittest.mock.patch.object(_handle, '_code', return_value='other'):
      other = self.handle()
    self.assertNotEqual(self.handle(), other)
    self.assertLen(_handle._code(), 12)


class ModuleTest(Case):
  """With a real exported module."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    with unittest.mock.patch.dict(os.environ, {'ACAI_TF_CACHE': str(cls.folder / 'cache')}):
      cls.module = pathlib.Path(_handle.handle(NAME, cls.results, cls.archives))
    cls.loaded = hub.load(str(cls.module))

  def test_a_module_by_name(self):
    version = _weights.kept(NAME, self.results, self.archives)[0].kept.version
    self.assertEqual(self.module.parts[-2:], (NAME, str(version)))
    self.assertTrue(self.module.is_relative_to(self.folder / 'cache'))
    images = np.random.default_rng(0).uniform(size=[3, *SHAPE]).astype(np.float32)
    self.assertAllClose(self.loaded.encoder(images), self.model.encode(2 * images - 1), atol=1e-6)
    for path, summed in json.loads((self.module / 'sums.json').read_text()).items():
      self.assertEqual(weights.facts(self.module / path)['sha256'], summed)
    with (unittest.mock.patch.object(_handle, '_make', side_effect=AssertionError('made again')),
          unittest.mock.patch.dict(os.environ, {'ACAI_TF_CACHE': str(self.folder / 'cache')})):
      self.assertEqual(_handle.handle(NAME, self.results, self.archives), str(self.module))
      empty = pathlib.Path(self.get_temp_dir()) / 'no_archives'  # What is there already needs no archive.
      self.assertEqual(_handle.handle(NAME, self.results, empty), str(self.module))
      self.assertEqual(_card.Scored(NAME, self.results).record.experiment.model_name, 'autoencoder')

  def test_every_snippet_runs(self):
    which = _card.Subject(NAME, self.results, self.archives)
    handles = {'markdown': NAME, 'huggingface': f'me/{NAME}', 'kaggle': 'me/lines-autoencoder/tensorFlow2/default'}

    def source(kind):
      def take(given):
        self.assertEqual(given, handles[kind])
        return str(self.module)

      return take

    def load(given):
      self.assertEqual(given, str(self.module))
      return self.loaded

    with (unittest.mock.patch.object(zoo, 'handle', source('markdown')),
          unittest.mock.patch.dict(sys.modules, {
              'huggingface_hub': types.SimpleNamespace(snapshot_download=source('huggingface')),
              'kagglehub': types.SimpleNamespace(model_download=source('kaggle'))}),
          unittest.mock.patch.object(tf.saved_model, 'load', load)):
      for kind in ('markdown', 'huggingface', 'kaggle'):
        text, = re.findall(r'```python\n(.*?)```', _card.render(which, kind, 'me'), re.S)
        scope = {}
        exec(compile(text, kind, 'exec'), scope)
        self.assertEqual(np.shape(scope['path']), (9, 1, *SHAPE))
        self.assertAllClose(scope['path'][0], scope['reconstructions'][:1], atol=1e-5)


class CardTest(Case):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.which = _card.Subject(NAME, cls.results, cls.archives)

  def test_a_card_has_the_values_of_the_record(self):
    card = _card.render(self.which)
    version = int(weights.facts(self.archives / f'{NAME}.npz')['sha256'][:8], 16)
    total = sum(np.prod(v.shape) for v in weights.variables(self.model).values())
    for part in ('# lines_autoencoder\n', 'L = mean (x - g(f(x)))^2.', 'images, [n, 8, 8, 1] float32 in [0, 1]',
                 '2 x 2 x 16, dimension 64', f'| parameters | {total:,} (autoencoder ',
                 'recipe `fast`, 32 images, seed 0,', f'| version | {version}: `lines_autoencoder.npz`',
                 '| `module.decoder` | `codes` [n, 2, 2, 16] float32 |',
                 '| mean distance, 1e-3 (lower is better) | 5.12 |', '| 6.88 ± 0.21 (ACAI paper, table 1) |',
                 'Undertrained: 32 samples. Recipe `paper` has 16,777,216.', 'One seed', '](interpolation.png)'):
      self.assertIn(part, card)
    self.assertNotIn('half precision', card)
    changed = {'dtype': 'float16', 'float16_changes': {'psnr': 0.001, 'recon_mse': 0.009, 'x': None}}
    kept = dataclasses.replace(self.which.record.kept, **changed)
    with unittest.mock.patch.object(self.which, 'record', dataclasses.replace(self.which.record, kept=kept)):
      self.assertIn('half precision, which changes no score by more than 0.90% (recon_mse)', _card.render(self.which))

  def test_heads(self):
    card = _card.render(self.which, 'huggingface', 'me')
    head, _, rest = card.removeprefix('---\n').partition('\n---\n')
    self.assertStartsWith(rest, '\n# lines_autoencoder\n')
    self.assertIn('license: apache-2.0', head.splitlines())
    with self.assertRaisesRegex(UserError, '^a card in the format huggingface .*--owner'):
      _card.render(self.which, 'huggingface')

  def test_hugging_face_reads_its_head(self):
    try:
      import huggingface_hub
    except ImportError:
      self.skipTest('huggingface_hub (extra publish) is not installed')
    data = huggingface_hub.ModelCard(_card.render(self.which, 'huggingface', 'me')).data
    self.assertEqual((data.license, data.pipeline_tag), ('apache-2.0', 'image-feature-extraction'))
    self.assertEqual([(r.metric_type, r.metric_value) for r in data.eval_results],
                     [('mean_distance', 0.00512), ('smoothness_published', 0.25)])

  def test_sentences(self):
    experiment = resolve('grammar', 'arae', 'fast', {
        'dataset': {'count': 100}, 'network': {'embedding': 4, 'hidden': 5, 'latent': 6},
        'training': {'samples': 64, 'precision': 'float32'}})
    model = build.create(experiment)
    model.adapt(build.load_data(experiment))
    keep(self.folder, 'grammar_arae', experiment, model)
    card = _card.render(_card.Subject('grammar_arae', self.results, self.archives))
    for part in ('sentences, strings of words', '| latent | dimension 6 |', "a, b = ['first sentence']",
                 '| `module.sampler` | `count` a number int32, `seed` a number int32 |'):
      self.assertIn(part, card)

  def test_every_data_set_states_its_source_and_licence(self):
    for name in registry.names('acai_tf.data'):
      self.assertLen(registry.load('acai_tf.data', name).SOURCE, 2, name)

  def test_program(self):
    with (unittest.mock.patch.object(_card, 'subject_of', return_value=self.which),
          unittest.mock.patch.object(program.cli, 'start_tensorflow')):
      target = pathlib.Path(self.get_temp_dir()) / 'card.md'
      for words, message in ((['card', NAME, '--format=html'], 'expected one of markdown, huggingface'),
                             (['table', 'lines', '--format=huggingface'], 'expected one of text, markdown, html'),
                             (['card', NAME, f'--to={target}'], None)):
        found = program.FLAGS(['zoo', *words])
        self.addCleanup(program.FLAGS.unparse_flags)
        with (self.assertRaisesRegex(UserError, message) if message else contextlib.nullcontext(),
              contextlib.redirect_stdout(None)):
          program.main(found[1:])
        for flag in ('format', 'to'):
          program.FLAGS[flag].unparse()
      self.assertEqual(target.read_text(), _card.render(self.which))


class StandIn(http.server.BaseHTTPRequestHandler):
  """What huggingface_hub and kagglehub ask for an upload, answered; `seen`: path -> bytes of each file that came."""

  seen: dict = {}

  def log_message(self, *_):
    pass

  def answer(self, values, status=200):
    data = json.dumps(values).encode()
    self.send_response(status)
    for key, value in (('Content-Type', 'application/json'), ('Content-Length', str(len(data)))):
      self.send_header(key, value)
    self.end_headers()
    self.wfile.write(data)

  def body(self):
    return self.rfile.read(int(self.headers.get('Content-Length') or 0))

  def do_PUT(self):  # noqa: N802
    self.seen[self.path.removeprefix('/blob/')] = self.body()
    self.answer({})

  def do_POST(self):  # noqa: N802
    here, data = f'http://{self.headers["Host"]}', self.body()
    self.seen.setdefault('asked', []).append(self.path)
    self.seen['token'] = self.headers['Authorization']
    if self.path == '/api/repos/create':
      asked = json.loads(data)
      self.answer({'url': f'{here}/{asked["organization"]}/{asked["name"]}'})
    elif '/preupload/' in self.path:
      self.answer({'files': [{'path': file['path'], 'uploadMode': 'lfs' if file['path'].endswith('.npz') else 'regular',
                              'shouldIgnore': False} for file in json.loads(data)['files']]})
    elif self.path.endswith('/objects/batch'):
      self.answer({'transfer': 'basic', 'objects': [
          {**file, 'actions': {'upload': {'href': f'{here}/blob/{file["oid"]}'}}}
          for file in json.loads(data)['objects']]})
    elif '/commit/' in self.path:
      for line in map(json.loads, data.splitlines()):
        if line['key'] == 'file':
          self.seen[line['value']['path']] = base64.b64decode(line['value']['content'])
        elif line['key'] == 'lfsFile':
          self.seen[line['value']['path']] = self.seen.pop(line['value']['oid'])
        else:
          self.seen['note'] = line['value']['summary']
      self.answer({'success': True, 'commitUrl': f'{here}/a/b/commit/{"0" * 40}', 'commitOid': '0' * 40})
    elif self.path.endswith('/GetModel'):
      self.answer({'message': 'no such model'}, 404)
    elif self.path.endswith('/StartBlobUpload'):
      name = json.loads(data)['name']
      self.answer({'token': name, 'createUrl': f'{here}/blob/{name}'})
    else:  # /api/validate-yaml, CreateModel, CreateModelInstance
      self.seen[self.path.split('/')[-1]] = json.loads(data)
      self.answer({'errors': [], 'warnings': []})


class PublishTest(parameterized.TestCase, Case):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.module, cls.which = cls.folder / 'module', _card.Subject(NAME, cls.results, cls.archives)
    (cls.module / 'variables').mkdir(parents=True)
    (cls.module / 'saved_model.pb').write_bytes(b'graph')
    (cls.module / 'variables/data').write_bytes(b'numbers')

  def setUp(self):
    super().setUp()
    self.enterContext(unittest.mock.patch.object(_handle, 'handle', return_value=str(self.module)))
    self.enterContext(unittest.mock.patch.object(_card, 'Subject', return_value=self.which))
    os.environ['HF_TOKEN'] = 'stand-in'
    self.seen = {}
    self.address = self.serve(type('Own', (StandIn,), {'seen': self.seen}))

  def publish(self, place, really=False):
    return _publish.publish(NAME, place, 'me', really, self.results, self.archives)

  def files(self, place):
    """What is published: path -> bytes."""
    return {'saved_model.pb': b'graph', 'variables/data': b'numbers', 'interpolation.png': PNG,
            f'{NAME}.npz': (self.archives / f'{NAME}.npz').read_bytes(),
            'README.md': _card.render(self.which, place, 'me').encode()}

  @parameterized.parameters(('kaggle', 'https://www.kaggle.com/models/me/lines-autoencoder/tensorFlow2/default'),
                            ('huggingface', 'https://huggingface.co/me/lines_autoencoder'))
  def test_a_dry_run_lists_all_files_and_uploads_nothing(self, place, address):
    with unittest.mock.patch.dict(sys.modules, {'kagglehub': None, 'huggingface_hub': None}):
      first, *lines, last = self.publish(place).splitlines()
      self.assertEqual(first, f'{NAME} -> {address}')
      self.assertCountEqual(lines, [f'  {path}  {len(data):,} bytes' for path, data in self.files(place).items()])
      self.assertEqual(last, 'nothing was uploaded; --yes uploads it')
      with self.assertRaisesRegex(UserError, r"^\w+ is not installed; .*pip install -e '\.\[publish\]' in a"):
        self.publish(place, really=True)
    self.assertEmpty(self.seen)

  def test_hugging_face(self):
    try:
      from huggingface_hub import constants
    except ImportError:
      self.skipTest('huggingface_hub (extra publish) is not installed')
    with (unittest.mock.patch.object(constants, 'ENDPOINT', self.address),
          unittest.mock.patch.object(constants, 'HF_HUB_DISABLE_XET', True)):  # its files go by a program of its own
      self.assertEndsWith(self.publish('huggingface', really=True), '\nuploaded')
    self.assertEqual({path: self.seen.get(path) for path in self.files('huggingface')}, self.files('huggingface'))
    self.assertIn('/api/models/me/lines_autoencoder/commit/main', self.seen['asked'])
    self.assertRegex(self.seen['note'], r'^version \d+$')
    self.assertEqual(self.seen['token'], 'Bearer stand-in')

  def test_kaggle(self):
    try:
      import kagglehub  # noqa: F401
    except ImportError:
      self.skipTest('kagglehub (extra publish) is not installed')
    kaggle_env = sys.modules['kagglesdk.kaggle_env']  # of the package below it, which has the address
    os.environ.update(KAGGLE_API_ENVIRONMENT='LOCALHOST', KAGGLE_API_TOKEN='stand-in')  # setUp's patch takes it back
    with unittest.mock.patch.dict(kaggle_env._env_to_endpoint, {kaggle_env.KaggleEnv.LOCAL: self.address}):
      self.assertEndsWith(self.publish('kaggle', really=True), '\nuploaded')
    files = {pathlib.Path(path).name: data for path, data in self.files('kaggle').items()}
    self.assertEqual({name: self.seen.get(name) for name in files}, files)
    made = self.seen['CreateModelInstance']
    self.assertEqual((made['ownerSlug'], made['modelSlug'], made['body']['instanceSlug'], made['body']['licenseName']),
                     ('me', 'lines-autoencoder', 'default', 'Apache 2.0'))
    self.assertCountEqual([file['token'] for file in made['body']['files']], set(files) - {'data'})
    inner, = made['body']['directories']
    self.assertEqual((inner['name'], inner['files'][0]['token']), ('variables', 'data'))
    self.assertEqual(self.seen['token'], 'Bearer stand-in')

  def test_a_refused_upload_is_reported_in_one_line(self):
    try:
      from huggingface_hub import constants
    except ImportError:
      self.skipTest('huggingface_hub (extra publish) is not installed')
    with (unittest.mock.patch.object(constants, 'ENDPOINT', self.address),
          unittest.mock.patch.object(StandIn, 'do_POST', lambda self: self.answer({'error': 'no'}, 403)),
          self.assertRaisesRegex(UserError, r'^huggingface refused me/lines_autoencoder \([^\n]*403[^\n]*\.$')):
      self.publish('huggingface', really=True)

  def test_the_program_needs_a_place_and_an_owner(self):
    for words in ([], ['--to=kaggle'], ['--to=elsewhere', '--owner=me']):
      found = program.FLAGS(['zoo', 'publish', NAME, *words])
      with self.assertRaisesRegex(UserError, r'expected --to kaggle\|huggingface and --owner'):
        program.main(found[1:])
      for flag in ('owner', 'to'):
        program.FLAGS[flag].unparse()


if __name__ == '__main__':
  tf.test.main()
