"""Metrics receive arrays and functions, never models."""
