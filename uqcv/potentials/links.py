"""Which atoms send messages to which: from values of atoms to values of pairs, and back.

Atoms are the last dimension but one of every tensor here, so that scalars (n, f) and vectors (3, n, f) go the same
way; of pairs there are p. All kinds of links give the same sums: a list holds any system, while the complete links of
a small molecule need no indices at all, which a compiler turns into plain loops; tables are in `table_links`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Links(Protocol):
    """Directed pairs: a sender and a receiver each."""

    def of_senders(self, values: Tensor) -> Tensor:
        """Return for each pair the value of its sender, shape (..., p, f) from (..., n, f)."""
        ...

    def of_receivers(self, values: Tensor) -> Tensor:
        """Return for each pair the value of its receiver."""
        ...

    def sum_over_senders(self, values: Tensor) -> Tensor:
        """Return for each atom the sum over the pairs that it receives, shape (..., n, f) from (..., p, f)."""
        ...

    def sum_over_receivers(self, values: Tensor) -> Tensor:
        """Return for each atom the sum over the pairs that it sends."""
        ...

    def convolve(self, kernel: Tensor, weights: Tensor, values: Tensor, directions: Tensor | None = None) -> Tensor:
        """Return for each atom i the sum over its senders j of (kernel_ij weights) * values_j (times direction_ij).

        Parameters
        ----------
        kernel
            Functions of the distance of each pair, shape (p, b).
        weights
            What makes a filter of them, shape (b, f).
        values
            Of the senders, shape (n, f), or (3, n, f) without directions.
        directions
            Unit vectors of the pairs, shape (3, p).

        Returns
        -------
        Tensor
            Shape (n, f), or (3, n, f) if values or directions have three components.
        """
        ...

    def listed(self) -> ListedLinks:
        """Return the same pairs, in the same order, as a list."""
        ...

    def to(self, device: torch.device | str) -> Links:
        """Return the same links on another device."""
        ...


@dataclass(frozen=True)
class ListedLinks:
    """Any pairs.

    Attributes
    ----------
    i, j
        Receiving and sending atom of each pair, shape (p,).
    n_atoms
        Number of atoms.
    """

    i: Tensor
    j: Tensor
    n_atoms: int

    def of_senders(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return values.index_select(-2, self.j)

    def of_receivers(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return values.index_select(-2, self.i)

    def sum_over_senders(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return self._sum(values, self.i)

    def sum_over_receivers(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return self._sum(values, self.j)

    def convolve(self, kernel: Tensor, weights: Tensor, values: Tensor, directions: Tensor | None = None) -> Tensor:
        """See `Links`."""
        messages = (kernel @ weights) * self.of_senders(values)
        return self.sum_over_senders(messages if directions is None else directions[:, :, None] * messages)

    def _sum(self, values: Tensor, atoms: Tensor) -> Tensor:
        zeros = values.new_zeros(*values.shape[:-2], self.n_atoms, values.shape[-1])
        return zeros.index_add(-2, atoms, values)

    def listed(self) -> ListedLinks:
        """Return itself."""
        return self

    def to(self, device: torch.device | str) -> ListedLinks:
        """See `Links`."""
        return ListedLinks(self.i.to(device), self.j.to(device), self.n_atoms)


@dataclass(frozen=True)
class CompleteLinks:
    """All ordered pairs within each of several molecules of one size, each atom with itself included.

    Pair (i, j) of a molecule of n atoms comes at i n + j. Who uses the sums must give pairs of an atom with itself
    the value zero.

    Attributes
    ----------
    n_molecules, size
        Number of molecules, and of atoms in each.
    """

    n_molecules: int
    size: int

    def of_senders(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return self._spread(values, -3)

    def of_receivers(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return self._spread(values, -2)

    def _spread(self, values: Tensor, dimension: int) -> Tensor:
        molecules = values.unflatten(-2, (self.n_molecules, self.size)).unsqueeze(dimension)
        shape = (*values.shape[:-2], self.n_molecules, self.size, self.size, values.shape[-1])
        return molecules.expand(shape).reshape(*values.shape[:-2], -1, values.shape[-1])

    def sum_over_senders(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return self._sum(values, -2)

    def sum_over_receivers(self, values: Tensor) -> Tensor:
        """See `Links`."""
        return self._sum(values, -3)

    def convolve(self, kernel: Tensor, weights: Tensor, values: Tensor, directions: Tensor | None = None) -> Tensor:
        """See `Links`.

        The sum over j and b is one matrix product per molecule: nothing is ever as large as pairs times features.
        """
        kernel = kernel if directions is None else directions[:, :, None] * kernel
        molecules, size, (b, f) = self.n_molecules, self.size, weights.shape
        rows = kernel.reshape(-1, molecules, size, size * b).transpose(0, 1).reshape(molecules, -1, size * b)
        senders = values.reshape(-1, molecules, size, f).permute(1, 2, 0, 3)
        columns = (senders.unsqueeze(2) * weights.unsqueeze(1)).reshape(molecules, size * b, -1)
        sums = torch.bmm(rows, columns).unflatten(1, (-1, size)).unflatten(3, (-1, f))
        leading = kernel.shape[:-2] + values.shape[:-2]
        return sums.permute(1, 3, 0, 2, 4).reshape(*leading, molecules * size, f)

    def _sum(self, values: Tensor, dimension: int) -> Tensor:
        pairs = values.unflatten(-2, (self.n_molecules, self.size, self.size))
        return pairs.sum(dim=dimension).flatten(-3, -2)

    def listed(self) -> ListedLinks:
        """See `Links`."""
        n_atoms = self.n_molecules * self.size
        atoms = torch.arange(n_atoms)[:, None]
        return ListedLinks(self.of_receivers(atoms)[:, 0], self.of_senders(atoms)[:, 0], n_atoms)

    def to(self, device: torch.device | str) -> CompleteLinks:
        """Return itself: there is nothing to move."""
        return self


def merge_links(links: Sequence[Links]) -> Links:
    """Return the links of several structures as those of one; complete if all are, of molecules of one size."""
    complete = [one for one in links if isinstance(one, CompleteLinks)]
    if len(complete) == len(links) and len({one.size for one in complete}) == 1:
        return CompleteLinks(sum(one.n_molecules for one in complete), complete[0].size)
    lists = [one.listed() for one in links]
    starts = np.cumsum([0] + [one.n_atoms for one in lists]).tolist()
    return ListedLinks(
        torch.cat([one.i + start for one, start in zip(lists, starts, strict=False)]),
        torch.cat([one.j + start for one, start in zip(lists, starts, strict=False)]),
        starts[-1],
    )


def with_itself(links: CompleteLinks, device: torch.device | str = "cpu") -> Tensor:
    """Return which pairs are of an atom with itself, shape (p,)."""
    return torch.eye(links.size, dtype=torch.bool, device=device).repeat(links.n_molecules, 1, 1).flatten()
