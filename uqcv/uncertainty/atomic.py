"""What the uncertainties of one network have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

Quantity = Literal["energies", "forces", "features"]


class AtomicUncertainty(nn.Module):
    """From what a network says of each atom to how unsure it is of it; abstract.

    A network says its latent features or, if it has learned how wrong its forces are, the outputs of a second readout.

    Attributes
    ----------
    speaks_of
        What the number is made of: energies or forces and how sure they are, or features and how strange they are.
    neighbourhood
        Radius in Å of the neighbourhood whose mean counts for each atom; None: each atom for itself.
    """

    speaks_of: Quantity
    neighbourhood: float | None = None

    def members(self, numbers: Tensor) -> dict[str, Tensor]:
        """Return groups of atoms that are treated differently, by name; the same for all positions of a system."""
        return {}

    def score_members(self, inputs: Tensor, members: dict[str, Tensor]) -> Tensor:
        """Return U_i for each atom, shape (n,), from `inputs` (n, f), for the groups that `members` gave."""
        raise NotImplementedError

    def score(self, inputs: Tensor, numbers: Tensor) -> Tensor:
        """Return U_i for each atom, shape (n,), from `inputs` (n, f) and atomic numbers (n,).

        Raises
        ------
        UnknownElementError
            If an element was not in the fit.
        """
        return self.score_members(inputs, self.members(numbers))

    def require_elements(self, numbers: Sequence[int]) -> None:
        """Refuse elements that were not in the fit; who knows none leaves that to the network."""
