"""From an uncertainty without unit to an expected force error in eV/Å."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize

from uqcv.errors import InputError

Floats = NDArray[np.float64]
FEWEST_ATOMS = 30  # of an element, for a calibration of its own


class CalibrationSettings(BaseModel):
    """How uncertainties are calibrated."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["conformal", "linear", "isotonic"] = Field(
        "conformal",
        description="how errors grow with the uncertainty: conformal: in proportion above a floor; linear: as a "
        "straight line of most likelihood; isotonic: as a curve that never falls",
    )
    coverage: float = Field(0.9, gt=0, lt=1, description="share of errors that the calibrated uncertainty shall cover")


def conformal_rank(n: int, coverage: float) -> int:
    """Return which of n sorted scores covers: ceil((n + 1) coverage), at most n."""
    return min(n, int(np.ceil((n + 1) * coverage)))


def conformal_factor(errors: Floats, scales: Floats, coverage: float) -> float:
    """Return the smallest q of which a `coverage` of errors is at most q times its scale.

    Split conformal prediction with a normalised score: Angelopoulos & Bates, arXiv 2107.07511, section 2.3.
    """
    return float(np.sort(errors / scales)[conformal_rank(len(errors), coverage) - 1])


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


def fit_calibration(
    uncertainties: ArrayLike, errors: ArrayLike, settings: CalibrationSettings | None = None
) -> LinearCalibration | IsotonicCalibration:
    """Calibrate on held-out data.

    Whatever the kind, q makes U* cover the share `settings.coverage` of the errors. For `conformal`, whose shape does
    not depend on errors, that holds for exchangeable data of any distribution.

    Parameters
    ----------
    uncertainties
        U without unit, shape (n,).
    errors
        |error| in eV/Å, shape (n,).
    settings
        Kind and coverage.

    Raises
    ------
    InputError
        If the arrays differ in length, are empty or are not finite.
    """
    settings = settings or CalibrationSettings()
    u, e = np.asarray(uncertainties, dtype=float), np.asarray(errors, dtype=float)
    _require(u, e)
    said = {"coverage": settings.coverage, "n": len(u)}
    if settings.kind == "isotonic":
        knots, values = _isotonic(u, e)
        factor = conformal_factor(e, np.interp(u, knots, values), settings.coverage)
        return IsotonicCalibration(knots=tuple(knots.tolist()), values=tuple(values.tolist()), q=factor, **said)
    minimum = float(u.min())
    slope, intercept = likeliest_line(u - minimum, e) if settings.kind == "linear" else (1.0, float(u.std()) or 1.0)
    floor = intercept / slope
    q = conformal_factor(e, u - minimum + floor, settings.coverage)
    return LinearCalibration(kind=settings.kind, q=q, minimum=minimum, floor=floor, **said)


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


def fit_by_element(
    uncertainties: ArrayLike, errors: ArrayLike, numbers: ArrayLike, settings: CalibrationSettings | None = None
) -> ElementCalibration:
    """Calibrate the atoms of each element that has `FEWEST_ATOMS` at least; arguments as for `fit_calibration`."""
    u, e, z = np.asarray(uncertainties), np.asarray(errors), np.asarray(numbers)
    known = [int(element) for element in np.unique(z) if (z == element).sum() >= FEWEST_ATOMS]
    elements = {element: fit_calibration(u[z == element], e[z == element], settings) for element in known}
    return ElementCalibration(elements=elements, others=fit_calibration(u, e, settings))


def _require(u: Floats, e: Floats) -> None:
    if u.shape != e.shape or u.ndim != 1 or not len(u):
        raise InputError(f"calibration: {u.shape} uncertainties and {e.shape} errors were given; expected (n,) twice")
    if not (np.isfinite(u).all() and np.isfinite(e).all()):
        raise InputError("calibration: NaN or infinity was given; finite uncertainties and errors are expected")


def likeliest_line(uncertainties: ArrayLike, errors: ArrayLike) -> tuple[float, float]:
    """Return slope and intercept of the deviation s = slope U + intercept under which errors are most likely.

    The mean of log s + e^2 / (2 s^2) is least, the negative log-likelihood of a normal distribution; both are positive.

    Parameters
    ----------
    uncertainties
        0 or more, shape (n,).
    errors
        |error| in eV/Å, shape (n,).
    """
    u, e = np.asarray(uncertainties, dtype=float), np.asarray(errors, dtype=float)
    size, width = float(np.sqrt(np.mean(e**2))) or 1.0, float(u.mean()) or 1.0

    def nll(logs: Floats) -> tuple[float, Floats]:
        slope, intercept = np.exp(logs)
        s = slope * u / width + intercept
        ratio = (e / size / s) ** 2
        by_s = (1 - ratio) / s
        gradient = np.array([np.mean(by_s * slope * u / width), np.mean(by_s * intercept)])
        return float(np.mean(np.log(s) + 0.5 * ratio)), gradient

    found = minimize(nll, np.log([0.5, 0.5]), jac=True, method="L-BFGS-B", bounds=[(-12, 5), (-7, 5)])
    slope, intercept = np.exp(found.x) * size
    return float(slope / width), float(intercept)


def _isotonic(u: Floats, e: Floats) -> tuple[Floats, Floats]:
    from sklearn.isotonic import IsotonicRegression  # takes a second, which evaluation does not need

    fitted = IsotonicRegression().fit(u, e)
    smallest = max(1e-3 * float(e.mean()), 1e-12)  # errors that are all zero below some U must not make q infinite
    return fitted.X_thresholds_, np.maximum(fitted.y_thresholds_, smallest)
