"""Metrics of sentences on models of known behaviour, the data sets of sentences, and a run that trains one."""

import dataclasses
import gzip
import hashlib
import json
import pathlib
import shutil
import tempfile
import unittest.mock
import zipfile

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from acai_tf.data import _tfds, base, captions, grammar, snli, text_base, yelp, yelp_polarity
from acai_tf.data import text as text_data
from acai_tf.evaluation import language_model, subject, text
from acai_tf.evaluation.modality import SENTENCES
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.resolve import parse_experiment, resolve
from acai_tf.experiment.run import Run
from acai_tf.metrics import entailment, transfer
from acai_tf.training import build, cluster, session


def known(dataset, flip=False):
  """A lossless model: its code is the sentence's index in a list. Paths switch half way.

  With `flip`, transfer gives a real sentence of the other class; without, it copies.
  """
  listed = []

  def encode(texts):
    listed.extend(t for t in texts if t not in listed)
    return np.array([[np.cos(a), np.sin(a)] for a in (1e-3 * listed.index(t) for t in texts)], np.float32)

  def decode(codes):
    return [listed[int(round(np.arctan2(y, x) * 1e3)) % len(listed)] for x, y in codes]

  def other(texts, to):
    sentences = text.texts_of(dataset, dataset.train_ids)
    by_class = [[s for s, label in zip(sentences, dataset.train_labels, strict=True) if label == c] for c in (0, 1)]
    return [by_class[c][i % len(by_class[c])] for i, c in enumerate(to)] if flip else list(texts)

  return subject.TextFunctions(
      encode, decode, lambda a, b, alpha: [x if k < 0.5 else y for x, y, k in zip(a, b, alpha, strict=True)],
      lambda texts, targets: np.array([-1.0 if a == b else -5.0 for a, b in zip(texts, targets, strict=True)]),
      lambda count, seed: text.texts_of(dataset, dataset.train_ids[np.arange(count) % 50]), transfer=other)


class MetricsTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.dataset = grammar.load(grammar.Config(count=1500), None)

  def measure(self, *groups, **options):
    settings = text.Settings(groups, samples=400)
    return SENTENCES.measure(known(self.dataset, **options), self.dataset, 'grammar', settings)

  def test_a_lossless_model(self):
    found = self.measure('reconstruction', 'codes', 'swaps').metrics
    self.assertEqual((found['token_accuracy'], found['exact_share'], found['recon_nll']), (1, 1, 1))
    self.assertAllClose(found['code_std']**2 + found['code_mean_norm']**2, 1, rtol=1e-4)
    self.assertEqual((found['nll_swap_0'], found['nll_swap_1']), (1, 5))  # No two neighbouring words are the same.
    self.assertBetween(found['nll_swap_4'], 3, 5)  # A later swap may undo an earlier one.

  def test_a_collapsed_encoder_is_undefined_and_not_nan(self):
    functions = dataclasses.replace(known(self.dataset), encode=lambda texts: np.full([len(texts), 2], 0.125))
    found = SENTENCES.measure(functions, self.dataset, 'grammar', text.Settings(('codes',))).metrics
    self.assertEqual((found['code_std'], found['code_dimensions']), (0, None))
    json.dumps(found, allow_nan=False)

  def test_latents_of_one_dimension(self):
    functions = dataclasses.replace(
        known(self.dataset), encode=lambda texts: 1 - 2 * (np.arange(len(texts))[:, None] % 2),
        decode=lambda codes: ['the dog runs .'] * len(codes))
    settings = text.Settings(('codes', 'sources'), samples=40)
    found = SENTENCES.measure(functions, self.dataset, 'grammar', settings).metrics
    self.assertEqual((found['code_std'], found['code_dimensions']), (1, 1))
    self.assertAllClose(found['distinct_share_gaussian'], 1 / 40)

  def test_all_sources_have_as_many_sentences(self):
    counts = []
    functions = dataclasses.replace(
        known(self.dataset), sample=lambda count, seed: counts.append(count) or ['the dog runs .'] * count)
    SENTENCES.measure(functions, self.dataset, 'grammar', text.Settings(('samples',), samples=1 << 20))
    self.assertEqual(counts, [len(self.dataset.train_ids)])

  def test_samples_that_repeat_fifty_sentences(self):
    found = self.measure('samples').metrics
    self.assertAllClose(found['distinct_share'], 50 / 400, atol=0.02)
    self.assertEqual(found['copied_share'], 1)
    real = text.score_samples(text.texts_of(self.dataset, self.dataset.train_ids[:400]), self.dataset)
    self.assertGreater(found['reverse_perplexity'], 1.2 * real['reverse_perplexity'])

  def test_real_sentences_are_scored_by_held_out_ones(self):
    """By hand, on a handful: training has 4 sentences, of 3 kinds; 1 of 3 held-out ones is among them."""
    train, held_out = ['a cat sees it', 'a cat sees it', 'a dog sees it', 'a dog sees me'], ['a dog sees it', 'a', 'it']
    corpus = text_base.build(train, None, 20, 4, held_out=([*held_out, 'a cat'], None), repeats=True)
    corpus = dataclasses.replace(corpus, test_ids=corpus.vocabulary.encode(held_out).numpy())
    dataset = text_base.SentenceDataset(corpus)
    settings = text.Settings(('sources',), samples=4)
    found = SENTENCES.measure(known(dataset), dataset, 'text', settings).metrics
    for place in ('_real_text', '_real_codes'):
      self.assertAllClose(found[f'copied_share{place}'], 1 / 3)
      self.assertAllClose(found[f'distinct_share{place}'], 3 / 4)
      self.assertAllClose(found[f'forward_perplexity{place}'],
                          text.score_samples(held_out, dataset)['forward_perplexity'])
      self.assertAllClose(found[f'reverse_perplexity{place}'],
                          text.score_samples(train, dataset)['reverse_perplexity'])
    self.assertGreater(found['forward_perplexity_real_text'],
                       2 * text.score_samples(train, dataset)['forward_perplexity'])

  def test_all_sources_have_the_same_noise_or_none(self):
    seen = []

    def decode(codes):
      seen.append(np.array(codes, np.float64))
      return ['a'] * len(codes)

    eye = np.eye(64, dtype=np.float32)
    functions = dataclasses.replace(
        known(self.dataset), encode=lambda texts: eye[np.arange(len(texts)) % 64], decode=decode,
        prior=lambda count, seed: eye[np.arange(count) % 64][::-1], untrained=lambda count, seed: eye[[5] * count])
    found = SENTENCES.measure(functions, self.dataset, 'grammar', text.Settings(('sources',), samples=100)).metrics
    for name in ('gaussian', 'sphere', 'real_codes', 'prior', 'untrained'):
      self.assertIn(f'reverse_perplexity_{name}', found)
      self.assertIn(f'reverse_perplexity_{name}_noise', found)
    # Of real codes those of training and of held-out sentences, in turn; else without and with noise.
    pairs = [(0, 1), (2, 3), (4, 6), (5, 7), (8, 9), (10, 11)]
    self.assertLen(seen, 2 * len(pairs))
    for plain, noisy in pairs:
      self.assertAllClose(np.linalg.norm(seen[noisy], axis=1), np.ones(len(seen[noisy])), atol=1e-5)
      # Noise of deviation s in 64 directions moves a point by about s sqrt(63) along the sphere.
      distance = np.linalg.norm(seen[noisy] - seen[plain], axis=1).mean()
      self.assertAllClose(distance, text.NOISE * 63**0.5, rtol=0.07)

  def test_lstms_tell_fifty_sentences_from_the_language(self):
    """Both language models stop early by the validation part, which is not scored."""
    text._lstm_of.cache_clear()
    self.addCleanup(text._lstm_of.cache_clear)
    with unittest.mock.patch.object(language_model, 'train', side_effect=language_model.train) as train:
      found = self.measure('lstm').metrics
    validation = self.dataset.vocabulary.strip(self.dataset.corpus.valid_ids)
    self.assertEqual([call.args[2] for call in train.call_args_list], 2 * [validation])
    # The samples are real sentences, but only fifty of them.
    self.assertLess(found['forward_perplexity_lstm'], 0.7 * found['reverse_perplexity_lstm'])
    self.assertGreater(found['distinct_share_language_model'], 0.8)

  def test_paths_that_switch(self):
    found = self.measure('paths')
    self.assertAllClose(found.metrics['path_largest_step'], 1, atol=0.01)
    self.assertAllClose(found.metrics['path_distinct'], 2, atol=0.05)
    self.assertEqual(found.metrics['path_stray'], 0)
    self.assertLen(found.curves['path_perplexity'], text.STEPS)
    first, second = text.pairs(100, 10)
    self.assertEmpty(set(first) & set(second))
    with self.assertRaisesRegex(UserError, 'at least two'):
      text.pairs(1, 10)

  def test_transfer_of_copies_and_of_random_sentences(self):
    copied, random = self.measure('transfer').metrics, self.measure('transfer', flip=True).metrics
    for name in ('accuracy', 'bleu', 'perplexity'):
      self.assertEqual(copied[f'transfer_{name}'], copied[f'transfer_{name}_copy'])
    self.assertEqual((copied['transfer_accuracy'], copied['judge_accuracy']), (0, 1))
    self.assertAllClose((copied['transfer_bleu'], copied['reconstruction_bleu']), (100, 100))
    self.assertEqual(random['transfer_accuracy'], 1)
    self.assertLess(random['transfer_bleu'], 30)

  def test_a_sentence_of_the_other_class_is_a_held_out_one(self):
    """Training texts of a class share a word which held-out ones lack: a judge that knows all of the first is at half
    with the second."""
    train = [(f'{word} x{i}', label) for label, word in enumerate(('bad', 'good')) for i in range(20)]
    held_out = [(f'x{i} y{label}', label) for label in (0, 1) for i in range(10)]
    data = text_base.SentenceDataset(text_base.build(*zip(*train, strict=True), 60, 3, held_out=(
        [sentence for sentence, _ in held_out * 2], [label for _, label in held_out * 2])), 2)
    found = SENTENCES.measure(known(data), data, 'text', text.Settings(('transfer',))).metrics
    self.assertLess(found['transfer_accuracy_random'], 0.8)
    self.assertGreater(found['transfer_perplexity_random'], text.score_samples(
        [sentence for sentence, _ in train], data)['forward_perplexity'])

  def test_judge_and_probe(self):
    generator = np.random.default_rng(0)
    sentences = [generator.choice(['good' if i % 2 else 'bad', 'the', 'a'], 5).tolist() + ['good' if i % 2 else 'bad']
                 for i in range(200)]
    judge = transfer.Judge(sentences, np.arange(200) % 2)
    self.assertEqual(judge.accuracy([['a', 'good'], ['bad']], [1, 0]), 1)
    self.assertEqual(judge.accuracy([['a', 'good'], ['bad']], [0, 1]), 0)
    points, labels = generator.normal(size=[600, 2]), generator.integers(2, size=600)
    rings = points / np.linalg.norm(points, axis=1, keepdims=True) * (1 + 2 * labels[:, None])  # no line parts them
    self.assertGreater(transfer.class_in_codes(rings[:500], labels[:500], rings[500:], labels[500:]), 0.9)
    self.assertLess(transfer.class_in_codes(points[:500], labels[:500], points[500:], labels[500:]), 0.65)

  def test_words_that_the_vocabulary_lacks(self):
    vocabulary = self.dataset.vocabulary
    self.assertEqual(vocabulary.word_ids(['the zebra', '', 'The [END]']), [
        [vocabulary.words.index('the'), 1], [], [vocabulary.words.index('the'), 1]])


