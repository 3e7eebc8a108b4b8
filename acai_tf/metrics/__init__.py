"""Metrics. They take arrays and functions, never models."""
