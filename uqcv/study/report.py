"""The report of a study: one page, and its tables as markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from uqcv.analysis.page import Section, drawn, paragraph, preformatted, table, write_page
from uqcv.analysis.perturbation import local_minima
from uqcv.analysis.ramachandran import RELEVANT_CEILING
from uqcv.errors import InputError
from uqcv.files import atomic_path, write_text
from uqcv.study.figures import figures
from uqcv.study.oracle import BASIN_CEILING, reference_map
from uqcv.study.results import RESULTS_FILE, Measured, read_results, write_results
from uqcv.study.run import is_complete, read_measures
from uqcv.study.settings import Item, StudySettings, campaigns
from uqcv.study.tables import Rows, Samplers, budgets, each_campaign, first_visits, gaps, labels_needed, outcome

Titled = dict[str, tuple[list[str], Rows]]
NOTE = (
    "Mean over seeds, and their range in brackets. Errors are those of the last potential of each campaign; coverage "
    "counts initial frames and all labels that were kept. Labels are those that campaigns asked for, without the first "
    "frames, which all share; how many it took to get somewhere is a median over seeds. MD time is that of all walkers "
    "together."
)


def write_study_report(study: StudySettings, folder: Path, results: Sequence[Path] = ()) -> list[Path]:
    """Write `report.html`, `tables.md`, `results.json` and figures of what has been measured; return their paths.

    Parameters
    ----------
    study
        Its settings.
    folder
        Where it has run.
    results
        Files with measures of campaigns that ran elsewhere.

    Raises
    ------
    InputError
        If nothing has been measured.
    """
    samplers = read_measures(study, folder, results)
    if not samplers:
        raise InputError(f"{folder}: no campaign has been measured; give the folder of a study that has run")
    items = campaigns(study, folder)
    free_energy = reference_map(items[0].config)
    n_relevant = 0 if free_energy is None else int((free_energy < RELEVANT_CEILING).sum())
    tables = _tables(study, samplers, n_relevant)
    if free_energy is not None:
        tables["First visits"] = first_visits(study, samplers, _names(free_energy), n_relevant)
    drawings = list(figures(samplers, n_relevant))
    for name, _, figure in drawings:
        with atomic_path(folder / "figures" / f"{name}.png") as temporary:
            figure.savefig(temporary, format="png")
    sections = [Section(title, table(*content)) for title, content in tables.items()]
    sections[0] = Section(sections[0].title, paragraph(NOTE) + sections[0].content)
    if drawings:
        sections += [Section("Figures", "\n".join(drawn(figure, caption) for _, caption, figure in drawings))]
    sections += [Section("Settings", preformatted(yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False)))]
    write_text(folder / "tables.md", _markdown(tables))
    write_results(study, items, _complete(study, items, samplers, results), folder / RESULTS_FILE)
    return [write_page(folder / "report.html", study.name, sections), folder / "tables.md", folder / RESULTS_FILE]


def _complete(study: StudySettings, items: Sequence[Item], samplers: Samplers, results: Sequence[Path]) -> Measured:
    """Return what stands for whole campaigns: those that have ended here, and those of files of results."""
    whole = read_results(study, items, results)
    for item in items:
        if is_complete(item, study):
            whole.setdefault(item.sampler, {})[item.seed] = dict(samplers[item.sampler][item.seed])
    return {name: dict(sorted(whole[name].items())) for name in samplers if name in whole}


def _tables(study: StudySettings, samplers: Samplers, n_relevant: int) -> Titled:
    tables: Titled = {"What came of it": outcome(study, samplers, n_relevant)}
    if n_relevant:
        tables["Labels to cover a share of the relevant bins"] = labels_needed(study, samplers, n_relevant)
    if study.expert is not None and study.expert in samplers and len(samplers) > 1:
        tables["Gap to the expert"] = gaps(samplers, study.expert, n_relevant)
    tables |= budgets(samplers, n_relevant)
    return tables | {"Each campaign": each_campaign(study, samplers, n_relevant)}


def _names(free_energy: NDArray[np.float64]) -> list[str]:
    width = 360.0 / len(free_energy)
    places = local_minima(free_energy, BASIN_CEILING)
    return [f"({-180 + width * (i + 0.5):g}°, {-180 + width * (j + 0.5):g}°)" for i, j in places]


def _markdown(tables: Titled) -> str:
    parts = []
    for title, (header, rows) in tables.items():
        lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}", *(f"| {' | '.join(row)} |" for row in rows)]
        parts.append(f"### {title}\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"