class GrammarTest(tf.test.TestCase):

  def test_sentences_agree_in_number_and_mood(self):
    generator, plurals = np.random.default_rng(3), {grammar.PLURALS.get(n, n + 's') for n in grammar.NOUNS}
    for i in range(300):
      words = grammar.draw(generator, i % 2).split()
      self.assertBetween(len(words), 4 - 1, grammar.LONGEST)
      subjects = [w for w in words if w in plurals or w in grammar.NOUNS]
      verbs = [(v, w) for w in words for v in grammar.INTRANSITIVE[i % 2] + grammar.TRANSITIVE[i % 2]
               if w in (v, v + 's', v + 'es')]
      self.assertLen(verbs, 1, words)
      self.assertEqual(subjects[0] in plurals, verbs[0][0] == verbs[0][1], words)
      self.assertEmpty(set(words) & set(grammar.ADJECTIVES[1 - i % 2]))

  def test_it_is_the_same_each_time(self):
    one, two = (grammar.load(grammar.Config(count=300), None) for _ in range(2))
    self.assertAllEqual(one.train_ids, two.train_ids)
    self.assertEqual(one.vocabulary.words, two.vocabulary.words)
    for name in ('grammar', 'snli', 'yelp', 'yelp_polarity', 'captions', 'text'):
      with self.assertRaisesRegex(UserError, "dataset.test_part 'train'. Known: test, valid"):
        resolve(name, 'arae', overrides={'dataset': {'test_part': 'train'}})


