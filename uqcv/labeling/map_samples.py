"""Equilibrium frames of the reference method in each bin of a map, from which free energies of others follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from uqcv import units
from uqcv.errors import InputError
from uqcv.labeling.biased_dynamics import BiasedDynamics, MetadynamicsRecipe
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.surface import bin_edges
from uqcv.simulation.torsions import Torsion
from uqcv.structures import Structure

STRIDE = 200  # time steps between samples
MOST_SAMPLES = 200_000  # that are looked at


def map_samples(
    force_field: OpenMMForceField,
    torsions: Mapping[str, Torsion],
    wanted: NDArray[np.bool_],
    per_bin: int,
    temperature: float = 300.0,
    seed: int = 0,
    filling: float = 2.5e6,
    progress: Callable[[int, int], None] | None = None,
) -> list[Structure]:
    """Return labelled frames in bins of two torsions, drawn by the reference method under a bias that is kept.

    Their info holds `bin`, the index of the bin in the flattened map, and `log_weight`, the bias over kT: within a bin,
    frames with weights of its exponential are canonical.

    Parameters
    ----------
    force_field, torsions, temperature, seed
        As for `reference_free_energy`.
    wanted
        Bins to fill, shape (grid, grid), phi along the first axis.
    per_bin
        Frames in each; the first that come.
    filling
        Time that deposits hills, fs.
    progress
        Called with the frames found and wanted.

    Raises
    ------
    InputError
        If a bin is not visited as often within a run of `MOST_SAMPLES` samples.
    LabelingError
        If the molecule became another one.
    """
    recipe = MetadynamicsRecipe()
    run = BiasedDynamics(force_field, torsions, temperature, seed, recipe)
    run.fill(round(filling / recipe.time_step))
    grid, kT = len(wanted), units.BOLTZMANN_KJMOL * temperature
    missing = np.where(wanted, per_bin, 0).ravel()
    total, found = int(missing.sum()), []
    for _ in range(MOST_SAMPLES):
        angles, bias = run.sample(1, STRIDE)
        bin_ = _bin(angles[0], grid)
        if missing[bin_]:
            missing[bin_] -= 1
            frame = force_field.label(force_field.structure.with_positions(run.positions()))
            found.append(frame.with_info(bin=int(bin_), log_weight=float(bias[0] / kT)))
            if progress:
                progress(len(found), total)
        if not missing.any():
            return found
    raise InputError(
        f"{int((missing > 0).sum())} of {int(wanted.sum())} bins had fewer than {per_bin} visits in {MOST_SAMPLES} "
        "samples; give a lower ceiling or fewer samples per bin"
    )


def _bin(angles: NDArray[np.float64], grid: int) -> int:
    """Return the index in the flattened map of two torsions in degrees."""
    first, second = np.clip(np.searchsorted(bin_edges(grid), angles, side="right") - 1, 0, grid - 1)
    return int(first * grid + second)
