"""Conformance of all models of sentences, new ones without an edit here; and the losses and updates of ARAE."""

import dataclasses
import functools
import itertools
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub
from absl.testing import parameterized
from devices import strategy, without_graphs

from acai_tf import losses
from acai_tf import vocabulary as vocabulary_lib
from acai_tf.data import text_base
from acai_tf.evaluation import subject
from acai_tf.experiment import config, registry
from acai_tf.experiment.errors import UserError
from acai_tf.export import __main__ as export_program
from acai_tf.export import module
from acai_tf.training import loop, optimizer, weights
from acai_tf.training.checkpoints import Checkpoints

NAMES = registry.names('acai_tf.models', 'sentences')
TINY, BATCH = config.TextNetwork(embedding=5, hidden=6, latent=8), 8
LENGTH = 5  # words of the longest sentence, and the end mark
ADVERSARIAL = {'z': 4, 'units': 6, 'critic_steps': 2}
FAST = {**ADVERSARIAL, 'networks': 'residual', 'joint': True, 'queue': 16, 'lambda_': 2.0, 'penalty': 10.0}
SETTINGS = {'arae': (ADVERSARIAL, FAST),
            'arae_transfer': ({**ADVERSARIAL, 'classifier_units': 6},
                              {**ADVERSARIAL, 'classifier_units': 6, 'by_class': False}),
            'text_aae': (FAST,), 'text_daae': (FAST, {**ADVERSARIAL, 'drop': 0.5}), 'arae_acai': (FAST,)}


def dataset():
  """Two classes of sentences of three and four words, 144 different ones: decoding is unrolled, so they are short."""
  subjects, verbs = ('cat', 'dog', 'owl', 'fox', 'hen', 'rat'), ('sees', 'eats', 'likes', 'has')
  plain = [' '.join(words) for words in itertools.product(subjects, verbs, ('it', 'some', 'me'))]
  texts = plain + [text + ' !' for text in plain]
  return text_base.SentenceDataset(
      text_base.build(texts, [text.endswith('!') for text in texts], 20, LENGTH - 1, shares=(0.1, 0.2)), 2)


def make(name, settings=None, seed=0, optimizer_of=None):
  kind, data = registry.load('acai_tf.models', name), dataset()
  settings = SETTINGS.get(name, ({},))[0] if settings is None else settings
  model = kind.Model(kind.Config(**settings), TINY, (data.vocabulary.length, len(data.vocabulary)), 2, seed)
  model.adapt(data)
  model.compile(optimizer_of or (lambda player: keras.optimizers.Adam(1e-3, epsilon=1e-3)), 1.0, 100)
  return model


def batch(model, index=0):
  batches = dataset().pipeline(1, BATCH, 0, 9, extra=model.extra_batches, by_class=model.by_class)
  return next(itertools.islice(iter(batches), index, None))


def state(model):
  return [v.numpy() for v in model.variables] + [
      v.numpy() for player in sorted(model.optimizers) for v in model.optimizers[player].variables]


each = parameterized.named_parameters(*(
    (f'{name}_{i}', name, settings) for name in NAMES for i, settings in enumerate(SETTINGS.get(name, ({},)))))