class TextDataTest(tf.test.TestCase):

  def write(self, name, lines):
    path = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / name
    path.write_text('\n'.join(lines) + '\n')
    return str(path)

  def test_files_classes_and_what_is_held_out(self):
    files = [self.write(f'{c}.txt', [f'{c} {word} {i}' for word in ('cat', 'dog') for i in range(30)]) for c in 'ab']
    more = [self.write(f'{c}.txt', [f'{c} owl {i}' for i in range(20)] + [f'{c} cat 1']) for c in 'ab']
    config = resolve('text', 'arae_transfer', overrides={
        'dataset': {'path': ','.join(files), 'held_out': ','.join(more), 'words': 40, 'longest': 4}}).dataset
    data = text_data.load(config, None)
    self.assertEqual((data.classes, text_data.classes(config), text_data.shape(config)), (2, 2, (5, 44)))
    self.assertLen(data.train_ids, 120)
    held = text.texts_of(data, data.corpus.valid_ids) + text.texts_of(data, data.corpus.test_ids)
    self.assertNotIn('a cat 1', held)
    self.assertLen(set(data.test_labels[:8]), 2)  # Any few sentences are of both.
    data = text_data.load(dataclasses.replace(config, test_repeats=True), None)
    more_held = text.texts_of(data, data.corpus.valid_ids) + text.texts_of(data, data.corpus.test_ids)
    self.assertEqual(set(more_held) - set(held), {'a cat 1', 'b cat 1'})
    self.assertEmpty(set(map(bytes, data.corpus.valid_ids)) & set(map(bytes, data.corpus.test_ids)))
    labelled = self.write('c.tsv', [
        f'{"good" if i % 2 else "bad"}\tsentence {i} {k}' for i in range(10) for k in range(10)])
    config = resolve('text', 'arae', overrides={
        'dataset': {'path': labelled, 'labels': 'bad,good', 'words': 80}}).dataset
    data = text_data.load(config, None)
    for ids, label in zip(data.train_ids, data.train_labels, strict=True):
      self.assertEqual(int(text.texts_of(data, ids[None])[0].split()[1]) % 2, label)

  def test_mistakes_in_one_line(self):
    path = self.write('a.txt', ['a b', 'c d'])
    for settings, message in (({}, 'dataset.path is missing'), ({'path': '/nowhere'}, 'is not a file'),
                              ({'path': path, 'held_out': f'{path},{path}'}, 'names 2 files; expected 1'),
                              ({'path': f'{path},{path}', 'labels': 'a,b'}, 'labels needs a single file')):
      with self.assertRaisesRegex(UserError, message):
        resolve('text', 'arae', overrides={'dataset': settings})
    with self.assertRaisesRegex(UserError, 'acai is a model of images, but text has sentences; expected one of arae'):
      resolve('text', 'acai', overrides={'dataset': {'path': path}})
    config = resolve('text', 'arae', overrides={
        'dataset': {'path': self.write('l.tsv', ['ugly\ta b', 'good\tc']), 'labels': 'bad,good'}}).dataset
    with self.assertRaisesRegex(UserError, "label 'ugly'; expected"):
      text_data.load(config, None)


def prepared(splits, *features):
  """A stand-in for TFDS's builder, which shuffles; `splits`: dict: split -> examples, tuples of their features."""
  class Builder:
    def as_dataset(self, split, shuffle_files, batch_size):
      del shuffle_files, batch_size
      order = np.random.default_rng(0).permutation(len(splits[split]))
      columns = map(list, zip(*(splits[split][i] for i in order), strict=True))
      return tf.data.Dataset.from_tensor_slices(dict(zip(features, columns, strict=True))).batch(2)

  return unittest.mock.patch.object(_tfds, '_prepared', return_value=Builder())


