"""Data sets, one per file.

Every file defines `Config`, `NETWORK` (the default network, the paper's where there is one), `SOURCE` (a description of
the data, and their licence), `shape(config)`, `classes(config)` and `load(config, data_dir, manual_dir)`.

A file may also define:
  resolve(config): completes a configuration that depends on files on disk.
  BENCHMARK: the group of metrics that exists for this data set alone.
  OFFICIAL_FILES: False if the data set has no official files, so that --manual_dir does not apply.
  NO_WEIGHTS: the reason why weights trained on the data may not be published.
"""
