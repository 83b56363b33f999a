"""Neighbours of each atom in a table of fixed width: sums over pairs without a scatter, for a compiler to fuse.

A list of pairs is summed by adding values to whatever atom comes next, one after the other. In a table the pairs of
an atom stand in its row: their sum is a plain reduction, and since every pair is there in both directions, so is the
derivative of a sum. A compiler makes one loop of all that is done with a pair, and nothing of the size of pairs
times features is ever stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from uqcv.potentials.links import ListedLinks


@dataclass(frozen=True)
class TableLinks:
    """Pairs in rows, each of them in both directions.

    Pair (i, slot) comes at i k + slot. An empty slot pairs an atom with itself: who uses the sums must give it the
    value zero.

    Attributes
    ----------
    senders
        Sending atom of each slot, shape (n, k).
    reverse
        Where the same pair stands in the other direction, shape (n, k); an empty slot is its own reverse.
    """

    senders: Tensor
    reverse: Tensor

    def of_senders(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return _Spread.apply(values, self.senders, self.reverse)

    def of_receivers(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return _of_receivers(values, self.senders.shape[1])

    def sum_over_senders(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return values.unflatten(-2, self.senders.shape).sum(dim=-2)

    def sum_over_receivers(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return _sum_over_receivers(values, self.reverse)

    def convolve(self, kernel: Tensor, weights: Tensor, values: Tensor, directions: Tensor | None = None) -> Tensor:
        """See `Links`; derivatives hold for kernels that are the same, and directions opposite, in both directions."""
        shape = self.senders.shape
        rows = None if directions is None else directions.unflatten(1, shape)
        return _Convolution.apply(kernel.unflatten(0, shape), weights, values, rows, self.senders)

    def listed(self) -> ListedLinks:
        """See `Links`."""
        n, width = self.senders.shape
        receivers = torch.arange(n, device=self.senders.device).repeat_interleave(width)
        return ListedLinks(receivers, self.senders.flatten(), n)

    def to(self, device: torch.device | str) -> TableLinks:
        """See `Links`."""
        return TableLinks(self.senders.to(device), self.reverse.to(device))


def _of_receivers(values: Tensor, width: int) -> Tensor:
    return values.unsqueeze(-2).expand(*values.shape[:-1], width, values.shape[-1]).flatten(-3, -2)


def _sum_over_receivers(values: Tensor, reverse: Tensor) -> Tensor:
    return values.index_select(-2, reverse.flatten()).unflatten(-2, reverse.shape).sum(dim=-2)


class _Spread(torch.autograd.Function):
    """Values of senders, with a derivative that gathers instead of scattering."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, senders: Tensor, reverse: Tensor) -> Tensor:
        ctx.save_for_backward(reverse)
        return values.index_select(-2, senders.flatten())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return _sum_over_receivers(gradient, *ctx.saved_tensors), None, None


class _Convolution(torch.autograd.Function):
    """What `Links.convolve` describes; its derivative by values is the convolution of the gradient, from the rows
    themselves, because a pair's filter is that of its reverse.
    """

    @staticmethod
    def forward(
        ctx: Any, kernel: Tensor, weights: Tensor, values: Tensor, directions: Tensor | None, senders: Tensor
    ) -> Tensor:
        ctx.save_for_backward(kernel, weights, values, directions, senders)
        filters = _filters(kernel, weights)
        if values.dim() == 3:
            return torch.stack([(filters * component[senders]).sum(dim=1) for component in values])
        messages = filters * values[senders]
        if directions is None:
            return messages.sum(dim=1)
        return torch.stack([(along[..., None] * messages).sum(dim=1) for along in directions])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        kernel, weights, values, directions, senders = ctx.saved_tensors
        filters, by_directions = _filters(kernel, weights), None
        if directions is not None:
            sent, received = _projected(gradient, directions, senders)
            by_values = -(filters * sent).sum(dim=1)
            pulls = values[senders] * received
            messages = filters * values[senders]
            by_directions = torch.stack([(messages * part[:, None]).sum(dim=-1) for part in gradient])
        elif values.dim() == 3:
            by_values = torch.stack([(filters * part[senders]).sum(dim=1) for part in gradient])
            pulls = _total([g[:, None] * v[senders] for g, v in zip(gradient, values, strict=True)])
        else:
            by_values = (filters * gradient[senders]).sum(dim=1)
            pulls = gradient[:, None] * values[senders]
        by_weights = kernel.flatten(0, 1).T @ pulls.flatten(0, 1) if ctx.needs_input_grad[1] else None
        return _by_kernel(pulls, weights), by_weights, by_values, by_directions, None


def _projected(gradient: Tensor, directions: Tensor, senders: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients (3, n, f) of senders and receivers along the directions (3, n, k) of their pairs."""
    pairs = list(zip(gradient, directions, strict=True))
    sent = _total([along[..., None] * part[senders] for part, along in pairs])
    return sent, _total([along[..., None] * part[:, None] for part, along in pairs])


def _filters(kernel: Tensor, weights: Tensor) -> Tensor:
    """Return kernel (n, k, b) times weights (b, f): written out for a compiler, which then stores none of it."""
    if not torch.compiler.is_compiling():
        return kernel @ weights
    return _total([kernel[..., b, None] * weights[b] for b in range(len(weights))])


def _by_kernel(pulls: Tensor, weights: Tensor) -> Tensor:
    if not torch.compiler.is_compiling():
        return pulls @ weights.T
    # What is concatenated a compiler writes where it belongs, all numbers of a pair together; a stack it copies.
    return torch.cat([(pulls * weights[b]).sum(dim=-1, keepdim=True) for b in range(len(weights))], dim=-1)


def _total(terms: Sequence[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
