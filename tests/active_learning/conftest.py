"""A campaign so small that it takes seconds, with real engines, and what it left behind."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from uqcv.active_learning.manager import Campaign
from uqcv.config import Config, load_config
from uqcv.files import write_text
from uqcv.simulation.topology import read_topology, topology_bonds
from uqcv.simulation.validity import MoleculeGuard

# Limits are wide: a network that was trained for a moment expects large errors of everything.
TINY = {
    "name": "tiny",
    "system": {"torsions": "backbone"},
    "reference": {"kind": "openmm"},
    "initial": {"frames": 8, "held_out": 8, "spacing": 10, "equilibration": 50},
    "test": {"ramachandran_grid": 4},
    "potential": {"n_features": 8, "n_layers": 2, "n_radial": 6, "cutoff": 4.0},
    "training": {"epochs": 3, "warm_epochs": 2, "warmup_steps": 2},
    "uncertainty": {"gmm": {"n_components": 2}},
    "sampling": {
        "walkers": 2,
        "length": 30,
        "frame_interval": 2.5,
        "start": "random",
        "compiled": False,
        "ceiling_error": 1000,
        "max_energy": 1000,
        "max_temperature_ratio": 100,
        "bias": {"pace": 10, "wall_error": 1000},
    },
    "harvest": {"quantile": 0.0, "max_frames": 3, "max_error": 1000, "duplicate_tolerance": 0.0},
    "campaign": {"generations": 3, "max_label_energy": 1000},
}


@pytest.fixture(scope="session")
def make_config(tmp_path_factory, root, topology_path) -> Callable[..., Config]:
    """The settings of the tiny campaign, with some of them changed: `make_config({"sampling.walkers": 1})`."""
    folder = tmp_path_factory.mktemp("settings")
    paths = {
        "system.topology": str(topology_path),
        "system.free_energy": str(root / "systems" / "alanine_dipeptide" / "free_energy.csv"),
        "reference.topology": str(topology_path),
    }
    write_text(folder / "campaign.yaml", json.dumps(TINY))
    return lambda changes=None: load_config(folder / "campaign.yaml", paths | (changes or {}))


@pytest.fixture(scope="session")
def tiny(make_config, tmp_path_factory) -> Campaign:
    """The tiny campaign after three generations, of which two have sampled; do not write into its folder."""
    campaign = Campaign(make_config(), tmp_path_factory.mktemp("campaigns") / "tiny")
    campaign.run()
    return campaign


@pytest.fixture(scope="session")
def guard(force_field, topology_path) -> MoleculeGuard:
    return MoleculeGuard.from_structure(force_field.structure, topology_bonds(read_topology(topology_path)))


@pytest.fixture(scope="session")
def files_of() -> Callable[[Path], dict[str, tuple[int, int]]]:
    """Time of change and size of each result; not of what notes that a campaign was started again."""
    notes = {"state.json", "config.yaml", "seconds.json", "core_seconds.json", "input_files.json", ".lock"}

    def look(folder: Path) -> dict[str, tuple[int, int]]:
        paths = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in notes]
        return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.stat().st_size) for p in paths}

    return look
