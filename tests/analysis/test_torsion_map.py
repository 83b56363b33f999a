import numpy as np
import pytest

from uqcv.analysis.ramachandran import (
    CoverageResult,
    coverage,
    histogram,
    ramachandran_angles,
    read_free_energy,
    torsion_angles,
)
from uqcv.errors import InputError
from uqcv.labeling.surface import FreeEnergySurface
from uqcv.simulation.torsions import torsion_angle


@pytest.fixture(scope="module")
def free_energy_path(root):
    return root / "systems" / "alanine_dipeptide" / "free_energy.csv"


def test_angles_of_many_frames_are_those_of_each(frames, torsions):
    positions = np.array([s.positions for s in frames]).reshape(6, 6, 22, 3)
    for torsion in torsions.values():
        expected = [torsion_angle(s.positions, torsion) for s in frames]
        assert torsion_angles(positions, torsion).ravel() == pytest.approx(expected, abs=1e-10)


def test_angles_are_those_that_were_asked_for(make_turned, torsions):
    wanted = np.array([[-150.0, 155.0], [60.0, -60.0], [179.0, -179.0]])
    assert ramachandran_angles(make_turned(wanted), torsions) == pytest.approx(wanted, abs=1e-8)
    assert ramachandran_angles([], torsions).shape == (0, 2)


def test_wrong_torsions_are_refused(frames, torsions):
    with pytest.raises(InputError, match="1 torsions were given; two"):
        ramachandran_angles(frames, {"phi": torsions["phi"]})
    with pytest.raises(InputError, match="indices from 0 to 21"):
        ramachandran_angles(frames, {"phi": torsions["phi"], "psi": (1, 2, 3, 22)})


def test_the_histogram_has_phi_first_and_loses_nothing():
    angles = [[-180.0, -180.0], [180.0, 180.0], [10.0, -100.0]]
    counts = histogram(angles, 4)
    assert counts.sum() == 3
    assert counts[0, 0] == counts[3, 3] == counts[2, 0] == 1


def test_coverage_counts_relevant_bins_only():
    free_energy = np.array([[0.0, 10.0], [29.9, 30.0]])
    angles = [[-90, -90], [-91, -90], [90, 90]]  # the lowest bin twice, and the one that is not relevant
    assert coverage(angles, free_energy) == CoverageResult(n_visited=1, n_relevant=3)
    assert coverage(angles, free_energy, ceiling=31.0) == CoverageResult(n_visited=2, n_relevant=4)
    assert np.isnan(coverage([], np.full((2, 2), np.inf)).share)


def test_a_center_in_every_relevant_bin_covers_all(free_energy_path):
    free_energy = read_free_energy(free_energy_path)
    centers = -180.0 + 30.0 * (np.arange(12) + 0.5)
    everywhere = np.stack(np.meshgrid(centers, centers, indexing="ij"), axis=-1)
    relevant = everywhere[free_energy < 30.0]
    assert coverage(relevant, free_energy).share == 1.0
    assert coverage(relevant[: len(relevant) // 2], free_energy).n_visited == len(relevant) // 2


def test_the_reader_agrees_with_the_writer(free_energy_path, tmp_path):
    surface = FreeEnergySurface.load(free_energy_path)
    assert read_free_energy(free_energy_path).tolist() == surface.values.tolist()
    surface.save(tmp_path / "again.csv")
    assert read_free_energy(tmp_path / "again.csv").tolist() == surface.values.tolist()


def test_broken_tables_are_refused(free_energy_path, tmp_path):
    lines = free_energy_path.read_text().splitlines()
    broken = {
        "centers of the bins in order": lines[:-1],
        "are expected as columns": [line for line in lines if not line.startswith("phi")],
        "cannot be read as a free-energy table": [*lines[:-1], "165,165,low"],
        "bins; a full grid": [*lines[:-1], "135,165,1.0"],
    }
    for message, text in broken.items():
        (tmp_path / "table.csv").write_text("\n".join(text))
        with pytest.raises(InputError, match=message):
            read_free_energy(tmp_path / "table.csv")
    with pytest.raises(InputError, match="no such file"):
        read_free_energy(tmp_path / "none.csv")
