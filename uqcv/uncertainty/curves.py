"""Curves from an uncertainty without unit to an expected force error in eV/Å."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

Floats = NDArray[np.float64]


class LinearCalibration(BaseModel):
    """A straight line with a floor: U* = q (max(U - U_min, 0) + floor).

    With the floor of `conformal` it is split conformal calibration whose q does not hang on a few structures: without
    it, q is a quantile of |error| / (U - U_min), which blows up for the structures nearest to U_min, so that they
    alone decide it; adding the spread of U on the calibration set bounds every ratio. The score is that of Tan,
    Dietschreit & Gómez-Bombarelli, doi 10.1063/5.0246178, but for the floor. With that of `linear`, floor and slope
    are those of most likelihood: Hirschfeld et al., doi 10.1021/acs.jcim.0c00502, for the deviation instead of
    the variance, since U is no variance for all methods.

    Attributes
    ----------
    q
        eV/Å per unit of U.
    minimum
        U_min on the calibration set.
    floor
        In units of U.
    coverage
        Share of errors covered, as asked.
    n
        Size of the calibration set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["conformal", "linear"] = "conformal"
    q: float
    minimum: float
    floor: float
    coverage: float
    n: int

    def __call__(self, uncertainties: ArrayLike) -> Floats:
        """Return U* in eV/Å."""
        return self.q * (np.maximum(np.asarray(uncertainties, dtype=float) - self.minimum, 0.0) + self.floor)

    def slope(self, uncertainty: float) -> float:
        """Return d U* / d U, eV/Å."""
        return self.q if uncertainty > self.minimum else 0.0

    def inverse(self, force_error: float) -> float:
        """Return the largest U whose U* is at most `force_error` (eV/Å), at least `minimum`."""
        return self.minimum + max(0.0, force_error / self.q - self.floor)


class IsotonicCalibration(BaseModel):
    """A curve that never falls: U* = q m(U), with m the isotonic regression of errors on U.

    Straight between its knots; beyond the last one it goes on with the slope from the first to the last, for
    a curve that ends would say the same of all that is stranger than the calibration set.

    Attributes
    ----------
    knots
        U of the knots, ascending.
    values
        m at the knots, eV/Å, ascending.
    q
        Factor of the coverage.
    coverage
        Share of errors covered, as asked.
    n
        Size of the calibration set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["isotonic"] = "isotonic"
    knots: tuple[float, ...]
    values: tuple[float, ...]
    q: float
    coverage: float
    n: int

    @property
    def _beyond(self) -> float:
        rise, run = self.values[-1] - self.values[0], self.knots[-1] - self.knots[0]
        return self.q * rise / run if run > 0 else 0.0

    def __call__(self, uncertainties: ArrayLike) -> Floats:
        """Return U* in eV/Å."""
        u = np.asarray(uncertainties, dtype=float)
        return self.q * np.interp(u, self.knots, self.values) + self._beyond * np.maximum(u - self.knots[-1], 0.0)

    def slope(self, uncertainty: float) -> float:
        """Return d U* / d U, eV/Å; 0 where the curve is flat."""
        k = int(np.searchsorted(self.knots, uncertainty))
        if k in (0, len(self.knots)):
            return self._beyond if k else 0.0
        return self.q * (self.values[k] - self.values[k - 1]) / (self.knots[k] - self.knots[k - 1])

    def inverse(self, force_error: float) -> float:
        """Return the largest U whose U* is at most `force_error` (eV/Å), at least the first knot."""
        at_knots = self.q * np.asarray(self.values)
        if force_error >= at_knots[-1]:
            beyond = (force_error - at_knots[-1]) / self._beyond if self._beyond > 0 else 0.0
            return self.knots[-1] + float(beyond)
        k = int(np.searchsorted(at_knots, force_error, side="right"))
        if k == 0:
            return self.knots[0]
        share = (force_error - at_knots[k - 1]) / (at_knots[k] - at_knots[k - 1])
        return float(self.knots[k - 1] + share * (self.knots[k] - self.knots[k - 1]))


Calibration = Annotated[LinearCalibration | IsotonicCalibration, Field(discriminator="kind")]


class ElementCalibration(BaseModel):
    """A calibration for the atoms of each element: a hydrogen errs by less than a carbon of the same uncertainty.

    Attributes
    ----------
    elements
        By atomic number, of elements with enough atoms in the calibration set.
    others
        Of all atoms together, for the other elements.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    elements: dict[int, Calibration]
    others: Calibration

    def __call__(self, uncertainties: ArrayLike, numbers: ArrayLike) -> Floats:
        """Return U* in eV/Å of atoms with these atomic numbers, shape (..., n) from (..., n) and (n,)."""
        u = np.asarray(uncertainties, dtype=float)
        z = np.broadcast_to(np.asarray(numbers), u.shape)
        calibrated = self.others(u)
        for element, own in self.elements.items():
            calibrated[z == element] = own(u[z == element])
        return calibrated
