import numpy as np
import pytest
from pydantic import ValidationError

from uqcv.errors import InputError
from uqcv.labeling.free_energy import MetadynamicsRecipe, reference_free_energy
from uqcv.labeling.surface import FreeEnergySurface
from uqcv.simulation.torsions import backbone_torsions


@pytest.fixture(scope="module")
def short(alanine):
    return reference_free_energy(alanine, backbone_torsions(alanine.topology), length=1e5, seed=5)


def test_a_short_run_finds_the_valley_it_starts_in(short):
    assert short.values.shape == (12, 12) and short.values.min() == 0.0
    phi, _ = np.unravel_index(short.values.argmin(), short.values.shape)
    assert short.centers[phi] < 0
    assert np.isinf(short.values).any() and not np.isnan(short.values).any()


def test_the_seed_decides(alanine, short):
    torsions = backbone_torsions(alanine.topology)
    again = reference_free_energy(alanine, torsions, length=1e5, seed=5)
    assert np.array_equal(short.values, again.values)


def test_csv_round_trip(short, tmp_path):
    short.save(tmp_path / "f.csv")
    read = FreeEnergySurface.load(tmp_path / "f.csv")
    assert read.recipe == short.recipe
    assert np.allclose(read.values, short.values, atol=1e-4)
    text = (tmp_path / "f.csv").read_text()
    for word in ("amber14-all.xml", "seed: 5", "length: 100000 fs", "openmm 8", "pace"):
        assert word in text


def test_the_bundled_surface_is_that_of_l_alanine(topology_path):
    bundled = FreeEnergySurface.load(topology_path.with_name("free_energy.csv"))
    phi, psi = np.unravel_index(bundled.values.argmin(), bundled.values.shape)
    assert (bundled.centers[phi], bundled.centers[psi]) == (-75.0, 45.0)
    right = bundled.values[bundled.centers > 0]
    assert 3.0 < right.min() < 12.0


def test_bad_inputs_are_refused(alanine):
    torsions = backbone_torsions(alanine.topology)
    with pytest.raises(InputError, match="time for a hill"):
        reference_free_energy(alanine, torsions, length=10.0)
    with pytest.raises(InputError, match="two torsions"):
        reference_free_energy(alanine, {"phi": torsions["phi"]})
    with pytest.raises(ValidationError):
        MetadynamicsRecipe(bias_factor=1.0)
