"""What a run, a bias or a checkpoint is of, and the refusal of what is of something else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uqcv.errors import IdentityError, InputError
from uqcv.files import read_json

WHAT_TO_DO = (
    "old hills mean nothing there; go on with what it was made with, or begin anew (`uqcv sample --new-bias`, or "
    "another folder)"
)


def require_same(before: Mapping[str, Any], now: Mapping[str, Any], source: str) -> None:
    """Refuse what is of another collective variable, system or input.

    Raises
    ------
    IdentityError
        Naming the first difference, with both values.
    """
    for key in [*now, *(k for k in before if k not in now)]:
        old, new = before.get(key), now.get(key)
        if old != new:
            if isinstance(old, list) and isinstance(new, list):
                old, new = _first_difference(old, new)
            raise IdentityError(f"{source} is of {key} {old}, this run has {key} {new}: {WHAT_TO_DO}")


def _first_difference(before: list[str], now: list[str]) -> tuple[str, str]:
    """Return what the one has where the other has something else, for a reader."""
    lines = ((next(iter(x for x in a if x not in b), None)) for a, b in ((before, now), (now, before)))
    old, new = (f"with `{line}`" if line else "without it" for line in lines)
    if old == new:
        return "with its actions in another order", "with them in this order"
    return old, new


def read_identity(path: Path) -> dict[str, Any]:
    """Read what an earlier run said that it is of.

    Raises
    ------
    InputError
        If the file does not say it.
    """
    content = read_json(path, "begin anew in another folder")
    if not isinstance(content, dict):
        raise InputError(f"{path}: it does not say what the files beside it are of; begin anew in another folder")
    return content
