"""What tells structures apart when some of many are chosen: pure functions on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist

from uqcv.active_learning.selection import DescriptorName
from uqcv.errors import InputError
from uqcv.simulation.torsions import HeavyTorsion

Floats = NDArray[np.float64]
HYDROGEN = 1
MOST_ATOMS = 64  # whose distances are listed; they are 2016 then
# Chosen with walkers of alanine dipeptide at 600 to 900 K (docs/alanine_dipeptide_trials.md): a twist of 40 degrees
# counts as little as a turn by 4 about another bond, and cis and trans differ by as much as a turn by 11.
AMIDE_WEIGHT = 0.1
LEAST_SINES = 0.5  # product of the sines of both bond angles; below, a torsion is that of a nearly straight group


def counted(numbers: ArrayLike) -> NDArray[np.int64]:
    """Return the indices of the heavy atoms, or of all atoms if there are fewer than three."""
    heavy = np.flatnonzero(np.asarray(numbers) != HYDROGEN)
    return heavy if len(heavy) > 2 else np.arange(np.size(numbers))


def require_describable(kind: DescriptorName, is_periodic: bool, has_torsions: bool) -> None:
    """Refuse a descriptor that a system does not have.

    Parameters
    ----------
    kind
        What is asked for.
    is_periodic
        Whether the system is; distances and torsions are not those of nearest images.
    has_torsions
        Whether its bonds have torsions, see `uqcv.simulation.torsions.heavy_torsions`.

    Raises
    ------
    InputError
        With the reason.
    """
    if kind == "torsions" and not has_torsions:
        raise impossible(kind, "the topology has no bonds with torsions")
    if kind in ("torsions", "distances") and is_periodic:
        raise impossible(kind, "the cell is periodic")


def impossible(kind: DescriptorName, reason: str) -> InputError:
    """Return the error for a descriptor that cannot be."""
    return InputError(f"harvest.descriptor={kind} was given, but {reason}; give features")


def distance_descriptor(positions: ArrayLike, numbers: ArrayLike) -> Floats:
    """Describe a molecule by the distances between its heavy atoms.

    They change by Ångströms from one conformer to another and by hundredths in vibrations, where latent features
    answer to both. Structures of the same atoms in the same order compare; mirror images do not differ.

    Parameters
    ----------
    positions
        Å, shape (n, 3).
    numbers
        Atomic numbers, shape (n,).

    Returns
    -------
    Å, shape (h (h - 1) / 2,) for h heavy atoms.
    """
    return np.asarray(pdist(np.asarray(positions, dtype=np.float64)[counted(numbers)]))


def torsion_descriptor(positions: ArrayLike, torsions: Sequence[HeavyTorsion]) -> Floats:
    """Describe a molecule by the cosine and the sine of its torsions.

    They hardly change in vibrations and by up to 2 from one conformer to another, in which bonds and angles stay.
    Amides count `AMIDE_WEIGHT` times as much: twisted ones are strained and not new, cis and trans are. Torsions of
    nearly straight groups, such as nitriles, turn freely in any vibration: they count the less the straighter they are.

    Parameters
    ----------
    positions
        Shape (n, 3), in any unit of length.
    torsions
        Those that count, t of them.

    Returns
    -------
    Shape (2 t,).
    """
    corners = np.asarray(positions, dtype=np.float64)[[torsion.atoms for torsion in torsions]]
    b1, b2, b3 = np.moveaxis(np.diff(corners, axis=1), 1, 0)
    normal = np.cross(b2, b3)
    sine, cosine = np.linalg.norm(b2, axis=1) * (b1 * normal).sum(axis=1), (np.cross(b1, b2) * normal).sum(axis=1)
    lengths = np.linalg.norm(b1, axis=1) * np.linalg.norm(b2, axis=1) ** 2 * np.linalg.norm(b3, axis=1)
    weights = np.where([torsion.is_amide for torsion in torsions], AMIDE_WEIGHT, 1.0)
    scale = weights / np.maximum(np.hypot(sine, cosine), LEAST_SINES * lengths)
    return np.concatenate([scale * cosine, scale * sine])


def structure_descriptor(features: ArrayLike, numbers: ArrayLike, elements: Sequence[int] | None = None) -> Floats:
    """Describe structures by the mean and the standard deviation of the features over the atoms of each element.

    It has the same length for any number of atoms and does not change when atoms of one element trade places, so a
    rotated methyl group is not taken for news. Plain concatenation of the atoms would be; the mean over all
    atoms would drown the one unusual atom, which the deviation keeps visible.

    Parameters
    ----------
    features
        Invariant features per atom, shape (n_atoms, d), or (frames, n_atoms, d) for frames of the same atoms.
    numbers
        Atomic numbers, shape (n_atoms,).
    elements
        Atomic numbers to describe, in this order, so that structures of different composition compare; absent ones
        give zeros. By default those in `numbers`, sorted.

    Returns
    -------
    Shape (D,) or (frames, D) with D = 2 d times the number of elements.

    Raises
    ------
    InputError
        If shapes do not fit, or an atom is of none of the elements.
    """
    features, numbers = np.asarray(features, dtype=np.float64), np.asarray(numbers)
    wanted = np.unique(numbers).tolist() if elements is None else list(elements)
    if features.ndim not in (2, 3) or numbers.shape != features.shape[-2:-1]:
        raise InputError(f"features of shape {features.shape} for {numbers.shape} atoms; (n, d) and (n,) are expected")
    if missing := set(numbers.tolist()) - set(wanted):
        raise InputError(f"atomic numbers {sorted(missing)} occur; only {wanted} are described")
    parts = []
    for element in wanted:
        atoms = features[..., numbers == element, :]
        count = max(1, atoms.shape[-2])
        mean = atoms.sum(axis=-2) / count
        parts += [mean, np.sqrt(((atoms - mean[..., None, :]) ** 2).sum(axis=-2) / count)]
    return np.concatenate(parts, axis=-1)
