"""How well an uncertainty tells where a potential errs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score


def spearman(uncertainties: ArrayLike, errors: ArrayLike) -> float:
    """Return the rank correlation of uncertainty and error; 1 is a perfect order."""
    return float(spearmanr(uncertainties, errors).statistic)


def roc_auc(uncertainties: ArrayLike, errors: ArrayLike, percentile: float = 80.0) -> float:
    """Return how well the uncertainty finds the errors above a percentile; 1 is always, 0.5 is chance."""
    errors = np.asarray(errors)
    bad = errors > np.percentile(errors, percentile)
    return float(roc_auc_score(bad, uncertainties)) if 0 < bad.sum() < len(bad) else float("nan")


def coverage(calibrated: ArrayLike, errors: ArrayLike) -> float:
    """Return the share of errors that are at most their calibrated uncertainty (both eV/Å)."""
    return float(np.mean(np.asarray(errors) <= np.asarray(calibrated)))
