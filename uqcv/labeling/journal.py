"""A journal of long work: one line of JSON per piece, appended when the piece is done.

The next run reads the lines back and goes on behind them, however the last one ended. Every line begins with the task
it belongs to, so that the journal of other work is not gone on with.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from uqcv.errors import InputError
from uqcv.folders import hold, make_folders, remove_if_there, sync_folder, writing

SECONDS_BETWEEN_SYNCS = 1.0  # of work that a power cut may cost; each takes a disk some milliseconds
BEGINNING = b'{"task": "'  # of every line

Entry = dict[str, Any]


@contextmanager
def open_journal(path: Path, keys: Collection[str], refusal: str) -> Iterator[Journal]:
    """Open a journal, new or begun, that no other process may write to meanwhile; an empty one is not left behind.

    Parameters
    ----------
    path
        Of the journal.
    keys
        Of which each entry has one, beside its task.
    refusal
        What is said if another process holds it.

    Raises
    ------
    InputError
        If another process holds it, or it is no journal with such entries.
    OutputError
        If it cannot be written.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: no file; a journal is to be written there, give another --out")
    with writing(path):
        make_folders(path.parent)
        handle = open(path, "ab+", buffering=0)
        sync_folder(path.parent)
    with handle:
        hold(handle, refusal)
        journal = None
        try:
            journal = Journal(handle, path, keys)
            yield journal
        finally:
            if journal is not None:
                journal.sync()
            if path.is_file() and not path.is_symlink() and not path.stat().st_size:
                remove_if_there(path)


class Journal:
    """What is done so far, see `open_journal`.

    Attributes
    ----------
    entries
        In the order in which they were made.
    """

    def __init__(self, handle: FileIO, path: Path, keys: Collection[str]) -> None:
        self.path = path
        self._handle = handle
        self._synced, self._unsynced = time.monotonic(), False
        self.entries: list[Entry] = _read(handle, path, keys)

    def append(self, task: str, entry: Entry) -> None:
        """Add an entry; JSON keeps every digit of a float, so what is read back is what was written."""
        self.entries.append({"task": task, **entry})
        with writing(self.path):
            _append(self._handle, json.dumps(self.entries[-1]))
        self._unsynced = True
        if time.monotonic() - self._synced >= SECONDS_BETWEEN_SYNCS:
            self.sync()

    def sync(self) -> None:
        """Have the system bring what was written to the disk."""
        if self._unsynced:
            with writing(self.path):
                os.fsync(self._handle.fileno())
            self._synced, self._unsynced = time.monotonic(), False


def _append(handle: FileIO, line: str) -> None:
    """Append a line, all of it or nothing."""
    end, data = os.fstat(handle.fileno()).st_size, line.encode() + b"\n"
    try:
        while data:
            data = data[handle.write(data) :]
    except OSError:
        with suppress(OSError):
            handle.truncate(end)
        raise


def _read(handle: FileIO, path: Path, keys: Collection[str]) -> list[Entry]:
    """Return the complete lines, and cut off what a killed run left of a last one."""
    handle.seek(0)
    *whole, last = handle.readall().split(b"\n")
    entries = [_parse(line, k, path, keys) for k, line in enumerate(whole)]
    if last:
        _require_begun_entry(last, path)
        handle.truncate(sum(len(line) + 1 for line in whole))
    return entries


def _parse(line: bytes, k: int, path: Path, keys: Collection[str]) -> Entry:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict) or "task" not in entry or not entry.keys() & set(keys):
        raise InputError(f"{path}: line {k + 1} is no entry of such a journal; delete the file to begin anew")
    return entry


def _require_begun_entry(line: bytes, path: Path) -> None:
    """Refuse to cut off what this program cannot have begun to write."""
    if not line.startswith(BEGINNING[: len(line)]):
        raise InputError(f"{path}: no journal of uqcv; delete the file to begin anew")
