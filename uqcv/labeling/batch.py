"""Label many structures so that nothing is lost: not to a failing one, not to a killed run.

Beside the labels lies a journal, one line of JSON per structure in the order of the structures. A line is
appended when its structure is done; the next run reads the lines back and goes on behind them. So the same
command gives the same files, however often it was interrupted. Delete the journal to label anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uqcv.errors import InputError, LabelingError
from uqcv.files import write_json
from uqcv.labeling.reference import ReferenceMethod
from uqcv.structures import Structure, write_structures


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
    entries = _read_journal(journal)
    _require_same_task(entries, method, structures, journal)
    with open(journal, "a", encoding="utf-8") as handle:
        for k in range(len(entries), len(structures)):
            entries.append(_entry(method, structures[k]))
            handle.write(json.dumps(entries[-1]) + "\n")
            handle.flush()
            if progress:
                progress(k + 1, len(structures))
    labelled, failures = _sort(entries, structures)
    if labelled:
        write_structures(path, labelled)
    if failures_path is not None:
        write_json(failures_path, [asdict(failure) for failure in failures])
    return labelled, failures


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


def _read_journal(path: Path) -> list[dict[str, Any]]:
    """Return the complete lines, and cut off what a killed run left of a last one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries, good = [], 0
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n"):
            break
        entries.append(entry)
        good += len(line)
    if path.is_file():
        with open(path, "rb+") as handle:
            handle.truncate(good)
    return entries


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
