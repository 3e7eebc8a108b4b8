"""One data set a file: `Config`, `NETWORK` (the paper's widths and depth), `CLASSES`, `shape(config)` and
`load(config, data_dir, manual_dir)`."""
