"""Upload of an exported model, with its weights and card, to Kaggle or Hugging Face."""

import pathlib
import shutil
import tempfile

from acai_tf.experiment.errors import UserError
from acai_tf.zoo import _card, _handle, _records, _weights

PLACES = {'kaggle': 'https://www.kaggle.com/models/{}', 'huggingface': 'https://huggingface.co/{}'}


def publish(name, place, owner, really=False, results=_records.FOLDER, folder=_weights.FOLDER) -> str:
  """Uploads the module, weights, card and picture of a definition. Returns a text that lists the files.

  Args:
    name: name of the definition.
    place: one of `PLACES`.
    owner: account or organization there.
    really: whether to upload; otherwise the files are only listed. The site's library finds the token by itself.
    results: folder of the result files.
    folder: folder of the archives.

  Raises:
    UserError: there are no weights, the terms of the data do not allow it, the site's library is not installed, or the
      site refuses the upload.
  """
  _weights.check_terms(name)
  subject = _card.Subject(name, results, folder)
  handle = _card.handle_of(subject, place, owner)
  with tempfile.TemporaryDirectory() as scratch:
    staged = pathlib.Path(scratch) / name
    stage(subject, place, owner, staged, results, folder)
    files = [path for path in sorted(staged.rglob('*')) if path.is_file()]
    lines = [f'{name} -> {PLACES[place].format(handle)}', *(
        f'  {path.relative_to(staged).as_posix()}  {path.stat().st_size:,} bytes' for path in files)]
    if not really:
      return '\n'.join([*lines, 'nothing was uploaded; --yes uploads it'])
    note = f'version {subject.record.kept.version}'
    try:
      {'kaggle': _kaggle, 'huggingface': _huggingface}[place](handle, staged, note)
    except ImportError as error:
      raise UserError(f"{error.name} is not installed; expected the extra publish: pip install -e '.[publish]' in a "
                      'checkout.') from error
    except Exception as error:  # The libraries and their HTTP clients raise many types.
      raise UserError(f'{place} refused {handle} ({" ".join(str(error).split())[:300]}); expected an account that may '
                      'write there, logged in with the library of the site.') from error
  return '\n'.join([*lines, 'uploaded'])


def stage(subject, place, owner, target, results, folder) -> None:
  """Copies all published files into a new folder. The module is at its top level, as both sites' downloads need it."""
  shutil.copytree(_handle.handle(subject.name, results, folder), target)
  _, archive = _weights.kept(subject.name, results, folder)
  shutil.copy(archive, target)
  shutil.copy(_card.picture(subject.name, results), target / _card.PICTURE)
  (target / 'README.md').write_text(_card.render(subject, place, owner), encoding='utf-8')


def _kaggle(handle, folder, note):
  import kagglehub

  kagglehub.model_upload(handle, str(folder), license_name=_card.LICENCE, version_notes=note)


def _huggingface(handle, folder, note):
  import huggingface_hub

  api = huggingface_hub.HfApi()
  api.create_repo(handle, exist_ok=True)
  api.upload_folder(repo_id=handle, folder_path=str(folder), commit_message=note)
