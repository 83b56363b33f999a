import numpy as np
import pytest

from uqcv.errors import InputError
from uqcv.labeling.surface import FreeEnergySurface, bin_edges, reweighted
from uqcv.units import BOLTZMANN_KJMOL

KT = BOLTZMANN_KJMOL * 300.0


def surface(values) -> FreeEnergySurface:
    return FreeEnergySurface(np.array(values, dtype=float))


def test_the_grid_is_read_in_the_order_it_was_written(tmp_path):
    surface(np.arange(9).reshape(3, 3)).save(tmp_path / "f.csv")
    assert "-120,0,1.0000" in (tmp_path / "f.csv").read_text()
    assert FreeEnergySurface.load(tmp_path / "f.csv").values[2, 0] == 6.0


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "phi_degrees,psi_degrees,free_energy_kJ_per_mol\n1,2,x\n"])
def test_another_table_is_refused(tmp_path, text):
    (tmp_path / "f.csv").write_text(text)
    with pytest.raises(InputError, match=r"f\.csv"):
        FreeEnergySurface.load(tmp_path / "f.csv")


def test_reweighting_removes_the_bias():
    # two bins of populations 1 and 3, of which a bias of kT log 3 on the second makes equals
    angles = np.array([[-90.0, 90.0], [90.0, 90.0]]).repeat(50, axis=0)
    bias = np.array([0.0, KT * np.log(3.0)]).repeat(50)
    free = reweighted(angles, bias, 2, 300.0)
    assert free[:, 1] == pytest.approx([KT * np.log(3.0), 0.0])
    assert np.isinf(free[:, 0]).all()


def test_bins_cover_the_circle():
    assert bin_edges(12)[[0, -1]] == pytest.approx([-180.0, 180.0])
    assert surface(np.zeros((12, 12))).centers[0] == -165.0


def test_surfaces_are_compared_where_the_first_is_low():
    first, second = surface([[0, 10], [20, 50]]), surface([[0, 12], [19, 10]])
    assert first.difference(second) == pytest.approx(1.0)
    assert surface([[0, 10], [20, 50]]).below(30.0).sum() == 3
    assert np.isinf(first.difference(surface([[0, np.inf], [20, 50]])))
    with pytest.raises(InputError, match="same grid"):
        first.difference(surface(np.zeros((3, 3))))
