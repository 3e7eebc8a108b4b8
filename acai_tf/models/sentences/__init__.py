"""Models of sentences, one per file."""
