"""From an uncertainty without unit to an expected force error in eV/Å."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from uqcv.errors import InputError


class CalibrationSettings(BaseModel):
    """How uncertainties are calibrated."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    coverage: float = Field(0.9, gt=0, lt=1, description="share of errors that the calibrated uncertainty shall cover")


def conformal_rank(n: int, coverage: float) -> int:
    """Return which of n sorted scores covers: ceil((n + 1) coverage), at most n."""
    return min(n, int(np.ceil((n + 1) * coverage)))


class ConformalCalibration(BaseModel):
    """Split conformal calibration with a floor: U* = q (max(U - U_min, 0) + floor).

    Without the floor, q is a quantile of |error| / (U - U_min), which blows up for the few structures nearest to
    U_min, so that they alone decide it; adding the spread of U on the calibration set to the denominator bounds
    every ratio and makes q stable from draw to draw. Coverage under exchangeability is that of split conformal
    prediction: Angelopoulos & Bates, arXiv 2107.07511, section 1; the score is that of Tan, Dietschreit &
    Gómez-Bombarelli, doi 10.1063/5.0246178, but for the floor.

    Attributes
    ----------
    q
        eV/Å per unit of U.
    minimum
        U_min on the calibration set.
    floor
        Standard deviation of U on the calibration set.
    coverage
        Share of errors covered, as asked.
    n
        Size of the calibration set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    q: float
    minimum: float
    floor: float
    coverage: float
    n: int

    @classmethod
    def fit(
        cls, uncertainties: ArrayLike, errors: ArrayLike, settings: CalibrationSettings | None = None
    ) -> ConformalCalibration:
        """Calibrate on held-out data.

        Parameters
        ----------
        uncertainties
            U without unit, shape (n,).
        errors
            |error| in eV/Å, shape (n,).
        settings
            The coverage.

        Raises
        ------
        InputError
            If the arrays differ in length, are empty or are not finite.
        """
        settings = settings or CalibrationSettings()
        u, e = np.asarray(uncertainties, dtype=float), np.asarray(errors, dtype=float)
        if u.shape != e.shape or u.ndim != 1 or not len(u):
            raise InputError(
                f"calibration: {u.shape} uncertainties and {e.shape} errors were given; expected (n,) twice"
            )
        if not (np.isfinite(u).all() and np.isfinite(e).all()):
            raise InputError("calibration: NaN or infinity was given; finite uncertainties and errors are expected")
        minimum, floor = float(u.min()), float(u.std()) or 1.0
        ratios = np.sort(e / (u - minimum + floor))
        q = float(ratios[conformal_rank(len(u), settings.coverage) - 1])
        return cls(q=q, minimum=minimum, floor=floor, coverage=settings.coverage, n=len(u))

    def __call__(self, uncertainties: ArrayLike) -> NDArray[np.float64]:
        """Return U* in eV/Å."""
        return self.q * (np.maximum(np.asarray(uncertainties, dtype=float) - self.minimum, 0.0) + self.floor)

    def slope(self, uncertainty: float) -> float:
        """Return d U* / d U, eV/Å."""
        return self.q if uncertainty > self.minimum else 0.0

    def inverse(self, force_error: float) -> float:
        """Return the largest U whose U* is at most `force_error` (eV/Å), at least `minimum`."""
        return self.minimum + max(0.0, force_error / self.q - self.floor)
