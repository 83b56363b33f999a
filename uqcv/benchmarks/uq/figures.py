"""Pictures of a comparison: uncertainty against error, calibration and retention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from uqcv.analysis.style import BLACK, QUIET, STYLE, WIDTH, new_figure, styled
from uqcv.benchmarks.uq.scores import Pair, Scores
from uqcv.benchmarks.uq.statistics import deviations
from uqcv.benchmarks.uq.tables import number
from uqcv.uncertainty.metrics import retention_curve

MEV = 1000.0
Pairs = Mapping[str, Sequence[Pair]]  # of each method, one for each seed
SHARES = np.linspace(0.01, 0.99, 99)
MOST_POINTS = 4000


def save_figures(pairs: Pairs, folder: Path, stem: str, test: str) -> list[Path]:
    """Draw all figures of one test set.

    Parameters
    ----------
    pairs
        Of each method, for each seed, the scores of calibration and test set.
    folder, stem
        Where to, and how file names begin.
    test
        Name of the test set.
    """
    drawn = {
        "errors": errors_figure(pairs),
        "calibration": calibration_figure(pairs),
        "retention": retention_figure(pairs),
    }
    own = next(iter(pairs.values()))
    seeds = {"errors": own[:1]}  # the others draw the mean over seeds
    paths = []
    for name, figure in drawn.items():
        path = folder / f"{stem}-{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.suptitle(_title(test, seeds.get(name, own)), fontsize=STYLE["axes.titlesize"], wrap=True)
        figure.savefig(path)
        paths.append(path)
    return paths


def _title(test: str, pairs: Sequence[Pair]) -> str:
    frames = number([len(tested.counts) for _, tested in pairs], "test frame")
    return f"tested {test}: {frames}, {'seed 0' if len(pairs) == 1 else f'mean over {len(pairs)} seeds'}"


@styled
def errors_figure(pairs: Pairs) -> Figure:
    """Draw the force error of each atom against the one that its uncertainty lets expect, for the first seed."""
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    figure, axes = new_figure(WIDTH * 2, 2.1 * rows, rows, columns, sharex=True, sharey=True)
    for axis, (method, own) in zip(axes.ravel(), pairs.items(), strict=False):
        _draw_errors(axis, *own[0])
        axis.set_title(method)
    for axis in axes.ravel()[len(pairs) :]:
        axis.set_visible(False)
    figure.supxlabel("expected force error of an atom (root mean square), meV/Å")
    figure.supylabel("norm of force error, meV/Å")
    return figure


def _draw_errors(axis: Axes, calibration: Scores, test: Scores) -> None:
    chosen = np.random.default_rng(0).permutation(len(test.atomic))[:MOST_POINTS]
    expected, errors = MEV * np.sqrt(3) * deviations(calibration, test)[chosen], MEV * test.atom_errors[chosen]
    axis.plot(expected, errors, ".", markersize=1.5, alpha=0.3, rasterized=True)
    ends = np.array([expected.min(), expected.max()])
    axis.plot(ends, ends, color=BLACK, linewidth=0.8)
    axis.set(xscale="log", yscale="log")


@styled
def calibration_figure(pairs: Pairs) -> Figure:
    """Draw the share of force components within each central interval against what it should be."""
    figure, axes = new_figure(WIDTH, WIDTH)
    axis = axes[0, 0]
    axis.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8)
    _draw_means(axis, pairs, _observed_shares)
    axis.set(
        xlabel="expected share of force components", ylabel="observed share", xlim=(0, 1), ylim=(0, 1), aspect="equal"
    )
    axis.legend()
    return figure


def _observed_shares(calibration: Scores, test: Scores) -> np.ndarray:
    ratios = np.abs(test.residuals) / deviations(calibration, test)[:, None]
    edges = norm.ppf(0.5 + SHARES / 2)
    return np.searchsorted(np.sort(ratios.ravel()), edges, side="right") / ratios.size


@styled
def retention_figure(pairs: Pairs) -> Figure:
    """Draw the mean error of the atoms that are kept against their share, and a perfect order of the first method."""
    figure, axes = new_figure(WIDTH, 2.8)
    axis = axes[0, 0]
    _draw_means(axis, pairs, _retained)
    first, own = next(iter(pairs.items()))
    best = np.mean([_curve(test.atom_errors, test) for _, test in own], axis=0)
    axis.plot(SHARES, best, color=QUIET, linestyle=":", label=f"{first}, perfect order")
    axis.set(xlabel="share of atoms kept, most certain first", ylabel="mean norm of force error, meV/Å")
    axis.legend()
    return figure


def _retained(calibration: Scores, test: Scores) -> np.ndarray:
    return _curve(deviations(calibration, test), test)


def _curve(order: np.ndarray, test: Scores) -> np.ndarray:
    curve = retention_curve(order, test.atom_errors)
    return MEV * np.interp(SHARES, curve.shares, curve.errors)


def _draw_means(axis: Axes, pairs: Pairs, curve: Callable[[Scores, Scores], np.ndarray]) -> None:
    for method, own in pairs.items():
        axis.plot(SHARES, np.mean([curve(*pair) for pair in own], axis=0), label=method)
