"""Making and using a model from the command line; what is refused spoils nothing."""

import json
import shutil
from pathlib import Path

from uqcv.colvars.bundle import FORMAT_VERSION, Bundle

TINY = [
    "--set", "potential.n_features=8", "--set", "potential.n_layers=2", "--set", "training.epochs=2",
]  # fmt: skip


def test_train_then_fit_then_export(uqcv, files, tmp_path):
    code, out, err = uqcv("train", files / "training.extxyz", files / "held_out.extxyz", "-o", "out", *TINY)
    assert code == 0 and "force error" in out, err
    code, out, err = uqcv(
        "fit", "out/potential.pt", files / "training.extxyz", files / "held_out.extxyz", "-o", "model",
        "--set", "uncertainty.gmm.n_components=2",
    )  # fmt: skip
    fitted = Bundle.load(tmp_path / "model")
    assert code == 0 and fitted.short_hash in out and "6 frames" in out, err
    assert out.endswith("; gmm speaks of features\n")
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


def test_no_plumed_kernel(subcommand, files, tmp_path):
    done = subcommand("export", files / "bundle", tmp_path / "cv", PLUMED_KERNEL="/nowhere/libplumedKernel.so")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("uqcv: PLUMED's Python wrapper is here but no kernel")
    assert "Traceback" not in done.stderr and "pip install" in done.stderr
    assert not (tmp_path / "cv").exists()


def test_earlier_results_stay(refused, uqcv, files, tmp_path):
    arguments = ("evaluate", files / "bundle", files / "trajectory.dcd", "-o", "u", "--top")
    assert uqcv(*arguments, files / "topology.pdb")[0] == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "u").iterdir()}
    refused(*arguments, "nowhere.pdb")
    assert {path.name: path.read_bytes() for path in (tmp_path / "u").iterdir()} == before
