"""What is trained and where it lies; TensorFlow is not loaded here."""

