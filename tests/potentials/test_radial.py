"""Radial functions: values of the formulas, and smoothness at the cutoff."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uqcv.potentials.radial import bessel_basis, cosine_cutoff

CUTOFF = 4.0


def at(*distances: float) -> torch.Tensor:
    return torch.tensor(distances, dtype=torch.float64)


def test_cutoff_values():
    values = cosine_cutoff(at(0.0, 1.0, 2.0, 3.0, 4.0, 4.5, 8.0), CUTOFF)
    quarter = 0.5 * (1 + np.sqrt(0.5))
    np.testing.assert_allclose(values, [1.0, quarter, 0.5, 1 - quarter, 0.0, 0.0, 0.0], atol=1e-15)


@given(st.floats(0.0, 20.0))
def test_cutoff_is_a_weight(distance):
    assert 0.0 <= cosine_cutoff(at(distance), CUTOFF).item() <= 1.0


def test_cutoff_ends_with_value_and_slope_zero():
    distances = at(CUTOFF - 1e-6, CUTOFF, CUTOFF + 1e-6).requires_grad_(True)
    values = cosine_cutoff(distances, CUTOFF)
    (slopes,) = torch.autograd.grad(values.sum(), distances)
    assert values.abs().max() < 1e-12
    assert slopes.abs().max() < 1e-6


def test_bessel_values():
    basis = bessel_basis(at(1.0, 2.0), CUTOFF, 3)
    expected = [[np.sin(n * np.pi * r / CUTOFF) / r for n in (1, 2, 3)] for r in (1.0, 2.0)]
    np.testing.assert_allclose(basis, expected, atol=1e-15)


def test_bessel_functions_vanish_at_the_cutoff():
    assert bessel_basis(at(CUTOFF), CUTOFF, 8).abs().max() < 1e-14


def test_bessel_functions_are_orthogonal():
    # int_0^rc r^2 b_n b_m dr = rc / 2 if n = m, else 0 (the constant that is left out in the code)
    r = torch.linspace(1e-6, CUTOFF, 4001, dtype=torch.float64)
    basis = bessel_basis(r, CUTOFF, 5)
    overlap = torch.trapezoid(basis[:, :, None] * basis[:, None, :] * (r**2)[:, None, None], r, dim=0)
    np.testing.assert_allclose(overlap, CUTOFF / 2 * np.eye(5), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_is_that_of_the_distances(dtype):
    distances = torch.linspace(0.5, 5.0, 7, dtype=dtype)
    assert cosine_cutoff(distances, CUTOFF).dtype == dtype
    assert bessel_basis(distances, CUTOFF, 4).dtype == dtype


def test_gradients():
    distances = at(0.5, 1.7, 3.9).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda r: cosine_cutoff(r, CUTOFF), distances)
    assert torch.autograd.gradcheck(lambda r: bessel_basis(r, CUTOFF, 4), distances)
