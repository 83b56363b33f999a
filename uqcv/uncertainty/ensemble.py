"""Disagreement of an ensemble of networks about forces."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

SMALLEST_VARIANCE = 1e-12  # (eV/Å)^2: the root has a derivative where members agree, as they do on an atom alone


class EnsembleSettings(BaseModel):
    """How many networks, and what they are trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    members: int = Field(5, ge=2, description="networks, which differ in first weights and order of batches")
    bootstrap: bool = Field(False, description="train each but the first on frames drawn with replacement")


def force_deviation(forces: Tensor) -> Tensor:
    """Return the standard deviation of each atom's force components over members.

    U_i = sqrt(sum_m |F_i^m - F_i|^2 / (3 (M - 1))), with F_i the mean over members: the root of the force variance of
    Tan et al., doi 10.1038/s41524-023-01180-8.

    Parameters
    ----------
    forces
        Of each member, eV/Å, shape (m, n, 3).

    Returns
    -------
    Tensor
        eV/Å, shape (n,).
    """
    return (forces.var(dim=0).mean(dim=1) + SMALLEST_VARIANCE).sqrt()
