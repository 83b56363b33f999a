"""The command line as its users start it, and a campaign that takes seconds."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from uqcv.structures import Structure

CAMPAIGN = """
name: tiny
system: {{topology: {topology}, torsions: backbone}}
reference: {{kind: openmm, topology: {topology}}}
initial: {{frames: 8, held_out: 8, spacing: 10, equilibration: 50}}
potential: {{n_features: 8, n_layers: 2, n_radial: 6, cutoff: 4.0}}
training: {{epochs: 15, warm_epochs: 8, warmup_steps: 2}}
uncertainty: {{gmm: {{n_components: 2}}}}
sampling:
  walkers: 1
  length: 60
  frame_interval: 5
  temperatures: [150]
  compiled: false
  ceiling_error: 1000
  max_energy: 1000
  max_temperature_ratio: 100
  bias: {{pace: 10, wall_error: 1000}}
harvest: {{quantile: 0, max_frames: 4, max_error: 1000, duplicate_tolerance: 0, cooling: 5}}
campaign: {{generations: 2, max_label_energy: 1000}}
"""


@pytest.fixture(scope="session")
def campaign_yaml(tmp_path_factory, topology_path) -> Path:
    path = tmp_path_factory.mktemp("settings") / "campaign.yaml"
    path.write_text(CAMPAIGN.format(topology=topology_path))
    return path


@pytest.fixture(scope="session")
def start_uqcv() -> Callable[..., subprocess.Popen]:
    """Start the command line in a process group of its own."""

    def start(*arguments, cwd: Path | None = None, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "uqcv.cli", *map(str, arguments)],
            cwd=cwd, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    return start


@pytest.fixture(scope="session")
def run_uqcv(start_uqcv) -> Callable[..., str]:
    """Run the command line to its end, which must be good; return its standard output."""

    def run(*arguments, **options) -> str:
        process = start_uqcv(*arguments, **options)
        out, err = process.communicate(timeout=280)
        assert process.returncode == 0, err
        return out

    return run


@pytest.fixture(scope="session")
def write_dcd(topology_path) -> Callable[[Path, list[Structure]], np.ndarray]:
    """Write frames of alanine dipeptide as DCD; return the positions that it holds, in Å.

    Positions are rounded to multiples of 2^-14 nm: nm and Å both hold them exactly in single precision, so that
    two readers of the file cannot differ by how they convert.
    """

    def write(path: Path, structures: list[Structure]) -> np.ndarray:
        topology = mdtraj.load_topology(str(topology_path))
        nm = np.round(np.array([s.positions for s in structures]) * 0.1 * 2**14) / 2**14
        mdtraj.Trajectory(nm.astype(np.float32), topology).save_dcd(str(path))
        return nm * 10.0

    return write
