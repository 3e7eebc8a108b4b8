"""Proves BUILD with Bazel 4, no registry needed: query, analysis, some tests. python tests/bazel/check.py [TEST ...]

What BUILD and Bazel's own tools would fetch is replaced by repositories of a few lines: rules_python's rules are
Bazel's own, and @pip has an empty library for each line of requirements.txt, as the tests take the packages from the
Python that runs this. An installed acai_tf is not found there: what BUILD forgets is missing. Bazel 4 (in Debian:
apt-get install bazel-bootstrap) does not read MODULE.bazel.
"""

import collections
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).absolute().parents[2]
BAZEL = 'bazel-4'
TESTS = ('architecture_test', 'config_test', 'sentences_test')


def native(*rules):
  """A file that hands on Bazel's own rules."""
  return ''.join(f'{rule} = native.{rule}\n' for rule in rules)


def pip():
  """@pip//NAME for every line of requirements.txt."""
  names = [re.sub('[-_.]+', '_', name).lower()
           for name in re.findall(r'(?m)^([\w.-]+)==', (ROOT / 'requirements.txt').read_text())]
  return {f'{name}/BUILD': f'py_library(name = "{name}", visibility = ["//visibility:public"])\n' for name in names}


REPOSITORIES = {  # name: {file: text}
    'rules_python': {'python/BUILD': '', 'python/defs.bzl': native('py_library', 'py_test')},
    'pip': pip(),
    'rules_cc': {'cc/BUILD': '', 'cc/defs.bzl': native(
        'cc_library', 'cc_binary', 'cc_test', 'cc_toolchain', 'cc_toolchain_suite')},
    'rules_java': {'java/BUILD': '', 'java/defs.bzl': native('java_import', 'java_runtime', 'java_toolchain')},
    'remote_coverage_tools': {
        'BUILD': 'filegroup(name = "coverage_report_generator", visibility = ["//visibility:public"])'},
    'python': {'BUILD': f'''
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")
py_runtime(name = "runtime", interpreter_path = "{sys.executable}", python_version = "PY3")
py_runtime_pair(name = "pair", py3_runtime = ":runtime")
toolchain(name = "toolchain", toolchain = ":pair", toolchain_type = "@bazel_tools//tools/python:toolchain_type")
'''},
}
# Python imports a sitecustomize at its start; this one forgets what `pip install --editable` made known.
SITE = """import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if '__editable__' not in getattr(finder, '__module__', '')]
"""


def write(folder):
  """Lays the repositories into `folder`, and folder/tree, the files of ROOT as links with a WORKSPACE; the tree."""
  workspace = ['workspace(name = "acai_tf")']
  for name, files in REPOSITORIES.items():
    for file, text in {'WORKSPACE': '', **files}.items():
      (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
      (folder / name / file).write_text(text)
    workspace.append(f'local_repository(name = "{name}", path = "{folder / name}")')
  (folder / 'site').mkdir()
  (folder / 'site' / 'sitecustomize.py').write_text(SITE)
  tree = folder / 'tree'
  tree.mkdir()
  for path in ROOT.iterdir():
    if not path.name.startswith('bazel-'):  # Bazel's links to what it made
      (tree / path.name).symlink_to(path)
  (tree / 'WORKSPACE').write_text('\n'.join(workspace))
  return tree


def main(tests):
  """Runs Bazel's commands until one fails; its status, and 0 where there is no Bazel 4."""
  if not shutil.which(BAZEL):
    print(f'skipped: no {BAZEL} on PATH (in Debian: apt-get install bazel-bootstrap)')
    return 0
  with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    folder = pathlib.Path(folder).resolve()
    tree = write(folder)
    query = ['--output=label_kind', '--incompatible_disallow_empty_glob']  # as Bazel 8 does unasked
    build = ['--extra_toolchains=@python//:toolchain', '--noshow_progress', query[1]]
    test = [*build, f'--test_env=PYTHONPATH={folder / "site"}', '--test_output=errors', '--local_test_jobs=1']
    for command, options, targets in (('query', query, ['//...']), ('build', ['--nobuild', *build], ['//...']),
                                      ('test', test, [f'//:{name}' for name in tests])):
      print(BAZEL, command, *targets, flush=True)
      done = subprocess.run(
          [BAZEL, '--batch', '--nohome_rc', f'--output_user_root={folder / "output"}', command, *options, *targets],
          cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
      kinds = collections.Counter(re.findall(r'(?m)^(\w+) rule //', done.stdout))  # what query lists
      print(dict(kinds) if kinds and not done.returncode else done.stdout)
      if done.returncode:
        return done.returncode
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:] or TESTS))
