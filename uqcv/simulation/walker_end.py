"""How a walker ended: the last file that it writes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from uqcv.files import read_json, read_with, write_json

END_FILE = "end.json"


@dataclass(frozen=True)
class WalkerEnd:
    """How a walker ended.

    Attributes
    ----------
    reason
        For a person.
    completed
        Whether it ran its whole length.
    steps
        Steps taken.
    seconds
        Wall time of the dynamics.
    evaluations
        Forward passes of a network that it asked for.
    """

    reason: str
    completed: bool
    steps: int
    seconds: float
    evaluations: int = 0


def write_end(folder: Path, end: WalkerEnd) -> None:
    """Say in a walker's folder how it ended; what else is there is whole from then on."""
    write_json(folder / END_FILE, asdict(end))


def read_end(folder: Path) -> WalkerEnd:
    """Return how the walker in `folder` ended.

    Raises
    ------
    InputError
        If the file that says so does not.
    """
    return read_with(folder / END_FILE, lambda path: WalkerEnd(**read_json(path)), "how a walker ended")
