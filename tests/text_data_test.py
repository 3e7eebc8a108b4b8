"""Vocabulary, files, splits and corpora of sentences."""

import collections
import gzip
import pathlib
import tempfile

import numpy as np
import shared_data
import tensorflow as tf

from acai_tf import vocabulary as vocabulary_lib
from acai_tf.data import text_base
from acai_tf.experiment.errors import UserError

TEXT = ['the cat sees the dog', 'the dog sees the cat', 'The  cat sleeps', 'a dog barks', 'the cat sees the dog']


class VocabularyTest(tf.test.TestCase):

  def test_ids_and_back(self):
    vocabulary = vocabulary_lib.fit_vocabulary(TEXT, size=4, longest=5)
    self.assertEqual(vocabulary.words[:3], ['', '[UNK]', 'the'])
    self.assertCountEqual(vocabulary.words[3:6], ['cat', 'dog', 'sees'])
    self.assertEqual((len(vocabulary), vocabulary.start, vocabulary.end, vocabulary.length), (8, 6, 7, 6))
    ids = vocabulary.encode(['the dog', 'a DOG flies', '', 'the the the the the the the', '[END] [UNK] [start]'])
    self.assertEqual((ids.dtype, ids.shape), (tf.int32, (5, 6)))
    dog = vocabulary.words.index('dog')
    self.assertAllEqual(ids, [[2, dog, 7, 0, 0, 0], [1, dog, 1, 7, 0, 0], [7, 0, 0, 0, 0, 0], [2, 2, 2, 2, 2, 7],
                              [1, 1, 1, 7, 0, 0]])
    self.assertEqual(vocabulary.decode(ids), ['the dog', '[UNK] dog [UNK]', '', 'the the the the the',
                                              '[UNK] [UNK] [UNK]'])
    self.assertEqual(vocabulary.decode([[6, 2, 0, dog, 7, 2], [2, 2, 2, 2, 2, 2]]),
                     ['the dog', 'the the the the the the'])
    self.assertEqual(vocabulary.strip(ids)[:3], [[2, dog], [1, dog, 1], []])
    self.assertAllClose(vocabulary.unknown_share(ids), 5 / 13)
    self.assertEqual(vocabulary.unknown_share([[7, 0]]), 0)

  def test_inside_a_graph_and_rebuilt_from_its_words(self):
    vocabulary = vocabulary_lib.fit_vocabulary(TEXT, 10, 5)
    graph = tf.function(vocabulary.encode, input_signature=[tf.TensorSpec([None], tf.string)])
    self.assertAllEqual(graph(TEXT), vocabulary.encode(TEXT))
    again = vocabulary_lib.Vocabulary(vocabulary.known, 5, size=10)
    self.assertAllEqual(again.encode(TEXT), vocabulary.encode(TEXT))

  def test_case_beyond_ascii(self):
    vocabulary = vocabulary_lib.fit_vocabulary(['der ÄRGER ist groß'], 10, 5)
    self.assertEqual(vocabulary.decode(vocabulary.encode(['Der ärger IST GROß'])), ['der ärger ist groß'])
    self.assertEqual(text_base.build(['ÄRGER', 'ärger'], None, 9, 2, shares=(0, 0)).vocabulary.known, ['ärger'])

  def test_case_is_kept_where_asked(self):
    vocabulary = vocabulary_lib.fit_vocabulary(TEXT, 10, 5, lower=False)
    self.assertIn('The', vocabulary.words)
    self.assertEqual(vocabulary.decode(vocabulary.encode(['The cat', 'THE cat'])), ['The cat', '[UNK] cat'])
    self.assertNotIn('[END]', vocabulary.decode(vocabulary.encode(['[END] cat', '[START]'])))


