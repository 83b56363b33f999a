"""Where the time of a step goes, measured within the step itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Stopwatch:
    """Seconds spent in functions that are called within each other; each counts without what it calls.

    Attributes
    ----------
    seconds
        By name, since the last `reset`.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = 0.0

    def reset(self) -> None:
        """Begin again."""
        self.seconds = dict.fromkeys(self.seconds, 0.0)

    def timing(self, name: str, function: Callable) -> Callable:
        """Return `function` with its time added to `name`."""
        self.seconds[name] = 0.0

        def timed(*arguments: Any, **options: Any) -> Any:
            outer, self._inner = self._inner, 0.0
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                total = time.perf_counter() - start
                self.seconds[name] += total - self._inner
                self._inner = outer + total

        return timed
