"""From the scores of all methods to what is reported: metrics, their spread, and differences between methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from uqcv.benchmarks.uq.scores import Scores
from uqcv.uncertainty.bootstrap import bootstrap, interval
from uqcv.uncertainty.calibration import (
    FEWEST_ATOMS,
    CalibrationSettings,
    fit_by_element,
    fit_calibration,
    likeliest_line,
)
from uqcv.uncertainty.metrics import (
    coverage,
    gaussian_nll,
    miscalibration_area,
    retention_score,
    roc_auc,
    sharpness,
    spearman,
)

PERCENTILES = (80, 90, 95)
UNITS = {
    "force_mae": "eV/Å",
    "energy_mae": "eV",
    "sharpness": "eV/Å",
    "nll": "nats for each force component, of densities in Å/eV",
    "coverage": "share; intervals are of 95 %",
    "training_seconds": "s of processor time",
    "fit_seconds": "s of processor time",
    "ms_per_step": "ms",
    "wall_seconds": "s",
    "others": "no unit",
}
LEVEL = 0.95
# What is bootstrapped, and compared between methods.
COMPARED = ("atom_spearman", "atom_auc80", "frame_spearman", "frame_auc80")
KINDS = tuple(CalibrationSettings(kind=kind) for kind in ("conformal", "linear", "isotonic"))


def deviations(calibration: Scores, test: Scores) -> NDArray[np.float64]:
    """Return the expected deviation of each atom's force components in `test`, eV/Å, shape (a,).

    The straight line above the least uncertainty that makes the errors of the calibration set most likely, for the
    atoms of each element by itself if the calibration set has enough of them.
    """
    minimum = calibration.atomic.min()
    known, u = calibration.atomic - minimum, np.maximum(test.atomic - minimum, 0.0)
    errors = calibration.atom_errors / np.sqrt(3)
    slope, intercept = likeliest_line(known, errors)
    expected = slope * u + intercept
    for element in np.unique(test.numbers):
        own, of_test = calibration.numbers == element, test.numbers == element
        if own.sum() >= FEWEST_ATOMS:
            slope, intercept = likeliest_line(known[own], errors[own])
            expected[of_test] = slope * u[of_test] + intercept
    return expected


def judge(calibration: Scores, test: Scores) -> dict[str, float]:
    """Return all metrics of a method on a test set.

    Those of atoms are of the calibrated uncertainty (see `deviations`), but for those called raw; those of frames of
    the mean of the uncertainty itself.
    """
    atoms, frames = test.atom_errors, test.frame_errors
    expected = deviations(calibration, test)
    components, of_components = test.residuals.ravel(), np.repeat(expected, 3)
    found = {
        "force_mae": float(np.abs(components).mean()),
        "energy_mae": float(np.abs(test.energy_errors).mean()),
        "atom_spearman": spearman(expected, atoms),
        "raw_atom_spearman": spearman(test.atomic, atoms),
        "raw_atom_auc80": roc_auc(test.atomic, atoms),
        "frame_spearman": spearman(test.pooled, frames),
        "atom_retention": retention_score(expected, atoms),
        "frame_retention": retention_score(test.pooled, frames),
        "miscalibration": miscalibration_area(components, of_components),
        "nll": gaussian_nll(components, of_components),
        "sharpness": sharpness(expected),
    }
    for percentile in PERCENTILES:
        found[f"atom_auc{percentile}"] = roc_auc(expected, atoms, percentile)
        found[f"frame_auc{percentile}"] = roc_auc(test.pooled, frames, percentile)
    return found


def covered(calibration: Scores, test: Scores) -> dict[str, float]:
    """Return the share of errors covered at 90 %, of frames and of atoms, by each kind of calibration."""
    shares = {}
    for kind in KINDS:
        of_frames = fit_calibration(calibration.pooled, calibration.frame_errors, kind)
        of_atoms = fit_by_element(calibration.atomic, calibration.atom_errors, calibration.numbers, kind)
        shares[f"frame_{kind.kind}"] = coverage(of_frames(test.pooled), test.frame_errors)
        shares[f"atom_{kind.kind}"] = coverage(of_atoms(test.atomic, test.numbers), test.atom_errors)
    return shares


def resampled(calibration: Scores, test: Scores, seed: int) -> NDArray[np.float64]:
    """Return the `COMPARED` metrics of bootstrap resamples of the frames, shape (resamples, 4)."""
    atom_errors, frame_errors, expected = test.atom_errors, test.frame_errors, deviations(calibration, test)

    def statistic(frames: NDArray[np.int64]) -> NDArray[np.float64]:
        atoms = test.atoms_of(frames)
        by_atom, by_frame = (expected[atoms], atom_errors[atoms]), (test.pooled[frames], frame_errors[frames])
        return np.array([spearman(*by_atom), roc_auc(*by_atom), spearman(*by_frame), roc_auc(*by_frame)])

    return bootstrap(statistic, test.groups.tolist(), seed)


def summarise(rows: Sequence[dict[str, float]], draws: Sequence[NDArray[np.float64]]) -> dict[str, dict[str, float]]:
    """Return mean and standard deviation of each metric over seeds, and intervals of the mean of those compared.

    Parameters
    ----------
    rows
        Metrics of each seed.
    draws
        What `resampled` gave for each seed.
    """
    result = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        result[name] = {"mean": float(values.mean()), "sd": float(values.std(ddof=1)) if len(values) > 1 else 0.0}
    means = np.mean(np.stack(draws), axis=0)
    for k, name in enumerate(COMPARED):
        low, high = interval(means[:, k])
        result[name] |= {"low": low, "high": high}
    return result


def differences(
    draws: Mapping[str, Sequence[NDArray[np.float64]]], rows: Mapping[str, Sequence[dict[str, float]]], against: str
) -> list[dict[str, Any]]:
    """Return for each method how much higher its metrics are than those of another, with paired intervals.

    Parameters
    ----------
    draws, rows
        Of each method what `summarise` is given; draws of one seed are of the same frames.
    against
        The other method.
    """
    result = []
    for method in (m for m in draws if m != against):
        apart = np.mean(np.stack(draws[method]) - np.stack(draws[against]), axis=0)
        for k, name in enumerate(COMPARED):
            measured = np.mean([a[name] - b[name] for a, b in zip(rows[method], rows[against], strict=True)])
            low, high = interval(apart[:, k])
            result.append(
                {
                    "method": method,
                    "against": against,
                    "metric": name,
                    "mean": float(measured),
                    "low": low,
                    "high": high,
                }
            )
    return result


def pooled_coverage(shares: Sequence[float], counts: Sequence[int], independent: int) -> dict[str, float]:
    """Return the share covered over all seeds, with the binomial interval (95 %) of Clopper & Pearson.

    A frame that several seeds are tested on tells no more than once how many frames are covered, nor do the atoms of
    one frame; so the interval is that of the same share of `independent` trials.

    Parameters
    ----------
    shares
        Covered with each seed.
    counts
        Number of frames, or of atoms, that each is a share of.
    independent
        Number of different test frames of all seeds, or of their groups.
    """
    share, n = float(np.average(shares, weights=counts)), independent
    k, tail = share * n, (1 - LEVEL) / 2
    low = float(beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return {"share": share, "low": low, "high": high, "n": n}
