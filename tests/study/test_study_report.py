"""The page of a study that has no map: what does not exist is a dash, and nothing stumbles over it."""

import pytest
import yaml
from ase.build import bulk

from uqcv.files import write_json
from uqcv.study.report import write_study_report
from uqcv.study.run import read_measures, run_study
from uqcv.study.settings import campaigns, load_study

ROW = {
    "labels": 0.0,
    "steps": 0.0,
    "evaluations": 0.0,
    "seconds": 0.0,
    "core_seconds": 0.0,
    "wasted": 0.0,
    "300 K_force_mae": 0.1,
}
BARE = {"generations": [ROW, ROW | {"labels": 2.0, "steps": 9.0}], "covered": [], "crossings": []}
NO_MAP = {"system.torsions": None, "initial.keep": {}, "test.ramachandran_grid": None}


def cells(tables: str, title: str, sampler: str) -> dict[str, str]:
    """A row of one table, by the names of its columns."""
    lines = tables.split(f"### {title}")[1].split("###")[0].strip().splitlines()
    header, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|-")
    ]
    return next(dict(zip(header, row, strict=True)) for row in rows if row[0] == sampler)


@pytest.mark.parametrize("more", [{}, {"system.free_energy": None}], ids=["a map without torsions", "no map"])
def test_what_is_not_there_is_a_dash(study, tmp_path, more):
    bare = study.model_copy(update={"settings": study.settings | NO_MAP | more})
    for item in campaigns(bare, tmp_path):
        write_json(item.folder / "measures.json", BARE)
    page, tables, _ = (path.read_text() for path in write_study_report(bare, tmp_path))
    row = cells(tables, "What came of it", "plain")
    assert {name for name, cell in row.items() if cell == "-"} == {
        "covered, %", "labels to 95 %", "force MAE uniform, meV/Å", "RMSE uniform", "free energy, kJ/mol",
        "effective, median", "stable, %", "highest label, eV", "walkers lost",
    }  # fmt: skip
    assert row["MAE 300 K"] == "100"
    assert set(list(cells(tables, "Gap to the expert", "plain").values())[3:]) == {"-"}
    assert list(cells(tables, "labels: at most 2", "turned").values()) == ["turned", "2", "-", "-", "-"]
    assert "First visits" not in page and "<h2>Figures</h2>" not in page


@pytest.fixture
def crystal(tmp_path):
    """A study of copper with a potential that takes no time."""
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    a, b, c = atoms.cell.lengths()
    lines = [f"CRYST1{a:9.3f}{b:9.3f}{c:9.3f}  90.00  90.00  90.00 P 1           1"]
    for k, (x, y, z) in enumerate(atoms.positions, 1):
        lines.append(f"HETATM{k:5d} CU    CU A{k:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          CU")
    (tmp_path / "copper.pdb").write_text("\n".join([*lines, "END", ""]))
    campaign = {
        "name": "copper",
        "system": {"topology": "copper.pdb"},
        "reference": {"kind": "ase", "calculator": "ase.calculators.emt.EMT"},
        "initial": {"frames": 6, "held_out": 4, "equilibration": 20, "spacing": 10, "time_step": 2.0},
        "potential": {"n_features": 8, "n_layers": 1, "n_radial": 4, "cutoff": 3.5},
        "training": {"epochs": 2, "warm_epochs": 2, "warmup_steps": 2, "compiled": False},
        "uncertainty": {"gmm": {"n_components": 1}},
        "sampling": {"walkers": 1, "length": 20, "frame_interval": 5, "compiled": False, "ceiling_error": 1000},
        "harvest": {"max_frames": 2, "fill": True, "max_error": 1000},
        "campaign": {"generations": 2},
    }
    (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(campaign))
    samplers = {"plain": {"settings": {"sampling.sampler": "unbiased"}}}
    measures = {"trajectory_frames": 3, "trajectory_temperatures": [300.0], "stability_runs": 1, "stability_length": 20}
    content = {"name": "crystal", "campaign": "campaign.yaml", "seeds": 1, "samplers": samplers, "measures": measures}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    return load_study(tmp_path / "study.yaml")


@pytest.mark.slow
def test_a_crystal_is_measured_without_a_map(crystal, tmp_path):
    run_study(crystal, tmp_path / "out", processes=1)
    (measures,) = read_measures(crystal, tmp_path / "out")["plain"].values()
    assert (measures["covered"], measures["crossings"]) == ([], [])
    row = cells(write_study_report(crystal, tmp_path / "out")[1].read_text(), "What came of it", "plain")
    assert row["labels"] == "2.0"
    assert {row[name] for name in ("covered, %", "labels to 95 %", "free energy, kJ/mol")} == {"-"}
    assert float(row["MAE 300 K"]) > 0 and row["stable, %"].startswith("300 K: ")
