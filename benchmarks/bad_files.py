"""For bad_input.py: good files (`write_good`), and by name the ways to damage them (DAMAGES, and SETS of them)."""

import functools
import gzip
import io
import json
import os
import pathlib
import shutil
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

ZOO = pathlib.Path(__file__).parents[1] / 'zoo'


def array(values, kind='float32') -> bytes:
  """A .npy file of values."""
  stream = io.BytesIO()
  np.save(stream, np.asarray(values, kind))
  return stream.getvalue()


def npy(shape, kind='<f4', data=b'', header=None) -> bytes:
  """A .npy file with any header."""
  text = header or str({'descr': kind, 'fortran_order': False, 'shape': shape})
  return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(text)) + text.encode() + data


def archive(files, compression=zipfile.ZIP_STORED) -> bytes:
  """A zip of dict: name -> bytes."""
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w', compression) as opened:
    for name, data in files.items():
      opened.writestr(name, data)
  return stream.getvalue()


def png(width, height) -> bytes:
  """A PNG that claims to have this size, without the pixels."""
  def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

  return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
          + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b''))


def tiff(kind) -> bytes:
  """A TIFF of 8x8 pixels of a NumPy type."""
  stream = io.BytesIO()
  Image.fromarray(np.arange(64, dtype=kind).reshape(8, 8)).save(stream, 'TIFF')
  return stream.getvalue()


def half(data) -> bytes:
  """The first half."""
  return data[:len(data) // 2]


def flipped(data) -> bytes:
  """With one bit in the middle flipped."""
  middle = len(data) // 2
  return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1:]


def changed(function):
  """A damage of a file: `function` takes its bytes and returns others."""
  return lambda path: path.write_bytes(function(path.read_bytes()))


def rewritten(function):
  """A damage of a JSON file, or of the last line of a .jsonl file: `function` takes its value and returns another."""
  def change(path):
    *lines, last = path.read_text().splitlines() if path.suffix == '.jsonl' else [path.read_text()]
    path.write_text('\n'.join([*lines, json.dumps(function(json.loads(last)))]) + '\n')

  return change


def with_value(key, value):
  """A damage of a JSON file: sets the value of a key such as `runs.0.samples`."""
  def replaced(found):
    *parents, last = (int(name) if name.isdigit() else name for name in key.split('.'))
    functools.reduce(lambda inner, name: inner[name], parents, found)[last] = value
    return found

  return rewritten(replaced)


def instead(make):
  """A damage that replaces what is at a path."""
  def change(path):
    missing(path)
    make(path)

  return change


def missing(path) -> None:
  """Deletes a file or folder."""
  shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def in_parts(path) -> None:
  """Moves pictures into subfolders `train` and `test`."""
  for i, picture in enumerate(sorted(path.glob('*.png'))):
    target = path / ('test' if i % 3 else 'train') / picture.name
    target.parent.mkdir(exist_ok=True)
    picture.rename(target)


def both(first, second):
  """A damage of two steps."""
  return lambda path: (first(path), second(path))


def name_not_utf8(path) -> None:
  """Adds a picture with such a name, and empties others, so that names are reported."""
  pathlib.Path(os.fsdecode(os.fsencode(path) + b'/\xff\xfe.png')).write_bytes(b'')
  for picture in path.glob('?.png'):
    picture.write_bytes(b'')


def cache(**changes):
  """Makes a data cache of MNIST with right checksums, as another version may have left it, with some arrays changed."""
  labels, images = array(np.arange(20) % 10, 'int32'), array(np.zeros([20, 32, 32, 1]), 'uint8')
  arrays = {'train_images': images, 'train_labels': labels, 'test_images': images, 'test_labels': labels, **changes}
  files = {f'{name}.npy': data for name, data in arrays.items() if data is not None}
  sums = {name: f'{zlib.crc32(data):08x} {len(data)}' for name, data in files.items()}
  files['sums.json'] = json.dumps(sums).encode()

  def change(path):
    path.mkdir(parents=True)
    for name, data in files.items():
      (path / name).write_bytes(data)

  return change


LINE, ROW = np.full([2, 3, 32, 32, 1], -1), np.arange(32)[:, None] == 5
ABOUT = {'about.json.npy': array(list(b'{"experiment": {}, "samples": 3}'), 'uint8')}
KEPT = {'file': 'x.npz', 'sha256': 'a' * 64, 'bytes': 3, 'dtype': 'float16', 'float16_changes': {}}
GZIP = gzip.compress(b'a cat sees\n' * 100)

