"""One data set a file: `Config`, `NETWORK` (the paper's widths and depth), `shape(config)`, `classes(config)`,
`load(config, data_dir, manual_dir)`, `resolve(config)` where the configuration depends on what lies on disk,
`BENCHMARK` where metrics are made for it, `SOURCE`: what the data are, and under which terms their owners give them,
and `NO_WEIGHTS`: why weights that are trained on them may not be handed on, where that is so."""
