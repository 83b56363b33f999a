"""The guard: what a thermal molecule does passes, what makes it another molecule is named."""

from pathlib import Path

import ase.build
import ase.io
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from uqcv.errors import InputError
from uqcv.simulation.validity import MoleculeGuard, ValiditySettings
from uqcv.structures import Structure, read_structures

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
DIPEPTIDE = ROOT / "systems" / "alanine_dipeptide" / "topology.pdb"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no reference data at {DATA}")

# C, H, F, Cl, Br: bond lengths in Å along the corners of a tetrahedron.
CORNERS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3.0)
CHFCLBR = Structure(
    np.array([6, 1, 9, 17, 35]),
    np.vstack([np.zeros((1, 3)), CORNERS * np.array([[1.09], [1.36], [1.76], [1.93]])]),
)


def molecule(name: str) -> Structure:
    return Structure.from_ase(ase.build.molecule(name))


def moved(structure: Structure, atom: int, towards: int, distance: float) -> np.ndarray:
    """Positions with `atom` at `distance` Å from `towards`, along the line that joins them."""
    positions = structure.positions.copy()
    arm = positions[atom] - positions[towards]
    positions[atom] = positions[towards] + arm * distance / np.linalg.norm(arm)
    return positions


@pytest.mark.parametrize("name", ["CH3CH2OH", "C6H6", "NH3", "H2O", "bicyclobutane", "CH3SiH3", "SO2", "butadiene"])
def test_a_molecule_passes_its_own_check(name):
    structure = molecule(name)
    guard = MoleculeGuard.from_structure(structure)
    assert guard.problem(structure.positions) is None
    assert guard.problem(structure.positions + np.random.default_rng(0).normal(0, 0.03, (len(structure), 3))) is None


def test_torn_bond_is_named():
    ethanol = molecule("CH3CH2OH")
    guard = MoleculeGuard.from_structure(ethanol)
    length = np.linalg.norm(ethanol.positions[0] - ethanol.positions[8])
    assert guard.problem(moved(ethanol, 8, 0, 1.62 * length)) == "bond C0-H8 stretched to 1.62 times its length"
    assert guard.problem(moved(ethanol, 8, 0, 0.5 * length)) == "bond C0-H8 shortened to 0.50 times its length"
    assert guard.problem(moved(ethanol, 8, 0, 1.30 * length)) is None


def test_new_bond_between_two_molecules():
    water = molecule("H2O")
    pair = Structure(
        np.tile(water.numbers, 2), np.vstack([water.positions, water.positions + np.array([0.0, 0.0, 4.0])])
    )
    guard = MoleculeGuard.from_structure(pair)
    assert len(guard.bonds) == 4
    near = pair.positions.copy()
    near[3:] -= [0.0, 0.0, 2.6]  # the oxygens 1.4 Å apart, a peroxide
    assert guard.problem(near).startswith("new bond O0-O3: 1.40 Å apart")


def test_collapsed_angle_is_named():
    water = molecule("H2O")
    guard = MoleculeGuard.from_structure(water)
    o, h1, h2 = water.positions
    hydride = o + np.linalg.norm(h2 - o) * (v := (h1 - o) + 0.3 * (h2 - o)) / np.linalg.norm(v)
    assert guard.problem(np.array([o, h1, hydride])).startswith("collapsed angle H1-H2")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])
def test_not_finite(value):
    water = molecule("H2O")
    broken = water.positions.copy()
    broken[1, 2] = value
    problem = MoleculeGuard.from_structure(water).problem(broken)
    assert problem == ("bond O0-H1 stretched to inf times its length" if value == 1e200 else "positions are not finite")
    atom = Structure(np.array([18]), np.zeros((1, 3)))
    assert MoleculeGuard.from_structure(atom).problem([[np.nan, 0.0, 0.0]]) == "positions are not finite"


def test_coinciding_atoms():
    water = molecule("H2O")
    assert MoleculeGuard.from_structure(water).problem(np.zeros((3, 3))) is not None


