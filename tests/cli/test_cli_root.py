"""What all commands have in common: help, and settings that are refused."""

import subprocess
import sys

import pytest


def test_help_loads_nothing_heavy():
    code = """
import sys
from uqcv.cli import main
sys.argv = ["uqcv", "--help"]
try:
    main()
except SystemExit:
    heavy = {"torch", "openmm", "mdtraj", "ase", "plumed", "plumedCommunications", "sklearn", "matplotlib", "numpy"}
    print("loaded:", sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
    for command in (
        "run",
        "status",
        "report",
        "train",
        "fit",
        "export",
        "evaluate",
        "sample",
        "harvest",
        "label",
        "doctor",
    ):
        assert f" {command} " in done.stdout


@pytest.mark.parametrize(
    "command", ["run", "status", "report", "train", "fit", "export", "evaluate", "sample", "harvest", "label",
                "reference free-energy", "plumed", "doctor"],
)  # fmt: skip
def test_every_command_has_help(uqcv, command):
    code, out, _ = uqcv(*command.split(), "--help")
    assert code == 0 and "Usage: " in out and f"uqcv {command} [" in " ".join(out.split())


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sampling.walker=3", "unknown key sampling.walker; did you mean walkers?"),
        ("sampling.walkers=few", "sampling.walkers: 'few' was given;"),
        ("sampling.walkers", "--set sampling.walkers was given; key=value is expected, such as sampling.walkers=8"),
        ("sampling.temperatures=[300", "--set sampling.temperatures=[300"),
    ],
)
def test_a_wrong_setting(refused, files, tmp_path, setting, words):
    assert words in refused("run", files / "campaign.yaml", "-o", "campaign", "--set", setting)
    assert not (tmp_path / "campaign").exists()


def test_a_wrong_yaml(refused, files, tmp_path):
    text = (files / "campaign.yaml").read_text()
    (tmp_path / "unknown.yaml").write_text(text + "smapling: {}\n")
    assert "unknown.yaml: unknown key smapling; did you mean sampling?" in refused("run", "unknown.yaml")
    (tmp_path / "type.yaml").write_text(text + "seed: none\n")
    assert "type.yaml: seed: 'none' was given" in refused("run", "type.yaml")
    (tmp_path / "broken.yaml").write_text("name: [\n")
    assert "broken.yaml: cannot be read as YAML" in refused("run", "broken.yaml")
    assert "nowhere.yaml: no such file" in refused("run", "nowhere.yaml")


def test_a_setting_of_another_stage(refused, files):
    line = refused("train", files / "training.extxyz", files / "held_out.extxyz", "--set", "sampling.walkers=2")
    assert "--set sampling.walkers: this command uses the settings potential, training" in line
