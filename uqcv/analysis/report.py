"""The report of a campaign: figures, a table for people, a table for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table as RichTable

from uqcv.analysis.campaign import Campaign, Generation, Walker, read_campaign
from uqcv.analysis.page import Section, paragraph, picture, preformatted, table, write_page
from uqcv.analysis.tables import csv_text
from uqcv.errors import InputError
from uqcv.files import atomic_path, read_json, write_text
from uqcv.folders import staged

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from uqcv.analysis.plots import WalkerTrace

MEV = 1000.0


def write_report(folder: Path) -> list[Path]:
    """Write figures, `summary.csv` and `report.html` to `folder/report`; what has no data yet is left out.

    Parameters
    ----------
    folder
        Of a campaign, finished or under way.

    Returns
    -------
    The files written.

    Raises
    ------
    InputError
        If the folder is not a campaign's, or a file in it is broken.
    """
    campaign = read_campaign(folder)
    target = campaign.folder / "report"
    with staged(target) as place:
        written = [_save(figure, place / f"{name}.png") for name, figure in _figures(campaign)]
        rows = [_summary(generation) for generation in campaign.generations]
        if rows:
            written.append(place / "summary.csv")
            write_text(written[-1], csv_text({name: [row[name] for row in rows] for name in rows[0]}))
        written.append(_page(campaign, rows, written, place / "report.html"))
    return [target / path.name for path in written]


def _page(campaign: Campaign, rows: list[dict[str, Any]], written: list[Path], path: Path) -> Path:
    """Write one page that holds all: it opens without a network, and elsewhere."""
    state = ", ".join(f"{name}: {value}" for name, value in campaign.state.items())
    sections = [Section("State", paragraph(state))]
    if rows:
        cells = [["-" if value is None else f"{value:.4g}" for value in row.values()] for row in rows]
        sections.append(Section("Generations", table([name.replace("_", " ") for name in rows[0]], cells)))
    figures = [picture(p.read_bytes(), p.stem.replace("_", " ")) for p in written if p.suffix == ".png"]
    sections.append(Section("Figures", "\n".join(figures)))
    settings = campaign.folder / "config.yaml"
    if settings.is_file():
        sections.append(Section("Settings", preformatted(settings.read_text(encoding="utf-8"))))
    return write_page(path, "Campaign", sections)


def _save(figure: Figure, path: Path) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def _figures(campaign: Campaign) -> Iterator[tuple[str, Figure]]:
    yield from _ramachandran(campaign)
    yield from _learning_curve(campaign)
    yield from _training(campaign)
    for generation in campaign.generations:
        yield from _calibration(generation)
        yield from _walkers(generation)


def _title(generation: Generation) -> str:
    return f"generation {generation.index}"


def _ramachandran(campaign: Campaign) -> Iterator[tuple[str, Figure]]:
    from uqcv.analysis.plots import RamachandranPanel, ramachandran_figure

    torsions = campaign.torsions
    if not torsions or not campaign.topology.is_file():
        return
    panels = []
    for generation in campaign.generations:
        walks = [walker.angles(campaign.topology, torsions) for walker in generation.walkers]
        visited = np.concatenate([np.zeros((0, 2)), *walks])
        panels.append(RamachandranPanel(_title(generation), generation.training_angles(torsions), visited))
    panels = [panel for panel in panels if len(panel.training) or len(panel.visited)]
    if panels:
        yield "ramachandran", ramachandran_figure(panels, campaign.free_energy(), tuple(torsions))


def _learning_curve(campaign: Campaign) -> Iterator[tuple[str, Figure]]:
    from uqcv.analysis.plots import learning_curve_figure

    trained = [g.metrics for g in campaign.generations if "n_training" in g.metrics]
    if trained:
        test, validation = ([_number(m.get(f"{name}_force_mae")) for m in trained] for name in ("test", "validation"))
        shares = [_number(m.get("bins_visited")) / _number(m.get("bins_relevant")) for m in trained]
        n_training = [m["n_training"] for m in trained]
        yield "learning_curve", learning_curve_figure(n_training, test, validation, shares)


def _training(campaign: Campaign) -> Iterator[tuple[str, Figure]]:
    from uqcv.analysis.plots import training_figure

    histories = {_title(g): g.history() for g in campaign.generations}
    histories = {title: history for title, history in histories.items() if history}
    if histories:
        yield "training", training_figure(histories)


def _calibration(generation: Generation) -> Iterator[tuple[str, Figure]]:
    from uqcv.analysis.plots import calibration_figure

    scatter = generation.scatter()
    if scatter:
        figure = calibration_figure(
            scatter["expected_error"], scatter["force_error"], _asked_coverage(generation), _title(generation)
        )
        yield f"calibration-{generation.index:02d}", figure


def _asked_coverage(generation: Generation) -> float | None:
    from uqcv.colvars.bundle import SETTINGS_FILE  # imports torch, which `campaign_status` does not need

    path = generation.folder / "bundle" / SETTINGS_FILE
    try:
        return float(read_json(path)["settings"]["distributions"]["mean"]["calibration"]["coverage"])
    except (InputError, KeyError, TypeError):
        return None  # worth a word in a figure, not a failure


def _walkers(generation: Generation) -> Iterator[tuple[str, Figure]]:
    from uqcv.analysis.plots import walkers_figure

    traces = [trace for walker in generation.walkers if (trace := _trace(walker)) is not None]
    if traces:
        figure = walkers_figure(traces, generation.harvest.get("threshold"), _title(generation))
        yield f"walkers-{generation.index:02d}", figure


def _trace(walker: Walker) -> WalkerTrace | None:
    from uqcv.analysis.plots import WalkerTrace

    table = walker.trace()
    if not table:
        return None
    columns = table["time_fs"], table["uncertainty"], table["bias_eV"]
    return WalkerTrace(walker.name.replace("-", " "), *columns, walker.outcome, walker.is_complete)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _summary(generation: Generation) -> dict[str, Any]:
    """One row of `summary.csv`; None for what is not known yet."""
    metrics, labels = generation.metrics, generation.labels
    names = ("test_force_mae", "test_force_rmse", "validation_force_mae", "test_energy_mae")
    units = {name: "meV" if "energy" in name else "meV_per_A" for name in names}
    return {
        "generation": generation.index,
        "n_training": metrics.get("n_training"),
        **{f"{name}_{units[name]}": _scaled(metrics.get(name)) for name in names},
        "validation_coverage": metrics.get("validation_coverage"),
        "bins_visited": metrics.get("bins_visited"),
        "bins_relevant": metrics.get("bins_relevant"),
        "walkers": len(generation.walkers),
        "walkers_completed": sum(walker.is_complete for walker in generation.walkers),
        "frames": dict(generation.funnel).get("frames"),
        "selected": dict(generation.funnel).get("selected"),
        "labels_kept": labels.get("kept"),
        "labels_failed": labels.get("failed"),
        "labels_too_high": labels.get("too_high"),
        "biased_coverage": labels.get("biased_coverage"),
    }


def _scaled(value: float | None) -> float | None:
    return None if value is None else MEV * value


def summary_table(campaign: Campaign) -> RichTable:
    """Return a table for the terminal with one line for each generation."""
    steps = max((" > ".join(name for name, _ in g.funnel) for g in campaign.generations), key=len, default="")
    caption = f"MAE of forces in meV/Å; bins visited of the relevant ones; harvest: {steps or 'none yet'}"
    table = RichTable(title=str(campaign.folder), caption=caption, box=None, header_style="bold", pad_edge=False)
    for name in ("gen", "training\nframes", "MAE\ntest", "MAE\nvalid.", "bins"):
        table.add_column(name, justify="right")
    for name in ("walkers", "harvest", "labels kept\n/ rejected"):
        table.add_column(name)
    for generation in campaign.generations:
        table.add_row(*_cells(generation))
    return table


def _cells(generation: Generation) -> list[str]:
    metrics, labels = generation.metrics, generation.labels
    rejected = labels.get("failed", 0) + labels.get("too_high", 0)
    errors = [_scaled(metrics.get(name)) for name in ("test_force_mae", "validation_force_mae")]
    bins = [str(metrics[name]) for name in ("bins_visited", "bins_relevant") if metrics.get(name) is not None]
    return [
        str(generation.index),
        str(metrics.get("n_training", "-")),
        *("-" if value is None else f"{value:.1f}" for value in errors),
        "/".join(bins) or "-",
        "\n".join(f"{count} {outcome}" for outcome, count in _outcomes(generation).items()) or "-",
        " > ".join(str(left) for _, left in generation.funnel) or "-",
        f"{labels.get('kept', 0)} / {rejected}" if labels else "-",
    ]


def _outcomes(generation: Generation) -> dict[str, int]:
    return dict(Counter(walker.outcome for walker in generation.walkers))


def campaign_status(folder: Path) -> dict[str, Any]:
    """Return where a campaign stands, ready for JSON.

    Raises
    ------
    InputError
        If the folder is not a campaign's, or a file in it is broken.
    """
    campaign = read_campaign(folder)
    generations = [
        _summary(g) | {"outcomes": _outcomes(g), "funnel": [list(step) for step in g.funnel]}
        for g in campaign.generations
    ]
    return {"folder": str(campaign.folder), **campaign.state, "generations": generations}
