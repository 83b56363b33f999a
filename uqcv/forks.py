"""Work in processes that begin as copies of one that is prepared: what takes seconds to load is loaded once."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from uqcv.processes import Pool, run_in_processes

CAN_FORK = sys.platform == "linux"  # elsewhere system libraries do not survive in a copy


@dataclass(frozen=True)
class _Work:
    """What the prepared process is given; `ended` counts the items that have."""

    function: Callable[[Any, Callable[[int], None]], Any]
    items: tuple[Any, ...]
    n_processes: int
    prepare: Callable[[Any], None]
    name: Callable[[Any], str] | None
    ended: Any


def run_in_forks(
    function: Callable[[Any, Callable[[int], None]], Any],
    items: Sequence[Any],
    n_processes: int,
    prepare: Callable[[Any], None],
    report: Callable[[float, str], None] | None = None,
    name: Callable[[Any], str] | None = None,
) -> None:
    """Call `function(item, progress)` for each item, each in a process of its own that begins where `prepare` ended.

    As `run_in_processes` in all else. One process in between calls `prepare` with the first item and is copied for each
    of them, where the system can do that; elsewhere each begins with nothing.

    Parameters
    ----------
    function, items, n_processes, report, name
        See `run_in_processes`; `name` at the top level of a module.
    prepare
        Imports, loads and compiles, at the top level of a module. It may start neither threads nor devices, which
        copies do not have. An error in it is left to the items, which meet it too.
    """
    if not items or not CAN_FORK:
        run_in_processes(function, items, n_processes, report, name)
        return
    ended = multiprocessing.get_context("spawn").Value("q", 0, lock=False)
    work = _Work(function, tuple(items), n_processes, prepare, name, ended)

    def told(done: float, _: str) -> None:
        if report is not None:
            report(done, f"{ended.value} of {len(items)} ended")

    run_in_processes(_run, [work], 1, told)


def _run(work: _Work, progress: Callable[[int], None]) -> None:
    # Whoever ends this process wants its copies to end too, before it is gone.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with suppress(Exception):
        work.prepare(work.items[0])

    def count(done: float, n_ended: int) -> None:
        work.ended.value = n_ended
        progress(int(done))

    Pool(work.function, work.n_processes, work.name, "fork").run(work.items, count)
