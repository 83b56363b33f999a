"""How well an uncertainty tells where a potential errs, and by how much."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

Floats = NDArray[np.float64]


def spearman(uncertainties: ArrayLike, errors: ArrayLike) -> float:
    """Return the rank correlation of uncertainty and error; 1 is a perfect order, NaN if one of them is constant."""
    if np.ptp(uncertainties) == 0 or np.ptp(errors) == 0:
        return float("nan")
    return float(spearmanr(uncertainties, errors).statistic)


def roc_auc(uncertainties: ArrayLike, errors: ArrayLike, percentile: float = 80.0) -> float:
    """Return how well the uncertainty finds the errors above a percentile; 1 is always, 0.5 is chance."""
    errors = np.asarray(errors)
    bad = errors > np.percentile(errors, percentile)
    return float(roc_auc_score(bad, uncertainties)) if 0 < bad.sum() < len(bad) else float("nan")


def coverage(calibrated: ArrayLike, errors: ArrayLike) -> float:
    """Return the share of errors that are at most their calibrated uncertainty (both eV/Å)."""
    return float(np.mean(np.asarray(errors) <= np.asarray(calibrated)))


def miscalibration_area(residuals: ArrayLike, deviations: ArrayLike) -> float:
    """Return the area between the calibration curve and the diagonal: 0 is perfect, 0.5 the worst.

    The curve is the share of residuals within the central interval of a normal distribution with the given deviation,
    for each share that there should be: Tran et al., doi 10.1088/2632-2153/ab7e1a. Made by uncertainty-toolbox.

    Parameters
    ----------
    residuals
        Errors of force components with their sign, eV/Å, shape (n,).
    deviations
        Expected standard deviation of each, eV/Å, shape (n,).
    """
    from uncertainty_toolbox.metrics_calibration import miscalibration_area as area  # takes a second

    residuals = np.asarray(residuals, dtype=float)
    return float(area(residuals, np.asarray(deviations, dtype=float), np.zeros_like(residuals)))


def gaussian_nll(residuals: ArrayLike, deviations: ArrayLike) -> float:
    """Return the mean of -log N(residual; 0, deviation^2); lower is better, the unit is that of log(eV/Å).

    Made by uncertainty-toolbox; parameters as for `miscalibration_area`.
    """
    from uncertainty_toolbox.metrics_scoring_rule import nll_gaussian

    residuals = np.asarray(residuals, dtype=float)
    return float(nll_gaussian(residuals, np.asarray(deviations, dtype=float), np.zeros_like(residuals)))


def sharpness(deviations: ArrayLike) -> float:
    """Return the root mean square of the expected deviations, eV/Å: among calibrated ones the smaller is the better.

    Kuleshov, Fenner & Ermon, arXiv 1807.00263, section 3.4. Made by uncertainty-toolbox.
    """
    from uncertainty_toolbox.metrics_calibration import sharpness as of_toolbox

    return float(of_toolbox(np.asarray(deviations, dtype=float)))


class Retention(NamedTuple):
    """Mean error of what is kept when the most uncertain is left out.

    Attributes
    ----------
    shares
        Share that is kept, ascending to 1, shape (n,).
    errors
        Mean error of it, eV/Å, shape (n,).
    """

    shares: Floats
    errors: Floats


def retention_curve(uncertainties: ArrayLike, errors: ArrayLike) -> Retention:
    """Return the error-retention curve: Malinin et al., arXiv 2107.07455, section 3, with the mean of what is kept."""
    ordered = np.asarray(errors, dtype=float)[np.argsort(uncertainties, kind="stable")]
    counts = np.arange(1, len(ordered) + 1)
    return Retention(counts / len(ordered), np.cumsum(ordered) / counts)


def retention_score(uncertainties: ArrayLike, errors: ArrayLike) -> float:
    """Return how much of what a perfect order would gain under the retention curve is gained: 1 is all, 0 is chance."""
    errors = np.asarray(errors, dtype=float)
    mean = float(errors.mean())
    own, best = (mean - retention_curve(order, errors).errors.mean() for order in (uncertainties, errors))
    return float(own / best) if best > 0 else float("nan")