def test_reflection_inverts_chirality():
    guard = MoleculeGuard.from_structure(CHFCLBR)
    mirrored = CHFCLBR.positions * [1, 1, -1]
    assert guard.problem(CHFCLBR.positions) is None
    assert guard.problem(mirrored) == "chirality of C0 inverted"
    assert MoleculeGuard.from_structure(CHFCLBR.with_positions(mirrored)).problem(mirrored) is None
    loose = ValiditySettings(keep_chirality=False)
    assert MoleculeGuard.from_structure(CHFCLBR, settings=loose).problem(mirrored) is None


def test_only_the_alpha_carbon_of_alanine_dipeptide_is_a_stereocentre():
    structure = Structure.from_ase(ase.io.read(DIPEPTIDE))
    guard = MoleculeGuard.from_structure(structure)
    assert set(guard.spokes[:, 0]) == {8}
    assert len(guard.bonds) == 21
    assert guard.problem(structure.positions * [-1, 1, 1]) == "chirality of C8 inverted"


def test_inverting_ammonia_and_flat_centres_have_no_handedness():
    assert not len(MoleculeGuard.from_structure(molecule("NH3")).spokes)
    flat = Structure(
        np.array([6, 1, 9, 17, 35]), np.array([[0, 0, 0], [1.1, 0, 0], [0, 1.4, 0], [-1.8, 0, 0], [0, -1.9, 0]])
    )
    assert not len(MoleculeGuard.from_structure(flat).spokes)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.floats(0.0, 0.5),
    shift=st.lists(st.floats(-50, 50), min_size=3, max_size=3),
)
def test_verdict_is_invariant_to_rotation_and_translation(seed, size, shift):
    guard = MoleculeGuard.from_structure(CHFCLBR)
    random = np.random.default_rng(seed)
    positions = CHFCLBR.positions + random.normal(0.0, size, (5, 3))
    turned = Rotation.random(rng=random).apply(positions) + shift
    assert guard.problem(turned) == guard.problem(positions)


@pytest.mark.parametrize(
    "cell",
    [np.diag([9.0, 10.0, 11.0]), np.array([[9.0, 0.0, 0.0], [3.5, 9.0, 0.0], [-2.5, 3.0, 10.0]])],
    ids=["orthorhombic", "triclinic"],
)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_wrapped_molecule_is_whole(cell, seed):
    random = np.random.default_rng(seed)
    periodic = Structure(CHFCLBR.numbers, CHFCLBR.positions, cell, np.ones(3, dtype=bool))
    guard = MoleculeGuard.from_structure(periodic)
    jumps = random.integers(-3, 4, (5, 3)) @ cell + random.uniform(-9, 9, 3)
    assert guard.problem(periodic.positions + jumps) is None
    assert guard.problem(periodic.positions * [1, 1, -1] + jumps) == "chirality of C0 inverted"
    assert "stretched to 1.50" in guard.problem(moved(periodic, 2, 0, 1.5 * 1.36) + jumps)


def test_slab_repeats_in_its_plane_only():
    cell = np.diag([6.0, 6.0, 0.0])
    pair = Structure(np.array([1, 1]), np.array([[0.1, 0, 0], [5.5, 0, 0]]), cell, np.array([True, True, False]))
    guard = MoleculeGuard.from_structure(pair)
    assert guard.bonds.tolist() == [[0, 1]]
    assert "stretched" in guard.problem([[0.1, 0, 0], [5.5, 0, 6.0]])


def test_cell_of_the_frame_counts():
    box = Structure(np.array([1, 1]), np.array([[0.1, 0, 0], [5.5, 0, 0]]), np.eye(3) * 6.0, np.ones(3, dtype=bool))
    guard = MoleculeGuard.from_structure(box)
    assert guard.problem(box.positions, np.eye(3) * 6.1) is None
    cells = np.stack([np.eye(3) * 6.0, np.eye(3) * 7.0])
    verdicts = guard.problems(np.stack([box.positions] * 2), cells)
    assert verdicts[0] is None
    assert verdicts[1] == "bond H0-H1 stretched to 2.67 times its length"


