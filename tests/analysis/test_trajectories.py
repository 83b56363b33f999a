import mdtraj
import numpy as np
import pytest

from uqcv.analysis.trajectories import (
    load_trajectory,
    read_trajectory,
    structures_of,
    topology_numbers,
    write_bfactor_pdb,
)
from uqcv.errors import InputError


@pytest.mark.parametrize(("extension", "tolerance"), [("dcd", 1e-5), ("trr", 1e-5), ("xtc", 6e-3), ("pdb", 6e-4)])
def test_positions_come_in_angstrom(tmp_path, molecule_trajectory, topology_path, extension, tolerance):
    path = tmp_path / f"walk.{extension}"
    molecule_trajectory.save(str(path))
    structures = read_trajectory(path, topology_path)
    assert len(structures) == 12
    assert not structures[0].is_periodic
    for structure, xyz in zip(structures, molecule_trajectory.xyz, strict=True):
        assert structure.positions == pytest.approx(10 * xyz, abs=tolerance)


def test_a_unit_cell_makes_periodic(tmp_path, molecule_trajectory, topology_path):
    cell = np.repeat(np.diag([2.0, 2.5, 3.0])[None], 12, axis=0)
    cell[:, 2, 0] = 0.4
    boxed = mdtraj.Trajectory(molecule_trajectory.xyz, molecule_trajectory.topology)
    boxed.unitcell_vectors = cell
    boxed.save_dcd(str(tmp_path / "boxed.dcd"))
    structure = read_trajectory(tmp_path / "boxed.dcd", topology_path)[3]
    assert structure.pbc.all()
    assert structure.cell == pytest.approx(10 * cell[3], abs=1e-4)


def test_a_pdb_file_is_its_own_topology(topology_path, force_field):
    (structure,) = read_trajectory(topology_path)
    assert structure.positions == pytest.approx(force_field.structure.positions, abs=1e-3)
    assert topology_numbers(topology_path).tolist() == force_field.structure.numbers.tolist()


@pytest.fixture
def dcd(tmp_path, molecule_trajectory):
    molecule_trajectory.save_dcd(str(tmp_path / "walk.dcd"))
    return tmp_path / "walk.dcd"


def test_a_dcd_file_that_ends_in_the_middle_is_noticed(dcd, topology_path):
    """mdtraj reads it without a word and gives fewer frames."""
    whole = dcd.read_bytes()
    dcd.write_bytes(whole[: len(whole) * 6 // 10])
    assert mdtraj.load(str(dcd), top=str(topology_path)).n_frames == 6
    with pytest.raises(InputError, match="ends after 6 of 12 frames"):
        read_trajectory(dcd, topology_path)
    assert len(read_trajectory(dcd, topology_path, partial=True)) == 6


def test_an_xtc_file_that_ends_in_the_middle_is_refused(tmp_path, molecule_trajectory, topology_path):
    path = tmp_path / "walk.xtc"
    molecule_trajectory.save_xtc(str(path))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"walk\.xtc: cannot be read as a trajectory, it is damaged or ends"):
        read_trajectory(path, topology_path)


@pytest.mark.parametrize("extension", ["dcd", "xtc", "trr", "pdb"])
def test_other_atoms_are_refused(tmp_path, molecule_trajectory, topology_path, extension):
    path = tmp_path / f"short.{extension}"
    molecule_trajectory.atom_slice(range(20)).save(str(path))
    with pytest.raises(InputError, match=r"its atoms are not the 22 of .*topology\.pdb; give the topology"):
        read_trajectory(path, topology_path)


@pytest.mark.parametrize("extension", ["dcd", "xtc", "trr", "nc", "pdb"])
@pytest.mark.parametrize("content", [b"", b"not a trajectory " * 40])
def test_files_of_something_else_are_refused(tmp_path, topology_path, extension, content):
    path = tmp_path / f"walk.{extension}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a trajectory"):
        read_trajectory(path, topology_path)


def test_what_is_missing_is_named(tmp_path, dcd, topology_path):
    with pytest.raises(InputError, match=r"none\.dcd: no such file \(expected a trajectory\)"):
        read_trajectory(tmp_path / "none.dcd", topology_path)
    with pytest.raises(InputError, match=r"none\.pdb: no such file \(expected a PDB file"):
        read_trajectory(dcd, tmp_path / "none.pdb")
    with pytest.raises(InputError, match=r"walk\.dcd: does not say which atoms it holds; give a PDB file .* --top"):
        read_trajectory(dcd)
    (tmp_path / "walk.foo").write_text("x")
    with pytest.raises(InputError, match=r"the extension \.foo is not known; DCD, XTC"):
        read_trajectory(tmp_path / "walk.foo", topology_path)


def test_a_frame_without_positions_is_named(molecule_trajectory):
    xyz = molecule_trajectory.xyz.copy()
    xyz[4, 2, 1] = np.nan
    with pytest.raises(InputError, match="frame 4: positions: NaN"):
        structures_of(mdtraj.Trajectory(xyz, molecule_trajectory.topology))


def test_nothing_is_said_on_standard_output(dcd, topology_path, capfd):
    """mdtraj's DCD reader prints from C, into what may be a user's JSON."""
    print("before")
    load_trajectory(dcd, topology_path)
    print("after")
    assert capfd.readouterr().out == "before\nafter\n"


def test_the_header_of_another_byte_order_is_understood(dcd, topology_path, molecule_trajectory):
    words = np.frombuffer(dcd.read_bytes(), dtype="<i4")
    assert words[2] == 12
    swapped = bytearray(words.astype(">i4").tobytes())
    swapped[4:8] = b"CORD"
    dcd.write_bytes(bytes(swapped))
    assert load_trajectory(dcd, topology_path).xyz == pytest.approx(molecule_trajectory.xyz, abs=1e-6)
    swapped[8:12] = (40).to_bytes(4, "big")
    dcd.write_bytes(bytes(swapped))
    with pytest.raises(InputError, match="ends after 12 of 40 frames"):
        load_trajectory(dcd, topology_path)


def test_b_factors_are_one_value_per_atom(tmp_path, molecule_trajectory):
    values = np.random.default_rng(0).gamma(1.0, 50.0, size=(12, 22))
    values[3, 5], values[4, 6] = 12345.0, 1e-9
    write_bfactor_pdb(tmp_path / "coloured.pdb", molecule_trajectory, values)
    lines = [ln for ln in (tmp_path / "coloured.pdb").read_text().splitlines() if ln.startswith("ATOM")]
    read = np.array([float(line[60:66]) for line in lines]).reshape(12, 22)
    assert read == pytest.approx(np.minimum(values, 999.99), abs=0.0051)
    assert {line[76:78].strip() for line in lines} == {"C", "N", "O", "H"}
    again = mdtraj.load(str(tmp_path / "coloured.pdb"))
    assert again.xyz == pytest.approx(molecule_trajectory.xyz, abs=6e-5)


@pytest.mark.parametrize("values", [np.ones((12, 21)), np.full((12, 22), np.nan)])
def test_wrong_b_factors_are_refused(tmp_path, molecule_trajectory, values):
    with pytest.raises(InputError, match=r"finite values of shape \(12, 22\) are expected"):
        write_bfactor_pdb(tmp_path / "no.pdb", molecule_trajectory, values)
    assert not list(tmp_path.iterdir())
