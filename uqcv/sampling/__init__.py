"""Strategies that look for structures which the potential does not know."""
