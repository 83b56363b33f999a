"""The command line: good runs on tiny data; bad inputs give one line, an exit code, and spoil nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from uqcv.cli import main
from uqcv.colvars.bundle import FORMAT_VERSION, Bundle
from uqcv.structures import read_structures, write_structures

TINY = [
    "--set", "potential.n_features=8", "--set", "potential.n_layers=2", "--set", "training.epochs=2",
]  # fmt: skip
WALK = [
    "--set", "sampling.walkers=1", "--set", "sampling.length=20", "--set", "sampling.frame_interval=10",
    "--set", "sampling.compiled=false",
    "--set", "sampling.ceiling_error=1000", "--set", "sampling.max_energy=1000",
    "--set", "sampling.temperatures=[50]", "--set", "sampling.max_temperature_ratio=1000",
]  # fmt: skip


@pytest.fixture(scope="module")
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


def subcommand(*arguments, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "uqcv.cli", *map(str, arguments)],
        env=os.environ | environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


# good runs


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


def test_train_then_fit_then_export(uqcv, files, tmp_path):
    code, out, err = uqcv("train", files / "training.extxyz", files / "held_out.extxyz", "-o", "out", *TINY)
    assert code == 0 and "force error" in out, err
    code, out, err = uqcv(
        "fit", "out/potential.pt", files / "training.extxyz", files / "held_out.extxyz", "-o", "model",
        "--set", "uncertainty.gmm.n_components=2",
    )  # fmt: skip
    fitted = Bundle.load(tmp_path / "model")
    assert code == 0 and fitted.short_hash in out and "6 frames" in out, err
    code, out, err = uqcv("export", "model", "cv", "--component", "max", "--component", "mean", "--dtype", "float32")
    assert code == 0, err
    assert f"uqcv_{fitted.short_hash}.py" in out
    text = (tmp_path / "cv" / "plumed.dat").read_text()
    assert "ARG=u.py-max,u.py-mean" in text and "ATOMS=1-22" in text
    assert Bundle.load(tmp_path / "cv" / "bundle").hash == fitted.hash


def test_export_for_another_system(uqcv, files, tmp_path):
    water = tmp_path / "water.pdb"
    lines = (files / "topology.pdb").read_text().splitlines()
    water.write_text(
        "\n".join(line for line in lines if line[17:20] == "ACE" and line.startswith("HETATM")) + "\nEND\n"
    )
    code, _, err = uqcv("export", files / "bundle", "cv", "--top", water)
    assert code == 0, err
    assert "ATOMS=1-6 " in (tmp_path / "cv" / "plumed.dat").read_text()


def test_evaluate(uqcv, files, tmp_path):
    code, out, err = uqcv(
        "evaluate", files / "bundle", files / "trajectory.dcd", "--top", files / "topology.pdb", "-o", "u"
    )
    assert code == 0, err
    assert [Path(line).name for line in out.splitlines()] == ["frames.csv", "atoms.csv", "uncertainty.pdb"]
    assert len((tmp_path / "u" / "frames.csv").read_text().splitlines()) == 1 + 5
    assert len((tmp_path / "u" / "atoms.csv").read_text().splitlines()) == 1 + 5 * 22


def test_sample_then_harvest(uqcv, files, tmp_path):
    common = ("--top", files / "topology.pdb")
    sample = ("sample", files / "bundle", files / "training.extxyz", *common, "-o", "walkers", "--seed", 3, *WALK)
    code, out, err = uqcv(*sample)
    assert code == 0 and out.startswith("walker 0: "), err
    colvar = (tmp_path / "walkers" / "walker-00" / "COLVAR").read_bytes()
    code, again, _ = uqcv(*sample)
    assert code == 0 and again == out and (tmp_path / "walkers" / "walker-00" / "COLVAR").read_bytes() == colvar
    code, out, err = uqcv(
        "harvest", files / "bundle", "walkers", files / "training.extxyz", *common, "-o", "selected.extxyz",
        "--set", "harvest.quantile=0", "--set", "harvest.max_error=1000", "--set", "harvest.max_frames=2",
        "--set", "harvest.duplicate_tolerance=0", "--set", "sampling.max_energy=1000",
    )  # fmt: skip
    assert code == 0 and " frames > " in out and out.splitlines()[0].endswith("2 selected"), err
    assert len(read_structures(tmp_path / "selected.extxyz")) == 2


def test_label(uqcv, files, tmp_path, frames):
    bare = [s.with_positions(s.positions) for s in frames[:3]]
    write_structures(tmp_path / "bare.extxyz", bare)
    code, out, err = uqcv("label", files / "campaign.yaml", "bare.extxyz", "-o", "labelled.extxyz")
    assert code == 0 and out == "labelled.extxyz: 3 labelled, 0 failed\n", err
    energies = [s.energy for s in read_structures(tmp_path / "labelled.extxyz", labelled=True)]
    np.testing.assert_allclose(energies, [s.energy for s in frames[:3]], atol=1e-5)


def test_run_then_status_then_report(uqcv, files, tmp_path):
    settings = ("--set", "campaign.generations=1", "--set", "uncertainty.gmm.n_components=2", "--seed", 5)
    code, out, err = uqcv("run", files / "campaign.yaml", "-o", "campaign", *settings)
    assert code == 0 and "finished: 1 generations" in err and "Traceback" not in err, err
    assert "seed: 5" in (tmp_path / "campaign" / "config.yaml").read_text()
    code, out, err = uqcv("status", "campaign", "--json")
    content = json.loads(out)
    assert code == 0 and (content["generation"], content["finished"], content["labels"]) == (0, True, 0), err
    code, out, _ = uqcv("status", "campaign")
    assert code == 0 and "reason: 1 generations" in out
    code, out, err = uqcv("report", "campaign")
    assert code == 0, err
    assert all(Path(line).is_file() for line in out.splitlines() if line.endswith(".png"))
    # the same again finds all done; another seed is refused and spoils nothing
    before = (tmp_path / "campaign" / "config.yaml").read_bytes()
    code, _, err = uqcv("run", files / "campaign.yaml", "-o", "campaign", *settings[:-2], "--seed", 6)
    assert code == 2 and "holds a campaign with another seed" in err.splitlines()[-1]
    assert (tmp_path / "campaign" / "config.yaml").read_bytes() == before


def test_the_plumed_program(tmp_path):
    done = subcommand("plumed", "info", "--version")
    assert done.returncode == 0 and done.stdout.strip().startswith("2."), done.stderr
    assert subcommand("plumed", "no-such-tool").returncode != 0


# bad inputs


def test_a_missing_or_broken_pdb(refused, files, tmp_path):
    assert "nowhere.pdb: no such file" in refused(
        "evaluate", files / "bundle", files / "trajectory.dcd", "--top", "nowhere.pdb"
    )
    (tmp_path / "broken.pdb").write_text("ATOM  this is not PDB\n")
    arguments = ("sample", files / "bundle", files / "training.extxyz", "-o", "w", "--top", "broken.pdb")
    assert "broken.pdb" in refused(*arguments)
    run = ("run", files / "campaign.yaml", "-o", "campaign", "--set")
    assert "nowhere.pdb: no such file" in refused(*run, "reference.topology=nowhere.pdb")
    assert "broken.pdb: cannot be read as PDB" in refused(*run, f"system.topology={tmp_path / 'broken.pdb'}")


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


def test_a_bundle_of_another_format(refused, files, tmp_path):
    shutil.copytree(files / "bundle", tmp_path / "old")
    header = json.loads((tmp_path / "old" / "bundle.json").read_text())
    (tmp_path / "old" / "bundle.json").write_text(json.dumps(header | {"format_version": 99}))
    for arguments in (("export", "old", "cv"), ("evaluate", "old", files / "trajectory.dcd")):
        expected = f"old: bundle format 99 was given; this uqcv reads format {FORMAT_VERSION}: fit it again"
        assert expected in refused(*arguments)
    assert "nowhere: not a bundle" in refused("export", "nowhere", "cv")
    assert not (tmp_path / "cv").exists()


def test_an_unknown_element(refused, files, tmp_path):
    text = (files / "topology.pdb").read_text().splitlines()
    text[5] = text[5][:76] + " S  "
    (tmp_path / "sulphur.pdb").write_text("\n".join(text) + "\n")
    for arguments in (("export", files / "bundle", "cv"), ("evaluate", files / "bundle", files / "trajectory.dcd")):
        line = refused(*arguments, "--top", "sulphur.pdb")
        assert "16" in line or " S" in line, line
    assert not (tmp_path / "cv").exists() and not (tmp_path / "uncertainty").exists()


def test_a_trajectory_of_other_atoms(refused, files, tmp_path):
    lines = (files / "topology.pdb").read_text().splitlines()
    (tmp_path / "less.pdb").write_text("\n".join(lines[:6]) + "\nEND\n")
    line = refused("evaluate", files / "bundle", files / "trajectory.dcd", "--top", "less.pdb")
    assert "its atoms are not the 6 of less.pdb; give the topology of this trajectory" in line


def test_a_missing_trajectory(refused, files):
    line = refused("evaluate", files / "bundle", "nowhere.dcd", "--top", files / "topology.pdb")
    assert "nowhere.dcd: no such file (expected a trajectory)" in line


def test_an_empty_training_set(refused, files, tmp_path):
    (tmp_path / "empty.extxyz").write_text("")
    held_out = files / "held_out.extxyz"
    assert "empty.extxyz" in refused("train", "empty.extxyz", held_out, "-o", "out", *TINY)
    assert "nowhere.extxyz: no such file" in refused("train", "nowhere.extxyz", held_out, "-o", "out", *TINY)
    assert not (tmp_path / "out").exists()


def test_an_unknown_pooling(refused, files, tmp_path):
    line = refused("export", files / "bundle", "cv", "--component", "median")
    assert "median" in line and "choose from mean, max" in line
    assert not (tmp_path / "cv").exists()


def test_no_plumed_kernel(files, tmp_path):
    done = subcommand("export", files / "bundle", tmp_path / "cv", PLUMED_KERNEL="/nowhere/libplumedKernel.so")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("uqcv: PLUMED's Python wrapper is here but no kernel")
    assert "Traceback" not in done.stderr and "pip install" in done.stderr
    assert not (tmp_path / "cv").exists()


def test_a_template_that_plumed_refuses(refused, files, tmp_path):
    (tmp_path / "bad.dat").write_text(
        "u: PYCVINTERFACE ATOMS=${atoms} IMPORT=${module}\nMETAD ARG=${cv} SIGMA=${sigma} HIGHT=1\n"
    )
    line = refused(
        "sample", files / "bundle", files / "training.extxyz", "--top", files / "topology.pdb", "-o", "w", *WALK,
        "--set", f"sampling.bias.template={tmp_path / 'bad.dat'}",
    )  # fmt: skip
    assert "PLUMED refuses the input" in line and "METAD" in line


def test_what_is_no_campaign(refused, tmp_path):
    for command in ("status", "report"):
        assert "not a campaign" in refused(command, tmp_path)


def test_earlier_results_stay(refused, uqcv, files, tmp_path):
    arguments = ("evaluate", files / "bundle", files / "trajectory.dcd", "-o", "u", "--top")
    assert uqcv(*arguments, files / "topology.pdb")[0] == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "u").iterdir()}
    refused(*arguments, "nowhere.pdb")
    assert {path.name: path.read_bytes() for path in (tmp_path / "u").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--atoms", 3), "--atoms 3 was given; 100 or more is expected, or 0 for no crystal"),
        (("--dtype", "float16"), "--dtype float16 was given; float32 or float64 is expected"),
        (("--device", "abacus"), "--device abacus was given; torch cannot use it"),
        (("--atoms", 0, "--molecule", "none.pdb"), "none.pdb: no such PDB"),
        (
            ("--out", "/proc/none/speed.json"),
            "/proc/none/speed.json: nothing can be written in /proc; give",
        ),
        (("--out", "."), ".: a folder was given; a file to write is expected"),
    ],
)
def test_a_benchmark_that_cannot_be(refused, arguments, words, tmp_path):
    assert words in refused("benchmark", "speed", *arguments)
    assert not (tmp_path / "speed.json").exists()