def test_without_bonds_only_contacts_count():
    copper = Structure.from_ase(ase.build.bulk("Cu", cubic=True) * (3, 3, 3))
    guard = MoleculeGuard.from_structure(copper, bonds=[])
    assert not len(guard.bonds) and not len(guard.spokes)
    liquid = copper.positions + np.random.default_rng(1).normal(0.0, 0.1, copper.positions.shape)
    assert guard.problem(liquid) is None
    near = copper.positions.copy()
    near[0] = near[1] + [1.0, 0.0, 0.0]
    assert guard.problem(near).startswith("contact Cu0-Cu1: 1.00 Å apart, at least 1.85 Å")


def test_frames_at_once_agree_with_one_by_one(monkeypatch):
    guard = MoleculeGuard.from_structure(CHFCLBR)
    frames = CHFCLBR.positions + np.random.default_rng(2).normal(0.0, 0.2, (50, 5, 3))
    one_by_one = [guard.problem(frame) for frame in frames]
    assert len(set(one_by_one)) > 3
    monkeypatch.setattr("uqcv.simulation.validity._PAIRS_AT_ONCE", 70)
    assert guard.problems(frames) == one_by_one
    assert guard.problems(frames[:0]) == []


@needs_data
def test_ammonia_frames_pass_inversion_and_attacks():
    frames = read_structures(DATA / "ammonia_dft" / "ammonia_bp86.extxyz")
    guard = MoleculeGuard.from_structure(frames[0])
    assert guard.problems(np.stack([frame.positions for frame in frames])) == [None] * len(frames)


@needs_data
def test_shared_proton_of_acetylacetone():
    """The proton jumps at 300 K: with its bond kept the tautomer is refused, without it all of the reference passes."""
    frames = read_structures(DATA / "acac" / "train_300K.xyz") + read_structures(DATA / "acac" / "test_MD_300K.xyz")
    positions = np.stack([frame.positions for frame in frames])
    strict = MoleculeGuard.from_structure(frames[0])
    refused = [line for line in strict.problems(positions) if line]
    assert refused and all("H11" in line for line in refused)
    mobile = MoleculeGuard.from_structure(frames[0], [bond for bond in strict.bonds.tolist() if 11 not in bond])
    assert not any(mobile.problems(positions))
    torn = moved(frames[0], 7, 1, 1.7)
    assert mobile.problem(torn).startswith("bond C1-H7 stretched")


@pytest.mark.parametrize(
    ("bonds", "words"),
    [
        ([[0, 3]], "0 to 2"),
        ([[1, 1]], "different atoms"),
        ([0, 1], "shape"),
        ([[0.0, 1.0]], "integers"),
    ],
)
def test_bonds_that_do_not_fit(bonds, words):
    with pytest.raises(InputError, match=words):
        MoleculeGuard.from_structure(molecule("H2O"), bonds)


def test_bonds_in_another_order_of_atoms():
    butane = molecule("trans-butane")
    with pytest.raises(InputError, match="same order of atoms"):
        MoleculeGuard.from_structure(butane, [[0, 13]])


def test_reference_must_pass():
    far = Structure(np.array([8, 1, 1]), np.array([[0, 0, 0], [0.9, 0, 0], [0.9, 0.5, 0]]))
    with pytest.raises(InputError, match="contact H1-H2"):
        MoleculeGuard.from_structure(far, [], ValiditySettings(min_contact=1.0))


def test_refusals():
    guard = MoleculeGuard.from_structure(molecule("H2O"))
    with pytest.raises(InputError, match="positions"):
        guard.problem(np.zeros((4, 3)))
    with pytest.raises(InputError, match="cell"):
        guard.problem(np.zeros((3, 3)), np.zeros((2, 2)))
    with pytest.raises(InputError, match="finite"):
        guard.problem(np.zeros((3, 3)), np.full((3, 3), np.nan))
    with pytest.raises(InputError, match="97"):
        MoleculeGuard.from_structure(Structure(np.array([97]), np.zeros((1, 3))))
    with pytest.raises(ValidationError):
        ValiditySettings(max_stretch=1.2)
