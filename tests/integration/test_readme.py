"""What the README shows runs as it stands; what it points at is there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from uqcv.colvars.export import module_name


def block(text: str, language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{len(found)} blocks of {language}"
    return found[0]


@pytest.fixture(scope="module")
def readme(root) -> str:
    return (root / "README.md").read_text()


@pytest.fixture(scope="module")
def ran(readme, root, bundle, tmp_path_factory) -> Path:
    """A folder in which the Python block has run with the PLUMED block as its input."""
    folder = tmp_path_factory.mktemp("readme")
    script = block(readme, "python")
    place = re.search(r'Bundle\.load\("(.+)"\)', script)
    assert place is not None and f"uqcv evaluate {place[1]} " in readme, "one bundle throughout"
    bundle.save(folder / place[1])
    (folder / "systems").symlink_to(root / "systems")
    text, n = re.subn(r"IMPORT=uqcv_[0-9a-f]{12}\b", f"IMPORT={module_name(bundle)}", block(readme, "plumed"))
    assert n == 1
    (folder / "plumed.dat").write_text(text)
    (folder / "script.py").write_text(script)
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_script_leaves_its_files(ran):
    colvar = np.loadtxt(ran / "COLVAR")
    fields = (ran / "COLVAR").read_text().splitlines()[0].split()[2:]
    assert fields == ["time", "phi", "u_mean", "u_error", "metad.bias"]
    assert len(colvar) == 20 and np.isfinite(colvar).all()
    assert colvar[1, 0] == pytest.approx(0.005), "the time step is half a femtosecond"
    trajectory = mdtraj.load(str(ran / "trajectory.dcd"), top=str(ran / "systems/alanine_dipeptide/topology.pdb"))
    assert len(trajectory) == 10


def test_the_script_biased_what_it_printed(ran):
    hills = np.loadtxt(ran / "HILLS", ndmin=2)
    colvar = np.loadtxt(ran / "COLVAR")
    np.testing.assert_allclose(hills[:, 0], [0.05])
    assert (colvar[:11, 4] == 0).all() and (colvar[11:, 4] != 0).any()
    at = np.flatnonzero(np.isclose(colvar[:, 0], 0.05))[0]
    assert hills[0, 1] == pytest.approx(colvar[at, 2], abs=1e-5)


def test_the_driver_line_runs(ran, readme):
    line = re.search(r"^uqcv (plumed --cv .*)$", readme, re.MULTILINE)
    assert line is not None
    plugin = next(x for x in (ran / "cv" / "plumed.dat").read_text().splitlines() if x.startswith("LOAD"))
    assert "PythonCVInterface" in plugin
    work = ran / "driven"
    work.mkdir()
    for name in ("cv", "trajectory.dcd"):
        (work / name).symlink_to(ran / name)
    from uqcv.simulation.plumed_kernel import pycv_plugin

    (work / "plumed.dat").write_text(f"LOAD FILE={pycv_plugin()}\n{(ran / 'plumed.dat').read_text()}")
    done = subprocess.run(
        [sys.executable, "-m", "uqcv.cli", *line[1].split()], cwd=work, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert np.isfinite(np.loadtxt(work / "COLVAR", ndmin=2)).all()


def test_the_doctor_line_runs(ran, readme):
    line = re.search(r"^uqcv (doctor .*)$", readme, re.MULTILINE)
    assert line is not None
    done = subprocess.run(
        [sys.executable, "-m", "uqcv.cli", *line[1].split()], cwd=ran, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("all is well: ")


def test_both_ways_to_begin(readme, root):
    lines = [line for line in readme.splitlines() if line.startswith("pip install")]
    setup = "pip install -c requirements.lock -e '.[test]' && pip install --no-deps -r plumed.lock && "
    assert [line.removeprefix(setup) for line in lines] == [
        "uqcv run systems/alanine_dipeptide/campaign.yaml",
        "pytest",
    ]
    for name in ("requirements.lock", "plumed.lock", "systems/alanine_dipeptide/campaign.yaml"):
        assert (root / name).is_file()


def test_the_other_commands_exist(readme):
    from typer.main import get_command

    from uqcv.cli import app

    fenced = re.split(r"^```.*$", readme, flags=re.MULTILINE)[1::2]
    inline = re.findall(r"`([^`\n]+)`", readme)
    named = set(re.findall(r"(?:^|\s)uqcv ([a-z]+)\b", "\n".join([*fenced, *inline])))
    named |= set(re.findall(r"`([a-z]+)`", re.search(r"Each stage is a command.*?;", readme, re.DOTALL)[0]))
    known = set(get_command(app).commands)
    assert named >= {
        "doctor",
        "run",
        "train",
        "fit",
        "sample",
        "harvest",
        "label",
        "status",
        "report",
        "export",
        "evaluate",
    }
    assert named <= known, named - known


def documents(root: Path) -> list[Path]:
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def test_every_link_leads_somewhere(root):
    broken = []
    for path in documents(root):
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            there = os.path.normpath(path.parent / target.split("#")[0])
            if not os.path.exists(there):
                broken.append(f"{path.name}: {target}")
    assert broken == []


def test_every_file_that_the_readme_names_is_there(readme, root):
    for name in re.findall(r"`((?:systems|plumed_inputs|docs)/[\w./-]*)`", readme):
        assert (root / name).exists(), name
