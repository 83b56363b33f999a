"""Mean-variance estimation: a network that learns the variance of its force errors beside the forces."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import softplus

from uqcv.uncertainty.atomic import AtomicUncertainty

N_OUTPUTS = 1
SMALLEST_VARIANCE = 1e-8  # (eV/Å)^2: below it a lucky atom would stop everything else from being learned


class MeanVarianceSettings(BaseModel):
    """How variances are learned."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    beta: float = Field(
        0.5, ge=0, le=1, description="0: likelihood; 1: forces are learned as if all variances were equal (beta-NLL)"
    )


def variance(outputs: Tensor) -> Tensor:
    """Return the variance of each atom's force components, (eV/Å)^2, shape (n,), from outputs (n, 1)."""
    return softplus(outputs[:, 0]).square() + SMALLEST_VARIANCE


def gaussian_nll(errors: Tensor, variances: Tensor) -> Tensor:
    """Return the negative log-likelihood, but for a constant, of each force component, shape (n, 3).

    (log sigma_i^2 + e^2 / sigma_i^2) / 2: Nix & Weigend, doi 10.1109/ICNN.1994.374138.
    """
    return 0.5 * (variances.log()[:, None] + errors.square() / variances[:, None])


class MeanVarianceLoss(BaseModel):
    """The loss of forces: the beta-NLL of Seitzer et al., arXiv 2203.09168.

    sigma^(2 beta), held constant, multiplies the gradient of each atom's likelihood, so that atoms whose errors are
    large are not given up. The gradient of the whole is multiplied by the mean of sigma^(2 - 2 beta): it then stays
    of the size of that of the mean square error, and energies keep their weight beside forces.
    """

    model_config = ConfigDict(frozen=True)

    beta: float

    def __call__(self, errors: Tensor, outputs: Tensor | None) -> Tensor:
        """Return the mean over force components; `errors` in eV/Å, shape (n, 3)."""
        assert outputs is not None
        variances = variance(outputs)
        constant = variances.detach()
        nll = gaussian_nll(errors, variances)
        weighted = 2 * (constant ** (1 - self.beta)).mean() * (constant[:, None] ** self.beta * nll).mean()
        return nll.mean().detach() + weighted - weighted.detach()


class MeanVariance(AtomicUncertainty):
    """The learned standard deviation of an atom's force components, eV/Å."""

    speaks_of = "forces"

    def score_members(self, inputs: Tensor, members: dict[str, Tensor]) -> Tensor:
        """See `AtomicUncertainty`; `inputs` are the outputs of the network, shape (n, 1)."""
        return torch.sqrt(variance(inputs))
