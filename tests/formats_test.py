"""LiteRT and ONNX: the files against the live model in their own runtimes, the card, and what fails an export."""

import dataclasses
import importlib.util
import json
import pathlib
import re
import tempfile
import unittest
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from acai_tf.experiment import module_card
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.experiment.run import Run
from acai_tf.export import __main__ as program
from acai_tf.export import formats, module
from acai_tf.training import build
from acai_tf.training.checkpoints import Checkpoints

TINY = {'dataset': {'test_images': 16}, 'network': {'latent_width': 16, 'latent': 2, 'depth': 2},
        'training': {'precision': 'float32', 'average': 0.0}}
MISSING = [name for name in dict.fromkeys(name for each in formats.FORMATS.values() for name in each.packages)
           if importlib.util.find_spec(name) is None]


def images(count, seed=0):
  return np.random.default_rng(seed).uniform(size=[count, 32, 32, 1]).astype(np.float32)


@unittest.skipIf(MISSING, f'not installed, of the extra `export`: {MISSING}')
class ConvertTest(tf.test.TestCase):
  """ONNX, and of LiteRT's variants the one that needs calibration."""

  FORMATS = 'saved_model', 'litert/int8', 'onnx'

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
    made, cls.target = resolve('lines', 'autoencoder', 'fast', TINY), folder / 'module'
    cls.trained = Run(folder / 'run')
    cls.model = build.create(made)
    cls.model.step.assign(1)
    cls.trained.claim(made)
    Checkpoints(cls.model, cls.trained.checkpoints, 1, made).save()
    with (mock.patch.object(program, 'compare', lambda *_: 'agree'),  # export_test tests it; it costs a process
          mock.patch.dict(formats.FORMATS, {name: formats.FORMATS[name] for name in cls.FORMATS}, clear=True),
          mock.patch.object(formats, 'CALIBRATION', 16)):
      cls.printed = program.export(cls.trained, cls.target, formats=['litert', 'onnx'])
    cls.measured = json.loads((cls.target / module_card.FILE).read_text())['formats']
    cls.dataset = build.load_data(made)

  def expected(self, count):
    """Inputs and outputs of the live model, by signature."""
    first, second, alpha = images(count), images(count, 1), np.linspace(0, 1, count, dtype=np.float32)
    codes = self.model.encode(2 * first - 1).numpy()
    mixed = self.model.interpolate(2 * first - 1, 2 * second - 1, alpha)
    return {'encode': ({'images': first}, codes),
            'decode': ({'codes': codes}, (self.model.decode(codes) + 1) / 2),
            'interpolate': ({'images_a': first, 'images_b': second, 'alpha': alpha}, (mixed + 1) / 2)}

  def test_onnx_equals_the_live_model_at_any_batch_size(self):
    import onnxruntime

    for signature, output in (('encode', 'codes'), ('decode', 'images'), ('interpolate', 'images')):
      session = onnxruntime.InferenceSession(self.target / f'onnx/{signature}.onnx')
      self.assertEqual([found.name for found in session.get_outputs()], [output])
      for count in (1, 7):
        given, expected = self.expected(count)[signature]
        self.assertAllClose(session.run(None, given)[0], expected, atol=1e-5)

  def test_litert_equals_the_live_model_within_its_precision(self):
    from ai_edge_litert import interpreter

    apart = {}
    for kind in (name.removeprefix('litert/') for name in self.FORMATS if name.startswith('litert/')):
      loaded = interpreter.Interpreter(str(self.target / f'litert/{kind}.tflite'))
      self.assertCountEqual(loaded.get_signature_list(), formats.SIGNATURES)
      for signature in formats.SIGNATURES:
        run = loaded.get_signature_runner(signature)
        for count in (7, 1):
          given, expected = self.expected(count)[signature]
          output, = run(**given).values()
          self.assertEqual(output.shape, expected.shape)
          apart[kind, signature] = np.abs(output - expected).max()
          self.assertLess(np.abs(output - expected).mean(), 0.05, kind)
    self.apart = apart

  def test_the_card_and_the_table_have_every_format(self):
    measured = self.measured
    self.assertCountEqual(measured, self.FORMATS)
    for name, found in measured.items():
      self.assertIn(name, self.printed)
      self.assertCountEqual(found['signatures'], formats.SIGNATURES)
      for row in found['signatures'].values():
        self.assertLessEqual(row['mean'], row['largest'])
        self.assertGreater(row['ms'], 0)
    self.assertEqual(measured['onnx']['bytes'], sum(p.stat().st_size for p in (self.target / 'onnx').iterdir()))
    self.assertEqual(measured['saved_model']['signatures']['decode']['largest'], 0)
    self.assertGreater(measured['litert/int8']['signatures']['decode']['mean'], 0)

  def test_the_check_reports_the_difference_of_the_runtime(self):
    from ai_edge_litert import interpreter

    given = formats.inputs(self.target, (self.dataset.test(16)[0] + 1) / 2)
    run = interpreter.Interpreter(str(self.target / 'litert/int8.tflite'))
    for signature, scale in (('encode', np.ptp(given['decode']['codes'])), ('decode', 1)):
      exact = tf.saved_model.load(self.target).signatures[signature](**given[signature])
      output, = run.get_signature_runner(signature)(**given[signature]).values()
      apart = np.abs(output - next(iter(exact.values()))) / scale
      found = self.measured['litert/int8']['signatures'][signature]
      self.assertAllClose([found['largest'], found['mean']], [apart.max(), apart.mean()], rtol=1e-3)

  def test_the_example_of_the_documentation_runs(self):
    page = pathlib.Path(__file__).parents[1] / 'docs/modules.md'
    text, = (text for text in re.findall(r'^```py\n(.*?)^```$', page.read_text(), re.M | re.S)
             if 'onnxruntime' in text)  # not `python`: the extra is needed
    scope = {}
    exec(text.replace('demo/module_formats', str(self.target)), scope)
    self.assertAllClose(scope['codes'], self.model.encode(2 * scope['images'] - 1), atol=1e-5)
    self.assertEqual(scope['between'].shape, (2, 32, 32, 1))

  def test_a_format_beyond_its_tolerance_fails_the_export(self):
    far = json.loads(json.dumps(self.measured))
    far['onnx']['signatures']['decode']['largest'] = 0.005
    target = self.target.with_name('broken')
    with (mock.patch.object(program, '_check', lambda *_: json.dumps(far)),
          mock.patch.object(module, 'save'), mock.patch.object(formats, 'write', return_value={}),
          self.assertRaisesRegex(UserError, r'onnx: decode differs from the SavedModel.*0\.005 .*at most 0\.0001')):
      program.export(self.trained, target, formats=['onnx'])
    self.assertEqual(sorted(path.name for path in target.parent.iterdir()), ['module', 'run'])


