"""What PLUMED says when something goes wrong, and what was behind it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uqcv.colvars import pycv
from uqcv.errors import UqcvError


@contextmanager
def stderr_to(log: Path | None) -> Iterator[None]:
    """Send what the kernel says about its own loading to a file beside its log instead of the terminal."""
    if log is None:
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    with open(log.with_suffix(".stderr"), "wb") as target:
        os.dup2(target.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def explained(error: Exception, step: int) -> UqcvError:
    """Return an error of PLUMED with its step, or the error of our own CV that PLUMED replaced by a generic line."""
    cause = _cause()
    if cause is None:
        return UqcvError(f"step {step}: PLUMED stopped: {plumed_words(error)}")
    return type(cause)(f"step {step}: {cause}")


def _cause() -> UqcvError | None:
    """Return the error of our own CV behind PLUMED's generic one."""
    error = pycv.last_error.pop() if pycv.last_error else None
    return error if isinstance(error, UqcvError) or error is None else UqcvError(str(error))


def plumed_words(error: Exception) -> str:
    """Return what PLUMED says in one line, without where in its source it says so."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("(core/")]
    return " ".join(lines) or type(error).__name__
