"""A Verlet list must never miss a pair, and should seldom be built."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uqcv.potentials.neighbors import build_graph
from uqcv.potentials.verlet import GRAIN, VerletList
from uqcv.structures import Structure

CUTOFF = 4.0


def list_of(structure: Structure, skin: float = 0.6) -> VerletList:
    return VerletList(structure.numbers, structure.pbc, CUTOFF, skin, torch.float64)


def near(graph) -> np.ndarray:
    """Lengths of the vectors within the cutoff, sorted."""
    lengths = graph.vectors().norm(dim=1).numpy()
    return np.sort(lengths[lengths < CUTOFF])


@given(seed=st.integers(0, 1000), step=st.floats(0.01, 0.3))
@settings(deadline=None, max_examples=15)
def test_no_pair_is_missed_along_a_walk(crystal, seed, step):
    random, verlet, structure = np.random.default_rng(seed), list_of(crystal), crystal
    for _ in range(8):
        structure = structure.with_positions(structure.positions + random.normal(scale=step, size=(4, 3)))
        found = near(verlet.graph(structure.positions, structure.cell))
        np.testing.assert_allclose(found, near(build_graph(structure, CUTOFF, torch.float64)), atol=1e-12)


def test_it_is_built_when_an_atom_has_moved_half_the_skin_or_the_cell_changes(crystal):
    verlet = list_of(crystal, skin=0.6)
    moved = crystal.positions.copy()
    verlet.graph(moved, crystal.cell)
    moved[2, 1] += 0.299
    verlet.graph(moved, crystal.cell)
    assert verlet.n_builds == 1
    moved[2, 1] += 0.002
    verlet.graph(moved, crystal.cell)
    assert verlet.n_builds == 2
    verlet.graph(moved, 1.001 * crystal.cell)
    assert verlet.n_builds == 3


def test_each_pair_stands_there_in_both_directions(crystal):
    """A cell smaller than the cutoff: an atom has several images of another, and of itself, as neighbours."""
    graph = list_of(crystal).graph(crystal.positions, crystal.cell)
    vectors, reverse = graph.vectors(), graph.links.reverse.flatten()
    real = vectors.norm(dim=1) < 100
    assert real.sum() > 50 and not real.all()
    np.testing.assert_allclose(vectors[real], -vectors[reverse][real], atol=1e-12)
    np.testing.assert_array_equal(reverse[reverse], np.arange(len(reverse)))
    np.testing.assert_array_equal(reverse[~real], np.arange(len(reverse))[~real])


def test_the_number_of_pairs_stays_while_there_is_room(crystal):
    verlet = list_of(crystal)
    first = verlet.graph(crystal.positions, crystal.cell).offsets.shape
    assert first[0] % (4 * GRAIN) == 0
    moved = crystal.positions + np.random.default_rng(0).normal(scale=0.2, size=(4, 3))
    assert verlet.graph(moved, crystal.cell).offsets.shape == first and verlet.n_builds == 2
    denser = verlet.graph(0.7 * crystal.positions, 0.7 * crystal.cell).offsets.shape
    assert denser[0] > first[0]


def test_room_for_more_pairs_changes_no_feature(make_potential, crystal):
    network = make_potential((29, 79))
    filled = network(list_of(crystal).graph(crystal.positions, crystal.cell)).features
    exact = network(build_graph(crystal, CUTOFF, torch.float64)).features
    np.testing.assert_allclose(filled.detach(), exact.detach(), atol=1e-12)


def test_a_lonely_atom_has_no_neighbour(make_potential):
    lonely = Structure([8], np.zeros((1, 3)))
    graph = list_of(lonely).graph(lonely.positions, lonely.cell)
    assert len(near(graph)) == 0
    assert torch.isfinite(make_potential((8,))(graph).features).all()


@pytest.mark.parametrize("shift", [np.zeros(3), np.array([3.0, -2.0, 1.0])])
def test_atoms_that_were_wrapped_are_found_again(crystal, shift):
    verlet = list_of(crystal)
    verlet.graph(crystal.positions, crystal.cell)
    wrapped = crystal.positions + shift @ crystal.cell
    np.testing.assert_allclose(
        near(verlet.graph(wrapped, crystal.cell)), near(build_graph(crystal, CUTOFF, torch.float64)), atol=1e-10
    )


def test_a_recalled_list_is_the_same_list(crystal):
    """Pairs in the order in which they were found there, with the room that there was; not those of a new list."""
    first, again, new = (list_of(crystal) for _ in range(3))
    assert first.memory() == {}
    first.graph(0.9 * crystal.positions, 0.9 * crystal.cell)  # more neighbours, so more room ever after
    first.graph(crystal.positions, crystal.cell)
    moved = crystal.positions + np.random.default_rng(0).uniform(-0.15, 0.15, crystal.positions.shape)
    expected = first.graph(moved, crystal.cell)
    again.recall(first.memory())
    found = again.graph(moved, crystal.cell)
    assert torch.equal(found.vectors(), expected.vectors()) and again.n_builds == 1
    assert torch.equal(found.links.reverse, expected.links.reverse)
    other = new.graph(moved, crystal.cell).vectors()
    assert other.shape != expected.vectors().shape or not torch.equal(other, expected.vectors())
