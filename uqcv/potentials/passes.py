"""The forward and the backward pass of a network, as two calls with nothing hidden between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from uqcv.potentials.links import Links

Output = tuple[Tensor, ...]
Network = Callable[[Tensor, Tensor, Links], Output]


class Passes(Protocol):
    """A network that can be differentiated as often as one likes after one evaluation."""

    def forward(self, positions: Tensor, offsets: Tensor, links: Links) -> tuple[Output, Any]:
        """Return the outputs, and what `backward` needs.

        Parameters
        ----------
        positions
            Å, shape (n, 3).
        offsets
            Of pairs, Å, shape (p, 3).
        links
            Which atoms are neighbours.
        """
        ...

    def backward(self, saved: Any, weights: Sequence[Tensor | None]) -> Sequence[Tensor]:
        """Return the derivatives of a weighted sum of outputs by positions and, with periodicity, by offsets.

        Parameters
        ----------
        saved
            What `forward` gave.
        weights
            Of each output, of its shape; None for nothing of it.
        """
        ...


class AutogradPasses:
    """Any network, differentiated by torch.

    Parameters
    ----------
    network
        From positions, offsets and links to outputs.
    by_offsets
        Whether derivatives by offsets are wanted too.
    """

    def __init__(self, network: Network, by_offsets: bool = False) -> None:
        self.network = network
        self._by_offsets = by_offsets

    def forward(self, positions: Tensor, offsets: Tensor, links: Links) -> tuple[Output, Any]:
        """See `Passes`."""
        leaves = (positions, offsets) if self._by_offsets else (positions,)
        for leaf in leaves:
            leaf.requires_grad_(True)
        outputs = self.network(positions, offsets, links)
        return outputs, (outputs, leaves)

    def backward(self, saved: Any, weights: Sequence[Tensor | None]) -> Sequence[Tensor]:
        """See `Passes`."""
        outputs, leaves = saved
        wanted = [pair for pair in zip(outputs, weights, strict=True) if pair[1] is not None]
        chosen, factors = zip(*wanted, strict=True)
        return torch.autograd.grad(chosen, leaves, factors, retain_graph=True, materialize_grads=True)
