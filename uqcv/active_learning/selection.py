"""Which frames are worth a label: uncertain, physical, new and diverse.

Pure functions on arrays. `select` puts them in a row and keeps count of the frames that are left after each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from uqcv.active_learning.diversity import drop_duplicates, farthest_points, spread
from uqcv.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DescriptorName = Literal["auto", "torsions", "distances", "features"]


class HarvestSettings(BaseModel):
    """How many frames are taken from a generation, and which."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    quantile: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="Frames above this quantile of the uncertainty of held-out frames are uncertain (fraction)",
    )
    ceiling: float | None = Field(
        default=None,
        description="Frames above this are given up as broken; null: those above max_error (unit of the uncertainty)",
    )
    max_error: float = Field(
        default=0.8, gt=0, description="Expected force error above which frames are given up as broken, eV/Å"
    )
    max_energy: float | None = Field(
        default=None,
        gt=0,
        description="Predicted energy above the minimum above which frames are given up as too high, eV; null: "
        "sampling.max_energy",
    )
    duplicate_tolerance: float = Field(
        default=0.1,
        ge=0,
        description="Frames nearer than this to a known one are duplicates (ratio to the spread of the labelled ones: "
        "the root mean square distance of its descriptors from their mean)",
    )
    descriptor: DescriptorName = Field(
        default="auto",
        description="What tells frames apart: torsions about all bonds between heavy atoms, distances between heavy "
        "atoms, or what the uncertainty sees of latent features; auto: the first of these that there is",
    )
    max_frames: int = Field(default=50, ge=1, description="Frames that are labelled per generation, at most (count)")
    remember: int = Field(
        default=100,
        ge=0,
        description="Frames that a generation leaves over, the most different first, for the next one to choose from "
        "as well (count)",
    )
    cooling: float = Field(
        default=0.0,
        ge=0,
        le=1e6,
        description="Time in which selected frames come to rest before they are labelled, torsions of heavy atoms but "
        "those of amides being held, and for which they are warmed again, fs; 0: they are labelled as they are",
    )
    cooling_temperature: float = Field(default=300.0, gt=0, description="Temperature that they are warmed to, K")
    max_energy_at_rest: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(),
        description="Predicted energies above the minimum up to which a frame that has come to rest is of interest, in "
        "the first generation (and `uqcv harvest`), the second and so on, the last one in all others, eV; the next "
        "frames take the place of those above; empty: any",
    )
    fill: bool = Field(
        default=False,
        description="Whether frames that are not uncertain fill up to max_frames: for comparisons at equal labels",
    )

    @model_validator(mode="after")
    def _only_what_rests_is_judged(self) -> HarvestSettings:
        if self.max_energy_at_rest and not self.cooling:
            given = ", ".join(f"{energy:g}" for energy in self.max_energy_at_rest)
            raise ValueError(
                f"max_energy_at_rest {given} with cooling 0: a time to come to rest is expected, such as cooling=100"
            )
        return self

    def highest_at_rest(self, generation: int) -> float:
        """Return the energy above the minimum up to which frames at rest are of interest in a generation, eV.

        What a potential of few structures says of others is a guess, and the lowest ones are the safest to matter.
        """
        ceilings = self.max_energy_at_rest or (np.inf,)
        return ceilings[min(generation, len(ceilings) - 1)]


@dataclass(frozen=True)
class Funnel:
    """How many frames were left after each step, in order.

    >>> print(Funnel().then("frames", 900).then("uncertain", 120).then("selected", 50))
    900 frames > 120 uncertain > 50 selected
    """

    steps: tuple[tuple[str, int], ...] = ()

    def then(self, stage: str, left: int) -> Funnel:
        """Return the funnel with one more step."""
        return Funnel((*self.steps, (stage, int(left))))

    def judged(self, looked_at: int, low: int, selected: int) -> Funnel:
        """Return the funnel of a selection whose frames were brought to rest: as many as it took to find low ones."""
        return Funnel(self.steps[:-1]).then("looked at", looked_at).then("low at rest", low).then("selected", selected)

    @property
    def left(self) -> dict[str, int]:
        """Stage name -> frames left after it."""
        return dict(self.steps)

    @property
    def fell(self) -> dict[str, int]:
        """Stage name -> frames that fell at it."""
        counts = [left for _, left in self.steps]
        return {name: before - left for (name, left), before in zip(self.steps, counts[:1] + counts[:-1], strict=True)}

    def __str__(self) -> str:
        return " > ".join(f"{left} {name}" for name, left in self.steps)


