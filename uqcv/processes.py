"""Running work items in processes of their own, several at a time."""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from uqcv.errors import InputError, UqcvError, one_line

SECONDS_BETWEEN_LOOKS = 0.1
PATIENCE = 5.0  # seconds that a process has to end its own ones
spent_by_others: dict[str, float] = {}  # core seconds of children that have not ended, as they told
LONGEST_ERROR = 20_000  # characters; a pipe holds 64 kB


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def core_seconds() -> float:
    """Return the time of all cores that this process and its children have used, s.

    Of those that have not ended, it is what they told (see `uqcv.forks`).
    """
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts) + sum(spent_by_others.values())


def run_in_processes(
    function: Callable[[Any, Callable[[int], None]], Any],
    items: Sequence[Any],
    n_processes: int,
    report: Callable[[float, str], None] | None = None,
    name: Callable[[Any], str] | None = None,
    input_is_shared: bool = True,
) -> None:
    """Call `function(item, progress)` for each item, each in a fresh process with one thread.

    The function leaves its result in files. One that dies does so alone: the others go on to their end, and then its
    error is raised here. Only wrong input that is met before anything is done, and that the others have too, ends all
    at once. Processes end by themselves if this one is killed.

    Parameters
    ----------
    function
        At the top level of a module; its second argument takes a count of what is done.
    items
        Arguments that can be pickled.
    n_processes
        How many run at a time.
    report
        Called with the sum of all counts.
    name
        What an item is called in its error.
    input_is_shared
        Whether wrong input of one is that of all; if not, the others go on then, too.

    Raises
    ------
    UqcvError
        That of the item that died first.
    """

    def told(done: float, n_ended: int) -> None:
        if report is not None:
            report(done, f"{n_ended} of {len(items)} ended")

    Pool(function, n_processes, name, input_is_shared=input_is_shared).run(items, told)


class Pool:
    """Processes that work on items, see `run_in_processes`.

    Parameters
    ----------
    function, n_processes, name, input_is_shared
        See there.
    method
        How they begin: with nothing, or as copies of this one.
    """

    def __init__(
        self,
        function: Callable,
        n_processes: int,
        name: Callable[[Any], str] | None,
        method: Literal["spawn", "fork"] = "spawn",
        input_is_shared: bool = True,
    ) -> None:
        self._function, self._name, self._input_is_shared = function, name, input_is_shared
        self._n = max(1, n_processes)
        self._context: Any = multiprocessing.get_context(method)
        self._is_copying = method == "fork"
        self._waiting: list[Any] = []
        self._running: list[tuple[Any, Connection, Any, Any]] = []
        self._done = 0.0
        self._errors: list[UqcvError] = []

    def run(self, items: Sequence[Any], report: Callable[[float, int], None]) -> None:
        """Work on all items; `report` is called with the sum of counts and the number of items that have ended."""
        try:
            self._run(list(items), report)
        finally:
            self._end()

    def _run(self, items: list[Any], report: Callable[[float, int], None]) -> None:
        total, self._waiting = len(items), items
        while self._waiting or self._running:
            while self._waiting and len(self._running) < self._n:
                self._start(self._waiting.pop(0))
            time.sleep(SECONDS_BETWEEN_LOOKS)
            self._collect()
            counts = sum(counter.value for _, _, counter, _ in self._running)
            report(self._done + counts, total - len(self._waiting) - len(self._running))
        if self._errors:
            raise _all_in_one(self._errors)

    def _start(self, item: Any) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        counter = self._counter()
        process = self._context.Process(target=_child, args=(self._function, item, theirs, counter, os.getpid()))
        with interrupt_ignored():
            process.start()
        theirs.close()
        self._running.append((process, ours, counter, item))

    def _counter(self) -> Any:
        if self._is_copying:  # they share memory as it is; a Value asks for a file, on a disk that may be full
            return ctypes.c_int64.from_buffer(mmap.mmap(-1, 8))
        return self._context.Value("q", 0, lock=False)

    def _collect(self) -> None:
        for entry in [e for e in self._running if not e[0].is_alive()]:
            process, connection, counter, item = entry
            self._running.remove(entry)
            self._done += counter.value
            if process.exitcode != 0:
                self._note(_error_of(process.exitcode, connection), item, has_begun=counter.value > 0)

    def _note(self, error: UqcvError, item: Any, has_begun: bool) -> None:
        named = error if self._name is None else type(error)(f"{self._name(item)}: {error}")
        if isinstance(error, InputError) and self._input_is_shared and not has_begun:
            raise named from error
        self._errors.append(named)
        if self._running or self._waiting:
            print(f"uqcv: {named}; the others go on", file=sys.stderr)

    def _end(self) -> None:
        for process, _, _, _ in self._running:
            process.terminate()
        for process, _, _, _ in self._running:
            process.join(PATIENCE)
            process.kill()
            process.join()


def _error_of(exitcode: int | None, connection: Connection) -> UqcvError:
    try:
        if connection.poll():
            return connection.recv()
    except EOFError:
        pass
    return ended(exitcode)


def _all_in_one(errors: Sequence[UqcvError]) -> UqcvError:
    first, *others = errors
    more = f" (and {len(others)} more)" if others else ""
    return type(first)(f"{first}{more}") if more else first


def ended(exitcode: int | None) -> UqcvError:
    """Return what is said of a process that ended without saying why."""
    return UqcvError(
        f"a process ended with exit code {exitcode} and without a word (killed, or no memory?); run again to go on"
    )


@contextmanager
def interrupt_ignored() -> Iterator[None]:
    """Let a process that is started here ignore Ctrl-C from its first moment: it is for the parent, which ends it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Append what this process and its children print to a file instead of showing it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    shown = [os.dup(1), os.dup(2)]
    with open(path, "ab") as file:
        try:
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, before in zip((1, 2), shown, strict=True):
                os.dup2(before, descriptor)
                os.close(before)


def _child(function: Callable, item: Any, connection: Connection, counter: Any, parent: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # that of a process that this one is a copy of is not for it
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()

    def progress(done: int) -> None:
        counter.value = done

    try:
        function(item, progress)
    except Exception as error:
        connection.send(portable(error))
        raise SystemExit(1) from error


def portable(error: Exception) -> UqcvError:
    """Return an error that another process can raise, to be called where `error` is handled."""
    if isinstance(error, UqcvError):
        return error
    if line := one_line(error):
        return UqcvError(line)
    return UqcvError(f"{error}\n{traceback.format_exc()}"[-LONGEST_ERROR:])  # the pipe must not block


def end_with(parent: int) -> None:
    """End this process when its parent is gone, so that nobody writes into a folder that a new run may use."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