class SnliTest(tf.test.TestCase):

  def test_what_of_it_is_read(self):
    """Of two splits each premise once, then every hypothesis; without what is too long, whatever the order."""
    pairs = [(f'{word} {noun}', 'It sleeps' if noun == 'cat' else 'one two three four')
             for word in ('A', 'The', 'No') for noun in ('cat', 'dog') for _ in range(3)]
    texts = {'train': pairs, 'validation': [('A dog', 'z'), ('An owl', '')],
             'test': [('a fox', 'a cat'), ('the fox', 'new'), ('no fox', 'a b c d'), ('a fox', 'a b c d')]}
    with prepared(texts, 'premise', 'hypothesis'):
      data = snli.load(snli.Config(words=30, longest=3), self.get_temp_dir())
    train = text.texts_of(data, data.train_ids)
    self.assertCountEqual(train[:7], ['a cat', 'a dog', 'the cat', 'the dog', 'no cat', 'no dog', 'an owl'])
    self.assertCountEqual(train[7:], ['it sleeps'] * 9 + ['z'])
    held = text.texts_of(data, data.corpus.valid_ids) + text.texts_of(data, data.corpus.test_ids)
    self.assertCountEqual(held, ['a [UNK]', 'the [UNK]', 'no [UNK]', '[UNK]'])
    self.assertEndsWith(data.describe(), 'held-out sentences dropped: 2 of more than 3 words, 1 that also occur in '
                        'another part')
    self.assertEqual((data.classes, snli.shape(snli.Config())), (0, (16, 11_004)))

  def test_words_are_the_tokens_of_the_binary_parses_in_the_official_archive(self):
    """TFDS itself reads an archive, made here, as it would read the official one."""
    columns = ('gold_label', 'sentence1_binary_parse', 'sentence2_binary_parse', 'sentence1', 'sentence2')
    first = "( ( A man ) ( ( does n't ) run . ) )", '( It runs )', "A man doesn't run.", 'It runs'
    rows = {'train': [('neutral', *first), ('-', *first),
                      ('entailment', '( "No" ( one , ) )', '( a ( b c ) )', '"No" one,', 'a b c')],
            'dev': [('contradiction', '( an owl )', '( an owl )', 'an owl', 'an owl')],
            'test': [('neutral', '( the man )', '( it . )', 'the man', 'it.'),
                     ('neutral', '( one man )', '( one . )', 'one man', 'one.')]}
    folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
    with zipfile.ZipFile(folder / 'snli_1.0.zip', 'w') as archive:
      for part, lines in rows.items():
        text_of_lines = ''.join('\t'.join(line) + '\n' for line in (columns, *lines))
        archive.writestr(f'snli_1.0/snli_1.0_{part}.txt', text_of_lines)
    data = (folder / 'snli_1.0.zip').read_bytes()
    infos = tfds.builder_cls('snli').url_infos
    (url, info), = infos.items()
    made = dataclasses.replace(info, size=len(data), checksum=hashlib.sha256(data).hexdigest())
    with unittest.mock.patch.dict(infos, {url: made}):
      found = snli.load(snli.Config(words=30, longest=8), folder / 'data', folder)
      first, second, labels = found.labelled_pairs()[0]
    self.assertEqual(text.texts_of(found, found.train_ids), [
        "a man does n't run .", '"no" one ,', 'an owl', 'it runs', 'it runs', 'a b c', 'an owl'])
    self.assertEqual((list(first), list(second), labels.tolist()), (
        ["A man does n't run .", '"No" one ,'], ['It runs', 'a b c'], [1, 0]))
    with self.assertRaisesRegex(UserError, 'lacks snli_1.0.zip; expected the official files'):
      snli.load(snli.Config(), folder / 'other', folder / 'data')

  def test_entailment_is_learned_from_codes(self):
    """Pairs without label and of long sentences are left out; that a word is the same is found, and nothing else."""
    generator = np.random.default_rng(0)
    words = np.array(['cat', 'dog', 'owl', 'fox'])
    rows = []
    for first, second in generator.choice(words, [1200, 2]):
      rows += [(f'a {first}', f'a {second}', int(first == second)), ('a', 'b', -1), ('a b c d', 'a', 1)]
    more = [(f'b {word}', f'{word} {word}', -1) for word in words]  # held-out sentences, which have no label
    parts = {'train': rows[:3000], 'validation': rows[:30], 'test': rows[3000:] + more}
    with prepared(parts, 'premise', 'hypothesis', 'label'):
      data = snli.load(snli.Config(words=30, longest=3), self.get_temp_dir() + '/pairs')
      training, held_out = data.labelled_pairs()
      self.assertEqual([len(training[2]), len(held_out[2])], [1000, 200])
      one_hot = {f'a {word}': np.eye(4, dtype=np.float32)[i] for i, word in enumerate(words)}
      functions = subject.TextFunctions(lambda texts: np.array([one_hot[words] for words in texts]), None, None, None)
      found = SENTENCES.measure(functions, data, 'snli', text.Settings(('entailment',))).metrics
      blind = subject.TextFunctions(lambda texts: np.ones([len(texts), 4], np.float32) / 2, None, None, None)
      unseen = SENTENCES.measure(blind, data, 'snli', text.Settings(('entailment',))).metrics
      with self.subTest('pairs to choose settings by are not in the training text'):
        parts['validation'] = [('an egg', 'an egg', 1)]
        chosen = snli.load(snli.Config(words=30, longest=3, test_part='valid'), self.get_temp_dir() + '/pairs')
        self.assertEqual([list(column) for column in chosen.labelled_pairs()[1]], [['an egg'], ['an egg'], [1]])
        self.assertNotIn('egg', chosen.vocabulary.known)
    most = float(np.mean(held_out[2] == 0))
    self.assertAllClose(found, {'entailment_most_common': most, 'entailment_accuracy_1000': 1.0})
    self.assertAllClose(unseen['entailment_accuracy_1000'], most)
    with self.assertRaisesRegex(ValueError, '2 and 2 codes with 2 labels of 1 classes; expected equally many'):
      entailment.accuracy(*[np.eye(2)] * 2, [1, 1], *[np.eye(2)] * 2, [1, 1])


