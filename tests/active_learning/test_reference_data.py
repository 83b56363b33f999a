"""What a campaign starts from: made once, from the seed, by the reference method."""

import numpy as np
import pytest

from uqcv.active_learning.reference_data import prepare
from uqcv.active_learning.state import CampaignFolder
from uqcv.errors import InputError
from uqcv.simulation.torsions import torsion_angle
from uqcv.structures import read_structures, write_structures

PHI = (4, 6, 8, 14)


@pytest.fixture
def folder(tmp_path) -> CampaignFolder:
    return CampaignFolder(tmp_path / "campaign")


@pytest.fixture(scope="session")
def own(frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "frames.extxyz"
    write_structures(path, frames[:14])
    return path


def test_what_is_there_in_the_end(make_config, folder, force_field):
    facts = prepare(make_config(), folder)
    relaxed, initial, held_out, test = (
        read_structures(path, labelled=True) for path in (folder.relaxed, folder.initial, folder.held_out, folder.test)
    )
    assert (len(relaxed), len(initial), len(held_out), len(test)) == (1, 8, 8, 16)
    assert np.abs(relaxed[0].forces).max() < 0.01
    assert facts.torsions["phi"] == PHI and set(facts.torsions) == {"phi", "psi"}
    assert facts.minimum_energy == min(s.energy for s in (*relaxed, *initial, *held_out)) == relaxed[0].energy
    for frame in (initial[3], held_out[5], test[7]):
        again = force_field.label(frame)
        assert again.energy == pytest.approx(frame.energy, abs=1e-6)
        np.testing.assert_allclose(again.forces, frame.forces, atol=1e-5)
    assert not np.allclose(initial[0].positions, held_out[0].positions), "held-out frames are another run"


def test_what_is_there_is_not_made_again(make_config, folder, files_of):
    config = make_config({"test.ramachandran_grid": None})
    facts = prepare(config, folder)
    before = files_of(folder.path)
    assert prepare(config, folder) == facts
    assert files_of(folder.path) == before
    # killed before the held-out frames were whole: those that are missing are made, the others stay
    held_out = folder.held_out.read_bytes()
    folder.facts.unlink()
    folder.held_out.unlink()
    assert prepare(config, folder) == facts
    assert folder.held_out.read_bytes() == held_out
    assert files_of(folder.path)["reference/initial.extxyz"] == before["reference/initial.extxyz"]


def test_all_comes_from_the_seed(make_config, tmp_path):
    initial = []
    for k, seed in enumerate((0, 0, 1)):
        folder = CampaignFolder(tmp_path / str(k))
        prepare(make_config({"seed": seed, "test.ramachandran_grid": None}), folder)
        initial.append(folder.initial.read_bytes())
    assert initial[0] == initial[1] != initial[2]


def test_frames_stay_where_they_are_told(make_config, folder):
    keep = {"phi": [-100.0, -60.0]}
    prepare(make_config({"initial.keep": keep, "test.ramachandran_grid": None}), folder)
    frames = read_structures(folder.initial) + read_structures(folder.held_out)
    angles = np.array([torsion_angle(s.positions, PHI) for s in frames])
    assert len(angles) == 16 and (angles >= -100).all() and (angles <= -60).all()


def test_frames_of_ones_own(make_config, folder, own, frames):
    prepare(make_config({"initial.file": str(own), "initial.held_out": 5, "test.ramachandran_grid": None}), folder)
    initial, held_out = read_structures(folder.initial), read_structures(folder.held_out)
    assert (len(initial), len(held_out)) == (8, 5)
    used = {round(s.energy, 6) for s in initial + held_out}
    assert len(used) == 13 and used < {round(s.energy, 6) for s in frames[:14]}
    assert {s.info["origin"] for s in initial} == {"initial"}


def test_too_few_frames_of_ones_own(make_config, folder, own):
    with pytest.raises(InputError, match=r"14 frames were given; at least 22 .* initial.held_out = 20"):
        prepare(make_config({"initial.file": str(own), "initial.held_out": 20}), folder)


def test_other_atoms(make_config, folder, crystals, tmp_path):
    write_structures(tmp_path / "other.extxyz", crystals)
    with pytest.raises(InputError, match=r"other.extxyz: its atoms are not those of .*topology.pdb"):
        prepare(make_config({"initial.file": str(tmp_path / "other.extxyz")}), folder)
    assert not folder.path.exists(), "nothing is written before the inputs fit"


def test_a_torsion_that_nobody_named(make_config, folder):
    with pytest.raises(InputError, match=r"initial.keep names the torsion omega; .*'phi', 'psi'"):
        prepare(make_config({"initial.keep": {"omega": [0, 1]}}), folder)


def test_masses_that_no_walker_can_have_are_refused_before_any_label(make_config, folder):
    with pytest.raises(InputError, match="hydrogen_mass 5 amu leaves atom"):
        prepare(make_config({"sampling.hydrogen_mass": 5.0}), folder)
    assert not folder.initial.exists()


def test_a_uniform_test_set_needs_two_torsions(make_config, folder):
    with pytest.raises(InputError, match=r"test\.ramachandran_grid needs two torsions"):
        prepare(make_config({"system.torsions": None}), folder)


def test_a_test_set_of_ones_own(make_config, folder, own):
    prepare(make_config({"test.ramachandran_grid": None, "test.file": str(own)}), folder)
    assert len(read_structures(folder.test, labelled=True)) == 14


def test_a_broken_pdb(make_config, folder, tmp_path):
    (tmp_path / "broken.pdb").write_text("ATOM      1  CH3 ACE A   1       zero  -0.036  -0.036\n")
    with pytest.raises(InputError, match=r"broken\.pdb: cannot be read as PDB"):
        prepare(make_config({"system.topology": str(tmp_path / "broken.pdb")}), folder)