class FilesTest(tf.test.TestCase):

  def write(self, name, data):
    path = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir())) / name
    path.write_bytes(data)
    return path

  def test_plain_and_gzipped(self):
    data = '\ufeffan  owl\tflies \r\n\n   \nvéry\u2028 late'.encode()
    for path in (self.write('text.txt', data), self.write('text.gz', gzip.compress(data))):
      self.assertEqual(text_base.read_sentences(path), ['an owl flies', 'véry late'])

  def test_labels(self):
    path = self.write('labelled.tsv', b'good\ta fine  day\n\nbad\train\tagain\n')
    self.assertEqual(text_base.read_labelled(path), (['a fine day', 'rain again'], ['good', 'bad']))
    paths = [self.write('a', b'one\ntwo'), self.write('b', b'three')]
    self.assertEqual(text_base.read_classes(paths), (['one', 'two', 'three'], [0, 0, 1]))

  def test_mistakes_in_one_line(self):
    folder = pathlib.Path(tempfile.mkdtemp(dir=self.get_temp_dir()))
    for read, path, message in (
        (text_base.read_sentences, folder / 'absent.txt', 'absent.txt: no such file'),
        (text_base.read_sentences, folder, 'cannot be read'),
        (text_base.read_sentences, self.write('empty', b' \n\n'), 'no sentence'),
        (text_base.read_sentences, self.write('latin', 'ab caf\xe9 x'.encode('latin-1')), 'byte 6 is not UTF-8'),
        (text_base.read_sentences, self.write('wide', 'a cat'.encode('utf-32-le')), 'character 1 is 0, as in UTF-16'),
        (text_base.read_sentences, self.write('no.gz', b'plain'), 'cannot be read'),
        (text_base.read_sentences, self.write('cut.gz', gzip.compress(b'abc' * 99)[:-9]), 'cannot be read'),
        (text_base.read_sentences, self.write('broken.gz', b'\x1f\x8b\x08\0\0\0\0\0\0\0\xff\xff'), 'cannot be read'),
        (text_base.read_labelled, self.write('unlabelled', b'good\tday\nrain'), 'line 2 is not a label'),
        (text_base.read_labelled, self.write('only', b'good\t\n'), 'no sentence'),
    ):
      with self.assertRaisesRegex(UserError, message) as caught:
        read(path)
      self.assertNotIn('\n', str(caught.exception))
    with self.assertRaisesRegex(UserError, 'none of 2 sentences has 1 to 2 words'):
      text_base.short_enough(['a b c', ''], 2)


class SplitTest(tf.test.TestCase):

  def test_no_text_is_in_two_parts(self):
    texts = [f's{i % 300}' for i in range(1000)]
    parts = text_base.split(texts, (0.2, 0.1), seed=1)
    self.assertAllEqual(np.sort(np.concatenate(parts)), np.arange(1000))
    different = [{texts[i] for i in part} for part in parts]
    self.assertEqual([len(part) for part in different], [210, 60, 30])
    self.assertLen(set.union(*different), 300)
    self.assertAllEqual(parts[1], text_base.split(texts, (0.2, 0.1), seed=1)[1])
    self.assertNotAllEqual(parts[1], text_base.split(texts, (0.2, 0.1), seed=2)[1])
    self.assertAllEqual(text_base.split(texts, (), seed=0), [np.arange(1000)])
    with self.assertRaises(ValueError):
      text_base.split(texts, (0.5, 0.5), seed=0)

  def test_unseen_and_balanced(self):
    ids = np.array([[1, 2], [3, 4], [1, 2], [5, 6]])
    self.assertAllEqual(text_base.unseen(ids, ids[:1], np.array([[6, 5]])), [1, 3])
    self.assertAllEqual(text_base.unseen(ids), np.arange(4))
    labels = np.array([0, 1, 1, 1, 0, 2, 2, 2, 2, 1])
    chosen = text_base.balanced(labels, seed=0)
    self.assertEqual(collections.Counter(labels[chosen].tolist()), {0: 2, 1: 2, 2: 2})
    self.assertAllEqual(chosen, np.unique(chosen))
    self.assertGreater(len({tuple(text_base.balanced(labels, seed)) for seed in range(20)}), 5)


