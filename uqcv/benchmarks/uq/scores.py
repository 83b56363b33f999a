"""Work items that score: one method on all test sets of one split, and the arrays that are left for statistics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from uqcv.benchmarks.uq.data import groups_of
from uqcv.benchmarks.uq.networks import load_trained, training_seconds
from uqcv.benchmarks.uq.places import MADE_AGAIN, test_place
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.fitting import evaluate_frames, fit_bundle
from uqcv.files import atomic_path, read_with, write_json
from uqcv.structures import Structure, read_structures
from uqcv.uncertainty.settings import Method, UncertaintySettings

CALIBRATION = "calibration"


@dataclass(frozen=True)
class ScoringItem:
    """One method on one split.

    Attributes
    ----------
    folder
        Of the split.
    method
        Which uncertainty.
    seed
        Of the split.
    uncertainty
        Settings.
    tests
        Names of the test sets.
    group_key
        Which frames are not independent.
    """

    folder: Path
    method: Method
    seed: int
    uncertainty: UncertaintySettings
    tests: tuple[str, ...]
    group_key: str | None

    @property
    def place(self) -> Path:
        """Where results go."""
        return self.folder / "methods" / self.method

    @property
    def is_done(self) -> bool:
        """Whether all is there."""
        return self.cost_path.is_file() and all(path.is_file() for path in self.scored.values())

    @property
    def scored(self) -> dict[Path, Path]:
        """Files of frames to score, and where their scores go."""
        tests = {test_place(self.folder, n, ".extxyz"): test_place(self.place, n, ".npz") for n in self.tests}
        return {self.folder / f"{CALIBRATION}.extxyz": self.place / f"{CALIBRATION}.npz", **tests}

    @property
    def cost_path(self) -> Path:
        """What training and fit took; written last."""
        return self.place / "cost.json"


@dataclass(frozen=True)
class Scores:
    """What a method said of a set of structures, and what was true.

    Attributes
    ----------
    atomic
        Uncertainty of each atom, standardised over the training atoms, shape (a,).
    residuals
        Errors of forces with their sign, eV/Å, shape (a, 3).
    pooled
        Mean of it over all atoms of each frame, shape (s,).
    numbers
        Atomic numbers, shape (a,).
    counts
        Atoms of each frame, shape (s,).
    groups
        Of each frame, shape (s,): frames of one group are not independent, in whichever test set of whichever seed.
    energy_errors
        eV, shape (s,).
    """

    atomic: NDArray[np.float64]
    residuals: NDArray[np.float64]
    pooled: NDArray[np.float64]
    numbers: NDArray[np.int64]
    counts: NDArray[np.int64]
    groups: NDArray[np.str_]
    energy_errors: NDArray[np.float64]

    @property
    def atom_errors(self) -> NDArray[np.float64]:
        """Norm of the force error of each atom, eV/Å, shape (a,)."""
        return np.asarray(np.linalg.norm(self.residuals, axis=1))

    @property
    def frame_errors(self) -> NDArray[np.float64]:
        """Mean of it over the atoms of each frame, eV/Å, shape (s,)."""
        return np.add.reduceat(self.atom_errors, self._starts) / self.counts

    @property
    def _starts(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.counts)[:-1]])

    def atoms_of(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the indices of the atoms of some frames, in their order."""
        counts, starts = self.counts[frames], self._starts[frames]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(starts, counts) + within

    def joined(self, other: Scores) -> Scores:
        """Return both as one."""
        names = ("atomic", "residuals", "pooled", "numbers", "counts", "groups", "energy_errors")
        return Scores(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))


Pair = tuple[Scores, Scores]  # calibration and test


def score_item(item: ScoringItem, progress: Callable[[int], None]) -> None:
    """Fit a method on the networks of a split, and evaluate it on the calibration and test sets."""
    if item.is_done:
        progress(1)
        return
    torch.set_num_threads(1)  # every core has a method of its own
    settings = item.uncertainty.model_copy(update={"method": item.method})
    training, calibration = (read_structures(item.folder / f"{n}.extxyz") for n in ("training", CALIBRATION))
    networks = load_trained(item.folder, item.method, settings)
    before = time.process_time()
    bundle = fit_bundle(networks, training, calibration, settings, item.seed, {"benchmark": "uq", "seed": item.seed})
    fit_seconds = time.process_time() - before
    bundle.save(item.place / "bundle")
    for path, place in item.scored.items():
        frames = read_structures(path)
        _write(place, _scores(bundle, frames, groups_of(frames, item.group_key)))
    seconds = training_seconds(item.folder, item.method, settings)
    write_json(item.cost_path, {"training_seconds": seconds, "fit_seconds": fit_seconds})
    progress(1)


def read_calibration(place: Path) -> Scores:
    """Read what `score_item` left of the calibration set in the folder of a method."""
    return _read(place / f"{CALIBRATION}.npz")


def read_tested(place: Path, names: Sequence[str]) -> Scores:
    """Read what `score_item` left of test sets in the folder of a method, all as one.

    Raises
    ------
    InputError
        If a file is damaged.
    """
    first, *rest = (_read(test_place(place, name, ".npz")) for name in names)
    for more in rest:
        first = first.joined(more)
    return first


def _read(path: Path) -> Scores:
    def content_of(path: Path) -> Scores:
        with np.load(path, allow_pickle=False) as content:
            return Scores(**{key: content[key] for key in content})

    return read_with(path, content_of, "scores of a comparison", MADE_AGAIN)


def _scores(bundle: Bundle, frames: Sequence[Structure], groups: Sequence[str]) -> Scores:
    found = evaluate_frames(bundle, frames)
    return Scores(
        atomic=np.concatenate(found.atomic),
        residuals=np.concatenate([f - s.forces for f, s in zip(found.forces, frames, strict=True)]),
        pooled=np.array([values.mean() for values in found.atomic]),
        numbers=np.concatenate([s.numbers for s in frames]),
        counts=np.array([len(s) for s in frames]),
        groups=np.array(groups, dtype=str),
        energy_errors=found.energies - np.array([s.energy for s in frames]),
    )


def _write(path: Path, scores: Scores) -> None:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **vars(scores))
