"""Where the parts of a comparison lie, and what a test set may be called, since its name becomes that of files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from uqcv.errors import InputError

IN_DOMAIN = "in domain"
OUT_OF_DOMAIN = "out of domain"  # all other test sets together
MADE_AGAIN = "remove it, and the same command makes it again, or give another --out"
LONGEST_NAME = 100  # characters; systems allow 255 bytes with all that we put around it
_PLAIN = re.compile(rf"(?!\.)[\w.+ -]{{1,{LONGEST_NAME}}}")


def test_place(folder: Path, name: str, suffix: str) -> Path:
    """Return the file of a test set; it lies apart, so that it may have the name of another part of a split."""
    return folder / "tests" / f"{name}{suffix}"


def in_file_names(name: str) -> str:
    """Return how a test set is called in the names of figures."""
    return name.replace(" ", "-")


def require_names(named: Iterable[tuple[str, str]]) -> None:
    """Refuse names of test sets that cannot be told apart, or that are no plain names of files.

    Parameters
    ----------
    named
        Where each test set comes from, as it was typed, and what it would be called.

    Raises
    ------
    InputError
        Naming both.
    """
    taken = {_compared(IN_DOMAIN): "the test set in the domain", _compared(OUT_OF_DOMAIN): "all others together"}
    for source, name in named:
        if not _PLAIN.fullmatch(name):
            raise InputError(
                f"{source}: {name!r} would be the name of a test set; at most {LONGEST_NAME} letters, digits, spaces "
                "and any of _ . + - are expected, and no dot first: give it another name"
            )
        if other := taken.get(_compared(name)):
            raise InputError(
                f"{source}: its test set would be called {name!r}, as is {other}; names that differ are expected: "
                "give one of them another name"
            )
        taken[_compared(name)] = f"that of {source}"


def _compared(name: str) -> str:
    return in_file_names(name).casefold()  # some file systems do not tell cases apart
