"""Times the kernel gradient of 3x3 convolutions: oneDNN's operation against nine matrix products, with one thread.

`python benchmarks/kernel_gradient.py [--images 16] [--dtype bfloat16]` times both alternately in one process.
`acai_tf.networks.convolutional.Conv2D` uses the products if a feature map has fewer pixels than channels.
"""

import statistics
import time

from absl import flags

from acai_tf import cli

flags.DEFINE_integer('images', 16, 'Images per batch', 1)
flags.DEFINE_enum('dtype', 'bfloat16', ['bfloat16', 'float32'], 'Type of images and gradients')
SHAPES = [(32, 16, 16), (16, 16, 32), (8, 32, 64), (8, 64, 64), (8, 256, 256), (4, 64, 128), (4, 128, 128),
          (2, 128, 256), (2, 512, 512)]  # size, channels in, channels out
ROUNDS, CALLS = 7, 10


def main():
  """Prints a row for each shape."""
  cli.start_tensorflow()
  import keras
  import tensorflow as tf

  from acai_tf.networks import convolutional

  def compiled(convolve, images, kernel, upstream):
    def gradient():
      with tf.GradientTape() as tape:
        tape.watch(kernel)
        value = convolve(images, kernel)
      return tape.gradient(value, kernel, upstream)

    return tf.function(gradient, autograph=False)

  print('size  channels     oneDNN, ms  products, ms  ratio')
  for size, before, after in SHAPES:
    images, kernel, upstream = (
        tf.cast(tf.random.normal(shape), flags.FLAGS.dtype)
        for shape in ([flags.FLAGS.images, size, size, before], [3, 3, before, after],
                      [flags.FLAGS.images, size, size, after]))
    ways = [compiled(convolve, images, kernel, upstream)
            for convolve in (lambda x, k: keras.ops.conv(x, k, padding='same'), convolutional.convolve_small)]
    times = [[], []]
    for _ in range(ROUNDS):
      for way, column in zip(ways, times, strict=True):
        way()
        began = time.perf_counter()
        for _ in range(CALLS):
          way()
        column.append((time.perf_counter() - began) / CALLS * 1e3)
    native, products = (statistics.median(column) for column in times)
    chosen = ' (products used)' if size**2 < before else ''
    print(f'{size:4}  {before:3} -> {after:3}  {native:11.2f}  {products:12.2f}  {native / products:5.2f}{chosen}')


if __name__ == '__main__':
  cli.run(main, 'python benchmarks/kernel_gradient.py: times the kernel gradient of small convolutions.',
          {'What': ['images', 'dtype']})
