"""Layers and how they start; no losses."""

