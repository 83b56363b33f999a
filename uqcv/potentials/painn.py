"""PaiNN: an equivariant message-passing network.

Schütt, Unke & Gastegger, ICML 2021, arXiv 2102.03150. Symbols of the paper and names here:

=====================  ==================================================
s_i                    scalars, shape (n, f)
v_i                    equivariant, shape (3, n, f)
phi                    Message.atomwise, Update.atomwise
W(r) f_cut(r)          filters, shape (p, 3f) for each layer
U, V                   Update.mix
=====================  ==================================================

The Cartesian axis comes first in equivariant tensors: products with scalars then broadcast over whole contiguous
blocks, which a CPU does several times faster than over rows of f numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from uqcv.potentials.links import Links
from uqcv.potentials.radial import bessel_basis, cosine_cutoff

NORM_EPSILON = 1e-8  # keeps the derivative of a vector's norm finite where the vector vanishes


class PaiNNSettings(BaseModel):
    """Architecture of a PaiNN network."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_features: int = Field(64, ge=4, le=4096, description="width of the scalar and vector features")
    n_layers: int = Field(3, ge=1, le=64, description="number of message-passing layers")
    n_radial: int = Field(8, ge=1, le=1024, description="number of Bessel functions")
    cutoff: float = Field(5.0, gt=0, le=100, description="radial cutoff, Å")


class Kernels(NamedTuple):
    """Functions of pairs, of which filters are made.

    Attributes
    ----------
    radial
        Bessel functions and one, times the cutoff function, shape (p, n_radial + 1).
    directions
        Unit vectors, shape (3, p).
    """

    radial: Tensor
    directions: Tensor


def _kernels(vectors: Tensor, distances: Tensor, cutoff: float, n_radial: int) -> Kernels:
    inside = cosine_cutoff(distances, cutoff)[:, None]
    radial = torch.cat([bessel_basis(distances, cutoff, n_radial) * inside, inside], dim=1)
    return Kernels(radial, (vectors / distances[:, None]).T)


class Message(nn.Module):
    """Messages from neighbours: eqs. 7 and 8 of the paper."""

    def __init__(self, n_features: int, has_vectors: bool) -> None:
        super().__init__()
        self.n_parts = 3 if has_vectors else 2
        self.atomwise = nn.Sequential(
            nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, self.n_parts * n_features)
        )

    def forward(
        self, scalars: Tensor, equivariant: Tensor | None, kernels: Kernels, weights: Tensor, links: Links
    ) -> tuple[Tensor, Tensor]:
        """Return the sums of messages to scalars (n, f) and vectors (3, n, f)."""
        f = scalars.shape[1]
        values, filters = self.atomwise(scalars).split(f, dim=1), weights.split(f, dim=1)
        to_scalars = links.convolve(kernels.radial, filters[0], values[0])
        to_vectors = links.convolve(kernels.radial, filters[1], values[1], kernels.directions)
        if equivariant is not None:
            to_vectors = to_vectors + links.convolve(kernels.radial, filters[2], values[2] * equivariant)
        return to_scalars, to_vectors


class Update(nn.Module):
    """Mixing within an atom: eqs. 9 and 10 of the paper."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.mix = nn.Linear(n_features, 2 * n_features, bias=False)
        self.atomwise = nn.Sequential(
            nn.Linear(2 * n_features, n_features), nn.SiLU(), nn.Linear(n_features, 3 * n_features)
        )

    def forward(self, scalars: Tensor, equivariant: Tensor) -> tuple[Tensor, Tensor]:
        """Return the changes of scalars (n, f) and vectors (3, n, f)."""
        f = scalars.shape[1]
        u, v = self.mix(equivariant).split(f, dim=2)
        norms = (v.square().sum(dim=0) + NORM_EPSILON).sqrt()
        a_ss, a_sv, a_vv = self.atomwise(torch.cat([scalars, norms], dim=1)).split(f, dim=1)
        return a_ss + a_sv * (u * v).sum(dim=0), a_vv * u


class PaiNN(nn.Module):
    """Per-atom invariant features from atomic numbers and pair vectors.

    Parameters
    ----------
    n_species
        Number of different elements.
    settings
        Architecture.
    """

    def __init__(self, n_species: int, settings: PaiNNSettings) -> None:
        super().__init__()
        self.settings = settings
        f, layers = settings.n_features, settings.n_layers
        self.embedding = nn.Embedding(n_species, f)
        self.messages = nn.ModuleList([Message(f, has_vectors=k > 0) for k in range(layers)])
        self.updates = nn.ModuleList([Update(f) for _ in range(layers)])
        self._filter_sizes = [(3 if k > 0 else 2) * f for k in range(layers)]
        self.filters = nn.Linear(settings.n_radial, sum(self._filter_sizes))

    def forward(self, species: Tensor, vectors: Tensor, links: Links) -> Tensor:
        """Return the invariant features of every atom.

        Parameters
        ----------
        species
            Index of the element among the known ones, shape (n,).
        vectors
            From receiver to sender of each pair in Å, shape (p, 3).
        links
            Which atoms are neighbours.

        Returns
        -------
        Tensor
            Shape (n, n_features).
        """
        cutoff = self.settings.cutoff
        distances = vectors.square().sum(dim=1).sqrt()
        kernels = _kernels(vectors, distances, cutoff, self.settings.n_radial)
        weights = torch.cat([self.filters.weight.T, self.filters.bias[None]])

        scalars, equivariant = self.embedding(species), None
        for message, update, part in zip(
            self.messages, self.updates, weights.split(self._filter_sizes, dim=1), strict=True
        ):
            ds, dv = message(scalars, equivariant, kernels, part, links)
            scalars = scalars + ds
            equivariant = dv if equivariant is None else equivariant + dv
            ds, dv = update(scalars, equivariant)
            scalars, equivariant = scalars + ds, equivariant + dv
        return scalars
