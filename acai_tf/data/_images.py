"""Reads and resizes pictures; bicubic with antialiasing throughout."""

import os
from concurrent import futures

import numpy as np
from PIL import Image, ImageOps


def resized(images, size):
  """[n, height, width, 3] uint8 -> [n, size, size, 3] uint8."""
  def one(image):
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))

  with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    return np.stack(list(pool.map(one, images)))


def read_square(path, size, channels):
  """A picture's file -> its centre, [size, size, channels] uint8; the shorter side is resized to `size`.

  Raises:
    OSError, ValueError, SyntaxError: a file that is no picture or is broken; whatever Pillow raises.
  """
  with Image.open(path) as picture:
    upright = ImageOps.exif_transpose(picture).convert({1: 'L', 3: 'RGB'}[channels])
  side = min(upright.size)
  left, top = ((length - side) // 2 for length in upright.size)
  # Cropped first: ImageOps.fit, which does both at once, blends what lies outside into the border.
  square = upright.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BICUBIC)
  return np.asarray(square).reshape(size, size, channels)
