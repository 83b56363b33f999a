"""Wrong systems: PDB files, trajectories and free-energy tables."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from uqcv.structures import read_structures

from .case import Case
from .good_files import write_dcd
from .lines import EVALUATE, FREE_ENERGY, HARVEST, LABEL, REPORT, RUN, SAMPLE
from .spoiling import cut, empty, folder_instead, garbage, gone, replaced, written

YAML, PDB, DCD, CSV = "campaign.yaml", "topology.pdb", "trajectory.dcd", "free_energy.csv"
EXPORT = "uqcv export bundle out --top topology.pdb"
CAMPAIGN_CSV = "campaign/reference/free_energy.csv"
WATER = """\
HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O
HETATM    2  H1  HOH A   1       0.957   0.000   0.000  1.00  0.00           H
HETATM    3  H2  HOH A   1      -0.240   0.927   0.000  1.00  0.00           H
END
"""
# A campaign on water: nothing of it turns, and no force field is asked.
ON_WATER = f"{RUN} --set system.torsions=null --set 'reference={{kind: ase, calculator: ase.calculators.emt.EMT}}'"


def _pdb_in_nm() -> None:
    lines = Path(PDB).read_text().splitlines()
    scaled = [
        line[:30] + "".join(f"{float(line[k : k + 8]) / 10:8.3f}" for k in (30, 38, 46)) + line[54:]
        if line.startswith(("ATOM", "HETATM")) else line
        for line in lines
    ]  # fmt: skip
    Path(PDB).write_text("\n".join(scaled) + "\n")


def _in_a_box() -> None:
    box = "CRYST1   30.000   30.000   30.000  90.00  90.00  90.00 P 1           1\n"
    Path(PDB).write_text(box + Path(PDB).read_text())


def _two_atoms_swapped() -> None:
    lines = Path(PDB).read_text().splitlines()
    lines[4], lines[5] = lines[5], lines[4]
    Path(PDB).write_text("\n".join(lines) + "\n")


def _one_name_for_two() -> None:
    lines = Path(PDB).read_text().splitlines()
    lines[2] = lines[2][:12] + lines[1][12:16] + lines[2][16:]
    Path(PDB).write_text("\n".join(lines) + "\n")


def _without_elements() -> None:
    lines = Path(PDB).read_text().splitlines()
    lines = [line[:12] + " X" + line[14:76] if line.startswith(("ATOM", "HETATM")) else line for line in lines]
    Path(PDB).write_text("\n".join(lines) + "\n")


def _dcd_of(change: Callable[[np.ndarray], None]) -> Callable[[], None]:
    def spoil() -> None:
        positions = np.array([s.positions for s in read_structures(Path("training.extxyz"))])
        change(positions)
        write_dcd(Path(DCD), positions)

    return spoil


def _in_nm(positions: np.ndarray) -> None:
    positions *= 0.1


def _with_nan(positions: np.ndarray) -> None:
    positions[2, 3, 1] = np.nan


TOPOLOGIES = (
    Case("no such file", "uqcv evaluate bundle trajectory.dcd --top nowhere.pdb -o out"),
    Case("an empty file", SAMPLE, empty(PDB)),
    Case("an empty file", RUN, empty(PDB)),
    Case("bytes that mean nothing", EXPORT, garbage(PDB)),
    Case("bytes that mean nothing", RUN, garbage(PDB)),
    Case("a folder in place of the file", SAMPLE, folder_instead(PDB)),
    Case("text that is no PDB", RUN, written(PDB, "ATOM  this is not PDB\n")),
    Case("text that is no PDB", SAMPLE, written(PDB, "ATOM  this is not PDB\n")),
    Case("cut in the middle", SAMPLE, cut(PDB, 1000)),
    Case("cut in the middle", RUN, cut(PDB, 1000)),
    Case("atoms in another order", SAMPLE, _two_atoms_swapped),
    Case("another molecule", SAMPLE, written(PDB, WATER)),
    Case("another molecule", EVALUATE, written(PDB, WATER)),
    Case("another molecule", HARVEST, written(PDB, WATER)),
    Case("another molecule", LABEL, written(PDB, WATER)),
    Case("a molecule without the torsions that are asked for", RUN, written(PDB, WATER)),
    Case("a molecule in which no bond turns", f"{ON_WATER} --set sampling.sampler=adversarial_torsions",
         written(PDB, WATER)),
    Case("a molecule without torsions to tell frames apart by", f"{ON_WATER} --set harvest.descriptor=torsions",
         written(PDB, WATER)),
    Case("torsions to tell frames of a periodic cell apart by", f"{RUN} --set harvest.descriptor=torsions", _in_a_box),
    Case("distances to tell frames of a periodic cell apart by", f"{RUN} --set harvest.descriptor=distances",
         _in_a_box),
    Case("a residue that the force field does not know", LABEL, replaced(PDB, "ALA", "XYZ")),
    Case("an element that the bundle does not know", EXPORT, replaced(PDB, "           N", "           S")),
    Case("an element that the bundle does not know", EVALUATE, replaced(PDB, "           N", "           S")),
    Case("atoms without elements", SAMPLE, _without_elements),
    Case("two atoms of one name", SAMPLE, _one_name_for_two),
    Case("positions in nm", SAMPLE, _pdb_in_nm),
    Case("positions in nm", RUN, _pdb_in_nm),
    Case("a word among the numbers", RUN, replaced(PDB, "   2.151", "   2.15x", 1)),
    Case("a trajectory in place of the PDB", "uqcv evaluate bundle trajectory.dcd --top trajectory.dcd -o out"),
)  # fmt: skip

TRAJECTORIES = (
    Case("no such file", "uqcv evaluate bundle nowhere.dcd --top topology.pdb -o out"),
    Case("no `--top`", "uqcv evaluate bundle trajectory.dcd -o out"),
    Case("an empty file", EVALUATE, empty(DCD)),
    Case("bytes that mean nothing", EVALUATE, garbage(DCD)),
    Case("cut in the middle of a frame", EVALUATE, cut(DCD, -100)),
    Case("cut within its header", EVALUATE, cut(DCD, 6)),
    Case("a header and no frames", EVALUATE, cut(DCD, 276)),
    Case("a folder in place of the file", EVALUATE, folder_instead(DCD)),
    Case("an extension that is not known", "uqcv evaluate bundle training.extxyz --top topology.pdb -o out"),
    Case("NaN among the positions", EVALUATE, _dcd_of(_with_nan)),
    Case("positions in nm", EVALUATE, _dcd_of(_in_nm)),
    Case("a precision that does not exist", f"{EVALUATE} --dtype float16"),
    Case("a trajectory cut in the middle", HARVEST, cut(f"walkers/walker-00/{DCD}", -100)),
    Case("no walkers", HARVEST, gone("walkers/walker-00")),
    Case("no such folder of walkers", "uqcv harvest bundle nowhere training.extxyz --top topology.pdb -o out.extxyz"),
    Case("an empty trajectory of a walker", HARVEST, empty(f"walkers/walker-00/{DCD}")),
)

FREE_ENERGIES = (
    Case("no such file", RUN, gone(CSV)),
    Case("an empty file", RUN, empty(CSV)),
    Case("bytes that mean nothing", RUN, garbage(CSV)),
    Case("cut in the middle", RUN, cut(CSV, 2000)),
    Case("cut in the middle", REPORT, cut(CAMPAIGN_CSV, 2000)),
    Case("other columns, such as eV", REPORT, replaced(CAMPAIGN_CSV, "free_energy_kJ_per_mol", "free_energy_eV")),
    Case("a word among the numbers", REPORT, replaced(CAMPAIGN_CSV, "-165,-165,", "-165,-165,x")),
    Case("no torsions to compute it over", FREE_ENERGY, replaced(YAML, "torsions: backbone", "torsions: null")),
    Case("torsions of atoms that are not there", FREE_ENERGY,
         replaced(YAML, "torsions: backbone", "torsions: {phi: [4, 6, 8, 14], psi: [6, 8, 14, 160]}")),
    Case("a method without a force field", FREE_ENERGY,
         replaced(YAML, "kind: openmm, topology: topology.pdb", "kind: ase, calculator: ase.calculators.emt.EMT")),
    Case("dynamics that are too short", f"{FREE_ENERGY} --length 10"),
    Case("dynamics of more steps than can be counted", f"{FREE_ENERGY} --length 1e15"),
    Case("dynamics without end", f"{FREE_ENERGY} --length inf"),
    Case("a grid of no bins", f"{FREE_ENERGY} --length 1000 --grid 0"),
    Case("a grid that fits no memory", f"{FREE_ENERGY} --length 1000 --grid 10000000"),
)  # fmt: skip
