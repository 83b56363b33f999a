"""Benchmarks for people: a table in the terminal, and cost against the number of atoms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from uqcv.analysis.style import WIDTH, new_figure, styled
from uqcv.benchmarks.methods import REFERENCE

PARTS = ("forward", "backward", "plumed", "checks", "checkpoint", "openmm", "glue")


def speed_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return ms per step of each method, its ratio to plain compiled dynamics of the system, its parts, its memory."""
    table = Table(title="ms per step: median over turns ± half the distance of quartiles")
    for name in ("system", "atoms", "method", "ms per step", "of plain", *PARTS, "GiB"):
        table.add_column(name, justify="left" if name in ("system", "method") else "right")
    for row in rows:
        parts = [f"{row['parts'][name]:.4f}" if name in row["parts"] else "" for name in PARTS]
        time = f"{row['ms_per_step']:.3f} ± {row['spread']:.3f}"
        ratio = row["ms_per_step"] / plain(rows, row)
        memory = f"{row['peak_memory']:.2f}"
        table.add_row(row["system"], str(row["atoms"]), row["method"], time, f"{ratio:.2f}", *parts, memory)
    return table


def plain(rows: Sequence[dict[str, Any]], row: dict[str, Any]) -> float:
    """Return the ms per step of plain compiled dynamics of the system of `row`."""
    same = [r for r in rows if (r["system"], r["atoms"]) == (row["system"], row["atoms"])]
    return float(next(r["ms_per_step"] for r in same if r["method"] == REFERENCE))


def training_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return frames per second of training."""
    table = Table(title="training")
    for name in ("system", "method", "processes", "threads of each", "frames per second"):
        table.add_column(name, justify="left" if name in ("system", "method") else "right")
    for row in rows:
        cores = str(row["processes"]), str(row["threads"])
        table.add_row(row["system"], row["method"], *cores, f"{row['frames_per_second']:.1f}")
    return table


@styled
def _figure(rows: Sequence[dict[str, Any]]) -> Any:
    figure, axes = new_figure(WIDTH, 2.8)
    axis = axes[0, 0]
    for method in dict.fromkeys(row["method"] for row in rows):
        own = sorted((row["atoms"], row["ms_per_step"]) for row in rows if row["method"] == method)
        axis.plot(*zip(*own, strict=True), marker="o", label=method)
    axis.set(xscale="log", yscale="log", xlabel="atoms", ylabel="ms per step")
    axis.legend()
    return figure


def save_plot(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """Draw cost against the number of atoms."""
    _figure(rows).savefig(path)
    return path