# Name -> the new content of the file, or a function of its path.
DAMAGES = {
    'x': b'x',
    'half': changed(half),
    'bit flipped': changed(flipped),
    'letters swapped': changed(bytes.swapcase),
    'rows twice': changed(lambda data: data * 2),
    'words changed': changed(lambda data: data.replace(b'\0\0\0\0', b'\1\2\3\4')),
    'missing': missing,
    'a folder': instead(pathlib.Path.mkdir),
    'a pipe': instead(os.mkfifo),
    'not readable': lambda path: path.chmod(0),
    'not writable': lambda path: path.chmod(0o555),
    'of the other run': lambda path: shutil.copytree(
        path.parents[2] / 'other_run/checkpoints/last', path, dirs_exist_ok=True),
    'a link to nothing': lambda path: path.symlink_to('nowhere'),
    'a link to itself': lambda path: path.symlink_to(path.name),
    'a link to its folder': lambda path: path.symlink_to('.'),
    'a link that leads back': both(in_parts, lambda path: (path / 'train/again').symlink_to('..')),
    'one beside train and test': both(in_parts, lambda path: (path / 'x.png').touch()),
    'one in a subfolder': lambda path: ((path / 'a').mkdir(), shutil.copy(path / '1.png', path / 'a')),
    'a name that is not UTF-8': name_not_utf8,
    'all but one missing': lambda path: path.name == '0.png' or path.unlink(),
    '169 million pixels': png(13_000, 13_000),
    'UTF-32': 'a cat\n'.encode('utf-32'),
    'UTF-32 without a mark': 'a cat\n'.encode('utf-32-le'),
    'a long sentence': b'a ' * 50 + b'\n',
    'one line': b'a cat\n',
    'one line 100 times': b'a cat\n' * 100,
    'another label': b'c\ta cat\n' * 30,
    'two sentences': b'a cat\ta dog\n',
    'uneven': b'a\tb\tc\na\tb\tc\td\n',
    'half a gzip': half(GZIP),
    'a damaged gzip': flipped(GZIP)}