class CaptionsTest(tf.test.TestCase):

  def test_training_and_held_out_files(self):
    folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
    (folder / 'train.txt').write_text(''.join(f'a man holds {i} cups\n' for i in range(30)))
    with gzip.open(folder / 'held_out.txt.gz', 'wt') as stream:
      stream.write(''.join(f'a man holds {i} cups\n{i} cups holds a man\n' for i in range(20)) + 'a ' * 16 + '\n')
    data = captions.load(captions.Config(words=40), None, folder)
    held_out = text.texts_of(data, data.test_ids) + text.texts_of(data, data.validation_ids)
    self.assertLen(data.train_ids, 30)
    self.assertCountEqual(held_out, [f'{i} cups holds a man' for i in range(20)])  # Not what training has, too.
    self.assertEqual((data.classes, captions.shape(captions.Config())), (0, (16, 5004)))

  def test_bad_folders(self):
    with self.assertRaisesRegex(UserError, 'captions.* expected --manual_dir DIR with train.txt and held_out.txt'):
      captions.load(captions.Config(), None)
    with self.assertRaisesRegex(UserError, 'train.txt: no such file'):
      captions.load(captions.Config(), None, self.get_temp_dir())


class YelpTest(tf.test.TestCase):

  def test_sentences_of_a_review(self):
    self.assertEqual(yelp_polarity.sentences_of("Great food!! It's  well-made... (Really)\\nNo. 5 of \"5\"?"),
                     ['Great food !', "It's well-made .", 'Really', 'No .', '5 of 5 ?'])
    self.assertEmpty(yelp_polarity.sentences_of(' ... '))

  def test_the_files_of_style_transfer(self):
    folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
    for name, words in {
        'test0': 'bad soup', 'test1': 'good soup', 'valid2': 'bad bread', 'valid1': 'good soup'}.items():
      (folder / f'{name}.txt').write_text(''.join(f'{words} {i}\n' for i in range(10, 30)))
    data = yelp.load(yelp.Config(words=40), None, folder)
    sentences = text.texts_of(data, data.train_ids)
    self.assertEqual([sentence.startswith('good') for sentence in sentences], list(data.train_labels))
    held = text.texts_of(data, data.corpus.valid_ids) + text.texts_of(data, data.corpus.test_ids)
    self.assertEqual((len(sentences), len(held)), (40, 40))
    labels = np.concatenate([data.corpus.valid_labels, data.corpus.test_labels])
    self.assertEqual([sentence.startswith('good') for sentence in held], list(labels))
    once = yelp.load(yelp.Config(words=40, test_repeats=False), None, folder).corpus
    self.assertEqual(len(once.valid_ids) + len(once.test_ids), 20)
    with self.assertRaisesRegex(UserError, 'expected --manual_dir'):
      yelp.load(yelp.Config(), None)
    with self.assertRaisesRegex(UserError, 'train2.txt: no such file'):
      yelp.load(yelp.Config(full=True), None, folder)

  def test_sentences_have_their_review_s_class(self):
    texts = {'train[:3]': [('Bad soup. Never!', 0), ('Good soup. Never was it better than today.', 1)],
             'test[:1]': [('A bad one. A soup.', 0), ('Good. Soup is good. Never was it better than today.', 1)]}
    with prepared(texts, 'text', 'label'):
      data = yelp_polarity.load(yelp_polarity.Config(reviews=3, longest=4), self.get_temp_dir())
    self.assertEqual(text.texts_of(data, data.train_ids), ['bad soup .', 'never !', 'good soup .'])
    self.assertAllEqual(data.train_labels, [0, 0, 1])
    self.assertEqual(data.corpus.too_long, 1)
    self.assertEqual((data.classes, yelp_polarity.shape(yelp_polarity.Config())), (2, (13, 5004)))

  def test_caches_that_another_version_left_are_refused(self):
    data_dir = self.get_temp_dir() + '/forged'
    whole = {f'{part}{end}': value for part, word in (('train', b'soup'), ('test', b'bread')) for end, value in (
        ('', np.frombuffer(b''.join(word + b' %d\n' % i for i in range(9)), np.uint8)),
        ('_labels', np.arange(9, dtype=np.int32) % 2))}

    def forge(**changes):
      folder = pathlib.Path(data_dir) / 'acai_tf' / 'yelp_polarity_reviews_3'
      shutil.rmtree(folder, ignore_errors=True)
      found = {name: array for name, array in {**whole, **changes}.items() if array is not None}
      base.cached_arrays(folder, lambda append: [append(*item) for item in found.items()])
      return yelp_polarity.load(yelp_polarity.Config(reviews=3, longest=4), data_dir)

    self.assertLen(forge().train_ids, 9)
    for changes, message in (({'train': None}, "'train' is missing"),
                             ({'test_labels': None}, "'test_labels' is missing"),
                             ({'train': np.full(9, 255, np.uint8)}, 'train: .*utf-8'),
                             ({'train_labels': np.zeros(3, np.int32)}, 'one for each of 9'),
                             ({'train_labels': np.zeros(9, np.float32)}, 'expected int32'),
                             ({'train_labels': np.full(9, -1, np.int32)}, 'from 0'),
                             ({'train_labels': np.full(9, 7, np.int32)}, 'labels up to 7; expected 0 to 1')):
      with self.assertRaisesRegex(UserError, message):
        forge(**changes)


