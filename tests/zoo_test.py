"""Zoo definitions: each is built and trained for one step; names, exceptions, published figures, and the program."""

import contextlib
import csv
import dataclasses
import io
import pathlib
import sys
import unittest.mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from acai_tf import zoo
from acai_tf.data import lines
from acai_tf.experiment import registry
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import resolve
from acai_tf.training import build, optimizer
from acai_tf.zoo import __main__ as program
from acai_tf.zoo import _weights, base

DATASETS = [name for name in registry.names('acai_tf.data', 'images') if base.definitions(name)]
MODELS = registry.names('acai_tf.models', 'images')


def experiment_of(definition):
  return definition.resolve()


def content(experiment):
  """All that a step depends on except images and labels. Only one of several equal definitions is tested."""
  data = registry.load('acai_tf.data', experiment.dataset_name)
  return experiment.model, experiment.network, data.shape(experiment.dataset)


def narrow(experiment):
  """The same experiment with few channels and critic steps: this makes it quicker and changes no other shape."""
  fewer = {'critic_steps': 2} if hasattr(experiment.model, 'critic_steps') else {}
  return dataclasses.replace(experiment, network=dataclasses.replace(experiment.network, depth=2),
                             model=dataclasses.replace(experiment.model, **fewer))


class DefinitionsTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*((name, name) for name in MODELS))
  @pytest.mark.each_model
  def test_every_definition_builds_and_steps(self, name):
    seen, stepped = set(), set()
    for definition in base.definitions(model=name).values():
      experiment = narrow(experiment_of(definition))
      if content(experiment) in seen:
        continue
      seen.add(content(experiment))
      with self.subTest(definition.name):
        with unittest.mock.patch.object(optimizer, 'optimizer', return_value=lambda player: keras.optimizers.SGD(1e-4)):
          model, network = build.create(experiment), experiment.network  # Adam's slots take half of the time.
        if not hasattr(experiment.model, 'code'):
          self.assertEqual(model.code_shape, (network.latent_width, network.latent_width, network.latent))
        self.assertEqual(np.prod(model.code_shape), definition.latent_dimension)
        several = definition.dataset == 'celeba'  # labels of an image
        kind = experiment.model, model.image_shape[2], several
        if kind in stepped:  # The step of another size is the same.
          continue
        stepped.add(kind)
        images = tf.constant(np.random.default_rng(0).uniform(-1, 1, [2, *model.image_shape]), tf.float32)
        labels = np.eye(2, model.classifier.units) if several else np.arange(2)
        logs = model.take_step((images, tf.constant(labels, tf.int32)))
        for log, value in logs.items():
          self.assertTrue(np.isfinite(value), f'{log} is {value}')

  def test_names_rows_and_exceptions(self):
    found = base.definitions()
    self.assertEqual({d.row for d in found.values() if d.dataset == 'mnist'}, {'d32', 'd256'})
    self.assertEqual(experiment_of(found['lines_vqvae']).network.latent_width, 4)
    self.assertEqual(experiment_of(found['lines_acai']).network.latent_width, 2)
    self.assertEqual(experiment_of(found['svhn_midrae_d256']).model.advfake, 0.05)
    self.assertEqual(experiment_of(found['cifar10_amr_d1024']).model.lam, 50)
    self.assertEqual(found['cifar10_amr_d1024'].resolve('fast').model.lam, 500)
    for model in ('acai', 'arae_image'):  # the latter has codes of its own, as large as the row's
      self.assertEqual(found[f'cifar10_{model}_d1024'].latent_dimension, 1024)
    self.assertEqual(found['binarized_mnist_arae_image'].latent_dimension, 100)
    self.assertEqual(len(base.definitions('mnist', 'acai')), 2)
    for wrong, message in ((('mnits', None), "did you mean 'mnist'"), ((None, 'aca'), "did you mean 'acai'")):
      with self.assertRaisesRegex(UserError, message):
        base.definitions(*wrong)
    with self.assertRaisesRegex(UserError, "did you mean 'mnist_acai_d32'"):
      base.definition('mnist_acai_32')

  def test_published_figures_are_the_papers(self):
    """Every figure and spread against tests/published.csv, which was typed from the papers' tables by itself."""
    scales, dimensions = {'%': 1e-2, '1e-3': 1e-3, '1': 1}, {
        (d.dataset, d.model, d.latent_dimension) for d in base.definitions().values()}
    printed, found = {}, {}
    with open(pathlib.Path(__file__).with_name('published.csv'), newline='') as file:
      for row in csv.DictReader(file):
        source = base.QIAN if row['table'] == 'Qian' else f'{base.PAPER}, table {row["table"]}'
        scale = scales[row['unit']]
        printed[row['dataset'], row['model'], int(row['dimension']), row['metric']] = (
            source, float(row['value']) * scale, float(row['spread']) * scale if row['spread'] else None)
    for name in DATASETS:
      module = registry.load('acai_tf.zoo', name) if name in registry.names('acai_tf.zoo') else None
      for (model, dimension), rows in getattr(module, 'PUBLISHED', {}).items():
        self.assertIn((name, model, dimension), dimensions)
        for row in rows:
          self.assertNotIn((name, model, dimension, row.metric), found)
          found[name, model, dimension, row.metric] = row
    # Tables 1 (7 x 2), 2 (6 x 7), 3 (4 x 7); Qian et al.'s probe (6 x 3) and clustering (4 x 3).
    self.assertLen(printed, 14 + 42 + 28 + 18 + 12)
    self.assertCountEqual(found, printed)
    for key, (source, value, spread) in printed.items():
      with self.subTest(key):
        self.assertEqual(found[key].source, source)
        self.assertAlmostEqual(found[key].value, value, delta=1e-9)
        self.assertEqual(found[key].spread is None, spread is None)
        self.assertAlmostEqual(found[key].spread or 0, spread or 0, delta=1e-9)

  def test_published_figures_are_of_the_definition_s_data_and_code_only(self):
    for name, metric in (('lines_acai', 'mean_distance'), ('lines_vqvae', 'mean_distance'),
                         ('mnist_amr_d32', None), ('mnist_acai_d256', 'clustering_accuracy')):
      found = base.published_for(experiment_of(base.definition(name)))
      self.assertEqual(metric in found, metric is not None)
    for overrides in ({'dataset': {'size': 64}, 'network': {'latent_width': 2}}, {'network': {'depth': 32}},
                      {'network': {'latent_width': 4, 'latent': 4}}):
      self.assertEmpty(base.published_for(resolve('lines', 'acai', 'paper', overrides)))
    self.assertEmpty(base.published_for(resolve('svhn', 'acai', overrides={'dataset': {'extra': False}})))
    for recipe, model, comparable in (('paper', 'acai', True), ('fast', 'acai', False), ('fast', 'vae', True)):
      found = base.published_for(resolve('lines', model, recipe, {'dataset': {'test_images': 64}}))
      self.assertEqual(found['mean_distance'].comparable, comparable)
    self.assertFalse(base.published_for(resolve('svhn', 'midrae'))['probe_accuracy'].comparable)  # MNIST's weights
    for recipe in ('paper', 'fast'):  # as behind the published figure
      experiment = resolve('cifar10', 'dropout', recipe)
      self.assertEqual((experiment.model.keep, resolve('mnist', 'dropout', recipe).model.keep), (0.75, 0.5))
      self.assertTrue(base.published_for(experiment)['probe_accuracy'].comparable)

  def test_recipes_of_models_and_what_the_user_sets(self):
    paper, fast = (resolve('lines', 'amr', recipe) for recipe in ('paper', 'fast'))
    self.assertEqual((paper.training.beta_1, paper.network.normalization, paper.model.generator_every),
                     (0.5, 'instance', 5))
    self.assertEqual(fast.model.generator_every, 1)
    mine = resolve('lines', 'amr', 'fast', {'model': {'generator_every': 2}, 'training': {'beta_1': 0.1},
                                                 'network': {'normalization': 'none'}})
    self.assertEqual((mine.model.generator_every, mine.training.beta_1, mine.network.normalization), (2, 0.1, 'none'))
    self.assertEqual(resolve('lines', 'acai').training.beta_1, 0.9)

  def test_other_sizes(self):
    for size, latent_width in ((64, 4), (128, 8)):
      experiment = resolve('celeba', 'acai', overrides={
          'dataset': {'size': size}, 'network': {'depth': 2, 'latent': 2, 'latent_width': latent_width}})
      model = build.create(experiment)
      self.assertEqual(model(tf.zeros([1, size, size, 3])).shape, (1, size, size, 3))
      self.assertEqual(model.encode(tf.zeros([1, size, size, 3])).shape, (1, latent_width, latent_width, 2))


