"""Whether the atoms that an input gives to our CVs are those that they were exported for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from openmm import app

from uqcv.errors import PlumedInputError
from uqcv.simulation.exported_cvs import ExportedCV, exported_cvs
from uqcv.simulation.plumed_input import without_comments

RANGE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")


def listed_atoms(words: str) -> list[int] | None:
    """Return the atoms of an ATOMS= of PLUMED, counted from 1; None if it has more than numbers and ranges.

    >>> listed_atoms("3,5-7,10-20:5")
    [3, 5, 6, 7, 10, 15, 20]
    """
    atoms: list[int] = []
    for word in words.strip("{}").split(","):
        match = RANGE.fullmatch(word)
        if match is None:
            return None
        first, last, step = match[1], match[2] or match[1], match[3] or "1"
        atoms += range(int(first), int(last) + 1, max(1, int(step)))
    return atoms


def require_atoms(text: str, numbers: Sequence[int]) -> None:
    """Refuse an input that gives a CV of ours other atoms than it was exported for, or the same in another order.

    Parameters
    ----------
    text
        The input, whose modules have been imported.
    numbers
        Atomic numbers of the system.

    Raises
    ------
    PlumedInputError
        Naming the first atom that does not fit.
    """
    for cv in exported_cvs(without_comments(text)):
        if atoms := listed_atoms(cv.words.get("ATOMS", "")):
            _require(cv, atoms, numbers)


def _require(cv: ExportedCV, atoms: Sequence[int], numbers: Sequence[int]) -> None:
    name, expected = cv.label or cv.words["IMPORT"], cv.pycv.cv.numbers
    if max(atoms) > len(numbers):
        raise PlumedInputError(f"{name}: ATOMS has atom {max(atoms)}; the system has {len(numbers)} atoms")
    if len(atoms) != len(expected):
        raise PlumedInputError(
            f"{name}: {len(atoms)} atoms were given in ATOMS; the CV was exported for {len(expected)}: give these, or "
            "export it for this system (`uqcv export --top`)"
        )
    for atom, wanted in zip(atoms, expected, strict=True):
        found = numbers[atom - 1]
        if found != wanted:
            raise PlumedInputError(
                f"{name}: atom {atom} is {_symbol(found)} in the topology; the CV expects {_symbol(wanted)} there: "
                "give the atoms in the order of its export, or export it for this system (`uqcv export --top`)"
            )


def _symbol(number: int) -> str:
    symbol: str = app.Element.getByAtomicNumber(int(number)).symbol
    return symbol
