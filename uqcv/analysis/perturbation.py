r"""The free energy map of a potential, from frames of the reference method: no dynamics of its own is needed.

Within a bin b of the map, frames x_t of the reference are canonical with weights w_t. Then (Zwanzig, J. Chem. Phys. 22,
1420 (1954), doi 10.1063/1.1740409, in each bin)

    F_model(b) = F_reference(b) - kT log [ sum_t w_t exp(-(E_model - E_reference)(x_t) / kT) / sum_t w_t ].

It holds as far as the model's own structures are among the reference's: the effective sample size says how few frames
carry the sum, and dynamics of the model says whether it goes elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from uqcv.units import BOLTZMANN, BOLTZMANN_KJMOL

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PerturbedMap:
    """A free energy and how sure it is.

    Attributes
    ----------
    values
        kJ/mol, shape (grid, grid), NaN where there are no frames; as likely in total as the reference over the bins
        that have frames.
    effective
        Effective sample size (Kish) over the number of frames, 0 to 1, of the same shape.
    """

    values: Floats
    effective: Floats

    def error(self, reference: ArrayLike, ceiling: float) -> float:
        """Return the mean absolute difference in kJ/mol over the bins of `reference` below `ceiling`."""
        reference = np.asarray(reference)
        compared = (reference < ceiling) & np.isfinite(self.values)
        return float(np.abs(self.values - reference)[compared].mean())


def perturbed_map(
    reference: ArrayLike, bins: ArrayLike, log_weights: ArrayLike, differences: ArrayLike, temperature: float
) -> PerturbedMap:
    """Return the free energy of a potential.

    Parameters
    ----------
    reference
        Free energy of the reference method, kJ/mol, shape (grid, grid).
    bins
        Index of each frame's bin in the flattened map, shape (t,).
    log_weights
        Logarithm of each frame's weight within its bin, shape (t,).
    differences
        Energy of each frame by the model less that by the reference, eV, shape (t,).
    temperature
        K.
    """
    reference, bins = np.asarray(reference, dtype=np.float64), np.asarray(bins)
    before, change = np.asarray(log_weights, dtype=np.float64), -np.asarray(differences) / (BOLTZMANN * temperature)
    values, effective = np.full(reference.size, np.nan), np.zeros(reference.size)
    for b in np.unique(bins):
        here = bins == b
        after = before[here] + change[here]
        values[b] = -(logsumexp(after) - logsumexp(before[here]))
        effective[b] = np.exp(2 * logsumexp(after) - logsumexp(2 * after)) / here.sum()
    kT = BOLTZMANN_KJMOL * temperature
    perturbed = reference.ravel() + kT * values
    known = np.isfinite(perturbed)
    shift = kT * (logsumexp(-perturbed[known] / kT) - logsumexp(-reference.ravel()[known] / kT))
    return PerturbedMap((perturbed + shift).reshape(reference.shape), effective.reshape(reference.shape))


def local_minima(free_energy: ArrayLike, ceiling: float) -> list[tuple[int, int]]:
    """Return the bins below `ceiling` that are lower than all eight neighbours on the periodic map, lowest first."""
    values = np.asarray(free_energy, dtype=np.float64)
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    is_lowest = np.all([values < np.roll(values, shift, axis=(0, 1)) for shift in shifts], axis=0)
    found = [(int(i), int(j)) for i, j in np.argwhere(is_lowest & (values < ceiling))]
    return sorted(found, key=lambda place: float(values[place]))
