"""Whole campaigns from the command line, on a molecule and on a crystal."""

import json

import numpy as np
import pytest
from ase.build import bulk

from uqcv.colvars.bundle import Bundle
from uqcv.labeling.ase_calculator import ASECalculatorMethod
from uqcv.structures import Structure, read_structures, write_structures

COPPER = """
name: copper
system: {topology: copper.pdb}
reference: {kind: ase, calculator: ase.calculators.emt.EMT}
initial: {file: frames.extxyz, frames: 8, held_out: 4}
potential: {n_features: 8, n_layers: 2, n_radial: 6, cutoff: 4.0}
training: {epochs: 10, warm_epochs: 4, warmup_steps: 2}
uncertainty: {gmm: {n_components: 2}}
sampling: {walkers: 1, length: 60, frame_interval: 5, compiled: false, ceiling_error: 1000, max_energy: 1000,
           bias: {pace: 10, wall_error: 1000}}
harvest: {quantile: 0, max_frames: 3, max_error: 1000, duplicate_tolerance: 0}
campaign: {generations: 2, max_label_energy: 1000}
"""


@pytest.fixture(scope="module")
def copper(tmp_path_factory):
    """Eight atoms of copper in a cell that is smaller than the cutoff in two directions, and labelled frames."""
    folder = tmp_path_factory.mktemp("copper")
    method, random = ASECalculatorMethod("ase.calculators.emt.EMT"), np.random.default_rng(2)
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    frames = []
    for _ in range(14):
        moved = atoms.copy()
        moved.positions += random.normal(scale=0.08, size=(8, 3))
        frames.append(method.label(Structure.from_ase(moved)))
    write_structures(folder / "frames.extxyz", frames)
    a, b, c = atoms.cell.lengths()
    lines = [f"CRYST1{a:9.3f}{b:9.3f}{c:9.3f}  90.00  90.00  90.00 P 1           1"]
    for k, (x, y, z) in enumerate(atoms.positions, 1):
        lines.append(f"HETATM{k:5d} CU    CU A{k:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          CU")
    (folder / "copper.pdb").write_text("\n".join([*lines, "END", ""]))
    (folder / "campaign.yaml").write_text(COPPER)
    return folder, frames


def test_a_crystal_with_a_calculator_of_ase(copper, run_uqcv, tmp_path):
    """One's own data, periodic walkers under a bias, labels by EMT."""
    folder, frames = copper
    run_uqcv("run", folder / "campaign.yaml", "-o", tmp_path / "run")
    state = json.loads((tmp_path / "run" / "state.json").read_text())
    assert state["finished"] and state["reason"] == "2 generations" and state["labels"] == 3
    walker = tmp_path / "run" / "generation-00" / "walkers" / "walker-00"
    assert np.isfinite(np.loadtxt(walker / "COLVAR")).all() and len(np.loadtxt(walker / "HILLS", ndmin=2)) > 1
    labels = read_structures(tmp_path / "run" / "generation-00" / "labels" / "labels.extxyz", labelled=True)
    assert len(labels) == 3 and all(s.pbc.all() for s in labels)
    method = ASECalculatorMethod("ase.calculators.emt.EMT")
    for frame in labels:
        np.testing.assert_allclose(frame.cell, frames[0].cell, atol=1e-3)
        assert method.label(frame).energy == pytest.approx(frame.energy, abs=1e-6)
    training = read_structures(tmp_path / "run" / "generation-01" / "training.extxyz", labelled=True)
    assert len(training) == 8 + 3
    assert Bundle.load(tmp_path / "run" / "generation-01" / "bundle").settings.reference_pbc == (True, True, True)


@pytest.mark.slow
def test_the_short_campaign_learns(root, run_uqcv, tmp_path):
    """The whole of campaign-short.yaml: the error on the uniform map falls, and more of the map is seen."""
    path = root / "systems" / "alanine_dipeptide" / "campaign-short.yaml"
    run_uqcv("run", path, "-o", tmp_path / "run", "--set", "sampling.processes=1")
    metrics = [json.loads(p.read_text()) for p in sorted((tmp_path / "run").glob("generation-*/metrics.json"))]
    assert len(metrics) >= 2
    assert metrics[-1]["test_force_mae"] < metrics[0]["test_force_mae"]
    assert metrics[-1]["bins_visited"] > metrics[0]["bins_visited"]
    assert (tmp_path / "run" / "report" / "ramachandran.png").is_file()
