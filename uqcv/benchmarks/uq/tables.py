"""Comparisons for people: markdown that can be pasted into a paper or a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

MEV = 1000.0
METRICS = {
    "force_mae": "force MAE, meV/Å",
    "atom_spearman": "Spearman, atoms",
    "atom_auc80": "AUC, atoms",
    "frame_spearman": "Spearman, frames",
    "frame_auc80": "AUC, frames",
    "atom_retention": "retention",
    "miscalibration": "miscal. area",
    "nll": "NLL",
    "sharpness": "sharpness, meV/Å",
}
IN_MEV = ("force_mae", "sharpness")


def report(results: dict[str, Any]) -> str:
    """Return all tables of a comparison."""
    settings = results["settings"]
    seeds = f"{settings['seeds']} seeds" if settings["seeds"] > 1 else "one seed"
    parts = [f"Mean ± standard deviation over {seeds}; wall time {settings['wall_seconds'] / 60:.0f} min.\n"]
    for size, test in dict.fromkeys((row["training"], row["test"]) for row in results["metrics"]):
        sets = results["sets"][f"{size}, {test}"]
        parts.append(f"\n### {size} training frames, tested {test} ({sets['frames'][0]} frames)\n")
        parts.append(_metrics(_of(results["metrics"], size, test)))
        parts.append("\nCoverage at 90 %, all seeds together, with the binomial interval:\n")
        parts.append(_coverage(_of(results["coverage"], size, test)))
        if chosen := _of(results["differences"], size, test):
            parts.append("\nDifference from the ensemble, with paired bootstrap interval (95 %):\n")
            parts.append(_differences(chosen))
    parts.append("\n### Cost\n")
    parts.append(_cost(results["cost"]))
    return "\n".join(parts)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _of(rows: Sequence[dict[str, Any]], size: int, test: str) -> list[dict[str, Any]]:
    return [row for row in rows if (row["training"], row["test"]) == (size, test)]


def _metrics(rows: Sequence[dict[str, Any]]) -> str:
    def cell(name: str, value: dict[str, float]) -> str:
        factor, digits = (MEV, 1) if name in IN_MEV else (1.0, 3)
        return f"{factor * value['mean']:.{digits}f} ± {factor * value['sd']:.{digits}f}"

    header = ("method", *METRICS.values())
    return markdown(header, ((row["method"], *(cell(n, row["metrics"][n]) for n in METRICS)) for row in rows))


def _coverage(rows: Sequence[dict[str, Any]]) -> str:
    def cell(value: dict[str, float]) -> str:
        return f"{100 * value['share']:.1f} ({100 * value['low']:.1f} to {100 * value['high']:.1f})"

    kinds = ("conformal", "linear", "isotonic")
    header = ("method", *(f"frames, {kind}, %" for kind in kinds), "atoms, conformal, %")
    return markdown(
        header,
        (
            (
                row["method"],
                *(cell(row["kinds"][f"frame_{kind}"]) for kind in kinds),
                f"{100 * row['kinds']['atom_conformal']['share']:.1f}",
            )
            for row in rows
        ),
    )


def _differences(rows: Sequence[dict[str, Any]]) -> str:
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    by_place = {(row["method"], row["metric"]): row for row in rows}

    def cell(row: dict[str, Any]) -> str:
        return f"{row['mean']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"

    methods = dict.fromkeys(row["method"] for row in rows)
    header = ("method", *(METRICS[metric] for metric in metrics))
    return markdown(header, ((m, *(cell(by_place[m, metric]) for metric in metrics)) for m in methods))


def _cost(rows: Sequence[dict[str, Any]]) -> str:
    header = ("training frames", "method", "training, s", "fit, s", "biased step, ms", "of gmm")
    first = {row["training"]: row for row in rows if row["method"] == "gmm"}

    def line(row: dict[str, Any]) -> tuple[str, ...]:
        reference = first.get(row["training"])
        ratio = f"{row['ms_per_step'] / reference['ms_per_step']:.2f}" if reference else ""
        seconds = f"{row['training_seconds']:.0f}", f"{row['fit_seconds']:.1f}"
        return str(row["training"]), row["method"], *seconds, f"{row['ms_per_step']:.2f}", ratio

    return markdown(header, map(line, rows))
