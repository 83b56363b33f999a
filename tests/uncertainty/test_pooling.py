"""Pooling: limits, order, gradients, and the concave transform."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uqcv.errors import InputError
from uqcv.uncertainty.pooling import (
    POOLINGS,
    PoolingSettings,
    compress,
    counted_atoms,
    pool,
    pool_local_mean_max,
    pool_max,
    pool_mean,
    pool_smooth_max,
    standardise,
)

per_atom = st.integers(1, 8).flatmap(lambda n: arrays(np.float64, n, elements=st.floats(-50, 50)))
sharpness = st.floats(0.01, 100.0)


def tensor(values) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64)


def neighbourhood(n: int, seed: int = 0) -> torch.Tensor:
    """Symmetric weights between 0 and 1, diagonal 1."""
    weights = np.random.default_rng(seed).uniform(size=(n, n))
    weights = np.maximum(weights, weights.T)
    np.fill_diagonal(weights, 1.0)
    return tensor(weights)


@given(per_atom, sharpness)
def test_smooth_max_lies_between_mean_and_max(values, s):
    x = tensor(values)
    smooth = pool_smooth_max(x, s).item()
    assert pool_mean(x).item() - 1e-9 <= smooth <= pool_max(x).item() + 1e-9


@given(per_atom)
def test_smooth_max_grows_with_its_sharpness(values):
    x = tensor(values)
    grown = [pool_smooth_max(x, s).item() for s in (0.01, 0.1, 1.0, 10.0, 100.0)]
    assert all(b >= a - 1e-9 for a, b in itertools.pairwise(grown))


@given(per_atom)
def test_extremes_of_the_sharpness(values):
    x = tensor(values)
    assert pool_smooth_max(x, 1e-7).item() == pytest.approx(x.mean().item(), abs=1e-3)
    assert pool_smooth_max(x, 1e6).item() == pytest.approx(x.max().item(), abs=1e-4)


def test_smooth_max_is_the_formula():
    x = tensor([0.0, 1.0, 3.0])
    expected = math.log((1 + math.exp(2.0) + math.exp(6.0)) / 3) / 2
    assert pool_smooth_max(x, 2.0).item() == pytest.approx(expected)


def test_smooth_max_does_not_overflow():
    assert pool_smooth_max(tensor([0.0, 1e5]), 50.0).item() == pytest.approx(1e5, rel=1e-6)


@given(per_atom, sharpness)
def test_the_order_of_the_atoms_does_not_matter(values, s):
    order = np.random.default_rng(1).permutation(len(values))
    settings, weights = PoolingSettings(sharpness=s), neighbourhood(len(values))
    for kind in POOLINGS:
        here = pool(tensor(values), kind, settings, lambda: weights).item()
        there = pool(tensor(values[order]), kind, settings, lambda: weights[order][:, order]).item()
        assert here == pytest.approx(there, abs=1e-9)


@given(st.integers(1, 8), st.floats(-50, 50))
def test_equal_atoms_give_their_value(n, value):
    for kind in POOLINGS:
        pooled = pool(tensor([value] * n), kind, PoolingSettings(), lambda: neighbourhood(n))
        assert pooled.item() == pytest.approx(value, abs=1e-9)


@given(per_atom, st.integers(0, 7), st.floats(0.0, 10.0))
def test_no_pooling_falls_when_an_atom_rises(values, atom, rise):
    higher = values.copy()
    higher[atom % len(values)] += rise
    for kind in POOLINGS:
        here, there = (
            pool(tensor(v), kind, PoolingSettings(), lambda: neighbourhood(len(values))) for v in (values, higher)
        )
        assert there.item() >= here.item() - 1e-9


def test_local_means():
    values = tensor([4.0, 0.0, 2.0])
    alone, together = torch.eye(3, dtype=torch.float64), torch.ones(3, 3, dtype=torch.float64)
    assert pool_local_mean_max(values, alone, 1e6).item() == pytest.approx(4.0, abs=1e-4)
    assert pool_local_mean_max(values, together, 1e6).item() == pytest.approx(2.0, abs=1e-4)
    # atoms 0 and 1 are neighbours, 2 is alone: means 2, 2, 2
    pairs = tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert pool_local_mean_max(values, pairs, 4.0).item() == pytest.approx(2.0)
    half = tensor([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]])
    means = [(4.0 + 0.0) / 1.5, (2.0 + 0.0) / 1.5, 2.0]
    assert pool_local_mean_max(values, half, 4.0).item() == pytest.approx(pool_smooth_max(tensor(means), 4.0).item())


@pytest.mark.parametrize("kind", POOLINGS)
def test_gradients(kind):
    x = tensor([0.3, -1.0, 2.0, 0.31]).requires_grad_(True)
    weights = neighbourhood(4)
    assert torch.autograd.gradcheck(lambda v: pool(v, kind, PoolingSettings(), lambda: weights), x)


def test_the_local_mean_is_differentiable_in_its_weights():
    x, weights = tensor([0.3, -1.0, 2.0]), neighbourhood(3).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda w: pool_local_mean_max(x, w, 4.0), weights)


def test_weights_are_made_only_when_needed():
    def never():
        raise AssertionError("the weights were asked for")

    for kind in ("mean", "max", "smooth_max"):
        pool(tensor([1.0, 2.0]), kind, PoolingSettings(), never)
    with pytest.raises(AssertionError):
        pool(tensor([1.0, 2.0]), "local_mean_max", PoolingSettings(), never)


@given(st.floats(-100, 1e6), st.floats(1e-3, 1e3))
def test_compress_rises(z, step):
    low, high = compress(tensor([z, z + step])).tolist()
    assert high >= low >= 0.0


def test_compress_is_concave_far_out():
    z = torch.linspace(3.0, 1000.0, 2000, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(compress(z).sum(), z)
    assert (slope > 0).all() and (slope.diff() < 0).all()
    assert slope[-1].item() == pytest.approx(1e-3, rel=1e-2)  # d log z / d z


def test_compress_values():
    expected = [math.log(1 + math.log(1 + math.exp(z))) for z in (-2.0, 0.0, 5.0)]
    np.testing.assert_allclose(compress(tensor([-2.0, 0.0, 5.0])), expected)
    assert compress(tensor([1e6])).item() == pytest.approx(math.log(1e6), rel=1e-5)


def test_standardise():
    np.testing.assert_allclose(standardise(tensor([1.0, 3.0]), 1.0, 2.0), [0.0, 1.0])


def test_counted_atoms():
    water = torch.tensor([8, 1, 1, 6])
    assert counted_atoms(water, PoolingSettings(atoms="heavy")).tolist() == [0, 3]
    assert counted_atoms(water, PoolingSettings(atoms="all")).tolist() == [0, 1, 2, 3]
    assert counted_atoms(water, PoolingSettings(atoms=(2, 0))).tolist() == [2, 0]
    assert counted_atoms(torch.tensor([1, 1]), PoolingSettings(atoms="heavy")).tolist() == [0, 1]


@pytest.mark.parametrize("atoms", [(0, 4), (-1,), ()])
def test_atoms_that_are_not_there(atoms):
    with pytest.raises(InputError, match="indices from 0 to 3 are expected"):
        counted_atoms(torch.tensor([8, 1, 1, 6]), PoolingSettings(atoms=atoms))
