"""Settings that must precede TensorFlow's import, as the programs make them."""

from acai_tf import program

program.set_environment()