class ProgramTest(tf.test.TestCase):

  def test_a_run_trains_resumes_and_reports(self):
    """text_models_test has the exported module, which equals the live model."""
    folder = pathlib.Path(self.get_temp_dir())
    (folder / 'text.txt').write_text(''.join(f'{a} cat {b} {c}\n' for a in 'abc' for b in 'defgh' for c in 'ijklmno'))
    experiment = resolve('text', 'arae', 'fast', {
        'dataset': {'path': str(folder / 'text.txt'), 'words': 20, 'longest': 4},
        'network': {'embedding': 4, 'hidden': 5, 'latent': 6},
        'model': {'units': 8, 'z': 4, 'queue': 16, 'critic_steps': 1},
        'training': {'samples': 64, 'batch': 16, 'evaluate_every': 32}})
    run, here = Run(folder / 'run'), cluster.Cluster('one_device')
    self.assertEqual(session.train(experiment, run, here), 0)
    self.assertEqual(session.train(experiment, run, here), 0)  # The training is complete: it only reports again.
    record = json.loads(run.metrics.read_text())
    self.assertIn('reverse_perplexity', record['metrics'])
    self.assertEqual(parse_experiment(record['experiment']), experiment)
    self.assertIn('samples', (run.folder / 'sentences.txt').read_text())
    self.assertLen(run.history(), 2)
    _, model, step = build.load_model(run)
    self.assertEqual(step, 4)
    self.assertEqual(model.vocabulary.words, build.load_data(experiment).vocabulary.words)


if __name__ == '__main__':
  tf.test.main()
