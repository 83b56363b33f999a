"""Label many structures so that nothing is lost: not to a failing one, not to a killed run.

Beside the labels lies a journal, one line of JSON per structure in the order of the structures. A line is
appended when its structure is done; the next run reads the lines back and goes on behind them. So the same
command gives the same files, however often it was interrupted. Delete the journal to label anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from uqcv.errors import InputError, LabelingError
from uqcv.files import write_json
from uqcv.folders import hold, make_folders, remove_if_there, sync_folder, writing
from uqcv.labeling.reference import ReferenceMethod
from uqcv.structures import Structure, write_structures

SECONDS_BETWEEN_SYNCS = 1.0  # of work that a power cut may cost; each takes a disk some milliseconds
BEGINNING = b'{"task": "'  # of every line of a journal


@dataclass(frozen=True)
class Failure:
    """A structure without a label: its index among those given, and why."""

    index: int
    reason: str


def label_structures(
    method: ReferenceMethod,
    structures: Sequence[Structure],
    path: Path,
    failures_path: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Structure], list[Failure]]:
    """Label `structures` in order; one that fails is recorded and skipped.

    Parameters
    ----------
    method
        The reference method.
    structures
        What to label.
    path
        The extxyz file of the labelled structures, in place when all are done (none if all failed). The journal
        is `path` with ``.journal`` added.
    failures_path
        JSON file of the failures, each with `index` and `reason`.
    progress
        Called with the structures done and wanted.

    Returns
    -------
    tuple of lists
        The labelled structures (eV, eV/Å) and the failures.

    Raises
    ------
    InputError
        If the journal is of other structures or another method.
    """
    journal = Path(f"{path}.journal")
    if journal.exists() and not journal.is_file():
        raise InputError(f"{journal}: no file; the journal of the labels is to be written there, give another --out")
    with writing(journal):
        make_folders(journal.parent)
        handle = open(journal, "ab+", buffering=0)
        sync_folder(journal.parent)
    with handle:
        hold(handle, f"{path}: another labelling is at work on it; wait for it, or give another --out")
        with _without_empty(journal):
            entries = _read_journal(handle, journal)
            _require_same_task(entries, method, structures, journal)
            _go_on(entries, method, structures, handle, journal, progress)
    labelled, failures = _sort(entries, structures)
    if labelled:
        write_structures(path, labelled)
    if failures_path is not None:
        write_json(failures_path, [asdict(failure) for failure in failures])
    return labelled, failures


def _go_on(
    entries: list[dict[str, Any]],
    method: ReferenceMethod,
    structures: Sequence[Structure],
    handle: FileIO,
    journal: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    synced = time.monotonic()
    for k in range(len(entries), len(structures)):
        entries.append(_entry(method, structures[k]))
        with writing(journal):
            _append(handle, json.dumps(entries[-1]))
            if time.monotonic() - synced >= SECONDS_BETWEEN_SYNCS or k == len(structures) - 1:
                os.fsync(handle.fileno())
                synced = time.monotonic()
        if progress:
            progress(k + 1, len(structures))


def _entry(method: ReferenceMethod, structure: Structure) -> dict[str, Any]:
    task = {"task": _fingerprint(method, structure)}
    try:
        labelled = method.label(structure)
    except LabelingError as error:
        return {**task, "reason": str(error)}
    assert labelled.forces is not None
    # JSON keeps every digit of a float, so a label read back is the label that was written.
    return {**task, "energy": labelled.energy, "forces": labelled.forces.tolist()}


def _sort(entries: Sequence[dict[str, Any]], structures: Sequence[Structure]) -> tuple[list[Structure], list[Failure]]:
    labelled, failures = [], []
    for k, (entry, structure) in enumerate(zip(entries, structures, strict=True)):
        if "reason" in entry:
            failures.append(Failure(k, entry["reason"]))
        else:
            labelled.append(structure.with_labels(entry["energy"], entry["forces"]))
    return labelled, failures


@contextmanager
def _without_empty(journal: Path) -> Iterator[None]:
    """Leave no journal behind in which nothing stands."""
    try:
        yield
    except BaseException:
        if journal.is_file() and not journal.is_symlink() and not journal.stat().st_size:
            remove_if_there(journal)
        raise


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


def _read_journal(handle: FileIO, path: Path) -> list[dict[str, Any]]:
    """Return the complete lines, and cut off what a killed run left of a last one."""
    handle.seek(0)
    *whole, last = handle.readall().split(b"\n")
    entries = [_parse(line, k, path) for k, line in enumerate(whole)]
    if last:
        _require_begun_entry(last, path)
        handle.truncate(sum(len(line) + 1 for line in whole))
    return entries


def _parse(line: bytes, k: int, path: Path) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict) or "task" not in entry or not entry.keys() & {"reason", "energy"}:
        raise InputError(f"{path}: line {k + 1} is no entry of a journal; delete the file to label from the start")
    return entry


def _require_begun_entry(line: bytes, path: Path) -> None:
    """Refuse to cut off what this program cannot have begun to write."""
    if not line.startswith(BEGINNING[: len(line)]):
        raise InputError(f"{path}: not the journal of a labelling; delete the file to label from the start")


def _require_same_task(
    entries: Sequence[dict[str, Any]],
    method: ReferenceMethod,
    structures: Sequence[Structure],
    journal: Path,
) -> None:
    same = len(entries) <= len(structures) and all(
        entry["task"] == _fingerprint(method, structure) for entry, structure in zip(entries, structures, strict=False)
    )
    if not same:
        raise InputError(
            f"{journal}: holds labels of other structures or another method than {method.name}; "
            "delete it, or label into another file"
        )


def _fingerprint(method: ReferenceMethod, structure: Structure) -> str:
    arrays = (structure.numbers, structure.positions, structure.cell, structure.pbc)
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return hashlib.sha256(method.name.encode() + data).hexdigest()[:16]
