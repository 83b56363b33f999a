"""Command line: parse, import late, call."""

from uqcv.cli.root import app, main

__all__ = ["app", "main"]
