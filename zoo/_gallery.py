"""The gallery: a static page on which models of images run in the browser, side by side, while the user drags alpha.

Its folder is self-contained. It has the page (zoo/page), the models as ONNX files, ONNX Runtime Web, and precomputed
pictures and sentences. The pictures are for browsers that cannot run the models. The sentences are precomputed because
the decoding loops of text models are not converted to ONNX.
"""

import contextlib
import functools
import http.server
import inspect
import io
import json
import pathlib
import re
import shutil
import sys
import tarfile
import typing

import numpy as np

from acai_tf import files
from acai_tf.evaluation import images, subject, text
from acai_tf.experiment import registry
from acai_tf.experiment.errors import UserError
from acai_tf.experiment.run import Run
from acai_tf.export import formats
from acai_tf.training import build as build_lib
from acai_tf.zoo import _cache, _examples, _weights, base

PAGE = pathlib.Path(__file__).parent / 'page'
DATA = 'gallery.js'  # a script, because a page that is opened from disk cannot read other files
RUNTIME = 'https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz'
SHA256 = 'd2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71'  # The registry lists its sha512.
RUNTIME_FILES = ('ort.wasm.min.js', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm')
# These are shown first: the best-known data set (digits) and, for each data set, the baseline and ACAI.
FIRST_DATASETS = ('mnist', 'lines', 'fashion_mnist', 'cifar10')
FIRST = ('autoencoder', 'acai')
STEPS = 21  # points on a path: alpha = 0, 1/20, ..., 1
TEMPLATES = 720  # reference lines, half a degree apart
# Pairs of lines in degrees: at right angles, at wider and narrower angles, and across the horizontal.
ANGLES = ((20, 110), (150, 265), (80, 215), (300, 50), (170, 230), (10, 175))
PAIRS = _examples.PAIRS  # equals len(ANGLES)


def runtime() -> pathlib.Path:
  """Returns the path of ONNX Runtime Web's archive in the user's cache; downloads it from the npm registry if needed.

  Raises:
    UserError: the download fails, or the file does not match the pinned checksum.
  """
  import keras

  path = runtime_path()
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(sys.stderr):  # progress bar
      # Keras chooses a folder in /tmp if this one cannot be written.
      return pathlib.Path(keras.utils.get_file(path.name, RUNTIME, file_hash=SHA256, cache_dir=path.parent,
                                               cache_subdir=''))
  except Exception as error:  # Keras turns urllib's errors into plain Exceptions.
    raise UserError(f'ONNX Runtime Web cannot be downloaded ({error}); expected a connection to the npm registry, '
                    f'or its file {RUNTIME} as {path}.') from error


def runtime_path() -> pathlib.Path:
  """Path of the archive that `runtime` downloads."""
  return _cache.folder() / 'onnxruntime-web' / pathlib.Path(RUNTIME).name


def collect(names, run: Run | None = None, weights=_weights.FOLDER) -> dict:
  """Loads the models for `build`: those of definitions, from their archives in `weights`, and that of a run.

  Raises:
    UserError: as `_weights.load` and `build.load_model`, or the package that converts models of images is missing.
  """
  kinds = {registry.kind_of('acai_tf.data', base.definition(name).dataset) for name in names}
  if 'images' in kinds | ({run.experiment().kind} if run else set()):
    formats.require_packages('tf2onnx')
  models = {name: _weights.load(name, 'float32', folder=weights) for name in names}
  if run:
    experiment, model, step = build_lib.load_model(run, precision='float32')
    name = f'{experiment.dataset_name}_{experiment.model_name} (run)'
    models[name] = experiment, model, step * experiment.training.batch
  return models


def build(target, models, archive, data_dir=None, manual_dir=None, progress=lambda *_: None, optional=()) -> list[str]:
  """Writes the gallery's folder.

  Args:
    target: folder to write; must not exist.
    models: dict: name -> (experiment, model of images or sentences in float32, samples that it was trained on).
    archive: path of ONNX Runtime Web's archive (`runtime`).
    data_dir: folder of the data sets.
    manual_dir: folder with a data set's official files.
    progress: function (text, done, total).
    optional: names of models that are left out if their data are missing.

  Returns:
    Messages on the models that are left out.

  Raises:
    UserError: the target exists or cannot be written, or data are missing.
  """
  target = pathlib.Path(target)
  try:
    if target.exists():
      raise FileExistsError(0, 'it exists already')
    with files.replacing(target) as made:
      shutil.copytree(PAGE, made)
      unpack(archive, made / 'ort')
      return _write(made, models, data_dir, manual_dir, progress, optional)
  except OSError as error:
    raise UserError(f'{target} cannot be written: {error.strerror or error}; expected a new folder on a writable '
                    'disk with free space.') from error


def is_gallery(folder) -> bool:
  """Whether a folder is a gallery."""
  return (folder / DATA).exists()


def unpack(archive, folder) -> None:
  """Extracts only RUNTIME_FILES of ONNX Runtime Web's archive, whose checksum is known, to a new folder."""
  folder.mkdir()
  with tarfile.open(archive) as opened:
    for name in RUNTIME_FILES:
      # Read and written here, because tarfile's filters need Python 3.11.4.
      with opened.extractfile(f'package/dist/{name}') as file:  # type: ignore[union-attr]
        (folder / name).write_bytes(file.read())


def _write(folder, models, data_dir, manual_dir, progress, optional):
  """Writes all files that depend on the models; returns messages on those that are left out."""
  datasets, ends, described, texts, left_out = {}, {}, [], [], []
  for done, (name, (experiment, model, samples)) in enumerate(sorted(models.items(), key=_place)):
    progress(f'gallery: {name}', done, len(models))
    title, about = _title(name, experiment), _about(experiment, samples)
    if experiment.kind == 'sentences':
      if paths := _paths(experiment, model, data_dir, manual_dir):
        texts.append({'title': title, 'about': about, 'paths': paths})
      else:
        left_out.append(f'{name} is left out: it does not interpolate between sentences')
      continue
    height, width, _ = model.image_shape
    dataset = f'{experiment.dataset_name} {height}x{width}'
    if dataset not in datasets:
      try:
        ends[dataset], angles = _pairs(experiment, data_dir, manual_dir)
      except UserError as error:
        if name not in optional:
          raise
        left_out.append(f'{name} is left out: {error}')
        continue
      sheet = f'pairs{len(datasets)}.png'
      datasets[dataset] = {'shape': list(model.image_shape), 'lines': angles is not None, 'angles': angles,
                           'pairs': len(ends[dataset][0]), 'sheet': sheet}
      _examples.save_sheet(folder / sheet, np.stack(ends[dataset], 1))
    (folder / 'models' / name).mkdir(parents=True)
    described.append({'name': name, 'title': title, 'about': about, 'dataset': dataset,
                      'code': list(model.code_shape),
                      **_write_model(folder / 'models' / name, model, ends[dataset], datasets[dataset]['lines'])})
  data = {'steps': STEPS, 'templates': TEMPLATES, 'datasets': datasets, 'models': described, 'texts': texts}
  (folder / DATA).write_text(f'window.galleryData = {json.dumps(data)};\n')
  return left_out


def _place(item):
  """Sort key of the models: by data set, latent dimension and model, with FIRST_DATASETS and FIRST before the others.

  Models of sentences are last, because conversion to ONNX would warn about their lookup tables.
  """
  name, (experiment, _, _) = item
  return (experiment.kind == 'sentences', *base.rank(FIRST_DATASETS, experiment.dataset_name),
          experiment.latent_dimension, *base.rank(FIRST, experiment.model_name), name)


def _title(name, experiment):
  """Names a model of the page as its users do: 'VQ-VAE', 'ACAI, 32 dimensions', 'ACAI (run)'."""
  title = base.title(experiment.model_name)
  if re.search(r'_d\d+$', name):  # The data set has models of several latent dimensions.
    title += f', {experiment.latent_dimension} dimensions'
  return title + ' (run)' * name.endswith(' (run)')


def _about(experiment, samples):
  """Describes a model by the first line of its file's docstring and its number of training samples."""
  module = registry.load('acai_tf.models', experiment.model_name)
  return f'{inspect.getdoc(module).splitlines()[0]} Trained on {samples:,} samples.'


def _pairs(experiment, data_dir, manual_dir):
  """((first images, second images), each [n, ...], and [n][2] angles in degrees, or None if they are not lines)."""
  if experiment.dataset_name == 'lines':
    lines = registry.load('acai_tf.data', 'lines')
    return tuple(lines.render(column, experiment.dataset.size) for column in np.radians(ANGLES).T), ANGLES
  shape = registry.load('acai_tf.data', experiment.dataset_name).shape(experiment.dataset)
  if examples := _examples.pairs(experiment.dataset_name, shape):
    return examples, None
  return build_lib.load_data(experiment, data_dir, manual_dir).pairs(PAIRS, images.PAIR_SEED), None


def _write_model(folder, model, ends, lines):
  """Writes a model's ONNX files and its paths between `ends`; returns their description for the page."""
  critic = next((offered for offered in model.callables() if offered.output == 'alpha'), None)
  parts = list(formats.onnx(model, folder, ('encoder', 'decoder', *([critic.name] if critic else []))))
  functions, readings = subject.of_model(model), {}
  for kind, strips in _strips(functions, ends).items():
    _examples.save_sheet(folder / f'{kind}.png', strips)
    flat, measured = strips.reshape(-1, *model.image_shape), {}
    if critic:
      measured['critic'] = critic.function(flat).numpy()
    if lines:
      distances, angles = images.nearest_lines(flat, TEMPLATES)
      measured |= {'distance': distances, 'angle': np.degrees(angles)}
    readings[kind] = {name: np.reshape(values, strips.shape[:2]).round(6).tolist() for name, values in measured.items()}
  return {'parts': parts, 'readings': readings}


def _strips(functions, ends):
  """Dict: kind of path -> [n, STEPS, height, width, channels] images along the paths between `ends`."""
  kinds = ('linear', 'spherical', *(['gaussian'] if functions.gaussian else []))
  strips_of = {kind: images.strips(functions, *ends, STEPS, kind) for kind in kinds}
  if functions.geodesics:
    paths = functions.geodesics()(np.stack([functions.encode(column) for column in ends], axis=1))[:, 1]
    strips_of['geodesic'] = paths[:, ::(paths.shape[1] - 1) // (STEPS - 1)]
  return strips_of


def _paths(experiment, model, data_dir, manual_dir):
  """PAIRS lists of STEPS sentences, decoded along paths between held-out sentences; [] if the model has no paths."""
  dataset, functions = build_lib.load_data(experiment, data_dir, manual_dir), subject.of_text_model(model)
  return text.paths_of(functions, dataset, PAIRS, STEPS) if functions.interpolate else []


class _Handler(http.server.SimpleHTTPRequestHandler):

  def log_message(self, *_):
    """Logs nothing: the page requests a dozen files."""

  def send_head(self) -> typing.BinaryIO | io.BytesIO | None:
    """Like the base class, but answers 403 to any host name except this machine's, against DNS rebinding.

    It answers 404 to a path that is invalid or leads out of the folder.
    """
    name, _, port = self.headers.get('Host', '').rpartition(':')
    if name not in ('127.0.0.1', 'localhost') or port != str(typing.cast(_Server, self.server).server_port):
      self.send_error(http.HTTPStatus.FORBIDDEN, 'expected the address that the program printed')
      return None
    try:
      inside = pathlib.Path(self.translate_path(self.path)).resolve().is_relative_to(
          pathlib.Path(self.directory).resolve())
    except (OSError, ValueError):  # a NUL byte
      inside = False
    if not inside:
      self.send_error(http.HTTPStatus.NOT_FOUND)
      return None
    return super().send_head()


class _Server(http.server.ThreadingHTTPServer):

  def handle_error(self, request, client_address):
    """Like the base class, but ignores a browser that disconnects while it receives a file."""
    if not isinstance(sys.exception(), ConnectionError):
      super().handle_error(request, client_address)


def server(folder) -> http.server.ThreadingHTTPServer:
  """Returns a web server of a folder on a free port, reachable from this machine only (127.0.0.1)."""
  return _Server(('127.0.0.1', 0), functools.partial(_Handler, directory=str(folder)))
