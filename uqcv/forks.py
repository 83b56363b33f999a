"""Work in processes that begin as copies of one that is prepared: what takes seconds to load is loaded once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from uqcv.errors import UqcvError
from uqcv.processes import (
    PATIENCE,
    SECONDS_BETWEEN_LOOKS,
    Pool,
    core_seconds,
    end_with,
    ended,
    interrupt_ignored,
    portable,
    run_in_processes,
    spent_by_others,
)

CAN_FORK = sys.platform == "linux"  # elsewhere system libraries do not survive in a copy
Preparation = Callable[[], None]


def run_in_forks(
    function: Callable[[Any, Callable[[int], None]], Any],
    items: Sequence[Any],
    n_processes: int,
    prepare: Preparation | None,
    report: Callable[[float, str], None] | None = None,
    name: Callable[[Any], str] | None = None,
) -> None:
    """Call `function(item, progress)` for each item, each in a process of its own that begins where `prepare` ended.

    As `run_in_processes` in all else. One process in between calls `prepare` and is copied for each item, where the
    system can do that; elsewhere each begins with nothing. Within `prepared_once` it stays for later calls.

    Parameters
    ----------
    function, items, n_processes, report, name
        See `run_in_processes`; `name` at the top level of a module.
    prepare
        Imports, loads and compiles; it can be pickled, and is equal to another that does the same. It may start
        neither threads nor devices, which copies do not have. An error in it is left to the items, which meet it too.
        None: each item begins with nothing.
    """
    if not items or not CAN_FORK or prepare is None:
        run_in_processes(function, items, n_processes, report, name)
        return
    process = _kept.take(prepare)
    try:
        process.run(_Work(function, tuple(items), n_processes, name), report)
    except BaseException:
        process.end()
        raise
    _kept.give_back(process)


@contextmanager
def prepared_once() -> Iterator[None]:
    """Within, a process that was prepared for one call serves those after it that need the same."""
    _kept.depth += 1
    try:
        yield
    finally:
        _kept.depth -= 1
        if not _kept.depth:
            _kept.end()


@dataclass(frozen=True)
class _Work:
    function: Callable[[Any, Callable[[int], None]], Any]
    items: tuple[Any, ...]
    n_processes: int
    name: Callable[[Any], str] | None


class _Prepared:
    """A process that has prepared itself, and is copied for each item of the work that it is sent."""

    def __init__(self, prepare: Preparation) -> None:
        context = multiprocessing.get_context("spawn")
        self.prepare = prepare
        self._done, self._ended = (context.Value("q", 0, lock=False) for _ in range(2))
        self._connection, theirs = context.Pipe()
        counters = (self._done, self._ended)
        self._process = context.Process(target=_serve, args=(prepare, theirs, counters, os.getpid()))
        with interrupt_ignored():
            self._process.start()
        theirs.close()

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def run(self, work: _Work, report: Callable[[float, str], None] | None) -> None:
        self._done.value = self._ended.value = 0
        with suppress(BrokenPipeError):  # `_answer` says that it has ended
            self._connection.send(work)
        while not self._connection.poll(SECONDS_BETWEEN_LOOKS) and self._process.is_alive():
            self._tell(work, report)
        error, spent_by_others[self._process.name] = self._answer()
        if error is not None:
            raise error
        self._tell(work, report)

    def _answer(self) -> tuple[UqcvError | None, float]:
        try:
            if self._connection.poll():
                return self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(PATIENCE)  # its end of the line has closed, it has not ended yet
        raise ended(self._process.exitcode)

    def _tell(self, work: _Work, report: Callable[[float, str], None] | None) -> None:
        if report is not None:
            report(self._done.value, f"{self._ended.value} of {len(work.items)} ended")

    def end(self) -> None:
        self._process.terminate()
        self._process.join(PATIENCE)
        self._process.kill()
        self._process.join()
        spent_by_others.pop(self._process.name, None)  # the system counts it from now on
        self._connection.close()


class _Kept:
    """The process that `prepared_once` keeps, if any."""

    def __init__(self) -> None:
        self.depth = 0
        self._process: _Prepared | None = None

    def take(self, prepare: Preparation) -> _Prepared:
        process = self._process
        if process is None or process.prepare != prepare or not process.is_alive:
            self.end()
            process = _Prepared(prepare)
        self._process = None
        return process

    def give_back(self, process: _Prepared) -> None:
        self._process = process
        if not self.depth:
            self.end()

    def end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None


_kept = _Kept()


def _serve(prepare: Preparation, connection: Connection, counters: tuple[Any, Any], parent: int) -> None:
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    with suppress(Exception):
        prepare()

    def count(done: float, n_ended: int) -> None:
        counters[0].value, counters[1].value = int(done), n_ended

    while work := _received(connection):
        try:
            with _copies_end_first():
                Pool(work.function, work.n_processes, work.name, "fork").run(work.items, count)
        except Exception as error:
            connection.send((portable(error), core_seconds()))
        else:
            connection.send((None, core_seconds()))


@contextmanager
def _copies_end_first() -> Iterator[None]:
    """Within, whoever ends this process ends its copies too, before it is gone; without any it may go at once."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _received(connection: Connection) -> _Work | None:
    with suppress(EOFError):  # nobody is left to ask for anything
        return connection.recv()
    return None
