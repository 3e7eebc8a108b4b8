"""One model a file: `Config` (dataclasses and standard types only) and `Model`."""