class CorpusTest(tf.test.TestCase):

  def test_parts_labels_and_shares(self):
    text = [f'word{i % 13} word{i % 17} rare{i}' for i in range(300)] + ['much too long a sentence', '']
    corpus = text_base.build(text, [i % 3 for i in range(302)], size=17, longest=4, shares=(0.2, 0.2), seed=0)
    rows = [{tuple(row) for row in ids} for ids in (corpus.train_ids, corpus.valid_ids, corpus.test_ids)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
      self.assertEmpty(rows[a] & rows[b])
    self.assertLen(corpus.train_ids, 180)  # all different; what unknown words make equal stays in training alone
    self.assertBetween(len(corpus.valid_ids), 1, 59)
    self.assertAllClose(corpus.unknown_share, 1 / 3)
    self.assertEqual(corpus.train_ids.dtype, np.int32)
    self.assertEqual(corpus.train_ids.shape[1], 5)
    plain = text_base.build([f'class{i % 3} word{i // 3}' for i in range(90)], [i % 3 for i in range(90)], 90, 3,
                            shares=(0.1, 0.2))
    for ids, labels in ((plain.train_ids, plain.train_labels), (plain.valid_ids, plain.valid_labels),
                        (plain.test_ids, plain.test_labels)):
      self.assertEqual([plain.vocabulary.words[row[0]] for row in ids], [f'class{label}' for label in labels])
    self.assertAllEqual(text_base.build(TEXT, None, 10, 5, shares=(0, 0)).train_labels, np.zeros(5))
    renamed = text_base.build(
        [sentence.replace('word3', 'word99') for sentence in text], None, 17, 4, shares=(0.2, 0.2))
    again = text_base.build(text, None, 17, 4, shares=(0.2, 0.2))
    other = text_base.build(text[::-1], None, 17, 4, seed=0)
    plain = text_base.build(text, None, 17, 4, shares=(0.2, 0.2))
    identities = [text_base.SentenceDataset(one).identity() for one in (plain, again, renamed, other)]
    self.assertEqual(identities[0], identities[1])
    self.assertLen(set(identities), 3)
    with self.assertRaisesRegex(UserError, 'too few'):
      text_base.build(['a b'], None, 10, 5)
    with self.assertRaisesRegex(UserError, 'too few: 1 of them would be in the valid part; expected at least 2'):
      text_base.build([f'word{i}' for i in range(90)], None, 90, 3, shares=(1 / 90, 0.2))
    with self.assertRaisesRegex(UserError, 'no training sentence has a word of at most 64 bytes; .* by spaces'):
      text_base.build(['字' * 30 + str(i) for i in range(90)], None, 10, 5, shares=(0.1, 0.1))
    with self.assertRaisesRegex(UserError, 'class 1 of 2 has no training sentence; .*of at most 5 words'):
      text_base.SentenceDataset(text_base.build(TEXT, [0] * len(TEXT), 10, 5, shares=(0, 0)), classes=2)

  def test_yelp(self):
    text = [' '.join(sentence) for sentence in shared_data.yelp('test0')]
    corpus = text_base.build(text, None, 2000, 10)
    kept = sum(len(sentence.split()) <= 10 for sentence in text)
    held_out = len(corpus.valid_ids) + len(corpus.test_ids)
    self.assertBetween(len(corpus.train_ids) + held_out, 0.99 * kept, kept)
    self.assertBetween(corpus.unknown_share, 0.02, 0.1)
    sentence = text[int(np.argmax([len(s.split()) == 10 for s in text]))]
    self.assertLen(corpus.vocabulary.strip(corpus.vocabulary.encode([sentence]))[0], 10)


if __name__ == '__main__':
  tf.test.main()
