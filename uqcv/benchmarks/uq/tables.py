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
LEGEND = """\
- Spearman: rank correlation of uncertainty and error, 1 at best. AUC: how well the uncertainty finds the worst 20 % of
  errors, 1 at best, 0.5 by chance. Retention: share of what leaving out the worst first would gain, 1 at best.
- Miscal. area: between expected and observed shares of force components within each interval, 0 at best, 0.5 at worst.
  NLL: negative log-likelihood of a force component (errors in eV/Å), lower is better. Sharpness: root mean square of
  the expected deviations of force components, lower is better among calibrated ones. Force MAE: of force components.
- Coverage: share of errors below a bound made for 90 %; best is 90 %.
"""


def report(results: dict[str, Any]) -> str:
    """Return all tables of a comparison."""
    parts = [_heading(results["settings"]), LEGEND]
    for size, test in dict.fromkeys((row["training"], row["test"]) for row in results["metrics"]):
        sets = results["sets"][f"{size}, {test}"]
        parts.append(f"\n### {number(size, 'training frame')}, tested {test} ({number(sets['frames'], 'frame')})\n")
        parts.append(f"{_parts(sets)}.\n")
        parts.append(_metrics(_of(results["metrics"], size, test)))
        parts.append(
            "\nCoverage at 90 %, all seeds together, with the binomial interval (95 %) of "
            f"{number(sets['independent'], 'independent test frame')} (different ones, or their groups):\n"
        )
        parts.append(_coverage(_of(results["coverage"], size, test)))
        if chosen := _of(results["differences"], size, test):
            parts.append("\nDifference from the ensemble, with paired bootstrap interval (95 %):\n")
            parts.append(_differences(chosen))
    parts.append("\n### Cost\n")
    parts.append(_cost(results["cost"]))
    return "\n".join(parts)


def number(counts: int | Sequence[int], noun: str) -> str:
    """Return how many there are, as a range if seeds differ.

    >>> number([3, 5], "frame"), number([1, 1], "frame")
    ('3 to 5 frames', '1 frame')
    """
    shown = span([counts] if isinstance(counts, int) else counts)
    return f"{shown} {noun}{'' if shown == '1' else 's'}"


def span(counts: Sequence[int]) -> str:
    """Return the range of some numbers, or the number that all of them are."""
    low, high = min(counts), max(counts)
    return f"{low} to {high}" if low < high else f"{low}"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _heading(settings: dict[str, Any]) -> str:
    source, n = settings["source"], settings["seeds"]
    seeds = f"Mean ± standard deviation over {n} seeds (0 to {n - 1})" if n > 1 else "One seed (0)"
    lines = [f"Data: {', '.join(source['files'])}{_restricted(source)}."]
    if source["other_files"]:
        lines.append(f"Other test sets: {', '.join(source['other_files'])}.")
    return " ".join([*lines, f"{seeds}; wall time {settings['wall_seconds'] / 60:.0f} min.\n"])


def _restricted(source: dict[str, Any]) -> str:
    chosen = [f"{source['domain_key']} = {source['domain']}"] if source["domain_key"] else []
    chosen += [f"rows of {source[key]}" for key in ("train_index", "test_index") if source[key]]
    chosen += [f"groups by {source['group_key']}"] if source["group_key"] else []
    return f" ({', '.join(chosen)})" if chosen else ""


def _parts(sets: dict[str, Any]) -> str:
    names = {"training": "training", "validation": "validation", "calibration": "calibration", "frames": "test"}
    return "Frames: " + ", ".join(f"{name} {span(sets[key])}" for key, name in names.items())


def _of(rows: Sequence[dict[str, Any]], size: int, test: str) -> list[dict[str, Any]]:
    return [row for row in rows if (row["training"], row["test"]) == (size, test)]


def _metrics(rows: Sequence[dict[str, Any]]) -> str:
    def cell(name: str, value: dict[str, float], seeds: int) -> str:
        factor, digits = (MEV, 1) if name in IN_MEV else (1.0, 3)
        spread = f" ± {factor * value['sd']:.{digits}f}" if seeds > 1 else ""
        return f"{factor * value['mean']:.{digits}f}{spread}"

    header = ("method", *METRICS.values())
    cells = ((row["method"], *(cell(n, row["metrics"][n], row["seeds"]) for n in METRICS)) for row in rows)
    return markdown(header, cells)


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
