"""Is this still the same molecule? Bonds, contacts and chirality against a reference structure.

A bias along an uncertainty rewards broken structures. The guard is asked every few steps of a walker whether
its molecule is whole, and once more before a frame is worth a label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from uqcv.errors import InputError
from uqcv.simulation.covalent_radii import COVALENT_RADII, SYMBOLS
from uqcv.simulation.molecular_graph import ANGLE, BOND, CONTACT, NEW_BOND, checked_bonds, kinds_of, topological_labels
from uqcv.structures import Structure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# A bond that is given and is longer than this many sums of radii joins the wrong atoms.
_LONGEST_BOND = 1.6
# Six times the volume of a regular tetrahedron of four unit vectors; a flat centre has none, and no hand.
_TETRAHEDRON = 16.0 / (3.0 * np.sqrt(3.0))
# Pairs of atoms that are treated at once: bounds the memory to some 100 MB.
_PAIRS_AT_ONCE = 1_000_000


class ValiditySettings(BaseModel):
    """What a structure may do and still be the same molecule; all ratios have no unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    bond_factor: float = Field(
        default=1.2, gt=0, description="Atoms are bonded below this ratio to the sum of their covalent radii"
    )
    max_bond_stretch: float = Field(
        default=1.35, gt=1, description="Longest a bond may become, ratio to its reference length"
    )
    min_bond_ratio: float = Field(
        default=0.7, ge=0, lt=1, description="Shortest a bond may become, ratio to its reference length"
    )
    min_angle_ratio: float = Field(
        default=0.6,
        ge=0,
        lt=1,
        description="Nearest two neighbours of an atom may come, ratio to the reference",
    )
    new_bond: float = Field(
        default=1.15,
        ge=0,
        description="Atoms three or more bonds apart are newly bonded below this ratio to the sum of radii",
    )
    min_contact: float = Field(
        default=0.7,
        ge=0,
        description="Nearest any atom may come to one without kept bonds (ion, metal, mobile proton), "
        "ratio to the sum of radii",
    )
    keep_chirality: bool = Field(default=True, description="Whether stereocentres must keep their handedness")