SETS = {
    'NO_JSON': {
        'empty': b'', 'cut off': b'{"samples": 1', 'not UTF-8': b'{}\xff', 'zeros': bytes(100), 'a list': b'[1]',
        'a number': b'3', 'null': b'null', 'a text': b'"x"', 'NaN': b'{"samples": NaN}',
        'a million brackets': b'[' * 10**6, 'a key twice': b'{"samples": 1, "samples": 2}',
        'a folder': DAMAGES['a folder'], 'not readable': DAMAGES['not readable']},
    'NO_TEXT': {
        'empty': b'', 'only blanks': b'\n \n\t\n', 'not UTF-8': b'a cat\n\xff\xfe\n',
        'UTF-16': 'a cat\n'.encode('utf-16')},
    'NO_PICTURE': {
        'empty': b'', 'not an image': b'GIF89a', 'TIFF of int32': tiff('int32'), 'TIFF of float32': tiff('float32'),
        '2**60 pixels': png(2**30, 2**30), '2.5 billion pixels': png(50_000, 50_000), 'cut off': png(100, 100)},
    'NO_CACHE': {
        'no labels': cache(train_labels=None), 'no test images': cache(test_images=None),
        'another size': cache(train_images=array(np.zeros([20, 28, 28, 1]), 'uint8')),
        'another rank': cache(train_images=array(np.zeros([20, 32, 32]), 'uint8')),
        'images of floats': cache(train_images=array(np.zeros([20, 32, 32, 1]))),
        'no images': cache(train_images=array(np.zeros([0, 32, 32, 1]), 'uint8'), train_labels=array([], 'int32')),
        'fewer labels': cache(train_labels=array(np.zeros(3), 'int32')),
        'labels out of range': cache(train_labels=array(np.arange(20), 'int32')),
        'negative labels': cache(test_labels=array(np.arange(20) % 10 - 1, 'int32')),
        'labels of another rank': cache(train_labels=array(np.zeros([20, 7]), 'int32')),
        'labels of floats': cache(train_labels=array(np.zeros(20))),
        'a header of 16 TiB': cache(train_images=npy((1 << 34, 32, 32, 1), '|u1')),
        'no header': cache(train_images=b'x'), 'an empty file': cache(train_images=b''),
        'objects': cache(train_images=npy((20, 32, 32, 1), '|O', b'cos\nsystem\n'))},
    'NO_LINES': {
        'empty': b'', 'text': b'hello', 'a zip': archive({'a.npy': array([1])}), 'cut off': half(array(LINE)),
        'a header of 2**60 bytes': npy((1 << 20, 1 << 20, 32, 32, 1)), 'a negative shape': npy((-1, 3, 32, 32, 1)),
        'a header that is code': npy((), header='__import__("os").system("touch ran")'),
        'a header that is cut off': b'\x93NUMPY\x01\x00\xff\xff{',
        'a header of 4 GB': b'\x93NUMPY\x02\x00\xff\xff\xff\xff{',
        'a header of brackets': npy((), header='(' * 60000), 'a header of dicts': npy((), header='{1:' * 9000),
        'version 9': b'\x93NUMPY\x09\x00\x10\x00' + bytes(16), 'structures': array(LINE, 'f4,f4'),
        'objects': npy((2,), '|O', b'cos\nsystem\n(S"touch ran"\ntR.'), 'texts': array([['a']], 'U1'),
        'complex numbers': array(LINE, 'complex64'), 'another rank': array(LINE[0]),
        'another size': array(LINE[..., :8, :]), 'two images a path': array(LINE[:, :2]), 'no paths': array(LINE[:0]),
        'NaN': array(LINE * np.nan), '[0, 255]': array(LINE * -255), '[0, 1]': array(LINE * -0.5),
        '[-1, 0]': array(np.where(ROW, 0, LINE)), 'only background': array(LINE),
        'four bytes too many': array(np.where(ROW, 1, LINE)) + b'1234'},
    'NO_WEIGHTS': {
        'no about.json': archive({'a.npy': array([1])}),
        'about.json is not JSON': archive({'about.json.npy': array(list(b'{'), 'uint8')}),
        'about.json is a list': archive({'about.json.npy': array(list(b'[]'), 'uint8')}),
        'an empty experiment': archive(ABOUT), 'compressed': archive(ABOUT, zipfile.ZIP_DEFLATED),
        'a bomb': archive({**ABOUT, 'a.npy': bytes(10**7)}, zipfile.ZIP_DEFLATED),
        'a header of 16 TiB': archive({**ABOUT, 'a.npy': npy((1 << 44,))}),
        'objects': archive({**ABOUT, 'a.npy': npy((2,), '|O', b'cos\nsystem\n')}),
        'a name outside the folder': archive({**ABOUT, '../../out.npy': array([1])})},
    'NO_RESULT': {
        'no runs': rewritten(lambda found: {'definition': found['definition']}),
        'runs twice': rewritten(lambda found: {**found, 'runs': found['runs'] * 2}),
        "another definition's runs": (ZOO / 'results/lines_vae.json').read_bytes().replace(
            b'"definition": "lines_vae"', b'"definition": "lines_autoencoder"'),
        'history of no list': with_value('runs.0.history', {}),
        'a negative error': with_value('runs.0.history', [{'samples': 64, 'recon_mse': -1}]),
        'settings missing': with_value('runs.0.experiment.training', {'batch': 3}),
        'weights elsewhere': with_value('runs.0.kept', {**KEPT, 'file': '../x.npz'}),
        'weights of -1 bytes': with_value('runs.0.kept', {**KEPT, 'bytes': -1}),
        'weights of all runs': rewritten(lambda found: {**found, 'runs': [
            {**run, 'kept': KEPT} for run in found['runs']]})}}
SETS['NO_JSONL'] = {name: damage for name, damage in SETS['NO_JSON'].items() if name != 'empty'}
DAMAGES = {**SETS['NO_JSON'], **SETS['NO_TEXT'], **DAMAGES}


def write_good(folder) -> None:
  """Writes the good files that no program makes."""
  rng = np.random.default_rng(0)
  for name in ('pictures', 'data', 'idx', 'results', 'weights'):
    (folder / name).mkdir()
  for i in range(20):
    Image.fromarray(np.uint8(rng.integers(256, size=[8, 8, 3]))).save(folder / 'pictures' / f'{i}.png')
  words = ('the', 'a'), ('cat', 'dog', 'owl', 'fox'), ('sees', 'likes'), ('the', 'a'), ('cat', 'dog', 'fish')
  sentences = [' '.join(column[i // 3**k % len(column)] for k, column in enumerate(words)) for i in range(200)]
  (folder / 'sentences.txt').write_text('\n'.join(sentences) + '\n')
  (folder / 'paths.txt').write_text('a cat\ta dog\ta fox\n' * 3)
  (folder / 'lines.npy').write_bytes(array(LINE))
  for name in ('train-images-idx3', 'train-labels-idx1', 't10k-images-idx3', 't10k-labels-idx1'):
    (folder / 'idx' / f'{name}-ubyte.gz').write_bytes(gzip.compress(b'\0\0\x08\x03' + bytes(100)))
  shutil.copy(ZOO / 'results/lines_autoencoder.json', folder / 'results')
  for target in ('weights', 'weights.npz'):
    shutil.copy(ZOO / 'weights/lines_autoencoder.npz', folder / target)
