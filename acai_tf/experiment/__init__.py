"""What is trained and where it lies. No file here imports TensorFlow at its top; a model's file does."""
