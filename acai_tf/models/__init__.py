"""One model per file, `Config` and `Model`: models of images here, models of sentences in `sentences`."""
