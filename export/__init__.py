"""Trained models as reusable SavedModels."""

CARD = 'training.json'  # beside the SavedModel: the experiment and how far it was trained
