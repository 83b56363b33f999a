"""A potential: energy and per-atom invariant features, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uqcv.errors import UnknownElementError
from uqcv.potentials.links import Links
from uqcv.potentials.neighbors import Graph
from uqcv.potentials.painn import PaiNN, PaiNNSettings

MAX_ATOMIC_NUMBER = 118


@dataclass(frozen=True)
class Prediction:
    """What a potential says of a graph.

    Attributes
    ----------
    energies
        eV, one per structure, shape (s,).
    features
        Per-atom features, invariant to rotation, translation and the order of other atoms, shape (n, f).
    outputs
        What a second readout says of each atom's force, shape (n, k), or None.
    """

    energies: Tensor
    features: Tensor
    outputs: Tensor | None = None


class Potential(nn.Module):
    """PaiNN with a readout, element offsets and an energy scale.

    E = sum_i (scale * readout(features_i) + offset[element_i]), in eV.

    Parameters
    ----------
    elements
        Atomic numbers that the potential knows, sorted.
    settings
        Architecture.
    n_outputs
        Numbers per atom from a second readout, for those who learn how wrong forces are; 0: there is none.
    """

    def __init__(self, elements: Sequence[int], settings: PaiNNSettings | None = None, n_outputs: int = 0) -> None:
        super().__init__()
        self.settings = settings or PaiNNSettings()
        self.elements = tuple(int(z) for z in elements)
        self.n_outputs = n_outputs
        f = self.settings.n_features
        self.representation = PaiNN(len(self.elements), self.settings)
        self.readout = _readout(f, 1)
        self.head = _readout(f, n_outputs) if n_outputs else None
        species = torch.full((MAX_ATOMIC_NUMBER + 1,), -1)
        species[list(self.elements)] = torch.arange(len(self.elements))
        self.species_of_number: Tensor
        self.register_buffer("species_of_number", species)
        # Offsets are large (DFT totals) and must not lose digits to float32 beside small interaction energies.
        self.offsets: Tensor
        self.register_buffer("offsets", torch.zeros(len(self.elements), dtype=torch.float64))
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(()))

    def to_dtype(self, dtype: torch.dtype) -> Potential:
        """Change the precision of the network, but never of the element offsets; return self."""
        offsets = self.offsets.to(torch.float64)
        self.to(dtype)
        self.offsets = offsets
        return self

    def species(self, numbers: Tensor) -> Tensor:
        """Return the index of each element among the known ones.

        Raises
        ------
        UnknownElementError
            If an element was not in the training set: the network has no parameters for it.
        """
        species = self.species_of_number[numbers]
        if bool((species < 0).any()):
            unknown = sorted({int(z) for z in numbers[species < 0]})
            raise UnknownElementError(
                f"elements with atomic numbers {unknown} were given; the model knows {list(self.elements)}: "
                "train it on labelled structures that hold them"
            )
        return species

    def atomic(self, species: Tensor, vectors: Tensor, links: Links) -> tuple[Tensor, Tensor]:
        """Return the energy (eV, float64, shape (n,)) and the features (n, f) of every atom.

        Parameters
        ----------
        species
            Index of each element among the known ones, shape (n,).
        vectors
            From receiver to sender of each pair in Å, shape (p, 3).
        links
            Which atoms are neighbours.
        """
        features = self.representation(species, vectors, links)
        interaction = self.scale * self.readout(features)[:, 0]
        return interaction.to(torch.float64) + self.offsets[species], features

    def hidden(self, features: Tensor) -> Tensor:
        """Return what the last, linear layer of the energy sees of features (n, f): shape (n, f // 2)."""
        hidden: Tensor = self.readout[:-1](features)
        return hidden

    def forward(self, graph: Graph, vectors: Tensor | None = None, species: Tensor | None = None) -> Prediction:
        """Return energies (eV) and features.

        Parameters
        ----------
        graph
            One or several structures.
        vectors
            Pair vectors in Å to use instead of `graph.vectors()`, so that derivatives can be taken at them.
        species
            What `species` says of the graph's atomic numbers, if it has been asked before.
        """
        vectors = graph.vectors() if vectors is None else vectors
        species = self.species(graph.numbers) if species is None else species
        atomic, features = self.atomic(species, vectors, graph.links)
        zeros = torch.zeros(graph.n_structures, dtype=torch.float64, device=atomic.device)
        outputs = None if self.head is None else self.head(features)
        return Prediction(zeros.index_add(0, graph.structure_of_atom, atomic), features, outputs)


def _readout(n_features: int, n_outputs: int) -> nn.Sequential:
    half = n_features // 2
    return nn.Sequential(nn.Linear(n_features, half), nn.SiLU(), nn.Linear(half, n_outputs))


# A potential, or what stands for it with other weights.
Predictor = Callable[[Graph, Tensor], Prediction]


def pair_gradient(value: Tensor, vectors: Tensor, create_graph: bool = False, retain_graph: bool = False) -> Tensor:
    """Return d value / d vectors, zeros where `value` does not depend on them; shape (p, 3)."""
    (gradient,) = torch.autograd.grad(
        value,
        vectors,
        create_graph=create_graph,
        retain_graph=retain_graph or create_graph,
        materialize_grads=True,
    )
    return gradient


def position_gradient(pair_gradients: Tensor, graph: Graph) -> Tensor:
    """Return d value / d positions from its derivatives at the pair vectors r_j - r_i; shape (n, 3)."""
    return graph.links.sum_over_receivers(pair_gradients) - graph.links.sum_over_senders(pair_gradients)


def strain_gradient(pair_gradients: Tensor, vectors: Tensor, graph: Graph) -> Tensor:
    """Return d value / d strain, symmetric, shape (s, 3, 3).

    Under a homogeneous strain e every vector becomes r (1 + e), cell included, so the derivative is
    sum_p r_p (x) dvalue/dr_p. For an energy, stress = this / volume and virial = -this.
    """
    outer = (vectors[:, :, None] * pair_gradients[:, None, :]).flatten(1)
    atomic = graph.links.sum_over_senders(outer)
    total = outer.new_zeros(graph.n_structures, 9).index_add(0, graph.structure_of_atom, atomic).reshape(-1, 3, 3)
    return 0.5 * (total + total.transpose(1, 2))


def predict_with_forces(potential: Predictor, graph: Graph, create_graph: bool = False) -> tuple[Prediction, Tensor]:
    """Return what a potential says of a graph, and the forces (n, 3) in eV/Å.

    Parameters
    ----------
    potential, graph
        What to evaluate, and where.
    create_graph
        Whether the forces are differentiated again, as in training.
    """
    vectors = graph.vectors().detach().requires_grad_(True)
    prediction = potential(graph, vectors)
    gradient = pair_gradient(prediction.energies.sum(), vectors, create_graph=create_graph)
    return prediction, -position_gradient(gradient, graph)


def stress(potential: Potential, graph: Graph) -> Tensor:
    """Return the stress of periodic structures, eV/Å^3, shape (s, 3, 3); positive under tension."""
    vectors = graph.vectors().detach().requires_grad_(True)
    gradient = pair_gradient(potential(graph, vectors).energies.sum(), vectors)
    volumes = torch.linalg.det(graph.cells).abs()
    return strain_gradient(gradient, vectors.detach(), graph) / volumes[:, None, None]