def threshold_from_calibration(values: ArrayLike, quantile: float) -> float:
    """Return the smallest of `values` that at least the fraction `quantile` of them do not exceed.

    Parameters
    ----------
    values
        Uncertainty of held-out frames, shape (n,).
    quantile
        Fraction from 0 to 1.

    Raises
    ------
    InputError
        Without values, for NaN or infinity, or a quantile that is no fraction.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise InputError(f"{values.size} calibration values, some of them not finite or none at all, were given")
    if not 0.0 <= quantile <= 1.0:
        raise InputError(f"quantile {quantile} was given; 0 to 1 is expected")
    return float(np.quantile(values, quantile, method="inverted_cdf"))


def select(
    uncertainty: ArrayLike,
    descriptors: ArrayLike,
    known: ArrayLike,
    threshold: float,
    settings: HarvestSettings,
    physical: ArrayLike | None = None,
) -> tuple[Ints, Funnel]:
    """Select the frames to label: uncertain, below the ceiling, physical, new, and diverse.

    Parameters
    ----------
    uncertainty
        Of each frame, shape (n,); a frame of which it is NaN is not uncertain.
    descriptors
        Of each frame, shape (n, D); those of frames that are not physical may be NaN.
    known
        Descriptors of what is labelled already, shape (m, D).
    threshold
        Uncertainty above which a frame is worth a label, see `threshold_from_calibration`.
    settings
        Ceiling, tolerance and numbers of frames.
    physical
        Mask of shape (n,), by default all frames.

    Returns
    -------
    Indices of the frames, the most different first, and how many frames were left after each step. The first
    `settings.max_frames` are selected, the others the ones to remember: they would have been the next.

    Raises
    ------
    InputError
        If shapes do not fit, or a number that matters is not finite.
    """
    values, points = np.asarray(uncertainty, dtype=np.float64), np.asarray(descriptors, dtype=np.float64)
    whole = np.ones(len(values), dtype=bool) if physical is None else np.asarray(physical, dtype=bool)
    if values.ndim != 1 or not len(points) == len(whole) == len(values):
        raise InputError(
            f"{values.shape} uncertainties, {len(points)} descriptors and {len(whole)} entries of the mask; "
            "one of each per frame is expected"
        )
    steps = {
        "uncertain": values > threshold,
        "below the ceiling": values <= (np.inf if settings.ceiling is None else settings.ceiling),
        "physical": whole,
    }
    left, funnel = np.arange(len(values)), Funnel().then("frames", len(values))
    for stage, mask in steps.items():
        left = left[mask[left]]
        funnel = funnel.then(stage, len(left))
    left = left[drop_duplicates(points[left], known, settings.duplicate_tolerance * spread(known))]
    funnel = funnel.then("new", len(left))
    # Without a training set nothing is far or near, and the most uncertain frame is as good a start as any.
    first = int(values[left].argmax()) if len(left) and not len(np.asarray(known)) else None
    left = left[farthest_points(points[left], known, settings.max_frames + settings.remember, first)]
    if settings.fill and len(left) < settings.max_frames:
        usable = whole & steps["below the ceiling"]
        left = np.concatenate([left, _filling(points, usable, left, known, settings)])
    return left, funnel.then("selected", min(len(left), settings.max_frames))


def _filling(points: Floats, usable: Bools, chosen: Ints, known: ArrayLike, settings: HarvestSettings) -> Ints:
    """Return the frames that differ most from those known and chosen, as many as are missing and are no copies."""
    rest = np.setdiff1d(np.flatnonzero(usable), chosen)
    taken = np.concatenate([np.asarray(known, dtype=np.float64).reshape(-1, points.shape[1]), points[chosen]])
    rest = rest[drop_duplicates(points[rest], taken, settings.duplicate_tolerance * spread(known))]
    return rest[farthest_points(points[rest], taken, settings.max_frames - len(chosen))]
