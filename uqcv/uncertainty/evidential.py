"""Deep evidential regression: a network that learns how much evidence it has for its forces.

Amini et al., NeurIPS 2020, arXiv 1910.02600. A force component is drawn from a normal distribution, whose mean and
variance are drawn from a normal-inverse-gamma distribution with the parameters gamma (the predicted force) and

=======  ==========================================================
nu       evidence for the mean, > 0
alpha    evidence for the variance, > 1
beta     scale, > 0, (eV/Å)^2
=======  ==========================================================

for each atom, the same for its three components, so that nothing depends on the orientation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import softplus

from uqcv.uncertainty.atomic import AtomicUncertainty

N_OUTPUTS = 3
SMALLEST = 1e-6


class EvidentialSettings(BaseModel):
    """How evidence is learned."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    regularisation: float = Field(
        0.2, ge=0, description="lambda: how much evidence for wrong forces costs, per standard deviation of the forces"
    )


class Evidence(NamedTuple):
    """nu, alpha and beta of each atom, shape (n,) each."""

    nu: Tensor
    alpha: Tensor
    beta: Tensor

    @property
    def aleatoric(self) -> Tensor:
        """Expected variance of the data, (eV/Å)^2: beta / (alpha - 1), eq. 5 of the paper."""
        return self.beta / (self.alpha - 1)

    @property
    def epistemic(self) -> Tensor:
        """Variance of the predicted mean, (eV/Å)^2: beta / (nu (alpha - 1)), eq. 5 of the paper."""
        return self.aleatoric / self.nu


def evidence(outputs: Tensor) -> Evidence:
    """Return the parameters from outputs (n, 3)."""
    nu, alpha, beta = (softplus(outputs) + SMALLEST).unbind(dim=1)
    return Evidence(nu, alpha + 1, beta.square())


def student_nll(errors: Tensor, found: Evidence) -> Tensor:
    """Return the negative log-likelihood of each force component, shape (n, 3): eq. 8 of the paper."""
    nu, alpha, beta = (part[:, None] for part in found)
    omega = 2 * beta * (1 + nu)
    constants = 0.5 * torch.log(math.pi / nu) + torch.lgamma(alpha) - torch.lgamma(alpha + 0.5)
    return constants - alpha * omega.log() + (alpha + 0.5) * torch.log(nu * errors.square() + omega)


class EvidentialLoss(BaseModel):
    """The loss of forces: likelihood and lambda |e| (2 nu + alpha), eqs. 8 to 10 of the paper.

    |e| is taken in units of the expected deviation of the data, so that lambda has no unit; 0.2 is the value of
    Soleimany et al., doi 10.1021/acscentsci.1c00546. As for mean-variance estimation the gradient is multiplied by the
    mean variance, so that energies keep their weight beside forces.
    """

    model_config = ConfigDict(frozen=True)

    regularisation: float

    def __call__(self, errors: Tensor, outputs: Tensor | None) -> Tensor:
        """Return the mean over force components; `errors` in eV/Å, shape (n, 3)."""
        assert outputs is not None
        found = evidence(outputs)
        variances = found.aleatoric.detach()
        wrong = errors.abs() / variances.mean().sqrt() * (2 * found.nu + found.alpha)[:, None]
        value = (student_nll(errors, found) + self.regularisation * wrong).mean()
        return value.detach() + 2 * variances.mean() * (value - value.detach())


class Evidential(AtomicUncertainty):
    """The standard deviation of an atom's predicted force components, eV/Å: the epistemic part."""

    speaks_of = "forces"

    def score_members(self, inputs: Tensor, members: dict[str, Tensor]) -> Tensor:
        """See `AtomicUncertainty`; `inputs` are the outputs of the network, shape (n, 3)."""
        return torch.sqrt(evidence(inputs).epistemic)
