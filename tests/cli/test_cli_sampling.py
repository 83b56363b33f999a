"""From a model to labels on the command line, with tiny walkers."""

import numpy as np

from uqcv.structures import read_structures, write_structures

WALK = [
    "--set", "sampling.walkers=1", "--set", "sampling.length=20", "--set", "sampling.frame_interval=10",
    "--set", "sampling.compiled=false",
    "--set", "sampling.ceiling_error=1000", "--set", "sampling.max_energy=1000",
    "--set", "sampling.temperatures=[50]", "--set", "sampling.max_temperature_ratio=1000",
]  # fmt: skip


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


def test_a_template_that_plumed_refuses(refused, files, tmp_path):
    (tmp_path / "bad.dat").write_text(
        "u: PYCVINTERFACE ATOMS=${atoms} IMPORT=${module}\nMETAD ARG=${cv} SIGMA=${sigma} HIGHT=1\n"
    )
    line = refused(
        "sample", files / "bundle", files / "training.extxyz", "--top", files / "topology.pdb", "-o", "w", *WALK,
        "--set", f"sampling.bias.template={tmp_path / 'bad.dat'}",
    )  # fmt: skip
    assert "PLUMED refuses the input" in line and "METAD" in line