@pytest.mark.slow
class AllFormatsTest(ConvertTest):
  """The same of all formats."""

  FORMATS = tuple(formats.FORMATS)

  def test_litert_equals_the_live_model_within_its_precision(self):
    super().test_litert_equals_the_live_model_within_its_precision()
    apart = self.apart
    for signature in formats.SIGNATURES:
      self.assertLess(apart['float32', signature], 1e-5)
      self.assertLess(apart['float32', signature], apart['float16', signature])
      self.assertLess(apart['float16', signature], apart['int8', signature])
    self.assertLess(self.measured['litert/float16']['signatures']['decode']['mean'],
                    self.measured['litert/int8']['signatures']['decode']['mean'])


class RequireTest(tf.test.TestCase):

  def test_formats_that_cannot_be_written_are_reported_in_one_line(self):
    lines, text = resolve('lines', 'acai', 'fast', {}), resolve('grammar', 'arae', 'fast', {})
    formats.require(['saved_model'], text)
    with self.assertRaisesRegex(UserError, "unknown format 'tflite'.*litert"):
      formats.require(['tflite'], lines)
    with self.assertRaisesRegex(UserError, 'arae is a model of sentences'):
      formats.require(['saved_model', 'onnx'], text)
    missing = dataclasses.replace(formats.FORMATS['onnx'], packages=('no_such_package',))
    with (mock.patch.dict(formats.FORMATS, {'onnx': missing}),
          self.assertRaisesRegex(UserError, r"no_such_package not installed.*pip install -e '\.\[export\]' in")):
      formats.require(['onnx'], lines)

  def test_every_format_has_its_tolerance(self):
    good = {'encode': {'largest': 1e-5, 'mean': 1e-6, 'ms': 1.0}}
    bad = {'encode': {'largest': 1.0, 'mean': float('nan'), 'ms': 1.0}}
    for name, each in formats.FORMATS.items():
      each.judge(good)
      if name != 'saved_model':
        with self.assertRaisesRegex(UserError, f'^{name}: encode differs'):
          each.judge(bad)


if __name__ == '__main__':
  tf.test.main()
