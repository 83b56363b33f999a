"""Time that something takes over all runs that it takes, however they end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from uqcv.benchmarks.uq.places import MADE_AGAIN
from uqcv.files import read_json, write_json


class Clock:
    """Adds up seconds in a file.

    Parameters
    ----------
    path
        JSON file; what earlier runs noted there is gone on from.
    timer
        Gives seconds, such as `time.process_time` or `time.monotonic`.
    between
        Seconds after which `note` writes again.
    """

    def __init__(self, path: Path, timer: Callable[[], float], between: float = 0.0) -> None:
        self._path, self._timer, self._between = path, timer, between
        self._before = float(read_json(path, MADE_AGAIN)["seconds"]) if path.is_file() else 0.0
        self._start = self._written = timer()

    @property
    def before(self) -> float:
        """Seconds of earlier runs."""
        return self._before

    def note(self) -> None:
        """Write the seconds so far, unless it was done a moment ago."""
        if self._timer() - self._written >= self._between:
            self.total()

    def total(self) -> float:
        """Write and return the seconds so far."""
        self._written = self._timer()
        seconds = self._before + self._written - self._start
        write_json(self._path, {"seconds": seconds})
        return seconds