@dataclass(frozen=True, eq=False)
class MoleculeGuard:
    """Compare structures with a reference; built by `from_structure`.

    Each pair of atoms has a smallest and a largest distance, so a check is one pass over the pairs. The cost
    grows with the square of the number of atoms: meant for up to about a thousand.

    Attributes
    ----------
    numbers, cell, pbc
        Atomic numbers (n,), cell vectors in Å (3, 3) and periodicity (3,) of the reference.
    pairs, kinds
        Atoms of each pair (p, 2), and what the pair is (p,).
    reference, lower, upper
        Distance in the reference, smallest and largest one allowed, in Å (p,).
    spokes, handedness
        Stereocentre and neighbour, four rows for each centre (4c, 2), and the sign of their volume (c,).
    """

    numbers: Ints
    cell: Floats
    pbc: Bools
    pairs: Ints
    kinds: Ints
    reference: Floats
    lower: Floats
    upper: Floats
    spokes: Ints
    handedness: Floats

    @classmethod
    def from_structure(
        cls, structure: Structure, bonds: ArrayLike | None = None, settings: ValiditySettings | None = None
    ) -> MoleculeGuard:
        """Take `structure` as the molecule to keep.

        Parameters
        ----------
        structure
            The reference: a whole, relaxed structure.
        bonds
            Pairs of atoms counted from 0, shape (m, 2), such as those of a PDB topology; by default found by
            covalent radii. Leave out what may break: all (`[]`) for a metal or silica, the O-H of a shared
            proton (the enol proton of acetylacetone changes sides at 300 K).
        settings
            The limits.

        Raises
        ------
        InputError
            For an element without a covalent radius, bonds that do not fit the structure, or a reference that
            does not pass its own check.
        """
        settings = settings or ValiditySettings()
        numbers, n = structure.numbers, len(structure)
        if numbers.max() > len(SYMBOLS):
            raise InputError(f"atomic number {numbers.max()} has no covalent radius; 1 to {len(SYMBOLS)} do")
        pairs = np.stack(np.triu_indices(n, k=1), axis=1)
        lengths = np.linalg.norm(_vectors(structure.positions, pairs, structure.cell, structure.pbc), axis=-1)
        radii = COVALENT_RADII[numbers - 1][pairs].sum(axis=1)
        kept = pairs[lengths < settings.bond_factor * radii] if bonds is None else checked_bonds(bonds, n)
        graph = np.zeros((n, n), dtype=bool)
        graph[kept[:, 0], kept[:, 1]] = graph[kept[:, 1], kept[:, 0]] = True
        kinds = kinds_of(pairs, graph)
        lower, upper = _bounds(kinds, lengths, radii, settings)
        spokes, signs = _stereocentres(structure, graph if settings.keep_chirality else np.zeros_like(graph))
        guard = cls(numbers, structure.cell, structure.pbc, pairs, kinds, lengths, lower, upper, spokes, signs)
        guard._check_reference(structure, radii)
        return guard

    @property
    def bonds(self) -> Ints:
        """The bonds that are kept, shape (m, 2)."""
        return self.pairs[self.kinds == BOND]

    def problem(self, positions: ArrayLike, cell: ArrayLike | None = None) -> str | None:
        """Say what is wrong with one structure, or None.

        Parameters
        ----------
        positions
            In Å, shape (n, 3); a periodic structure may be wrapped.
        cell
            Cell vectors in Å, shape (3, 3); by default those of the reference.

        Returns
        -------
        The worst problem in one line, its atoms named by symbol and index counted from 0.
        """
        return self.problems(np.asarray(positions, dtype=np.float64)[None], cell)[0]

    def problems(self, positions: ArrayLike, cell: ArrayLike | None = None) -> list[str | None]:
        """Say what is wrong with each frame: positions (k, n, 3), cell (3, 3) or (k, 3, 3), both in Å.

        Raises
        ------
        InputError
            If the shapes do not fit the reference, or the cell is not finite.
        """
        frames = np.asarray(positions, dtype=np.float64)
        cells = self.cell if cell is None else np.asarray(cell, dtype=np.float64)
        if frames.shape != (len(frames), len(self.numbers), 3):
            raise InputError(f"positions: shape {frames.shape}; (frames, {len(self.numbers)}, 3) is expected")
        if cells.shape not in ((3, 3), (len(frames), 3, 3)) or not np.isfinite(cells).all():
            raise InputError(f"cell: shape {cells.shape}; (3, 3) or ({len(frames)}, 3, 3), all finite, is expected")
        step = max(1, _PAIRS_AT_ONCE // max(1, len(self.pairs)))
        blocks = [slice(start, start + step) for start in range(0, len(frames), step)]
        return [line for b in blocks for line in self._check(frames[b], cells[b] if cells.ndim > 2 else cells)]

    def _check(self, frames: Floats, cell: Floats) -> list[str | None]:
        with np.errstate(all="ignore"):  # NaN, infinity and coinciding atoms are what is looked for
            vectors = _vectors(frames, self.pairs, cell, self.pbc)
            distances = np.sqrt(np.einsum("kpx,kpx->kp", vectors, vectors))
            fine = ((distances >= self.lower) & (distances <= self.upper)).all(axis=1)
            fine &= np.isfinite(frames).all(axis=(1, 2))
            kept = _volumes(frames, self.spokes, cell, self.pbc) * self.handedness > 0
            fine &= kept.all(axis=1)
            return [
                None if ok else self._describe(frames[k], distances[k], kept[k]) for k, ok in enumerate(fine.tolist())
            ]

    def _describe(self, positions: Floats, distances: Floats, kept: Bools) -> str:
        if not np.isfinite(positions).all():
            return "positions are not finite"
        excess = np.fmax(self.lower / distances, distances / self.upper)
        if kept.all() or excess.max() > 1:
            return self._describe_pair(int(excess.argmax()), float(distances[excess.argmax()]))
        return f"chirality of {self._name(self.spokes[4 * kept.argmin(), 0])} inverted"

    def _describe_pair(self, p: int, distance: float) -> str:
        atoms = "-".join(self._name(atom) for atom in self.pairs[p])
        if self.kinds[p] == BOND:
            ratio = distance / self.reference[p]
            return f"bond {atoms} {'stretched' if ratio > 1 else 'shortened'} to {ratio:.2f} times its length"
        what = {ANGLE: "collapsed angle", NEW_BOND: "new bond", CONTACT: "contact"}[int(self.kinds[p])]
        return f"{what} {atoms}: {distance:.2f} Å apart, at least {self.lower[p]:.2f} Å is expected"

    def _name(self, atom: int) -> str:
        return f"{SYMBOLS[self.numbers[atom] - 1]}{atom}"

    def _check_reference(self, structure: Structure, radii: Floats) -> None:
        stretch = np.where(self.kinds == BOND, self.reference / radii, 0.0)
        if stretch.max(initial=0.0) > _LONGEST_BOND:
            atoms = "-".join(self._name(atom) for atom in self.pairs[stretch.argmax()])
            raise InputError(
                f"the given bond {atoms} is {self.reference[stretch.argmax()]:.2f} Å long in the reference; "
                "do the bonds and the structure have the same order of atoms?"
            )
        if problem := self.problem(structure.positions):
            raise InputError(f"the reference itself is refused: {problem}; give its bonds or other limits")


def _vectors(positions: Floats, pairs: Ints, cell: Floats, pbc: Bools) -> Floats:
    """Vectors from the first to the second atom of each pair, (..., n, 3) -> (..., p, 3).

    Rounding fractional coordinates finds the nearest image if it is nearer than half the smallest height of
    the cell, also of a triclinic one. The pseudo-inverse leaves directions alone that do not repeat.
    """
    first, second = pairs.T
    vectors = np.take(positions, second, axis=-2) - np.take(positions, first, axis=-2)
    if not pbc.any():
        return vectors
    lattice = cell[..., pbc, :]
    return vectors - np.rint(vectors @ np.linalg.pinv(lattice)) @ lattice


def _volumes(frames: Floats, spokes: Ints, cell: Floats, pbc: Bools) -> Floats:
    """Six times the signed volume of the unit vectors from each centre, (k, n, 3) -> (k, c)."""
    if not len(spokes):
        return np.ones((len(frames), 0))
    corners = _vectors(frames, spokes, cell, pbc).reshape(len(frames), -1, 4, 3)
    corners /= np.sqrt(np.einsum("kcax,kcax->kca", corners, corners))[..., None]
    return np.linalg.det(corners[:, :, 1:] - corners[:, :, :1])


def _bounds(kinds: Ints, lengths: Floats, radii: Floats, settings: ValiditySettings) -> tuple[Floats, Floats]:
    """Smallest and largest distance of each pair in Å, (p,) each."""
    lower = np.select(
        [kinds == BOND, kinds == ANGLE, kinds == NEW_BOND],
        [settings.min_bond_ratio * lengths, settings.min_angle_ratio * lengths, settings.new_bond * radii],
        default=settings.min_contact * radii,
    )
    return lower, np.where(kinds == BOND, settings.max_bond_stretch * lengths, np.inf)


def _stereocentres(structure: Structure, graph: Bools) -> tuple[Ints, Floats]:
    """Spokes (4c, 2) of the tetrahedral atoms with four distinct neighbours, and their handedness (c,)."""
    neighbours = [np.flatnonzero(row).tolist() for row in graph]
    labels = topological_labels(structure.numbers.tolist(), neighbours)
    distinct = [i for i, near in enumerate(neighbours) if len(near) == 4 == len({labels[j] for j in near})]
    spokes = np.array([(i, j) for i in distinct for j in neighbours[i]], dtype=np.int64).reshape(-1, 2)
    volumes = _volumes(structure.positions[None], spokes, structure.cell, structure.pbc)[0]
    tetrahedral = np.abs(volumes) > 0.5 * _TETRAHEDRON
    return spokes[np.repeat(tetrahedral, 4)], np.sign(volumes[tetrahedral])
