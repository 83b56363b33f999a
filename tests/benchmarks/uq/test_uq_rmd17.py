"""Files of rMD17, good and spoilt."""

import numpy as np
import pytest

from uqcv.benchmarks.uq.rmd17 import read_rmd17
from uqcv.errors import InputError


def test_units_of_rmd17(make_npz, frames, tmp_path):
    for read, frame in zip(read_rmd17(make_npz(tmp_path / "a.npz")), frames[:12], strict=True):
        np.testing.assert_array_equal(read.numbers, frame.numbers)
        np.testing.assert_array_equal(read.positions, frame.positions)
        assert read.energy == pytest.approx(frame.energy, rel=1e-8)
        np.testing.assert_allclose(read.forces, frame.forces, rtol=1e-8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"energies": np.float64(3.0)}, r"energies of shape \(\) were given; \(12,\) is expected"),
        ({"energies": np.zeros((12, 1))}, r"energies of shape \(12, 1\) were given; \(12,\) is expected"),
        ({"energies": np.array(["high"] * 12)}, "energies are of type str.*; real numbers are expected"),
        ({"forces": np.zeros((12, 22, 3), complex)}, "forces are of type complex128; real numbers are expected"),
        ({"coords": np.zeros(3)}, r"coords of shape \(3,\) were given; \(frames, atoms, 3\)"),
        ({"nuclear_charges": np.full(22, 150)}, "frame 0: atomic number 150 was given; 1 to 118 is expected"),
        ({"nuclear_charges": np.int64(6)}, r"nuclear_charges of shape \(\) were given; \(22,\) is expected"),
    ],
)
def test_arrays_that_are_something_else(make_npz, tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        read_rmd17(make_npz(tmp_path / "a.npz", **changes))
