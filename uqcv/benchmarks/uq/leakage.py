"""Frames that are in more than one place, which would make a test easier than it is."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from uqcv.errors import InputError
from uqcv.progress import say
from uqcv.structures import Structure

RESOLUTION = 1e-4  # Å; below it frames are the same, however many digits a file has


def identity(frame: Structure) -> str:
    """Return the same text for frames of the same atoms in the same places."""
    places = np.rint(frame.positions / RESOLUTION).astype(np.int64)
    return hashlib.sha256(frame.numbers.tobytes() + places.tobytes()).hexdigest()[:24]


def require_different_files(digests: Sequence[tuple[Path, str]]) -> None:
    """Refuse a file that is given twice, also under two names.

    Raises
    ------
    InputError
        Naming both.
    """
    seen: dict[str, Path] = {}
    for path, digest in digests:
        if digest in seen:
            raise InputError(f"{path}: holds the same data as {seen[digest]}; give each file once")
        seen[digest] = path


def require_different_rows(path: Path, rows: Sequence[int], others: Sequence[int] = (), other: object = None) -> None:
    """Refuse rows that a split file has twice, or that another one has too.

    Raises
    ------
    InputError
        Naming a row.
    """
    if twice := [k for k, n in Counter(rows).items() if n > 1]:
        raise InputError(f"{path}: row {twice[0]} is there more than once; give each row once")
    if shared := sorted(set(rows) & set(others)):
        raise InputError(
            f"{path}: row {shared[0]} is in {other} too, of {len(shared)} shared in all; give each row to one of them"
        )


def require_apart(sets: Mapping[str, Sequence[Structure]], names: Mapping[int, str]) -> None:
    """Refuse a frame that is in two sets.

    Parameters
    ----------
    sets
        Domain and test sets.
    names
        What a frame is called, by its `id`.

    Raises
    ------
    InputError
        Naming the frame in both.
    """
    seen: dict[str, tuple[str, Structure]] = {}
    for name, frames in sets.items():
        for frame in frames:
            known, other = seen.setdefault(identity(frame), (name, frame))
            if known != name:
                raise InputError(
                    f"{names[id(frame)]} ({name}) is the same as {names[id(other)]} ({known}): what is tested must "
                    "be in no other set; leave it out of one"
                )


def warn_of_copies(frames: Sequence[Structure]) -> None:
    """Say how many frames are copies of others, for frames without a key of groups."""
    n_copies = len(frames) - len({identity(frame) for frame in frames})
    if n_copies:
        say(
            f"{n_copies} of {len(frames)} frames in the domain are copies of others; copies stay together in a split, "
            "but frames that are nearly the same do so only with --group-key"
        )
