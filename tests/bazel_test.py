"""BUILD in a real Bazel, where there is one."""

import os
import pathlib
import subprocess
import sys

import tensorflow as tf


class BazelTest(tf.test.TestCase):

  def test_bazel_loads_build_and_its_tests_pass(self):
    if 'TEST_WORKSPACE' in os.environ:
      self.skipTest('Bazel runs this already')
    script = pathlib.Path(__file__).with_name('bazel') / 'check.py'
    done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    self.assertEqual(done.returncode, 0, done.stdout)
    if done.stdout.startswith('skipped'):
      self.skipTest(done.stdout)
    self.assertEqual(done.stdout.count(' PASSED in '), 3, done.stdout)


if __name__ == '__main__':
  tf.test.main()
