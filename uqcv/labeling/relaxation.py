"""The minimum that a molecule belongs to, by the reference method."""

from __future__ import annotations

from ase.optimize import BFGS

from uqcv.labeling.reference import ReferenceMethod
from uqcv.labeling.reference_md import ReferenceCalculator
from uqcv.structures import Structure

FORCE_TOLERANCE = 0.01  # eV/Å
MAX_STEPS = 500


def relax(method: ReferenceMethod, start: Structure) -> Structure:
    """Return the labelled minimum next to `start`, or the lowest point reached in `MAX_STEPS` steps.

    Parameters
    ----------
    method
        The reference method.
    start
        Where to start; the cell is kept.

    Raises
    ------
    LabelingError
        If the reference method fails.
    """
    atoms = start.with_positions(start.positions).to_ase()
    atoms.calc = ReferenceCalculator(method)
    BFGS(atoms, logfile=None).run(fmax=FORCE_TOLERANCE, steps=MAX_STEPS)
    return method.label(start.with_positions(atoms.get_positions()))
