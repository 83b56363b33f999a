"""Bonds as a graph: what a pair of atoms is in it, and which atoms it tells apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uqcv.errors import InputError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BOND, ANGLE, NEW_BOND, CONTACT = range(4)


def checked_bonds(bonds: ArrayLike, n: int) -> Ints:
    """Return pairs of `n` atoms counted from 0, shape (m, 2).

    Raises
    ------
    InputError
        For anything else.
    """
    given = np.asarray(bonds)
    if given.size == 0:
        return np.zeros((0, 2), dtype=np.int64)
    if given.shape != (len(given), 2) or not np.issubdtype(given.dtype, np.integer):
        raise InputError(f"bonds: {given.dtype} of shape {given.shape}; integers of shape (m, 2) are expected")
    if given.min() < 0 or given.max() >= n or (given[:, 0] == given[:, 1]).any():
        raise InputError(f"bonds: pairs of different atoms from 0 to {n - 1} are expected")
    return given


def kinds_of(pairs: Ints, graph: Bools) -> Ints:
    """Return what each pair is by its place in the bond graph, shape (p,).

    `BOND`, `ANGLE` (neighbours of one atom), `NEW_BOND` (farther apart; they might form one) or `CONTACT` (one of them
    has no bonds).

    Parameters
    ----------
    pairs
        Shape (p, 2).
    graph
        Which atoms are bonded, symmetric, shape (n, n).
    """
    i, j = pairs.T
    weights = graph.astype(np.float32)  # products of integers would not use BLAS
    angle = (weights @ weights)[i, j] > 0
    bonded = np.asarray(graph.any(axis=1))
    return np.select([graph[i, j], angle, bonded[i] & bonded[j]], [BOND, ANGLE, NEW_BOND], default=CONTACT)


def topological_labels(numbers: Sequence[int], neighbours: Sequence[Sequence[int]]) -> list[int]:
    """Label atoms such that different labels mean different surroundings in the bond graph.

    Labels start as elements and are refined with those of the neighbours until no class splits any more
    (Weisfeiler-Lehman; Morgan's algorithm, doi 10.1021/c160017a018). Atoms that differ only by the
    stereochemistry around them keep the same label.
    """
    labels = list(numbers)
    while True:
        keys = [(labels[i], tuple(sorted(labels[j] for j in near))) for i, near in enumerate(neighbours)]
        ranks = {key: rank for rank, key in enumerate(sorted(set(keys)))}
        refined = [ranks[key] for key in keys]
        if len(ranks) == len(set(labels)):
            return refined
        labels = refined
