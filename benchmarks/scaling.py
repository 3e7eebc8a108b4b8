"""Measures the cost of sharing a batch between devices and hosts: `python benchmarks/scaling.py`.

It trains ACAI on lines with several global batch sizes, numbers of devices and numbers of hosts. The devices are
logical devices of this machine's CPU (MirroredStrategy), the hosts are processes on it (MultiWorkerMirroredStrategy
over loopback). All share the same cores, so nothing becomes faster: the benchmark measures the overhead. Each setting
runs in its own processes, one setting after the other.

The output has images per second, CPU time per image, the number of busy cores, and the CPU time relative to one device.
If all cores are busy, arithmetic is the limit; otherwise sequential work is. Hosts busy-wait for each other, which is
included in their CPU time.
"""

import json
import os
import socket
import subprocess
import sys
import time

from absl import app, flags

from acai_tf import cli
from acai_tf.experiment import machine

FLAGS = flags.FLAGS
flags.DEFINE_list('batches', ['16', '64'], 'Global batches')
flags.DEFINE_list('devices', ['1', '2', '4'], 'Numbers of logical devices')
flags.DEFINE_list('hosts', ['2'], 'Numbers of hosts with one device each')
flags.DEFINE_integer('images', 1280, 'Images to measure in each setting', 64)
flags.DEFINE_integer('depth', 16, "Channels of the network's first block", 1)
flags.DEFINE_string('child', None, 'Internal: batch and devices, as JSON')

WARM = 3  # steps before the clock starts


def measure(batch, devices):
  """Prints the seconds and CPU seconds of one process for all images, as JSON."""
  cli.start_tensorflow()
  import tensorflow as tf

  from acai_tf.experiment.resolve import resolve
  from acai_tf.training import build, loop
  from acai_tf.training.cluster import Cluster

  if devices > 1:
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices('CPU')[0], [tf.config.LogicalDeviceConfiguration()] * devices)
  cluster = Cluster('mirrored' if devices > 1 else 'auto')
  steps = FLAGS.images // batch
  experiment = resolve('lines', 'acai', 'paper', {'network': {'depth': FLAGS.depth}, 'training': {
      'batch': batch, 'samples': batch * (WARM + steps)}})
  with cluster.strategy.scope():
    model = build.create(experiment)
  clock = []

  def look(_):
    clock.append((time.perf_counter(), time.process_time()))

  loop.Loop(model, cluster.strategy, build.load_data(experiment), experiment.training, 1, cluster.count).run(
      lambda *_: None, [([WARM, WARM + steps], look)])
  print(json.dumps([end - begin for begin, end in zip(*clock, strict=True)]))


def free_port() -> int:
  """Returns a port that is free now."""
  with socket.socket() as one:
    one.bind(('127.0.0.1', 0))
    return one.getsockname()[1]


def run(batch, devices, hosts) -> tuple:
  """(seconds, CPU seconds of all processes) of a setting."""
  addresses = [f'127.0.0.1:{free_port()}' for _ in range(hosts)]
  processes = []
  for i in range(hosts):
    place = {'TF_CONFIG': json.dumps({'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': i}})}
    processes.append(subprocess.Popen(
        [sys.executable, __file__, f'--child={json.dumps([batch, devices])}', f'--images={FLAGS.images}',
         f'--depth={FLAGS.depth}'], env={**os.environ, **(place if hosts > 1 else {})}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True))
  outputs = [process.communicate() for process in processes]
  for process, (_, errors) in zip(processes, outputs, strict=True):
    if process.returncode:
      raise SystemExit(f'batch {batch}, {devices} devices, {hosts} hosts failed:\n{errors[-1500:]}')
  seconds, used = zip(*(json.loads(output.splitlines()[-1]) for output, _ in outputs), strict=True)
  return max(seconds), sum(used)


def main(_):
  """Runs the settings and prints the table."""
  cli.set_environment()
  if FLAGS.child:
    measure(*json.loads(FLAGS.child))
    return
  print(f'ACAI on lines, depth {FLAGS.depth}, {machine.processor()["model name"]}, {len(machine.cores())} cores')
  print('global batch   devices   hosts   images/s        CPU ms per image   cores busy   to one device')
  for batch in map(int, FLAGS.batches):
    images, alone = FLAGS.images // batch * batch, None
    for devices, hosts in [(int(n), 1) for n in FLAGS.devices] + [(1, int(n)) for n in FLAGS.hosts]:
      seconds, used = run(batch, devices, hosts)
      alone = alone or used
      print(f'{batch:12} {devices:9} {hosts:7} {images / seconds:10.0f} {used / images * 1e3:23.2f} '
            f'{used / seconds:12.2f} {used / alone:15.2f}', flush=True)


if __name__ == '__main__':
  app.run(main)
