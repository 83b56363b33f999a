"""One function for each figure: plain data in, a matplotlib figure out, no global state left behind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import zoom

from uqcv import units
from uqcv.analysis.style import BLACK, BLUE, CYCLE, ORANGE, QUIET, WIDTH, new_figure, styled
from uqcv.uncertainty.metrics import coverage

Floats = NDArray[np.float64]

FREE_ENERGY_STEP = 5.0  # kJ/mol between contours
FREE_ENERGY_TOP = 30.0  # kJ/mol
MOST_COLUMNS = 4
SMOOTHING = 6  # points drawn per bin of the free energy
SYMBOLS = {"phi": "φ", "psi": "ψ"}
MEV = 1000.0


@dataclass(frozen=True, eq=False)
class RamachandranPanel:
    """One generation: its title, and the torsions (degrees, shape (k, 2)) of training set and trajectories."""

    title: str
    training: Floats
    visited: Floats


@dataclass(frozen=True, eq=False)
class WalkerTrace:
    """One walker: time in fs, uncertainty without unit, bias in eV, whether it has ended, and how."""

    name: str
    time: Floats
    uncertainty: Floats
    bias: Floats
    outcome: str
    is_complete: bool


@styled
def ramachandran_figure(
    panels: Sequence[RamachandranPanel],
    free_energy: ArrayLike | None = None,
    names: Sequence[str] = ("phi", "psi"),
) -> Figure:
    """Draw, for each generation, training set and trajectories over the free energy of the reference method.

    Parameters
    ----------
    panels
        At least one.
    free_energy
        In kJ/mol, shape (grid, grid), phi along the first axis.
    names
        Of the two torsions.
    """
    rows = math.ceil(len(panels) / MOST_COLUMNS)
    columns = math.ceil(len(panels) / rows)
    figure, axes = new_figure(0.95 + 1.6 * columns, 0.75 + 1.65 * rows, rows, columns, sharex=True, sharey=True)
    contours = None
    for ax, panel in zip(axes.flat, panels, strict=False):
        if free_energy is not None:
            contours = _free_energy(ax, np.asarray(free_energy, dtype=float))
        _ramachandran_points(ax, panel)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    first, second = (SYMBOLS.get(name, name) for name in names)
    figure.supxlabel(f"{first} (degrees)", fontsize=8)
    figure.supylabel(f"{second} (degrees)", fontsize=8)
    if contours is not None:
        bar = figure.colorbar(contours, ax=axes, shrink=0.9, aspect=30, pad=0.015)
        bar.set_label("reference free energy (kJ/mol)")
        bar.outline.set_visible(False)
    figure.legend(
        *axes.flat[0].get_legend_handles_labels(), loc="outside upper left", ncols=min(2, columns), markerscale=1.8
    )
    return figure


def _free_energy(ax: Axes, values: Floats) -> Any:
    """Filled contours, smooth across the borders, since the map is a torus."""
    capped = np.minimum(values, FREE_ENERGY_TOP + FREE_ENERGY_STEP)
    fine = zoom(np.pad(capped, 1, mode="wrap"), SMOOTHING, order=2, mode="grid-wrap", grid_mode=True)
    half_bin = 180.0 / len(values)
    at = -180.0 - 2 * half_bin + 2 * half_bin / SMOOTHING * (np.arange(len(fine)) + 0.5)
    levels = np.arange(0.0, FREE_ENERGY_TOP + 1.0, FREE_ENERGY_STEP)
    shades = [str(grey) for grey in np.linspace(0.6, 0.95, len(levels) - 1)]
    return ax.contourf(at, at, np.maximum(fine, 0.0).T, levels=levels, colors=shades)


def _ramachandran_points(ax: Axes, panel: RamachandranPanel) -> None:
    """The more points, the smaller."""
    dots: dict[str, Any] = {"color": BLUE, "alpha": 0.45, "markeredgewidth": 0.0}
    size = float(np.clip(8.0 / len(panel.visited) ** 0.25, 1.0, 2.0)) if len(panel.visited) else 1.0
    ax.plot(*panel.visited.T, "o", markersize=size, label="trajectories", **dots)
    rings: dict[str, Any] = {"color": ORANGE, "markeredgecolor": BLACK, "markeredgewidth": 0.25}
    ax.plot(*panel.training.T, "o", markersize=2.2, label="training set", **rings)
    ax.set(xlim=(-180, 180), ylim=(-180, 180), aspect="equal", title=panel.title)
    ax.set(xticks=[-120, 0, 120], yticks=[-120, 0, 120])
    ax.spines[["top", "right"]].set_visible(True)


@styled
def learning_curve_figure(
    n_training: ArrayLike,
    test_mae: ArrayLike,
    validation_mae: ArrayLike,
    visited_share: ArrayLike,
) -> Figure:
    """Draw force errors, and the share of the relevant map that the walkers visited, against training frames.

    Parameters
    ----------
    n_training
        Training frames of each generation.
    test_mae, validation_mae
        Force MAE in eV/Å; NaN where it is not known.
    visited_share
        Share of the thermally relevant bins; NaN where it is not known.
    """
    known = bool(np.isfinite(np.asarray(visited_share, dtype=float)).any())
    figure, axes = new_figure(WIDTH, 3.4 if known else 2.3, 2 if known else 1, sharex=True)
    error = axes[0, 0]
    error.plot(n_training, MEV * np.asarray(test_mae), "o-", color=BLUE, label="test set")
    error.plot(n_training, MEV * np.asarray(validation_mae), "s--", color=QUIET, label="validation set")
    error.set(ylabel="force MAE (meV/Å)", ylim=(0, None))
    error.legend()
    if known:
        axes[1, 0].plot(n_training, 100 * np.asarray(visited_share), "o-", color=ORANGE)
        axes[1, 0].set(ylabel="relevant map visited (%)", ylim=(0, 105))
    axes[-1, 0].set_xlabel("labelled frames in the training set")
    return figure


@styled
def calibration_figure(expected: ArrayLike, errors: ArrayLike, asked: float | None = None, title: str = "") -> Figure:
    """Draw true against expected force error of each test frame; frames below the line are covered.

    Parameters
    ----------
    expected
        Calibrated uncertainty in eV/Å, shape (k,).
    errors
        Mean force error of the frames in eV/Å, shape (k,).
    asked
        The share of errors that the calibration was made to cover.
    title
        Such as the generation.
    """
    u, e = np.asarray(expected, dtype=float), np.asarray(errors, dtype=float)
    figure, axes = new_figure(WIDTH, 3.2)
    ax = axes[0, 0]
    limits = _log_limits(np.concatenate([u, e]))
    ax.scatter(u, e, s=7, color=BLUE, alpha=0.5, linewidths=0)
    ax.plot(limits, limits, color=BLACK, linewidth=0.8)
    ax.fill_between(limits, limits, limits[0], color=BLUE, alpha=0.06, linewidth=0)
    ax.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal", title=title)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="calibrated uncertainty (eV/Å)", ylabel="mean force error of the frame (eV/Å)")
    text = f"{100 * coverage(u, e):.0f} % of {len(u)} frames\nare below the line"
    text += f" (asked: {100 * asked:.0f} %)" if asked is not None else ""
    ax.text(0.97, 0.04, text, transform=ax.transAxes, ha="right", va="bottom", fontsize=7)
    return figure


def _log_limits(values: Floats) -> tuple[float, float]:
    positive = values[values > 0]
    return (positive.min() / 1.3, positive.max() * 1.3) if len(positive) else (1e-3, 1.0)


@styled
def walkers_figure(traces: Sequence[WalkerTrace], threshold: float | None = None, title: str = "") -> Figure:
    """Draw uncertainty and bias of the walkers of a generation over time, and how each ended.

    Parameters
    ----------
    traces
        One for each walker.
    threshold
        Uncertainty above which a frame is worth a label.
    title
        Such as the generation.
    """
    figure, axes = new_figure(2 * WIDTH, 3.6, 2, sharex=True)
    above, below = axes[:, 0]
    for k, trace in enumerate(traces):
        colour, time = CYCLE[k % len(CYCLE)], trace.time * units.FS_TO_PS
        style: dict[str, Any] = {"color": colour, "linewidth": 0.7, "alpha": 0.9}
        above.plot(time, trace.uncertainty, label=f"{trace.name}: {trace.outcome}", **style)
        below.plot(time, trace.bias * units.EV_TO_KJMOL, **style)
        for ax, values in ((above, trace.uncertainty), (below, trace.bias * units.EV_TO_KJMOL)):
            _mark_end(ax, time, values, colour, trace)
    if threshold is not None:
        above.axhline(threshold, color=BLACK, linewidth=0.8, linestyle="--", label="threshold of the harvest")
    above.set(ylabel="uncertainty U", title=title)
    below.set(ylabel="bias (kJ/mol)", xlabel="time (ps)", xlim=(0, None))
    figure.legend(loc="outside right upper")
    return figure


def _mark_end(ax: Axes, time: Floats, values: Floats, colour: str, trace: WalkerTrace) -> None:
    """A dot for a complete walker, a cross for one that was stopped, nothing for one that runs."""
    if len(time) and trace.outcome != "running":
        marker: dict[str, Any] = (
            {"marker": "o", "s": 14} if trace.is_complete else {"marker": "X", "s": 34, "edgecolors": BLACK}
        )
        ax.scatter(time[-1], values[-1], color=colour, linewidths=0.5, zorder=3, clip_on=False, **marker)


@styled
def training_figure(histories: Mapping[str, Mapping[str, Floats]]) -> Figure:
    """Draw losses and validation force errors of each generation's training.

    Parameters
    ----------
    histories
        Title -> columns of a training history, in the order of the generations.
    """
    figure, axes = new_figure(2 * WIDTH, 2.4, 1, 2)
    loss, error = axes[0]
    shades = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, len(histories)))
    for (title, history), colour in zip(histories.items(), shades, strict=True):
        loss.plot(history["epoch"], history["train_loss"], color=colour, linewidth=0.7, linestyle=":")
        loss.plot(history["epoch"], history["validation_loss"], color=colour)
        error.plot(history["epoch"], MEV * history["force_mae"], color=colour, label=title)
    loss.set(xlabel="epoch", ylabel="loss", yscale="log", title="loss: validation (line), training (dots)")
    error.set(xlabel="epoch", ylabel="force MAE (meV/Å)", yscale="log", title="validation set")
    for which in (error.yaxis.set_major_formatter, error.yaxis.set_minor_formatter):
        which(LogFormatter(minor_thresholds=(1.0, 0.5)))  # 20, 50, 100 instead of powers of ten
    figure.legend(loc="outside right upper")
    return figure