class ConformanceTest(parameterized.TestCase, tf.test.TestCase):

  @each
  @pytest.mark.each_model
  def test_each_player_updates_all_of_its_variables_and_no_others(self, name, settings):
    model = make(name, settings)
    owned = [id(v) for player in model.players() for v in model.variables_of(player)]
    self.assertCountEqual(owned, {id(v) for v in model.trainable_variables})
    for mover in model.players():
      model = make(name, settings, 0, lambda player, mover=mover: keras.optimizers.SGD(float(player == mover)))
      before = {player: [v.numpy() for v in model.variables_of(player)] for player in model.players()}
      model.take_step(batch(model))
      for player, values in before.items():
        moved = [bool((old != new.numpy()).any()) for old, new in zip(values, model.variables_of(player), strict=True)]
        if player != mover:
          self.assertFalse(any(moved), f'{mover} moves {player}')
        else:  # A bias in front of batch norm, and of a Wasserstein critic's answer, has no gradient.
          still = [v.path for v, m in zip(model.variables_of(player), moved, strict=True) if not m]
          self.assertTrue(all(path.endswith('bias') for path in still), still)
    self.assert_schedules_fit(model)

  def test_schedules_of_transfer_without_a_prior(self):
    model = make('arae_transfer', {**SETTINGS['arae_transfer'][1], 'lambda_': 0.0})
    model.take_step(batch(model))
    self.assert_schedules_fit(model)

  def assert_schedules_fit(self, model):
    """After one step, each player's schedule must be as long as its updates: Keras's schedules count updates."""
    for player, own in model.optimizers.items():
      schedule = model.training_of(player, config.Training(samples=1, batch=1, warmup=1))
      self.assertEqual((schedule.steps, schedule.warmup), (int(own.iterations),) * 2, player)

  @each
  @pytest.mark.each_model
  def test_steps_resume_bit_exactly(self, name, settings):
    whole, resumed = make(name, settings), make(name, settings)
    for one, two in zip(state(whole), state(resumed), strict=True):
      self.assertAllEqual(one, two)
    self.assertNotAllClose(whole.encoder.variables[0], make(name, settings, seed=1).encoder.variables[0])
    folder = tempfile.mkdtemp(dir=self.get_temp_dir())
    whole.take_step(batch(whole, 0))
    Checkpoints(whole, folder, 1).save()
    whole.save(f'{folder}/whole.keras')
    whole.take_step(batch(whole, 1))
    self.assertEqual(Checkpoints(resumed, folder, 1).restore(), 1)
    for again in (resumed, keras.models.load_model(f'{folder}/whole.keras')):
      again.take_step(batch(again, 1))
      for one, two in zip(state(whole), state(again), strict=True):
        self.assertAllEqual(one, two)

  @each
  @pytest.mark.each_model
  def test_two_devices_equal_one(self, name, settings):
    without_graphs(self)
    self.assert_devices_equal(name, settings)

  @pytest.mark.slow
  def test_two_devices_equal_one_in_a_graph(self):
    self.assert_devices_equal('arae', FAST)

  def assert_devices_equal(self, name, settings):
    found = []
    for where in ('one_device', 'mirrored'):
      with strategy(where).scope():
        model = make(name, settings)
      seen, training = [], config.Training(batch=BATCH, samples=2 * BATCH)
      loop.Loop(model, strategy(where), dataset(), training, 1).run(lambda step, logs, seen=seen: seen.append(logs), [])
      found.append((model, seen))
    (one, alone), (two, together) = found
    for first, second in zip(one.variables, two.variables, strict=True):
      for local in strategy('mirrored').experimental_local_results(second.value):
        self.assertAllClose(first, local, atol=2e-5, rtol=1e-4, msg=first.path)
    for first, second in zip(alone, together, strict=True):
      self.assertAllClose(first, second, atol=2e-5, rtol=5e-4)  # batch norm over few codes is sensitive

  @each
  @pytest.mark.each_model
  def test_loss_falls(self, name, settings):
    history = self.losses(name, settings, 4)
    self.assertLess(history[-1], history[0])

  @each
  @pytest.mark.slow
  def test_loss_falls_in_a_graph(self, name, settings):
    history = self.losses(name, settings, 60, lambda step: tf.function(step, autograph=False))
    self.assertLess(np.mean(history[-5:]), 0.8 * history[0])

  def losses(self, name, settings, count, function=lambda step: step):
    model = make(name, settings, optimizer_of=lambda player: keras.optimizers.Adam(5e-3 * (player == 'autoencoder')))
    step, data = function(model.take_step), batch(model)
    return [float(step(data)['recon_loss']) for _ in range(count)]

  def test_arae_exports_and_reloads(self):
    model, folder = self.assert_exports('arae', FAST)
    live, (loaded, _) = subject.of_text_model(model), subject.of_text_module(folder)
    texts = ['cat sees it', '', 'some unheard words']
    self.assertEqual(live.decode(live.encode(texts)), loaded.decode(loaded.encode(texts)))
    self.assertAllClose(live.log_probability(texts, texts), loaded.log_probability(texts, texts), atol=1e-4)
    self.assertEqual(live.sample(5, 3), loaded.sample(5, 3))
    for load, wrong in ((subject.of_module, folder), (subject.of_text_module, self.get_temp_dir())):
      with self.assertRaisesRegex(UserError, 'cannot be loaded'):
        load(wrong)

  @parameterized.named_parameters(*((name, name, SETTINGS.get(name, ({},))[-1]) for name in NAMES if name != 'arae'))
  @pytest.mark.slow
  def test_the_others_export_and_reload(self, name, settings):
    self.assert_exports(name, settings)

  def assert_exports(self, name, settings):
    model, folder = make(name, settings), tempfile.mkdtemp(dir=self.get_temp_dir())
    model.take_step(batch(model))
    module.save(model, folder)
    loaded = hub.load(folder)
    texts = export_program.texts(model.vocabulary, 5)
    values = {'texts': texts, 'texts_a': texts, 'texts_b': texts[::-1], 'targets': texts, 'count': np.int32(5),
              'codes': model.encode(model.vocabulary.encode(texts)), 'alpha': np.linspace(0, 1, 5, dtype='f'),
              'to': np.int32([0, 1, 0, 1, 1]), 'temperature': np.float32(0.7), 'seed': np.int32(3)}
    for offered in model.callables():
      part = loaded if offered.name == 'features' else getattr(loaded, offered.name)
      inputs = {key: tf.constant(values[key]) for key in offered.inputs}
      ours = offered.function(*inputs.values())
      theirs = part(inputs if len(inputs) > 1 else next(iter(inputs.values())))
      self.assertEqual(ours.shape, theirs.shape, offered.name)
      if ours.dtype == tf.string:
        self.assertAllEqual(ours, theirs, offered.name)
      else:
        self.assertAllClose(ours, theirs, atol=1e-5, msg=offered.name)
    self.assertAllClose(np.linalg.norm(loaded(tf.constant(texts)), axis=1), np.ones(5), atol=1e-6)
    return model, folder

  def test_sentences_in_and_out(self):
    """The Keras model's methods on strings against its callables, which a module exports."""
    model, texts, others = make('arae'), ['cat eats it', 'dog sees me !'], ['owl likes some', 'hen has it']
    offered = {c.name: c.function for c in model.callables()}
    self.assertAllEqual(model.represent(texts), offered['encoder'](tf.constant(texts)))
    for alpha in (0.25, [0.0, 1.0]):
      ours = model.interpolate(texts, others, alpha)
      theirs = offered['interpolator'](tf.constant(texts), tf.constant(others), np.float32(np.broadcast_to(alpha, [2])))
      self.assertEqual(ours, [text.decode() for text in theirs.numpy()])
    self.assertEqual(model.sample(3, 5), [text.decode() for text in offered['sampler'](3, 5).numpy()])
    for call, message in ((lambda: model.interpolate(texts, texts[:1], 0.5), '2 texts_a and 1 texts_b'),
                          (lambda: model.interpolate(texts, others, 2.0), 'expected numbers in'),
                          *((lambda wrong=wrong: model.represent(wrong), 'texts are not a list of strings')
                            for wrong in ([3], [None], [], [['a b']], 'a b')),
                          (lambda: model.sample(0), 'count is 0'),
                          (lambda: make('text_autoencoder').sample(2), 'text_autoencoder has no sampler'),
                          (lambda: make('arae_transfer').interpolate(texts, texts, 0.5), 'has no interpolator')):
      with self.assertRaisesRegex(ValueError, message):
        call()

  @each
  @pytest.mark.each_model
  def test_weights_are_assigned_with_their_vocabulary(self, name, settings):
    model, other = make(name, settings), make(name, settings, seed=1)
    arrays = {key: variable.numpy() for key, variable in weights.variables(model).items()}
    for player in model.players():
      self.assertContainsSubset({id(v) for v in model.variables_of(player)},
                                {id(v) for v in weights.variables(model).values()})
    weights.assign(other, arrays)
    self.assertEqual(other.vocabulary.words, dataset().vocabulary.words)
    texts = ['cat eats it', '']
    self.assertAllEqual(other.encode(other.vocabulary.encode(texts)), model.encode(model.vocabulary.encode(texts)))

  def test_another_precision_or_vocabulary_is_refused(self):
    kind = registry.load('acai_tf.models', 'arae')
    with self.assertRaisesRegex(ValueError, 'precision is mixed_bfloat16; expected float32'):
      kind.Model(kind.Config(), TINY, (LENGTH, 24), precision='mixed_bfloat16')
    model, data = make('arae'), dataset()
    model.adapt(data)
    data.vocabulary = vocabulary_lib.fit_vocabulary(['other words altogether'], 20, 6)
    with self.assertRaisesRegex(UserError, 'another vocabulary than the model'):
      model.adapt(data)
    with self.assertRaisesRegex(ValueError, 'has no classes; expected two'):
      registry.load('acai_tf.models', 'arae_transfer').Model(
          registry.load('acai_tf.models', 'arae_transfer').Config(), TINY, (LENGTH, 24))


