"""Latent features of structures, and how they change when atoms vibrate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from uqcv.potentials.dataset import EVALUATION_BATCH
from uqcv.potentials.neighbors import Graph, build_graph, merge_graphs
from uqcv.potentials.potential import Potential
from uqcv.structures import Structure

# How far a carbon atom trembles, Å: about as far as at 300 K. The size drops out of directions, the mass does not.
AMPLITUDE, CARBON_MASS = 0.03, 12.011
COPIES = 6


def latent_features(potential: Potential, structures: Sequence[Structure]) -> NDArray[np.float64]:
    """Return the features of all atoms of all structures, in order, shape (sum of n, f)."""
    with torch.no_grad():
        blocks = [potential(graph).features.cpu().double() for graph in evaluation_graphs(potential, structures)]
    return torch.cat(blocks).numpy()


def evaluation_graphs(potential: Potential, structures: Sequence[Structure]) -> Iterator[Graph]:
    """Yield batches of all structures, in order, in the precision of `potential` and on its device."""
    cutoff, weight = potential.settings.cutoff, next(potential.parameters())
    for start in range(0, len(structures), EVALUATION_BATCH):
        graphs = [build_graph(s, cutoff, weight.dtype) for s in structures[start : start + EVALUATION_BATCH]]
        yield merge_graphs(graphs).to(weight.device)


def vibrational_covariance(
    potential: Potential, structures: Sequence[Structure], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the covariance of an atom's features when all atoms tremble about where they are, shape (f, f).

    Displacements are normal, with a deviation of 0.03 Å for carbon and inversely as the square root of the mass for
    others: thermal vibration in springs of one frequency. The mean over all atoms of all structures is returned.

    Parameters
    ----------
    potential
        Gives the features.
    structures
        Where the atoms tremble.
    rng
        Gives the displacements.
    """
    features = np.stack([latent_features(potential, [_trembling(s, rng) for s in structures]) for _ in range(COPIES)])
    centred = (features - features.mean(axis=0)).reshape(-1, features.shape[2])
    return centred.T @ centred / ((COPIES - 1) * features.shape[1])


def _trembling(structure: Structure, rng: np.random.Generator) -> Structure:
    amplitudes = AMPLITUDE * np.sqrt(CARBON_MASS / structure.masses)
    return structure.with_positions(structure.positions + amplitudes[:, None] * rng.normal(size=(len(structure), 3)))
