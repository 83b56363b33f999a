"""Progress of long work: a bar in a terminal, an occasional line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

SECONDS_BETWEEN_LINES = 15.0

Update = Callable[[float, str], None]

console = Console(stderr=True, highlight=False)


def say(line: str) -> None:
    """Print one line about what is being done."""
    console.print(line, markup=False, soft_wrap=True)


@contextmanager
def progress(name: str, total: float) -> Iterator[Update]:
    """Yield `update(done, note)`; shows how far `name` is, what it says and the time left."""
    with _bar(name, total) if console.is_terminal else _lines(name, total) as update:
        yield update


@contextmanager
def _bar(name: str, total: float) -> Iterator[Update]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=total, note="")

        def update(done: float, note: str = "") -> None:
            bar.update(task, completed=done, note=note)

        yield update


@contextmanager
def _lines(name: str, total: float) -> Iterator[Update]:
    start = last = time.monotonic()

    def update(done: float, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and done > 0:
            last = now
            left = (now - start) * (total - done) / done
            say(f"  {name}: {done:.0f}/{total:.0f}, {left:.0f} s left  {note}")

    yield update
