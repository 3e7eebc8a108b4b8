"""Definitions and published figures, one data set a file."""
