"""Fitting what an uncertainty without unit says of force errors, on data that training has not seen."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize

from uqcv.errors import InputError
from uqcv.uncertainty.curves import ElementCalibration, Floats, IsotonicCalibration, LinearCalibration

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
