"""A campaign folder, finished or under way, as read by those who report on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uqcv.analysis.ramachandran import ramachandran_angles, read_free_energy
from uqcv.analysis.tables import Table, read_table
from uqcv.analysis.trajectories import read_trajectory
from uqcv.errors import InputError
from uqcv.files import MEND, read_json
from uqcv.structures import read_structures

Floats = NDArray[np.float64]
Facts = Mapping[str, Any]

HISTORY_COLUMNS = ("epoch", "train_loss", "validation_loss", "force_mae")


@dataclass(frozen=True)
class Walker:
    """One walker of a generation.

    Attributes
    ----------
    folder
        Where its files are.
    end
        How it ended; empty while it runs.
    """

    folder: Path
    end: Facts

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def has_ended(self) -> bool:
        """Whether it ran to an end, good or bad."""
        return bool(self.end)

    @property
    def is_complete(self) -> bool:
        """Whether it ran to its full length."""
        return bool(self.end.get("completed", False))

    @property
    def outcome(self) -> str:
        """In a few words: completed, why it was stopped (without what follows a colon), or running."""
        if not self.has_ended:
            return "running"
        return "completed" if self.is_complete else str(self.end.get("reason", "stopped")).split(":")[0]

    def trace(self) -> Table:
        """Return step, time, uncertainty, energy, temperature and bias of its frames; empty before the first."""
        return read_table(self.folder / "frames.csv", ("time_fs", "uncertainty", "bias_eV"))

    def angles(self, topology: Path, torsions: Mapping[str, list[int]]) -> Floats:
        """Return both torsions (degrees) of its frames, shape (k, 2)."""
        path = self.folder / "trajectory.dcd"
        if not path.is_file():
            return np.zeros((0, 2))
        try:
            return ramachandran_angles(read_trajectory(path, topology, partial=True), torsions)
        except InputError:
            if self.has_ended:
                raise
            return np.zeros((0, 2))  # the file of a running walker may not have a frame yet


@dataclass(frozen=True)
class Generation:
    """One generation: a model, what it was asked to explore, and what came out.

    Attributes
    ----------
    folder
        Where its files are.
    index
        From 0.
    metrics
        How good its model is, in eV and eV/Å; empty before it is trained.
    harvest
        Threshold and funnel; empty before the harvest.
    labels
        How many frames were labelled; empty before.
    walkers
        In the order of their names.
    """

    folder: Path
    index: int
    metrics: Facts
    harvest: Facts
    labels: Facts
    walkers: tuple[Walker, ...]

    @property
    def funnel(self) -> list[tuple[str, int]]:
        """How many frames were left after each step of the harvest."""
        with _expected(self.folder / "harvest" / "harvest.json", "a funnel of names and numbers"):
            return [(str(name), int(left)) for name, left in self.harvest.get("funnel", [])]

    def history(self) -> Table:
        """Return the training history by column; empty before the first epoch."""
        return read_table(self.folder / "training" / "history.csv", HISTORY_COLUMNS)

    def scatter(self) -> Table:
        """Return uncertainty and force error on the test set by column; empty without one."""
        return read_table(self.folder / "test_scatter.csv", ("expected_error", "force_error"))

    def training_angles(self, torsions: Mapping[str, list[int]]) -> Floats:
        """Return both torsions (degrees) of the training set, shape (k, 2)."""
        path = self.folder / "training.extxyz"
        return ramachandran_angles(read_structures(path), torsions) if path.is_file() else np.zeros((0, 2))


@dataclass(frozen=True)
class Campaign:
    """A campaign.

    Attributes
    ----------
    folder
        Where its files are.
    state
        Generation, stage, whether it has finished and why, labels, seed.
    facts
        What is known of the system: torsions, free energy, energy of the minimum.
    generations
        Those that have begun.
    """

    folder: Path
    state: Facts
    facts: Facts
    generations: tuple[Generation, ...]

    @property
    def topology(self) -> Path:
        """PDB file of the atoms."""
        return self.folder / "topology.pdb"

    @property
    def torsions(self) -> dict[str, list[int]]:
        """Name -> four atoms of each of two torsions; empty for a system without them."""
        path = self.folder / "reference" / "facts.json"
        with _expected(path, "torsions with four atom indices each"):
            torsions = {str(name): [int(k) for k in atoms] for name, atoms in self.facts.get("torsions", {}).items()}
        return torsions if len(torsions) == 2 else {}

    def free_energy(self) -> Floats | None:
        """Return the free energy of the torsions in kJ/mol, shape (grid, grid), or None if it is not known."""
        name = self.facts.get("free_energy")
        if not name:
            return None
        beside = self.folder / "reference" / name
        return read_free_energy(beside if beside.is_file() else self.folder / name)


def read_campaign(folder: Path) -> Campaign:
    """Read what there is of a campaign; pieces that are still to come are empty.

    Raises
    ------
    InputError
        If the folder is not a campaign's, or a file in it is broken.
    """
    folder = Path(folder)
    if not (folder / "state.json").is_file():
        raise InputError(f"{folder}: not a campaign (no state.json); give a folder that `uqcv run` wrote")
    return Campaign(
        folder=folder,
        state=_facts(folder / "state.json"),
        facts=_facts(folder / "reference" / "facts.json"),
        generations=tuple(_generation(path) for path in _subfolders(folder, "generation-")),
    )


def _generation(folder: Path) -> Generation:
    return Generation(
        folder=folder,
        index=int(folder.name.removeprefix("generation-")),
        metrics=_numbers(folder / "metrics.json"),
        harvest=_facts(folder / "harvest" / "harvest.json"),
        labels=_numbers(folder / "labels" / "labels.json"),
        walkers=tuple(Walker(path, _facts(path / "end.json")) for path in _subfolders(folder / "walkers", "walker-")),
    )


def _subfolders(folder: Path, prefix: str) -> list[Path]:
    """Numbered folders in the order of their numbers."""
    found = [p for p in folder.glob(f"{prefix}*") if p.is_dir() and p.name.removeprefix(prefix).isdigit()]
    return sorted(found, key=lambda p: int(p.name.removeprefix(prefix)))


@contextmanager
def _expected(path: Path, what: str) -> Iterator[None]:
    """Name the file in which something else was found than what is expected there."""
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: {what} are expected ({error}); remove it, and the run makes it again") from error


def _numbers(path: Path) -> dict[str, Any]:
    """Read facts that are numbers, groups of numbers, or not known."""
    values = _facts(path)
    if wrong := [name for name, value in values.items() if isinstance(value, str | list)]:
        raise InputError(
            f"{path}: {wrong[0]} is {values[wrong[0]]!r}; a number is expected: remove it, and the run makes it again"
        )
    return values


def _facts(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(
            f"{path}: a {type(value).__name__} was given; an object with named entries is expected; {MEND}"
        )
    return value