def dense(x, layers):
  """A critic of linear layers with leaky ReLUs between, in double precision."""
  for i, layer in enumerate(layers):
    x = x @ layer.kernel.numpy().astype(np.float64) + layer.bias.numpy()
    x = np.where(x > 0, x, 0.2 * x) if i < len(layers) - 1 else x
  return x


class AraeTest(parameterized.TestCase, tf.test.TestCase):

  def model(self, rate=0.0, **settings):
    model = make('arae', {**FAST, **settings}, optimizer_of=lambda player: keras.optimizers.SGD(rate))
    for layer in model.critic.layers:
      for variable in layer.trainable_variables:
        variable.assign(3 * variable)
    return model

  def answers(self, model, codes):
    layers = [layer for layer in model.critic.layers if isinstance(layer, keras.layers.Dense)]
    return dense(np.asarray(codes, np.float64) * np.sqrt(8), layers)[:, 0]

  def test_losses_and_signs(self):
    model = self.model()
    data = batch(model)
    codes = model.encode(data[0]).numpy()
    self.assertAllClose(np.linalg.norm(codes, axis=1), np.ones(BATCH), atol=1e-6)
    logs = model.take_step(data)
    real = np.tile(codes, [2, 1])[8:]  # The queue's second half, which is the batch again.
    model.step.assign(0)
    fakes = model.fakes(BATCH)
    wasserstein = self.answers(model, real).mean() - self.answers(model, fakes[1]).mean()
    self.assertAllClose(logs['wasserstein'], wasserstein, rtol=1e-4)
    alpha = model.uniform(BATCH, (1,), 101).numpy()
    points, slopes, small = alpha * real + (1 - alpha) * fakes[1], np.zeros([BATCH, 8]), 1e-5
    for j in range(8):
      shift = small * np.eye(8)[j]
      slopes[:, j] = (self.answers(model, points + shift) - self.answers(model, points - shift)) / (2 * small)
    penalty = np.mean((np.linalg.norm(slopes, axis=1) - 1)**2)
    self.assertAllClose(logs['critic_loss'], -wasserstein + 10 * penalty, rtol=5e-3)
    self.assertAllClose(logs['generator_loss'], -self.answers(model, model.generate(BATCH, 1)).mean(), rtol=1e-4)

  def test_the_whole_penalty_is_of_the_mean_answer(self):
    model, points = self.model(), tf.constant(np.random.default_rng(0).normal(size=[BATCH, 8]), tf.float32)
    with tf.GradientTape() as tape:
      tape.watch(points)
      answer = tf.reduce_sum(model.critic(points))
    slopes = np.linalg.norm(tape.gradient(answer, points), axis=1)
    self.assertAllClose(losses.gradient_penalty(model.critic, points), np.mean((slopes - 1)**2), rtol=1e-4)
    self.assertAllClose(losses.gradient_penalty(model.critic, points, of_mean=True), np.mean((slopes / BATCH - 1)**2),
                        rtol=1e-4)

  @parameterized.parameters(True, False)
  def test_lambda_scales_the_critic_s_gradient_in_the_encoder(self, joint):
    moved = {}
    for weight in (0.0, 1.0, 2.0):
      model = make('arae', {**FAST, 'lambda_': weight, 'joint': joint},
                   optimizer_of=lambda player: keras.optimizers.SGD(float(player == 'autoencoder')))
      model.clipnorm = 0.0
      data = batch(model)
      with tf.GradientTape() as tape:
        answer = tf.reduce_mean(model.critic(model.encode(data[0])))
      gradient = tape.gradient(answer, model.encoder.lstm.kernel.value)
      before = model.encoder.lstm.kernel.numpy()
      model.take_step(data)
      moved[weight] = model.encoder.lstm.kernel.numpy() - before
    if joint:
      self.assertAllClose(moved[1.0] - moved[0.0], -gradient, rtol=1e-3, atol=1e-7)
    self.assertAllClose(moved[2.0] - moved[0.0], 2 * (moved[1.0] - moved[0.0]), rtol=1e-3, atol=1e-7)

  def test_noise_reaches_the_decoder_alone(self):
    logs = []
    for noise in (0.0, 50.0):
      model = self.model(noise=noise)
      logs.append(model.take_step(batch(model)))
    for key in ('wasserstein', 'critic_loss', 'generator_loss'):
      self.assertAllEqual(logs[0][key], logs[1][key])
    self.assertNotEqual(logs[1]['recon_loss'], logs[0]['recon_loss'])
    model = make('text_autoencoder', {'noise': 2.0, 'noise_decay': 0.5, 'noise_every': 3})
    codes = tf.zeros([1000, 8])
    for step, expected in ((0, 2.0), (2, 2.0), (3, 1.0), (7, 0.5)):
      model.step.assign(step)
      self.assertAllClose(np.std(model.add_noise(codes)), expected, rtol=0.05)

  def test_weights_are_clipped(self):
    model = make('arae', {**ADVERSARIAL, 'lipschitz': 'clip', 'clip': 0.01})
    model.take_step(batch(model))
    bounds = [np.abs(v.numpy()).max() for v in model.variables_of('critic')]
    self.assertAllClose(max(bounds), 0.01, rtol=1e-6)
    self.assertGreater(max(np.abs(v.numpy()).max() for v in model.variables_of('generator')), 0.01)

  @parameterized.parameters((ADVERSARIAL, 2, 3), (FAST, 1, 0))
  def test_updates_of_an_iteration(self, settings, autoencoder, extra):
    model = make('arae', settings)
    self.assertEqual(model.extra_batches, extra)
    model.take_step(batch(model))
    counts = {player: int(o.iterations) for player, o in model.optimizers.items()}
    self.assertEqual(counts, {'autoencoder': autoencoder, 'critic': 2, 'generator': 1})
    for player, moves in counts.items():
      self.assertEqual(model.training_of(player, config.Training(samples=100)).samples, 100 * moves)

  def test_the_critic_sees_the_last_codes(self):
    model = self.model()
    first, second, third = (tf.fill([BATCH, 8], float(i)) for i in (1, 2, 3))
    self.assertAllEqual([part[0, 0] for part in model.update_queue(first)], [1, 1])
    model.step.assign(1)
    self.assertAllEqual([part[0, 0] for part in model.update_queue(second)], [2, 1])
    self.assertAllEqual([part[0, 0] for part in model.update_queue(third)], [3, 2])

  def test_a_fine_tuned_model_fills_its_empty_queue(self):
    model = self.model()
    model.step.assign(100)
    self.assertAllEqual(tf.concat(model.update_queue(tf.ones([BATCH, 8])), 0), tf.ones([16, 8]))

  def test_a_batch_that_cannot_be_split_is_refused(self):
    model = make('arae')
    ids = batch(model)[0][:6]
    with self.assertRaisesRegex(ValueError, 'a batch has 6 sentences; expected a multiple of 4, because an iteration'):
      model.train_step(ids)

  def test_phases_and_the_linear_schedule(self):
    model = make('arae', {**FAST, 'alone': 0.4, 'ramp': 0.2})
    for step, expected in ((0, 0), (40, 0), (50, 0.5), (60, 1), (100, 1)):
      model.step.assign(step)
      self.assertAllClose(model.adversarial_factor(), expected, atol=1e-6)
    model.steps = None
    with self.assertRaisesRegex(ValueError, 'expected compile'):
      model.adversarial_factor()
    training = config.Training(samples=640, batch=64, learning_rate=2.0, schedule='linear', floor=0.01)
    rate = optimizer.optimizer(training)('autoencoder')._learning_rate
    self.assertAllClose([rate(step) for step in (0, 5, 10, 20)], [2, 2, 0.02, 0.02])
    self.assertAllClose(rate(7.5), 1.01)
    plain = dataclasses.replace(training, optimizer='sgd')
    self.assertIsInstance(optimizer.optimizer(plain)('autoencoder'), keras.optimizers.SGD)

  def test_a_fixed_prior_is_even_on_the_sphere(self):
    model = make('text_aae', FAST)
    self.assertCountEqual(model.players(), ['autoencoder', 'critic'])
    for codes in (model.sample_codes(4000, 3), model.fakes(4000)[1]):
      self.assertAllClose(np.linalg.norm(codes, axis=1), np.ones(4000), atol=1e-5)
      self.assertAllClose(np.mean(codes, axis=0), np.zeros(8), atol=4 / np.sqrt(8 * 4000))
      self.assertAllClose(np.cov(np.transpose(codes)), np.eye(8) / 8, atol=0.02)
    functions = subject.of_text_model(model)
    self.assertIsNone(functions.untrained)
    self.assertLen(functions.sample(5, 1), 5)

  def test_deleted_words_by_hand(self):
    model = make('text_daae', {**FAST, 'drop': 0.4})
    ids = np.array([[5, 6, 7, model.ids - 1, 0], [4, model.ids - 1, 0, 0, 0]] * (BATCH // 2), np.int32)
    draws, expected = model.uniform(BATCH, (LENGTH,), 307).numpy(), np.zeros([BATCH, LENGTH], np.int32)
    for row, (sentence, chances) in enumerate(zip(ids, draws, strict=True)):
      words = [i for i, chance in zip(sentence, chances, strict=True) if i == model.ids - 1 or i and chance >= 0.4]
      expected[row, :len(words)] = words
    self.assertAllEqual(model.corrupt(tf.constant(ids), 7), expected)
    self.assertNotAllEqual(expected, ids)
    many = tf.tile(tf.constant(ids[:1]), [4000, 1])
    self.assertAllClose(np.mean(np.sum(model.corrupt(many, 0) > 0, axis=1)), 1 + 3 * 0.6, atol=0.05)
    self.assertAllEqual(make('text_aae', FAST).corrupt(ids, 0), ids)  # the same words for all other models

  def mixing(self, **settings):
    return make('arae_acai', {**FAST, **settings},
                optimizer_of=lambda player: keras.optimizers.SGD(float(player == 'autoencoder')))

  def test_the_critic_of_mixtures_by_hand(self):
    """At gamma 1 its real sentences are the data's, and softly read ones of one-hot words are read as ids are."""
    model = self.mixing(gamma=1.0, lambda_mix=0.7)
    for variable in [*model.variables_of('mixing_critic'), *model.variables_of('autoencoder')]:
      variable.assign(4 * variable)
    data = batch(model)
    codes, alpha = model.encode(data[0]).numpy(), 0.5 * model.uniform(BATCH, (), 200).numpy()
    self.assertAllInRange(alpha, 0, 0.5)
    angle = np.arccos(np.sum(codes * codes[::-1], axis=1))  # 0 for none: the batch is even
    mixed = ((np.sin((1 - alpha) * angle) / np.sin(angle))[:, None] * codes
             + (np.sin(alpha * angle) / np.sin(angle))[:, None] * codes[::-1])
    kernel, bias = (v.numpy() for v in model.answer.weights)

    def judged(vectors):
      return (np.asarray(vectors) @ kernel + bias)[:, 0]

    soft = model.decoder.soft(tf.constant(mixed, tf.float32), LENGTH).numpy()
    ends = soft.argmax(axis=2) == model.ids - 1
    words = np.where(ends.any(axis=1), ends.argmax(axis=1), LENGTH)
    answers, real = judged(model.reader.soft(tf.constant(soft), tf.constant(words, tf.int32))), judged(
        model.reader(data[0]))
    logs = model.take_step(data)
    self.assertAllClose(logs['fool_loss'], np.mean(answers**2), rtol=1e-3)
    self.assertAllClose(logs['mixing_loss'], np.mean((answers - alpha)**2) + np.mean(real**2), rtol=1e-3)
    offered = {c.name: c for c in model.callables()}['critic'].function
    texts = model.vocabulary.decode(data[0])
    self.assertAllClose(offered(tf.constant(texts)), judged(model.reader(model.vocabulary.encode(texts))), rtol=1e-4)

  def test_lambda_mix_scales_the_gradient_of_the_critic_of_mixtures(self):
    moved = {}
    for weight in (0.0, 100.0, 200.0):
      model = self.mixing(lambda_mix=weight)
      model.clipnorm = 0.0
      before = [v.numpy() for v in model.variables_of('autoencoder')]
      model.take_step(batch(model))
      moved[weight] = [v.numpy() - b for v, b in zip(model.variables_of('autoencoder'), before, strict=True)]
    for plain, one, two in zip(*moved.values(), strict=True):
      self.assertGreater(np.abs(one - plain).max(), 0)
      self.assertAllClose(two - plain, 2 * (one - plain), rtol=2e-2, atol=2e-6)

  def test_transfer_takes_the_authors_steps_class_by_class(self):
    """Against the same iteration written out: four steps of plain gradient descent, each clipped by itself, and two of
    the classifier between them; then the critic on class 1, 0, 1, the generator, and the encoder on class 1."""
    settings = {**ADVERSARIAL, 'critic_steps': 3, 'classifier_units': 6, 'lambda_class': 3.0, 'lambda_': 0.5}
    model, twin = (make('arae_transfer', settings, optimizer_of=lambda player: keras.optimizers.SGD(
        {'autoencoder': 1.0, 'classifier': 0.1, 'critic': 0.02, 'generator': 0.02}[player])) for _ in range(2))
    for made in (model, twin):
      made.clipnorm = 0.05
      for variable in made.variables_of('classifier') + made.variables_of('critic') + made.variables_of('generator'):
        variable.assign(5 * variable)
    ids, labels = batch(model)
    parts = [(part[label == 0], part[label == 1]) for part, label in zip(
        np.split(ids.numpy(), 5), np.split(labels.numpy(), 5), strict=True)]
    self.assertEqual({len(half) for part in parts for half in part}, {BATCH // 2})

    def step(player, rate, loss_of, clip=None):
      variables = twin.variables_of(player)
      with tf.GradientTape() as tape:
        loss = loss_of()
      gradients = [tf.convert_to_tensor(g) for g in tape.gradient(
          loss, [v.value for v in variables], unconnected_gradients='zero')]
      norm = np.sqrt(sum(np.sum(np.square(g)) for g in gradients))
      for variable, gradient in zip(variables, gradients, strict=True):
        variable.assign_sub(rate * (min(1, clip / norm) if clip else 1) * gradient)
      return norm

    def code(part, y):
      return twin.encode(parts[part][y])

    def reconstruction(y):
      decoder = (twin.decoder, twin.decoder_1)[y]
      return twin.reconstruction(parts[0][y], twin.add_noise(code(0, y), 300 + y), decoder)[0]

    def class_entropy(y, target, weight):
      logits = twin.classifier(code(0, y), training=True)
      return weight * tf.reduce_mean(tf.nn.softplus(logits) - target * logits)

    def answer(codes):
      return tf.reduce_mean(twin.critic(codes, training=True))

    def fake(salt):
      return twin.generator(twin.normal(BATCH // 2, (4,), salt), training=True)

    def critic_loss(k, real, generated):
      alpha = twin.uniform(BATCH // 2, (1,), 100 + k)
      penalty = losses.gradient_penalty(
          lambda points: twin.critic(points, training=True), alpha * real + (1 - alpha) * generated, True)
      return answer(generated) - answer(real) + 0.1 * penalty

    norms = [step('autoencoder', 1.0, functools.partial(reconstruction, y), 0.05) for y in (1, 0)]
    for y in (1, 0):
      step('classifier', 0.1, functools.partial(class_entropy, y, y, 1.0))
    for y in (1, 0):
      step('autoencoder', 1.0, functools.partial(class_entropy, y, 1 - y, 3.0), 0.05)
    for k, y in enumerate((1, 0, 1)):
      step('critic', 0.02, functools.partial(critic_loss, k, code(1 + k, y), fake(10 + k)))
    step('generator', 0.02, lambda: -answer(fake(1)))
    step('autoencoder', 1.0, lambda: 0.5 * answer(code(4, 1)), 0.05)
    self.assertGreater(min(norms[:2]), 0.05, 'nothing is clipped')
    model.take_step((ids, labels))
    for player in model.players():
      for one, two in zip(model.variables_of(player), twin.variables_of(player), strict=True):
        self.assertAllClose(one, two, atol=1e-4, msg=player)
    with self.assertRaisesRegex(tf.errors.InvalidArgumentError, 'as many sentences of one class'):
      model.take_step((ids, tf.zeros_like(labels)))

  def test_each_class_is_evaluated_by_its_decoder(self):
    model = make('arae_transfer')
    ids, labels = (part[:6] for part in batch(model))
    totals = np.zeros(2)
    for i, label in enumerate(labels.numpy()):
      logits, targets, _ = (model.decoder, model.decoder_1)[label].targets(ids[i:i + 1], model.encode(ids[i:i + 1]))
      logits = logits.numpy().astype(np.float64)
      losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), targets.numpy()]
      totals += losses.sum(), len(losses)
    found = model.evaluate(ids.numpy(), labels.numpy(), batch_size=6, verbose=0, return_dict=True)
    self.assertAllClose(found['recon_loss'], totals[0] / totals[1], rtol=1e-5)
    with self.assertRaisesRegex(ValueError, 'there are no labels'):
      model.evaluate(ids.numpy(), batch_size=6, verbose=0)
    for by_class in (True, False):
      with self.assertRaisesRegex(ValueError, 'there are no labels'):
        make('arae_transfer', {**SETTINGS['arae_transfer'][0], 'by_class': by_class}).train_step(ids)

  def test_transfer_takes_the_decoder_of_each_class(self):
    model, texts = make('arae_transfer'), ['cat eats it', 'owl sees some !', 'dog likes me']
    codes = model.represent(texts)
    by_class = [model.vocabulary.decode(decoder.greedy(codes, LENGTH).numpy())
                for decoder in (model.decoder, model.decoder_1)]
    self.assertNotEqual(*by_class)
    self.assertEqual(model.transfer(texts, [1, 0, 1]), [by_class[c][i] for i, c in enumerate((1, 0, 1))])
    self.assertEqual([model.transfer(texts, c) for c in (0, 1)], by_class)
    for to in (2, [0, 1], 0.5, [0, 1, -1], None):
      with self.assertRaisesRegex(ValueError, 'expected 0 or 1, or a list of them, one for each of the 3 texts'):
        model.transfer(texts, to)
    with self.assertRaisesRegex(ValueError, 'expected decode.codes, to. with the class of each'):
      model.decode(codes)

  @parameterized.parameters('text_autoencoder', 'arae')
  def test_fit_takes_ids_alone(self, name):
    model = make(name)
    ids = np.concatenate([batch(model)[0].numpy()] * 2)[:model.extra_batches * BATCH + BATCH]
    model.fit(ids, batch_size=len(ids), epochs=1, verbose=0)
    self.assertEqual(int(model.step), 1)

  def test_transfer_without_adversary_of_codes(self):
    model = make('arae_transfer', {**FAST, 'classifier_units': 6, 'lambda_': 0.0, 'by_class': False})
    self.assertCountEqual(model.players(), ['autoencoder', 'classifier'])
    self.assertEqual(model.extra_batches, 0)
    logs = model.take_step(batch(model))
    self.assertNotIn('critic_loss', logs)
    functions, texts = subject.of_text_model(model), ['cat eats it', 'owl sees some !']
    self.assertIsNone(functions.sample)
    self.assertEqual(functions.transfer(texts, [0, 1]), [
        model.vocabulary.decode(decoder.greedy(model.encode(model.vocabulary.encode(texts)), LENGTH))[i]
        for i, decoder in enumerate((model.decoder, model.decoder_1))])

  def test_samples_are_functions_of_the_seed(self):
    functions = subject.of_text_model(make('arae', FAST))
    self.assertLen(functions.sample(700, 3), 700)
    self.assertEqual(functions.sample(40, 3), functions.sample(40, 3))
    self.assertEqual(functions.untrained(5, 1).shape, (5, 8))

  def test_noise_on_sampled_codes(self):
    plain, noisy = (make('arae', {**FAST, 'sample_noise': s}).sample_codes(4000, 2).numpy() for s in (0.0, 0.1))
    self.assertAllClose(np.linalg.norm(noisy, axis=1), np.ones(4000), atol=1e-5)
    # Seven of eight directions are across the code, on which noise turns it.
    self.assertAllClose(np.mean(np.sum(plain * noisy, axis=1)), 1 / np.sqrt(1 + 7 * 0.1**2), atol=2e-3)


if __name__ == '__main__':
  tf.test.main()
