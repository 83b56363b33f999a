import numpy as np
import pytest

from uqcv.errors import InputError
from uqcv.labeling.ramachandran import uniform_ramachandran
from uqcv.labeling.stereochemistry import Stereochemistry
from uqcv.simulation.torsions import backbone_torsions, torsion_angle


@pytest.fixture(scope="module")
def torsions(alanine):
    return backbone_torsions(alanine.topology)


@pytest.fixture(scope="module")
def frames(alanine, torsions):
    return uniform_ramachandran(alanine, torsions, grid=6, seed=3)


def test_nearly_every_bin_has_its_frame(frames):
    bins = {tuple(int((s.info[name] + 180) // 60) for name in ("phi", "psi")) for s in frames}
    assert len(frames) >= 34
    assert len(bins) == len(frames)


def test_the_angles_said_are_the_angles_measured(frames, torsions):
    for frame in frames:
        for name, torsion in torsions.items():
            assert frame.info[name] == torsion_angle(frame.positions, torsion)


def test_frames_are_physical_and_l(alanine, frames):
    stereochemistry = Stereochemistry(alanine.topology, alanine.structure.positions)
    lowest = alanine.label(alanine.structure).energy
    for frame in frames:
        assert stereochemistry.is_kept(frame.positions)
        assert lowest < frame.energy < lowest + 3.0


def test_labels_are_without_the_restraint(alanine, frames):
    for frame in frames[::7]:
        expected = alanine.label(frame)
        assert frame.energy == expected.energy
        assert np.array_equal(frame.forces, expected.forces)


def test_frames_are_shaken_at_the_temperature(alanine, torsions, frames):
    still = uniform_ramachandran(alanine, torsions, grid=6, shake=0.0)
    rise = np.mean([s.energy for s in frames]) - np.mean([s.energy for s in still])
    degrees = 3 * 22 - 6  # harmonic: kT/2 each
    assert rise == pytest.approx(0.5 * degrees * 8.617e-5 * 300.0, rel=0.2)


def test_the_seed_decides(alanine, torsions, frames):
    again, other = (uniform_ramachandran(alanine, torsions, grid=6, seed=seed) for seed in (3, 4))
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(frames, again, strict=True))
    assert not np.allclose(frames[0].positions, other[0].positions)


def test_a_low_ceiling_keeps_the_valleys(alanine, torsions):
    low = uniform_ramachandran(alanine, torsions, grid=6, shake=0.0, max_energy=0.2)
    assert 0 < len(low) < 18


def test_bad_inputs_are_refused(alanine, torsions):
    with pytest.raises(InputError, match="1 torsions"):
        uniform_ramachandran(alanine, {"phi": torsions["phi"]})
    with pytest.raises(InputError, match="grid of 0"):
        uniform_ramachandran(alanine, torsions, grid=0)
