"""The command line in this process or its own, and tiny files for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from uqcv.cli import main
from uqcv.structures import write_structures


@pytest.fixture(scope="session")
def files(bundle, frames, topology_path, root, tmp_path_factory) -> Path:
    """A folder with what commands take; tests write elsewhere."""
    folder = tmp_path_factory.mktemp("files")
    bundle.save(folder / "bundle")
    write_structures(folder / "training.extxyz", frames[:8])
    write_structures(folder / "held_out.extxyz", frames[8:14])
    shutil.copy(topology_path, folder / "topology.pdb")
    trajectory = mdtraj.load(str(topology_path))
    trajectory.xyz = np.array([s.positions * 0.1 for s in frames[:5]], dtype=np.float32)
    trajectory.time = np.arange(5)
    trajectory.save_dcd(str(folder / "trajectory.dcd"))
    system = "topology: topology.pdb\n"
    (folder / "campaign.yaml").write_text(
        f"name: cli\nsystem:\n  {system}reference:\n  kind: openmm\n  {system}"
        "potential: {n_features: 8, n_layers: 2}\ntraining: {epochs: 2}\n"
        "initial: {frames: 4, held_out: 4, equilibration: 0, spacing: 5}\n"
    )
    return folder


@pytest.fixture
def uqcv(monkeypatch, capfd, tmp_path):
    """Run the command line in this process, in a folder of its own: exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uqcv", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def refused(uqcv):
    """Run what must fail, and return its one line."""

    def run(*arguments) -> str:
        code, _, err = uqcv(*arguments)
        lines = [line for line in err.splitlines() if line.startswith("uqcv: ")]
        assert code == 2 and len(lines) == 1 and err.splitlines()[-1] == lines[0], err
        assert "Traceback" not in err
        return lines[0]

    return run


@pytest.fixture(scope="session")
def subcommand():
    """Run the command line in a process of its own, in an environment with some variables more."""

    def run(*arguments, **environment) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "uqcv.cli", *map(str, arguments)],
            env=os.environ | environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return run
