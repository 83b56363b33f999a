"""PaiNN features: invariant where physics says so, and smooth."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from uqcv.potentials.links import ListedLinks
from uqcv.potentials.neighbors import build_graph, complete_graph
from uqcv.potentials.painn import PaiNN, PaiNNSettings
from uqcv.structures import Structure


@pytest.fixture
def features(potential):
    """Features of a structure by the network of all tests, shape (n, 16)."""

    def of(structure: Structure) -> np.ndarray:
        graph = build_graph(structure, potential.settings.cutoff, torch.float64)
        return potential(graph).features.detach().numpy()

    return of


def test_features_differ_between_atoms_and_structures(features, molecule, frames):
    """Otherwise the tests below would hold for a network that sees nothing."""
    here, there = features(molecule), features(frames[0])
    assert here.shape == (22, 16)
    assert np.abs(here - there).max() > 1e-3
    assert min(np.abs(here[a] - here[b]).max() for a in range(22) for b in range(a)) > 1e-6


def test_rotation_translation_and_reflection(features, molecule, rotation):
    for matrix in (rotation, -rotation):
        moved = molecule.positions @ matrix.T + [1.0, -20.0, 300.0]
        np.testing.assert_allclose(features(molecule.with_positions(moved)), features(molecule), atol=1e-9)


def test_rotation_of_a_crystal(make_potential, crystal, rotation):
    network = make_potential((29, 79))
    turned = Structure(crystal.numbers, crystal.positions @ rotation.T, crystal.cell @ rotation.T, crystal.pbc)
    a, b = (network(build_graph(s, 4.0, torch.float64)).features for s in (crystal, turned))
    np.testing.assert_allclose(a.detach(), b.detach(), atol=1e-10)


def test_permutation_of_the_atoms_permutes_their_features(features, molecule):
    order = np.random.default_rng(0).permutation(22)
    permuted = Structure(molecule.numbers[order], molecule.positions[order])
    np.testing.assert_allclose(features(permuted), features(molecule)[order], atol=1e-12)


def test_permutation_of_the_others_changes_nothing(features, molecule):
    order = np.concatenate([[0, 1, 2], 3 + np.random.default_rng(0).permutation(19)])
    permuted = Structure(molecule.numbers[order], molecule.positions[order])
    np.testing.assert_allclose(features(permuted)[:3], features(molecule)[:3], atol=1e-12)


def test_complete_links_give_the_same_as_those_within_the_cutoff(potential, features, molecule):
    assert len(build_graph(molecule, 4.0).links.i) < 22 * 21, "the molecule must be larger than the cutoff"
    complete = potential(complete_graph(molecule, torch.float64)).features.detach()
    np.testing.assert_allclose(complete, features(molecule), atol=1e-13)


def test_distant_molecules_do_not_see_each_other(features, molecule):
    away = molecule.positions + np.array([50.0, 0.0, 0.0])
    two = Structure(np.tile(molecule.numbers, 2), np.concatenate([molecule.positions, away]))
    np.testing.assert_allclose(features(two), np.tile(features(molecule), (2, 1)), atol=1e-11)


def test_information_travels_one_cutoff_per_layer(make_potential):
    # four atoms in a line, 3 Å apart, cutoff 4: with two layers the first knows the third but not the fourth
    network = make_potential((1, 6))
    line = np.array([[3.0 * k, 0.0, 0.0] for k in range(4)])

    def first(numbers) -> np.ndarray:
        return network(build_graph(Structure(numbers, line), 4.0, torch.float64)).features[0].detach().numpy()

    np.testing.assert_array_equal(first([6, 6, 6, 1]), first([6, 6, 6, 6]))
    assert np.abs(first([6, 6, 1, 6]) - first([6, 6, 6, 6])).max() > 1e-6


def test_lonely_atoms_have_finite_features_and_gradients(potential):
    graph = build_graph(Structure([8], np.zeros((1, 3))), 4.0, torch.float64)
    vectors = graph.vectors().requires_grad_(True)
    features = potential(graph, vectors).features
    assert torch.isfinite(features).all()


def test_collinear_atoms_have_finite_gradients(potential):
    # vector features vanish in the middle by symmetry, where the derivative of a plain norm is NaN
    line = Structure([8, 6, 8], np.array([[-1.16, 0, 0], [0, 0, 0], [1.16, 0, 0]]))
    graph = build_graph(line, 4.0, torch.float64)
    vectors = graph.vectors().requires_grad_(True)
    (gradient,) = torch.autograd.grad(potential(graph, vectors).features.sum(), vectors)
    assert torch.isfinite(gradient).all()


def test_settings_are_strict():
    with pytest.raises(ValidationError):
        PaiNNSettings(n_featurs=32)
    with pytest.raises(ValidationError):
        PaiNNSettings(cutoff=-1.0)


@pytest.mark.parametrize("layers", [1, 3])
def test_any_number_of_layers(layers):
    network = PaiNN(2, PaiNNSettings(n_features=8, n_layers=layers, n_radial=4, cutoff=3.0))
    vectors = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    links = ListedLinks(torch.tensor([0, 1]), torch.tensor([1, 0]), 2)
    assert network(torch.tensor([0, 1]), vectors, links).shape == (2, 8)
