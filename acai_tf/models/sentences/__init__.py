"""Models of sentences, one a file."""
