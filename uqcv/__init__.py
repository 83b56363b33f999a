"""Uncertainty of a neural network potential as a collective variable."""

__version__ = "0.1.0"
