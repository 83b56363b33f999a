"""Label many structures so that nothing is lost: not to a failing one, not to a killed run.

Beside the labels lies a journal with an entry per structure, in their order. So the same command gives the same files,
however often it was interrupted. Delete the journal to label anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from uqcv.errors import InputError, LabelingError
from uqcv.files import write_json
from uqcv.labeling.journal import Entry, Journal, open_journal
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
    refusal = f"{path}: another labelling is at work on it; wait for it, or give another --out"
    with open_journal(Path(f"{path}.journal"), ("energy", "reason"), refusal) as journal:
        _require_same_task(journal, method, structures)
        for k in range(len(journal.entries), len(structures)):
            journal.append(_fingerprint(method, structures[k]), _entry(method, structures[k]))
            if progress:
                progress(k + 1, len(structures))
    labelled, failures = _sort(journal.entries, structures)
    if labelled:
        write_structures(path, labelled)
    if failures_path is not None:
        write_json(failures_path, [asdict(failure) for failure in failures])
    return labelled, failures


def _entry(method: ReferenceMethod, structure: Structure) -> Entry:
    try:
        labelled = method.label(structure)
    except LabelingError as error:
        return {"reason": str(error)}
    assert labelled.forces is not None
    return {"energy": labelled.energy, "forces": labelled.forces.tolist()}


def _sort(entries: Sequence[Entry], structures: Sequence[Structure]) -> tuple[list[Structure], list[Failure]]:
    labelled, failures = [], []
    for k, (entry, structure) in enumerate(zip(entries, structures, strict=True)):
        if "reason" in entry:
            failures.append(Failure(k, entry["reason"]))
        else:
            labelled.append(structure.with_labels(entry["energy"], entry["forces"]))
    return labelled, failures


def _require_same_task(journal: Journal, method: ReferenceMethod, structures: Sequence[Structure]) -> None:
    same = len(journal.entries) <= len(structures) and all(
        entry["task"] == _fingerprint(method, structure)
        for entry, structure in zip(journal.entries, structures, strict=False)
    )
    if not same:
        raise InputError(
            f"{journal.path}: holds labels of other structures or another method than {method.name}; "
            "delete it, or label into another file"
        )


def _fingerprint(method: ReferenceMethod, structure: Structure) -> str:
    arrays = (structure.numbers, structure.positions, structure.cell, structure.pbc)
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return hashlib.sha256(method.name.encode() + data).hexdigest()[:16]
