"""What the doctor refuses before it looks at anything: files that were given and are not what they should be."""

from __future__ import annotations

from pathlib import Path

from uqcv.errors import InputError
from uqcv.simulation.plumed_input import read_plumed_input


def require_given(bundle: Path | None, structure: Path | None, plumed: Path | None) -> None:
    """Refuse a PLUMED input or a structure that cannot be read; a bundle is what the doctor is asked about.

    Raises
    ------
    InputError
        If a file is missing or empty, is something else, or is given without a bundle that it belongs to.
    """
    if plumed is not None:
        read_plumed_input(plumed)
    if structure is not None:
        if bundle is None:
            raise InputError(f"--structure {structure} was given without a BUNDLE that it is for; give both or none")
        from uqcv.structures import read_structures  # takes a second

        read_structures(structure)
