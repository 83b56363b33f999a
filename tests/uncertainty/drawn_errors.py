"""Uncertainties and errors that are drawn together, and the kinds of calibration that are fitted to them."""

import numpy as np
import pytest

from uqcv.uncertainty.calibration import CalibrationSettings

KINDS = [CalibrationSettings(kind=kind) for kind in ("conformal", "linear", "isotonic")]
of_every_kind = pytest.mark.parametrize("settings", KINDS, ids=lambda s: s.kind)


def draw(random: np.random.Generator, n: int, freedom: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Uncertainties (a negative log-likelihood is chi-square-like) and errors whose size follows them."""
    u = 0.5 * random.chisquare(freedom, n)
    return u, np.abs(random.normal(size=n)) * (0.05 + 0.02 * u)