class ByNameTest(tf.test.TestCase):

  def test_names(self):
    self.assertEqual(zoo.names(), sorted(base.definitions()))
    self.assertContainsSubset(['lines_acai', 'lines_vae'], zoo.names(pretrained=True))
    self.assertContainsSubset(zoo.names(pretrained=True), zoo.names())

  def test_a_model_comes_with_the_weights_of_its_results(self):
    if not _weights.FOLDER.exists():
      self.skipTest('zoo/weights is not here')
    model, images = zoo.load('lines_autoencoder'), lines.render(np.linspace(0, 6, 64))
    record, _ = _weights.kept('lines_autoencoder')
    self.assertAllClose(np.mean(np.square(images - model(images))), record.metrics['recon_mse'], rtol=0.5)
    self.assertEqual(model.decoder.dtype_policy.name, 'float32')
    with self.assertRaisesRegex(UserError, "did you mean 'lines_acai'"):
      zoo.load('lines_acia')


class ProgramTest(tf.test.TestCase):

  def run_program(self, *words, **settings):
    program.FLAGS.unparse_flags()
    rest = program.FLAGS(['zoo', *words, *(f'--{name}={value}' for name, value in settings.items())])
    with contextlib.redirect_stdout(io.StringIO()) as out:
      program.main(rest[1:])
    return out.getvalue()

  def test_flags_of_other_commands_and_places_that_are_none_are_refused(self):
    folder = self.get_temp_dir()
    pathlib.Path(folder, 'file').touch()
    for words, settings, message in (
        (['list'], {'seeds': 3}, '--seeds does not apply to list; expected no other flags than --dataset, --model, '
         '--pretrained'),
        (['table', 'lines'], {'recipe': 'fast'}, '--recipe does not apply to table'),
        (['table', 'lines'], {'results': f'{folder}/none'}, 'none is not a folder'),
        (['reproduce', 'lines_acai'], {'weights': f'{folder}/file'}, '--weights .*/file cannot be written'),
        (['reproduce', 'yelp_arae'], {'restarts': 3}, '--restarts is for models of images'),
        (['reproduce', 'lines_acai'], {'metrics': 'lines', 'restarts': 3}, '--restarts does not apply to --metrics '
         'lines; it is for clustering'),
        (['reproduce', 'lines_acai'], {'metrics': 'all,lines'}, "unknown value of --metrics 'all'"),
        (['report'], {'to': folder}, 'is a folder; expected a file'),
        (['card', 'lines_acai'], {'to': f'{folder}/none/card.md'}, 'is in a folder that does not exist'),
        (['export', 'lines_acai'], {}, '--to is missing; expected a new folder: acai zoo export lines_acai --to DIR'),
        (['export', 'lines_acai'], {'to': folder}, 'exists already; expected a new folder'),
        (['export', 'yelp_arae'], {'to': f'{folder}/new'}, "no pretrained weights of yelp_arae, since Yelp's terms"),
        (['export', 'grammar_arae'], {'to': f'{folder}/new', 'formats': 'onx'}, "unknown format 'onx'")):
      with self.assertRaisesRegex(UserError, message):
        self.run_program(*words, **settings)

  @pytest.mark.slow
  def test_a_pretrained_model_is_exported(self):
    folder = self.get_temp_dir() + '/new'
    self.assertIn('6 signatures agree to 1e-05', self.run_program('export', 'lines_denoising', to=folder))
    images = np.random.default_rng(0).random([2, 32, 32, 1], np.float32)
    self.assertAllClose(tf.saved_model.load(folder).encoder(images), zoo.load('lines_denoising').encode(2 * images - 1),
                        atol=1e-5)

  def test_a_run_that_fails_does_not_end_the_others(self):
    folder, outcomes = self.get_temp_dir(), [UserError('it is a copy'), OSError('disk full'), 0]
    with (unittest.mock.patch.object(program._reproduce, 'reproduce', side_effect=outcomes),
          unittest.mock.patch.object(program._reproduce, 'say') as said,
          self.assertRaisesRegex(UserError, '^2 runs are missing: grammar_arae, seed 0; grammar_arae, seed 1; their')):
      self.run_program('reproduce', 'grammar_arae', seeds=3, runs=folder, results=folder, weights=folder)
    self.assertEqual([call.args[0] for call in said.call_args_list],
                     ['grammar_arae, seed 0: it is a copy', 'grammar_arae, seed 1: disk full'])

  def test_all_metrics_can_be_named(self):
    self.assertEqual(self.run_program('reproduce', 'lines_acai', metrics='all', samples=1 << 19, plan=True),
                     'no training is missing\n')

  def test_list(self):
    text = self.run_program('list', dataset='cifar10')
    self.assertIn('cifar10_acai_d1024', text)
    self.assertIn('63.99 ± 0.47 % *', text)
    self.assertNotIn('mnist', text)
    self.assertIn(f'{len(base.definitions("cifar10"))} definitions', text)

  def test_list_of_pretrained_weights(self):
    text = self.run_program('list', pretrained=True)
    names = [line.split()[0] for line in text.splitlines() if ' samples ' in line]
    self.assertCountEqual(names, zoo.names(pretrained=True))
    self.assertRegex(text, r'lines_acai +64 +524,288 samples +mean distance 0\.\d\de-3, smoothness 0\.\d')
    text = self.run_program('list', 'lines_v*', 'mnist_acai_d32')
    for name in ('lines_vae', 'lines_vqvae', 'mnist_acai_d32'):
      self.assertIn(name, text)
    self.assertIn('\n3 definitions', text)
    with self.assertRaisesRegex(UserError, 'no definition matches'):
      self.run_program('list', dataset='svhn', pretrained=True)
    with self.assertRaisesRegex(UserError, "unknown definition 'more'"):
      self.run_program('list', 'more')

  def test_show(self):
    with unittest.mock.patch.object(program.cli, 'start_tensorflow'):
      text = self.run_program('show', 'lines_acai')
    for part in ('latent 2 x 2 x 16, latent dimension 64', '1,569,579 parameters', 'critic: ', 'lambda_ 0.5',
                 'mean distance (0.24 ± 0.01)e-3,', 'ACAI paper, table 1', 'acai train --zoo lines_acai',
                 "zoo.load('lines_acai')", 'mean distance, 1e-3 (lower is better)', '--samples 524288 --seed 0'):
      self.assertIn(part, text)

  def test_mistakes(self):
    for words, message in (((), 'no command; expected one of list, show, '), (('show',), 'expected acai zoo show NAME'),
                           (('draw', 'x'), "unknown command 'draw'.* Known: list, "),
                           (('report', 'x'), 'report x: expected acai zoo report')):
      with self.assertRaisesRegex(UserError, message):
        self.run_program(*words)


if __name__ == '__main__':
  sys.exit(tf.test.main())
