"""Layers, networks and their initialization; no losses."""

