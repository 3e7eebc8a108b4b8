"""The gallery: its files, and its page in a browser against ONNX Runtime, the data set and the metric."""

import contextlib
import dataclasses
import functools
import http.client
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import threading
import unittest
import unittest.mock
import urllib.error

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from acai_tf import interpolation
from acai_tf.data import lines
from acai_tf.evaluation import subject
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.export import formats
from acai_tf.metrics import lines as metric
from acai_tf.training import build
from acai_tf.zoo import __main__ as program
from acai_tf.zoo import _gallery, _weights, base

try:
  import onnxruntime
  import tf2onnx  # noqa: F401  The build needs it.
  from playwright import sync_api
  MISSING = ''
except ImportError as error:
  MISSING = f'{error.name} is not installed'

ARCHIVE = _gallery.runtime_path()
BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
SIZE = 16
PATHS = [[f'a <b>&text {max(k, 8) if i else 0}' for k in range(_gallery.STEPS)] for i in range(2)]


@functools.cache
def models():
  """An autoencoder and ACAI on small lines, new, but with weights so large that images differ, and a text model."""
  found = {}
  for name in ('acai', 'autoencoder'):
    experiment = resolve('lines', name, 'paper', {
        'dataset': {'size': SIZE}, 'network': {'depth': 2, 'latent': 2}, 'training': {'samples': 32, 'batch': 16}})
    model = build.create(experiment)
    for variable in (*model.encoder.trainable_variables, *model.decoder.trainable_variables):
      variable.assign(1.5 * variable)
    found[f'lines_{name}'] = experiment, model, 32
  found['grammar_arae'] = resolve('grammar', 'arae', 'fast'), None, 64
  return found


def archive(folder, names=tuple(f'package/dist/{name}' for name in _gallery.RUNTIME_FILES)):
  """A stand-in for ONNX Runtime Web's archive."""
  path = folder / 'runtime.tgz'
  with tarfile.open(path, 'w:gz') as made:
    for name in names:
      entry = tarfile.TarInfo(name)
      entry.size = len(name)
      made.addfile(entry, io.BytesIO(name.encode()))
  return path


def build_gallery(target, runtime, **more):
  with unittest.mock.patch.object(_gallery, '_paths', return_value=PATHS):  # text_evaluation_test tests it.
    return _gallery.build(target, models(), runtime, **more)


class FolderTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))

  def build(self, target, **more):
    """Builds without conversion; see `_gallery.build`."""
    def onnx(model, folder, callables):
      del model
      for name in callables:
        (folder / f'{name}.onnx').touch()
      return {{'encoder': 'encode', 'decoder': 'decode', 'critic': 'critic'}[name]: folder for name in callables}

    with unittest.mock.patch.object(formats, 'onnx', onnx):
      return build_gallery(target, archive(self.folder), **more)

  def test_pretrained_models_without_data_are_left_out_unless_asked_for(self):
    with unittest.mock.patch.object(_gallery, '_pairs', side_effect=UserError('no images')):
      with self.assertRaisesRegex(UserError, 'no images'):
        self.build(self.folder / 'asked', optional=['lines_acai'])
      self.assertFalse((self.folder / 'asked').exists())
      messages = self.build(self.folder / 'all', optional=['lines_acai', 'lines_autoencoder'])
    self.assertEqual(messages, [f'lines_{name} is left out: no images' for name in ('autoencoder', 'acai')])
    self.assertIn('"models": []', (self.folder / 'all' / _gallery.DATA).read_text())

  def test_pictures_and_readings_are_the_models(self):
    self.build(self.folder / 'gallery')
    text = (self.folder / 'gallery' / _gallery.DATA).read_text()
    data = json.loads(text.removeprefix('window.galleryData = ').removesuffix(';\n'))
    self.assertEqual([found['name'] for found in data['models']], ['lines_autoencoder', 'lines_acai'])
    self.assertEqual([found['parts'] for found in data['models']],
                     [['encode', 'decode'], ['encode', 'decode', 'critic']])
    self.assertEqual([found['title'] for found in data['models']], ['autoencoder', 'ACAI'])
    self.assertEqual([(found['title'], found['paths']) for found in data['texts']], [('ARAE', PATHS)])
    (key, dataset), = data['datasets'].items()
    self.assertEqual((key, dataset['shape'], dataset['lines']), ('lines 16x16', [16, 16, 1], True))
    angles = np.radians(dataset['angles'])
    for found in data['models']:
      _, model, samples = models()[found['name']]
      self.assertIn(f'Trained on {samples} samples', found['about'])
      self.assertCountEqual(found['readings'], ['linear', 'spherical', 'geodesic'])
      sheets = {kind: self.sheet(found['name'], kind) for kind in found['readings']}
      for sheet in sheets.values():
        self.assertEqual(sheet.shape, (len(angles), data['steps'], SIZE, SIZE))
        self.assertAllClose(sheet[:, [0, -1]] / 255, sheets['linear'][:, [0, -1]] / 255, atol=1.01 / 255)
      row, column = 2, 5
      ends = lines.render(angles[row], SIZE)[:, None]
      for kind in ('linear', 'spherical'):
        image = model.interpolate(*ends, column / (data['steps'] - 1), path=kind).numpy()
        self.assertAllClose(sheets[kind][row, column] / 127.5 - 1, np.clip(image[0, ..., 0], -1, 1), atol=0.51 / 127.5)
        distance, angle = metric.nearest_lines(image, *lines.templates(data['templates'], SIZE))
        expected = {'distance': distance[0], 'angle': np.degrees(angle[0])}
        if 'critic' in found['parts']:
          expected['critic'] = model.critic(image)[0]
        self.assertAllClose({name: rows[row][column] for name, rows in found['readings'][kind].items()}, expected,
                            atol=1e-4)

  def test_only_models_with_a_normal_prior_have_paths_that_keep_it(self):
    ends = lines.render(np.radians([0, 90]), SIZE), lines.render(np.radians([120, 200]), SIZE)
    model = build.create(resolve('lines', 'vae', 'paper', {
        'dataset': {'size': SIZE}, 'network': {'depth': 2, 'latent': 2}}))
    found = _gallery._strips(dataclasses.replace(subject.of_model(model), geodesics=None), ends)
    self.assertCountEqual(found, ['linear', 'spherical', 'gaussian'])
    self.assertAllClose(found['gaussian'][:, 5], model.interpolate(*ends, 0.25, 'gaussian'), atol=1e-5)

  @unittest.skipUnless(shutil.which('node'), 'there is no Node.js')
  def test_the_page_mixes_latents_as_the_library_does(self):
    script = (_gallery.PAGE / 'page.js').read_text()
    functions = script.partition('// Interpolation between latents')[2].partition('// The kind of path')[0]
    ends = np.random.default_rng(0).normal(size=[2, 1, 7]).astype(np.float32)
    first, second = (f'Float32Array.of({", ".join(map(str, end[0]))})' for end in ends)
    for kind in interpolation.PATHS:
      alphas = [0, 0.3, 0.5, 1]
      calls = [f'[...mixes.{kind}({first}, {second}, {alpha})]' for alpha in alphas]
      done = subprocess.run(['node', '-e', f'//{functions}\nconsole.log(JSON.stringify([{", ".join(calls)}]))'],
                            capture_output=True, text=True, check=True)
      expected = [interpolation.between(*ends, tf.constant(alpha, tf.float32), kind)[0] for alpha in alphas]
      self.assertAllClose(json.loads(done.stdout), expected, atol=1e-6)

  def sheet(self, name, kind):
    """[pairs, steps, SIZE, SIZE] of a picture in the folder."""
    picture = np.asarray(Image.open(self.folder / 'gallery/models' / name / f'{kind}.png'), int)
    return picture.reshape(-1, SIZE, picture.shape[1] // SIZE, SIZE).swapaxes(1, 2)

  def test_a_folder_that_exists_is_left_alone(self):
    (self.folder / 'mine').mkdir()
    with self.assertRaisesRegex(UserError, '^[^\n]*mine cannot be written: it exists already; expected a new folder'):
      self.build(self.folder / 'mine')
    self.assertEqual([path.name for path in self.folder.iterdir() if path.name != 'runtime.tgz'], ['mine'])
    with unittest.mock.patch.object(program, 'FLAGS') as given:
      given.to, given.run, given.serve = str(self.folder / 'mine'), None, True
      with self.assertRaisesRegex(UserError, 'mine exists already'):
        program.gallery([])

  def test_of_the_archive_only_what_is_named_is_unpacked(self):
    names = [f'package/dist/{name}' for name in _gallery.RUNTIME_FILES]
    _gallery.unpack(archive(self.folder, [*names, '../../evil', '/tmp/evil', 'package/evil']), self.folder / 'ort')
    self.assertCountEqual([path.name for path in self.folder.rglob('*') if path.is_file()],
                          [*_gallery.RUNTIME_FILES, 'runtime.tgz'])
    self.assertEqual((self.folder / 'ort' / _gallery.RUNTIME_FILES[0]).read_text(), names[0])

  def test_no_network_or_another_file_is_one_line(self):
    self.enterContext(unittest.mock.patch.dict(os.environ, {'ACAI_TF_CACHE': str(self.folder)}))
    self.enterContext(contextlib.redirect_stderr(io.StringIO()))

    def fetch(origin, target, progress):
      del origin, progress
      pathlib.Path(target).write_bytes(b'another file')

    for urlretrieve, message in ((unittest.mock.Mock(side_effect=urllib.error.URLError('no route')), 'no route'),
                                 (fetch, 'hash does not match')):
      expected = f'^ONNX Runtime Web cannot be downloaded .*{message}.* as {self.folder}/onnx'
      with (unittest.mock.patch('keras.src.utils.file_utils.urlretrieve', urlretrieve),
            self.assertRaisesRegex(UserError, expected)):
        _gallery.runtime()
    elsewhere = '/tmp/.keras/onnx.tgz'  # Keras's choice if the cache cannot be written
    with unittest.mock.patch('keras.utils.get_file', return_value=elsewhere):
      self.assertEqual(_gallery.runtime(), pathlib.Path(elsewhere))

  def test_titles_are_the_papers_names(self):
    for name, title in (('lines_vqvae', 'VQ-VAE'), ('mnist_acai_d32', 'ACAI, 32 dimensions'),
                        ('lines_lsgan_ae (run)', 'LSGAN-AE (run)'), ('lines_denoising', 'denoising')):
      definition = base.definition(name.removesuffix(' (run)'))
      experiment = resolve(definition.dataset, definition.model, 'fast', definition.overrides)
      self.assertEqual(_gallery._title(name, experiment), title)

  def test_weights_and_extras_are_checked_before_the_download(self):
    self.enterContext(unittest.mock.patch.object(_gallery, 'runtime', side_effect=AssertionError('downloaded')))
    with unittest.mock.patch.object(program, 'FLAGS') as given:
      given.to, given.run, given.weights = str(self.folder / 'gallery'), None, str(_weights.FOLDER)
      with (unittest.mock.patch('importlib.util.find_spec', return_value=None),
            self.assertRaisesRegex(UserError, '^tf2onnx not installed; expected the extra `export`')):
        program.gallery(['lines_acai'])
      with (unittest.mock.patch.object(formats, 'require_packages'),
            self.assertRaisesRegex(UserError, '^there are no pretrained weights of lines_acai_invariant')):
        program.gallery(['lines_acai_invariant'])

  def test_the_server_is_this_machine_s_and_of_its_folder_alone(self):
    (self.folder / 'gallery').mkdir()
    (self.folder / 'gallery/a.mjs').write_text('a')
    (self.folder / 'secret').write_text('b')
    server = self.enterContext(_gallery.server(self.folder / 'gallery'))
    self.assertEqual(server.server_address[0], '127.0.0.1')
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()  # seconds to its shutdown
    self.addCleanup(server.shutdown)
    (self.folder / 'gallery/link').symlink_to(self.folder / 'secret')
    own = {'Host': f'localhost:{server.server_port}'}
    for path, status, headers in (
        ('/a.mjs', 200, {}), ('/a.mjs', 200, own), ('/../secret', 404, {}), ('/%2e%2e/secret', 404, {}),
        ('/secret', 404, {}), ('/link', 404, {}), ('/%00', 404, {}),
        ('/a.mjs', 403, {'Host': f'attacker.example:{server.server_port}'}), ('/a.mjs', 403, {'Host': 'localhost:1'})):
      connection = http.client.HTTPConnection(*server.server_address)
      connection.request('GET', path, headers=headers)
      answer = connection.getresponse()
      self.assertEqual(answer.status, status, path)
      if status == 200:
        self.assertEqual(answer.headers['Content-Type'], 'text/javascript')  # else no browser imports it
      connection.close()


@pytest.mark.slow
@unittest.skipIf(MISSING, MISSING)
@unittest.skipUnless(BROWSER, 'there is no Chromium; expected chromium, chromium-browser or google-chrome')
@unittest.skipUnless(ARCHIVE.exists(), f'{ARCHIVE} is not there; acai zoo gallery fetches it')
class PageTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory())) / 'gallery'
    build_gallery(cls.folder, ARCHIVE)
    server = cls.enterClassContext(_gallery.server(cls.folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cls.addClassCleanup(server.shutdown)
    cls.address = f'http://127.0.0.1:{server.server_port}/'
    cls.browser = cls.enterClassContext(sync_api.sync_playwright()).chromium.launch(executable_path=BROWSER)
    cls.addClassCleanup(cls.browser.close)

  def open(self, address=None, script='', live=True, **settings):
    """A new page, when it shows what it should; `live`: by the models, not by pictures."""
    page = self.enterContext(self.browser.new_context(**settings)).new_page()
    page.set_default_timeout(120_000)
    page.on('pageerror', lambda error: self.errors.append(str(error)))
    page.on('request', lambda request: self.requests.append(request.url))
    self.errors, self.requests = [], []
    page.add_init_script(script)
    page.goto(address or self.address)
    if live:
      page.wait_for_function('gallery.last?.live')
    else:
      page.wait_for_function('document.querySelector("#notice").textContent.startsWith("The models cannot run")')
    return page

  def at(self, page, alpha):
    """gallery.last once it is of `alpha`, with images as arrays."""
    page.wait_for_function(f'Math.abs(gallery.last.alpha - {alpha}) < 1e-9')
    found = page.evaluate('''() => ({...gallery.last, ends: gallery.last.ends.map((image) => [...image]),
      models: Object.fromEntries(Object.entries(gallery.last.models).map(
        ([name, found]) => [name, {...found, image: [...found.image]}]))})''')
    shape = [-1, SIZE, SIZE, 1]
    found['ends'] = np.reshape(found['ends'], shape).astype(np.float32)
    for values in found['models'].values():
      values['image'] = np.reshape(values['image'], shape).astype(np.float32)
    return found

  def set_alpha(self, page, alpha):
    page.locator('#alpha').fill(str(alpha))
    return self.at(page, alpha)

  def runtime(self, name, part, values):
    """ONNX Runtime's answer in Python."""
    session = onnxruntime.InferenceSession(self.folder / 'models' / name / f'{part}.onnx')
    answer, = session.run(None, {session.get_inputs()[0].name: values})
    return answer

  def test_numbers_are_onnx_runtime_s(self):
    page = self.open()
    images = []
    for alpha in (0.0, 0.37, 1.0):
      found = self.set_alpha(page, alpha)
      self.assertAllClose(found['ends'], (lines.render(np.radians(_gallery.ANGLES[0]), SIZE) + 1) / 2, atol=1e-6)
      self.assertCountEqual(found['models'], ['lines_autoencoder', 'lines_acai'])
      for name, values in found['models'].items():
        first, second = (self.runtime(name, 'encode', end[None]) for end in found['ends'])
        image = self.runtime(name, 'decode', first + np.float32(alpha) * (second - first))
        self.assertAllClose(values['image'], image, atol=1e-5)
        if alpha in (0, 1):  # the reconstruction
          self.assertAllClose(values['image'], self.runtime(name, 'decode', (first, second)[int(alpha)]), atol=1e-5)
        distance, angle = metric.nearest_lines(2 * image - 1, *lines.templates(_gallery.TEMPLATES, SIZE))
        self.assertAllClose([values['distance'], values['angle']], [distance[0], np.degrees(angle[0])], atol=1e-5)
        images.append(image)
      critic = self.runtime('lines_acai', 'critic', found['models']['lines_acai']['image'])
      self.assertAllClose(found['models']['lines_acai']['critic'], critic[0], atol=1e-5)
    self.assertGreater(np.abs(images[0] - images[4]).max(), 1e-3)  # so that 1e-5 says something
    page.locator('#kind').select_option('spherical')
    found = self.set_alpha(page, 0.25)
    page.wait_for_function('gallery.last.models.lines_acai.kind === "spherical"')
    for name, values in self.at(page, 0.25)['models'].items():
      ends = (self.runtime(name, 'encode', end[None]) for end in found['ends'])
      codes = interpolation.slerp(*ends, 0.25).numpy()
      self.assertAllClose(values['image'], self.runtime(name, 'decode', codes), atol=1e-5)
    page.locator('#kind').select_option('geodesic')  # has pictures alone, of the examples alone
    page.wait_for_function('gallery.last.models.lines_acai.image === null')
    page.locator('#ends input[type=range]').first.fill('77')
    page.wait_for_function('gallery.last.models.lines_acai.kind === "linear"')
    page.wait_for_function('document.querySelector("article").textContent.includes("for the examples only")')
    self.assertEqual(self.errors, [])
    self.assertEqual([url for url in self.requests if not url.startswith(self.address) and url != 'data:,'], [])

  def test_lines_are_the_data_set_s_and_the_metric_s(self):
    page = self.open()
    angles = np.arange(0, 360, 3.7)
    drawn = page.evaluate('([angles, size]) => angles.map((angle) => [...gallery.line(angle, size)])',
                          [angles.tolist(), SIZE])
    expected = (lines.render(np.radians(angles), SIZE) + 1) / 2
    self.assertAllClose(np.reshape(drawn, expected.shape), expected, atol=1e-6)
    noisy = (expected + np.random.default_rng(0).normal(0, 0.2, expected.shape)).astype(np.float32)
    noisy[0] = 0.5  # no direction
    found = page.evaluate('([images, size]) => images.map((image) => gallery.nearest(image, size))',
                          [noisy.reshape(len(noisy), -1).tolist(), SIZE])
    distance, angle = metric.nearest_lines(2 * noisy - 1, *lines.templates(_gallery.TEMPLATES, SIZE))
    self.assertAllClose([row['distance'] for row in found], distance, atol=1e-5)
    self.assertAllClose([row['angle'] for row in found][1:], np.degrees(angle[1:]), atol=1e-4)

  def test_mouse(self):
    page = self.open()
    picture = page.locator('article canvas').first
    before, shown = picture.evaluate('canvas => canvas.toDataURL()'), self.set_alpha(page, 0.5)
    box = page.locator('#alpha').bounding_box()
    page.mouse.move(box['x'] + box['width'] / 2, box['y'] + box['height'] / 2)
    page.mouse.down()
    page.mouse.move(box['x'] + box['width'] * 0.75, box['y'] + box['height'] / 2, steps=4)
    page.mouse.up()
    alpha = float(page.locator('#alpha').input_value())
    self.assertAllClose(alpha, 0.75, atol=0.02)
    moved = self.at(page, alpha)
    for name, values in moved['models'].items():
      self.assertGreater(np.abs(values['image'] - shown['models'][name]['image']).max(), 1e-4)
    pixels = picture.evaluate('canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, 1).data]')
    self.assertAllClose(np.reshape(pixels, [-1, 4])[:, 0] / 255,
                        np.clip(moved['models']['lines_autoencoder']['image'][0, 0, :, 0], 0, 1), atol=0.51 / 255)
    self.assertNotEqual(before, '')
    box = page.locator('#ends canvas').first.bounding_box()  # a line drawn downwards
    page.mouse.click(box['x'] + box['width'] / 2, box['y'] + 0.9 * box['height'])
    page.wait_for_function('document.querySelector("#ends .number").textContent === "270°"')
    page.wait_for_function(f'gallery.last.ends[0][{SIZE * (SIZE - 3) + SIZE // 2}] > 0.9')

  def test_keyboard(self):
    page = self.open()
    found = self.set_alpha(page, 0.5)

    def reach(selector):
      for _ in range(40):
        page.keyboard.press('Tab')
        if page.evaluate(f'document.activeElement.matches({json.dumps(selector)})'):
          return
      self.fail(f'Tab does not reach {selector}')

    reach('#ends input[type=range]')
    page.keyboard.press('ArrowRight')
    page.wait_for_function('document.querySelector("#ends .number").textContent === "21°"')
    reach('#ends input[type=file]')
    reach('#pairs button:nth-child(2)')
    page.keyboard.press('Enter')
    page.wait_for_function('document.querySelector("#ends .number").textContent === "150°"')
    reach('#models input')
    page.keyboard.press('Space')
    page.wait_for_function('Object.keys(gallery.last.models).length === 1')
    page.keyboard.press('Space')
    page.wait_for_function('Object.keys(gallery.last.models).length === 2')
    reach('#alpha')
    for key, alpha in (('ArrowRight', 0.51), ('End', 1), ('Home', 0)):
      page.keyboard.press(key)
      self.at(page, alpha)
    self.assertNotAllClose(self.at(page, 0)['ends'], found['ends'])
    reach('#sentences select')
    page.keyboard.press('ArrowDown')
    page.wait_for_function('document.querySelectorAll("li").length > 1')
    self.assertEqual(self.errors, [])

  def test_upload(self):
    page = self.open()
    image = np.random.default_rng(0).integers(0, 256, [SIZE, SIZE], np.uint8)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, 'png')
    page.locator('#ends input[type=file]').nth(1).set_input_files(
        {'name': 'mine.png', 'mimeType': 'image/png', 'buffer': stream.getvalue()})
    page.wait_for_function(f'Math.abs(gallery.last.ends[1][0] - {image[0, 0] / 255}) < 1e-3')
    self.assertAllClose(self.at(page, 0.5)['ends'][1, ..., 0], image / 255, atol=1e-5)
    page.locator('#ends input[type=file]').nth(0).set_input_files(
        {'name': 'no.png', 'mimeType': 'image/png', 'buffer': b'no picture'})
    page.wait_for_function(
        'document.querySelector("#notice").textContent.startsWith("This browser cannot read no.png")')

  def test_pictures_where_models_cannot_run(self):
    sheet = np.asarray(Image.open(self.folder / 'models/lines_acai/geodesic.png'))
    for settings in ({'address': (self.folder / 'index.html').as_uri()}, {'script': 'delete window.WebAssembly'}):
      page = self.open(live=False, **settings)
      page.locator('#pairs button').nth(2).click()
      page.locator('#kind').select_option('geodesic')
      page.locator('#alpha').fill('0.25')
      page.wait_for_function('gallery.last.alpha === 0.25 && gallery.last.pair === 2 && '
                             'gallery.last.models.lines_acai.kind === "geodesic"')
      self.assertEqual(page.locator('#ends .number').first.text_content(), '80°')
      found = page.evaluate('gallery.last.models.lines_acai')
      self.assertIsNone(found['image'])
      readings = page.evaluate('galleryData.models.find((model) => model.name === "lines_acai").readings.geodesic')
      self.assertEqual({name: found[name] for name in readings}, {name: rows[2][5] for name, rows in readings.items()})
      self.assertTrue(page.locator('#ends input').first.is_disabled())
      if 'script' in settings:  # From a file on disk a browser tells no pixels.
        pixels = page.locator('article canvas').nth(2).evaluate(
            'canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]')
        self.assertAllEqual(np.reshape(pixels, [SIZE, SIZE, 4])[..., 0],
                            sheet[2 * SIZE:3 * SIZE, 5 * SIZE:6 * SIZE])
      self.assertEqual(self.errors, [])

  def test_phone_and_words(self):
    page = self.open(viewport={'width': 360, 'height': 740}, is_mobile=True, has_touch=True)
    self.assertLessEqual(page.evaluate('document.documentElement.scrollWidth'), 360)
    for seen in ('#alpha', '#panels canvas'):  # on the first screen, so that one sees what dragging does
      box = page.locator(seen).first.bounding_box()
      self.assertLessEqual(box['y'] + box['height'], 740)
    page.locator('#alpha').fill('0.25')
    page.wait_for_function('document.querySelector("#reading").textContent.startsWith("alpha 0.25. autoencoder: '
                           'nearest line at")')
    self.assertIn('critic reads alpha', page.locator('#reading').text_content())
    self.assertEqual(page.locator('#reading').get_attribute('aria-live'), 'polite')
    page.wait_for_function('document.querySelectorAll("canvas[role=img][aria-label], .chart[aria-label]").length === '
                           'document.querySelectorAll("canvas[role=img], .chart").length')
    self.assertEqual(page.evaluate('''() => [...document.querySelectorAll("input, select, button")].filter((element) =>
      !element.ariaLabel && !element.labels?.[0]?.textContent.trim()).length'''), 0)
    self.assertEqual(page.locator('#sentences h2').text_content(), 'Between two sentences: ARAE')
    page.locator('#sentences select').select_option('1')
    self.assertEqual(page.locator('li').all_text_contents()[:2], ['0.00–0.40 a <b>&text 8', '0.45 a <b>&text 9'])
    self.assertEqual(page.locator('li[aria-current]').all_text_contents(), ['0.00–0.40 a <b>&text 8'])


if __name__ == '__main__':
  tf.test.main()
