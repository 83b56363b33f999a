"""Figures of a study: how good campaigns are, against each of the three budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uqcv.analysis.style import CYCLE, WIDTH, new_figure, styled
from uqcv.study.summary import BUDGETS, Measures, Seeds
from uqcv.study.tables import MEV, NAMES, PERCENT

STYLES = ("-", "--", ":")  # beyond as many samplers as there are colours
QUANTITIES = {
    "test_force_mae": ("force MAE on the test set (meV/Å)", MEV),
    "map_error": ("error of the free energy (kJ/mol)", 1.0),
}


def figures(samplers: Mapping[str, Seeds], n_relevant: int) -> Iterator[tuple[str, str, Figure]]:
    """Yield name, caption and figure; thin lines are seeds, thick ones their mean where all seeds are."""
    if n_relevant:
        yield (
            "coverage",
            "Share of the relevant bins that hold an initial frame or a label, against the number of labels.",
            coverage_figure(samplers, n_relevant),
        )
    for key, (name, factor) in QUANTITIES.items():
        if any(key in row for seeds in samplers.values() for m in seeds.values() for row in m["generations"]):
            caption = f"{name[0].upper()}{name[1:]} after each generation, against what was spent before it."
            yield key, caption, budget_figure(samplers, key, name, factor)


@styled
def coverage_figure(samplers: Mapping[str, Seeds], n_relevant: int) -> Figure:
    """Draw coverage label by label."""
    figure, axes = new_figure(1.6 * WIDTH, 0.8 * WIDTH)
    ax = axes[0, 0]
    for k, (name, seeds) in enumerate(samplers.items()):
        curves = [PERCENT * np.asarray(m["covered"]) / n_relevant for m in seeds.values()]
        shared = min(len(curve) for curve in curves)
        for curve in curves:
            ax.plot(curve, lw=0.4, alpha=0.4, **_look(k))
        ax.plot(np.mean([curve[:shared] for curve in curves], axis=0), label=name, **_look(k))
    ax.set(xlabel="labels", ylabel="relevant bins covered (%)", ylim=(0, 100))
    _legend(figure, ax)
    return figure


@styled
def budget_figure(samplers: Mapping[str, Seeds], key: str, name: str, factor: float) -> Figure:
    """Draw one measure against labels, steps and evaluations."""
    figure, axes = new_figure(2.4 * WIDTH, 0.8 * WIDTH, 1, len(BUDGETS), sharey=True)
    for ax, budget in zip(axes[0], BUDGETS, strict=True):
        for k, (sampler, seeds) in enumerate(samplers.items()):
            _draw(ax, list(seeds.values()), budget, key, factor, sampler, k)
        ax.set_xlabel(NAMES[budget])
    axes[0, 0].set_ylabel(name)
    _legend(figure, axes[0, 0])
    return figure


def _draw(ax: Axes, seeds: list[Measures], budget: str, key: str, factor: float, name: str, k: int) -> None:
    lines = [
        np.array([(row[budget], factor * row[key]) for row in m["generations"] if key in row]).reshape(-1, 2)
        for m in seeds
    ]
    for line in lines:
        ax.plot(*line.T, lw=0.4, alpha=0.4, **_look(k))
    shared = min(len(line) for line in lines)
    ax.plot(*np.mean([line[:shared] for line in lines], axis=0).T, label=name, marker=".", **_look(k))


def _look(k: int) -> dict[str, Any]:
    return {"color": CYCLE[k % len(CYCLE)], "linestyle": STYLES[k // len(CYCLE) % len(STYLES)]}


def _legend(figure: Figure, ax: Axes) -> None:
    figure.legend(*ax.get_legend_handles_labels(), loc="outside right center")
