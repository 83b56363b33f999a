"""Trajectories as mdtraj writes them, and a campaign folder as the manager leaves it half-way."""

import shutil
from collections.abc import Callable
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from uqcv.analysis.tables import csv_text
from uqcv.files import write_json, write_text
from uqcv.simulation.torsions import backbone_torsions, bond_pairs, turn
from uqcv.structures import Structure, write_structures

BASINS = np.array([[-150.0, 155.0], [-80.0, 70.0], [-75.0, -30.0], [60.0, -60.0]])
N_FRAMES = 150


@pytest.fixture(scope="session")
def molecule_trajectory(topology_path) -> mdtraj.Trajectory:
    """Twelve rattled frames of alanine dipeptide."""
    start = mdtraj.load(str(topology_path))
    rattle = np.random.default_rng(5).normal(scale=0.003, size=(12, start.n_atoms, 3))
    return mdtraj.Trajectory((start.xyz + rattle).astype(np.float32), start.topology)


@pytest.fixture(scope="session")
def torsions(force_field) -> dict:
    return backbone_torsions(force_field.topology)


@pytest.fixture(scope="session")
def make_turned(force_field, torsions) -> Callable[[np.ndarray], list[Structure]]:
    """Structures with the torsions that are asked for, shape (k, 2)."""
    start, bonds = force_field.structure, bond_pairs(force_field.topology)

    def make(angles: np.ndarray) -> list[Structure]:
        structures = []
        for pair in angles:
            positions = start.positions
            for torsion, angle in zip(torsions.values(), pair, strict=True):
                positions = turn(positions, bonds, torsion, angle)
            structures.append(start.with_positions(positions))
        return structures

    return make


@pytest.fixture(scope="session")
def campaign_folder(tmp_path_factory, root, force_field, torsions, make_turned, topology_path) -> Path:
    """Two finished generations and one whose second walker runs; every file in its real format."""
    folder = tmp_path_factory.mktemp("campaigns") / "campaign"
    system = root / "systems" / "alanine_dipeptide"
    (folder / "reference").mkdir(parents=True)
    shutil.copy(topology_path, folder / "topology.pdb")
    shutil.copy(system / "free_energy.csv", folder / "reference")
    facts = {"torsions": torsions, "free_energy": "free_energy.csv", "minimum_energy": -1.0}
    write_json(folder / "reference" / "facts.json", facts)
    state = {"generation": 2, "stage": "sampling", "finished": False, "reason": "", "labels": 180, "seed": 7}
    write_json(folder / "state.json", state)
    random = np.random.default_rng(2)
    for index in range(3):
        _write_model(folder / f"generation-{index:02d}", index, make_turned, random)
        _write_walkers(folder / f"generation-{index:02d}", index, make_turned, mdtraj.load(str(topology_path)), random)
    for index in range(2):
        _write_harvest(folder / f"generation-{index:02d}")
    return folder


def _around(basins: np.ndarray, n: int, width: float, random: np.random.Generator) -> np.ndarray:
    chosen = basins[random.integers(len(basins), size=n)]
    return (chosen + random.normal(scale=width, size=(n, 2)) + 180) % 360 - 180


def _write_model(folder: Path, index: int, make_turned, random: np.random.Generator) -> None:
    n, scale = 80 + 50 * index, 0.6**index
    write_structures(folder / "training.extxyz", make_turned(_around(BASINS[: 2 + index], n // 2, 22.0, random)))
    epoch = np.arange(1, 81)
    decay = scale * (0.02 + np.exp(-epoch / 12)) * np.exp(random.normal(scale=0.05, size=80))
    history = {"epoch": epoch, "learning_rate": 1e-3 * np.ones(80), "train_loss": 0.7 * decay}
    history |= {"validation_loss": decay, "energy_mae": 0.1 * decay, "force_mae": 0.3 * np.sqrt(decay)}
    write_text(folder / "training" / "history.csv", csv_text(history))
    error = scale * np.exp(random.normal(loc=-2.6, scale=0.6, size=400))
    expected = error * np.exp(random.normal(loc=0.7, scale=0.5, size=400))
    scatter = {"frame": np.arange(400), "uncertainty": 4 * expected, "expected_error": expected, "force_error": error}
    write_text(folder / "test_scatter.csv", csv_text(scatter))
    metrics = {"n_training": n, "test_force_mae": 0.09 * scale, "test_force_rmse": 0.14 * scale}
    metrics |= {"test_energy_mae": 0.03 * scale, "validation_force_mae": 0.05 * scale, "validation_coverage": 0.91}
    metrics |= {"bins_visited": 40 + 18 * index, "bins_relevant": 96, "seconds": {"training": 60.0}}
    write_json(folder / "metrics.json", metrics)
    calibration = {"coverage": 0.9, "q": 0.1, "minimum": 0.4, "floor": 0.1, "n": 50}
    write_json(
        folder / "bundle" / "bundle.json", {"settings": {"distributions": {"mean": {"calibration": calibration}}}}
    )


def _write_walkers(folder: Path, index: int, make_turned, topology, random: np.random.Generator) -> None:
    ends = (
        {"reason": "ran to its end", "completed": True},
        {"reason": "bond broke: C4-N6 is 2.41 Å long", "completed": False},
    )
    for k in range(4):
        walker = folder / "walkers" / f"walker-{k:02d}"
        n = N_FRAMES if k % 2 == 0 else 40 + 20 * k
        structures = make_turned(_around(BASINS[: 3 + index], n, 30.0, random))
        positions = np.array([s.positions for s in structures]) / 10
        walker.mkdir(parents=True)
        mdtraj.Trajectory(positions, topology.topology).save_dcd(str(walker / "trajectory.dcd"))
        write_text(walker / "frames.csv", csv_text(_trace(n, random)))
        if index < 2 or k != 1:
            write_json(walker / "end.json", {**ends[k % 2], "steps": 20 * n, "seconds": 3.0})


def _trace(n: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    step = 20 * np.arange(1, n + 1)
    wave = np.cumsum(random.normal(scale=0.06, size=n))
    uncertainty = 0.5 + 0.004 * np.arange(n) + np.abs(wave)
    bias = 0.25 * (1 - np.exp(-step / 1000)) * np.exp(-0.3 * np.abs(wave))
    columns = {"step": step, "time_fs": 0.5 * step, "uncertainty": uncertainty, "energy_eV": -1 + 0.1 * wave}
    return columns | {"temperature_K": 300 + 40 * random.normal(size=n), "bias_eV": bias}


def _write_harvest(folder: Path) -> None:
    funnel = [["frames", 460], ["uncertain", 170], ["physical", 150], ["new", 90], ["selected", 50]]
    write_json(folder / "harvest" / "harvest.json", {"threshold": 0.92, "funnel": funnel, "problems": {"bond": 20}})
    write_json(folder / "labels" / "labels.json", {"kept": 47, "failed": 1, "too_high": 2, "biased_coverage": 0.83})
