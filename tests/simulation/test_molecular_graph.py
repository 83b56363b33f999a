import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uqcv.errors import InputError
from uqcv.simulation.molecular_graph import ANGLE, BOND, CONTACT, NEW_BOND, checked_bonds, kinds_of, topological_labels


def graph_of(bonds, n):
    graph = np.zeros((n, n), dtype=bool)
    for i, j in bonds:
        graph[i, j] = graph[j, i] = True
    return graph


def test_what_a_pair_is():
    """A chain of four atoms, and an ion."""
    pairs = np.array([(0, 1), (0, 2), (0, 3), (0, 4)])
    kinds = kinds_of(pairs, graph_of([(0, 1), (1, 2), (2, 3)], 5))
    assert kinds.tolist() == [BOND, ANGLE, NEW_BOND, CONTACT]


@pytest.mark.parametrize("bonds", [[[0, 3]], [[1, 1]], [[0, 1, 2]], [[0.0, 1.0]], [[-1, 0]]])
def test_what_are_no_bonds(bonds):
    with pytest.raises(InputError, match="bonds"):
        checked_bonds(bonds, 3)


def test_labels_see_the_whole_graph():
    """The middle carbons of 2-butene's chain differ from the ends, and the ends not from each other."""
    chain = topological_labels([6, 6, 6, 6], [[1], [0, 2], [1, 3], [2]])
    assert chain[0] == chain[3] != chain[1] == chain[2]
    halogenated = topological_labels([6, 6, 6, 9], [[1], [0, 2], [1, 3], [2]])
    assert len(set(halogenated)) == 4


@given(st.permutations(range(6)))
def test_labels_do_not_depend_on_the_order_of_atoms(order):
    numbers, bonds = [6, 6, 8, 1, 1, 1], [(0, 1), (1, 2), (0, 3), (0, 4), (2, 5)]
    where = {atom: place for place, atom in enumerate(order)}
    neighbours = [[] for _ in numbers]
    shuffled = [[] for _ in numbers]
    for i, j in bonds:
        neighbours[i].append(j), neighbours[j].append(i)
        shuffled[where[i]].append(where[j]), shuffled[where[j]].append(where[i])
    one = topological_labels(numbers, neighbours)
    other = topological_labels([numbers[atom] for atom in order], shuffled)
    assert [other[where[atom]] for atom in range(6)] == one
