"""From per-atom uncertainties to one number for the system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import softplus

from uqcv.errors import InputError

Pooling = Literal["mean", "max", "smooth_max", "local_mean_max"]
POOLINGS: tuple[Pooling, ...] = ("mean", "max", "smooth_max", "local_mean_max")
# Those that need the values of the atoms and nothing of their positions.
GLOBAL_POOLINGS: tuple[Pooling, ...] = ("mean", "max", "smooth_max")
HYDROGEN = 1


class PoolingSettings(BaseModel):
    """How the uncertainty of a system is made from those of its atoms."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    transform: Literal["log", "none"] = Field(
        "log", description="per atom: log(1 + softplus(z)), concave far out, or z itself"
    )
    atoms: Literal["heavy", "all"] | tuple[int, ...] = Field(
        "heavy", description="atoms that count: all, all but hydrogen, or a list of indices from 0"
    )
    sharpness: float = Field(4.0, gt=0, description="inverse width of the smooth maximum")
    local_radius: float = Field(3.0, gt=0, description="neighbourhood of the local mean, Å")


def standardise(scores: Tensor, mean: float | Tensor, deviation: float | Tensor) -> Tensor:
    """Return z = (U_i - mean) / deviation, with both taken over the training atoms."""
    return (scores - mean) / deviation


def compress(z: Tensor) -> Tensor:
    """Return log(1 + softplus(z)): about z for usual atoms, growing like log z for strange ones.

    The raw negative log-likelihood is steepest where a structure is worst, so that a bias along it tears
    molecules apart; its concave image pushes less the farther an atom already is from what is known.
    """
    return torch.log1p(softplus(z))


def pool_mean(values: Tensor) -> Tensor:
    """Return the mean over atoms."""
    return values.mean()


def pool_max(values: Tensor) -> Tensor:
    """Return the largest value; its gradient acts on one atom only."""
    # By index: the derivative of max() looks for what equals the maximum, and compiled code that computes values again
    # for it may round them otherwise and find nothing.
    return values.max(dim=0).values


def pool_smooth_max(values: Tensor, sharpness: float) -> Tensor:
    """Return log(mean(exp(s x))) / s: between mean (s -> 0) and maximum (s -> infinity)."""
    return (torch.logsumexp(sharpness * values, dim=0) - torch.log(values.new_tensor(float(len(values))))) / sharpness


def pool_local_mean_max(values: Tensor, weights: Tensor, sharpness: float) -> Tensor:
    """Return the smooth maximum over means of `values` in the neighbourhood of each atom.

    Parameters
    ----------
    values
        Shape (n,).
    weights
        How much atom j counts for the mean around atom i, smooth in the distance, shape (n, n), diagonal 1.
    sharpness
        Of the smooth maximum.
    """
    return pool_smooth_max((weights @ values) / weights.sum(dim=1), sharpness)


def pool(
    values: Tensor, kind: Pooling, settings: PoolingSettings, weights: Callable[[], Tensor] | None = None
) -> Tensor:
    """Return one pooled value of shape ().

    Parameters
    ----------
    values
        Of the atoms that count, shape (n,).
    kind
        Which pooling.
    settings
        Sharpness and radius.
    weights
        Gives the matrix of neighbourhood weights; the `GLOBAL_POOLINGS` do without.
    """
    if kind == "mean":
        return pool_mean(values)
    if kind == "max":
        return pool_max(values)
    if kind == "smooth_max":
        return pool_smooth_max(values, settings.sharpness)
    assert weights is not None
    return pool_local_mean_max(values, weights(), settings.sharpness)


def counted_atoms(numbers: Tensor, settings: PoolingSettings) -> Tensor:
    """Return the indices of the atoms that count; all of them if none would be left.

    Raises
    ------
    InputError
        If atoms are listed that the system does not have, or none.
    """
    if isinstance(settings.atoms, tuple):
        if not settings.atoms or not all(0 <= k < len(numbers) for k in settings.atoms):
            raise InputError(
                f"atoms {list(settings.atoms)} were given; indices from 0 to {len(numbers) - 1} are expected"
            )
        return torch.as_tensor(settings.atoms, dtype=torch.long)
    everything = torch.arange(len(numbers))
    if settings.atoms == "all" or bool((numbers == HYDROGEN).all()):
        return everything
    return everything[(numbers != HYDROGEN).cpu()]
