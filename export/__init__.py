"""Trained models as reusable SavedModels."""
