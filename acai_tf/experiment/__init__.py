"""What is trained and where it lies. No file here imports TensorFlow at its top; models' files, which some import, do."""
