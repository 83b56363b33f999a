"""How good a generation's potential is, and how honest its uncertainty."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uqcv.active_learning.state import CampaignFolder
from uqcv.analysis.ramachandran import RELEVANT_CEILING, histogram, ramachandran_angles, read_free_energy
from uqcv.analysis.ramachandran import coverage as map_coverage
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.fitting import FrameEvaluations, evaluate_frames
from uqcv.files import read_json, write_text
from uqcv.structures import Structure, read_structures
from uqcv.uncertainty.metrics import coverage, roc_auc, spearman


def errors(evaluated: FrameEvaluations, labelled: Sequence[Structure], name: str) -> dict[str, float]:
    """Return mean absolute errors (eV, eV/Å) with `name` before each."""
    differences = np.concatenate([(f - s.forces).ravel() for f, s in zip(evaluated.forces, labelled, strict=True)])
    energies = evaluated.energies - np.array([s.energy for s in labelled])
    return {
        f"{name}_energy_mae": float(np.abs(energies).mean()),
        f"{name}_force_mae": float(np.abs(differences).mean()),
        f"{name}_force_rmse": float(np.sqrt((differences**2).mean())),
    }


def honesty(bundle: Bundle, evaluated: FrameEvaluations, labelled: Sequence[Structure], name: str) -> dict[str, float]:
    """Return how well the uncertainty orders and covers the errors, with `name` before each."""
    _, frame_errors = evaluated.errors(labelled)
    uncertainty = evaluated.pooled["mean"]
    calibrated = bundle.settings.frame_calibration(uncertainty)
    result = {f"{name}_coverage": coverage(calibrated, frame_errors)}
    if len(labelled) > 2:
        result[f"{name}_spearman"] = spearman(uncertainty, frame_errors)
        result[f"{name}_auc"] = roc_auc(uncertainty, frame_errors)
    return result


def measure(bundle: Bundle, held_out: Sequence[Structure], test: Sequence[Structure], scatter: Path) -> dict[str, Any]:
    """Return the metrics of a bundle, and write uncertainty and error of each test structure to `scatter`."""
    metrics: dict[str, Any] = {}
    for name, structures in (("validation", held_out), ("test", test)):
        if structures:
            evaluated = evaluate_frames(bundle, structures)
            metrics |= errors(evaluated, structures, name) | honesty(bundle, evaluated, structures, name)
            if name == "test":
                _write_scatter(bundle, evaluated, structures, scatter)
    return metrics


def _write_scatter(bundle: Bundle, evaluated: FrameEvaluations, test: Sequence[Structure], path: Path) -> None:
    _, frame_errors = evaluated.errors(test)
    uncertainty = evaluated.pooled["mean"]
    expected = bundle.settings.frame_calibration(uncertainty)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("frame", "uncertainty", "expected_error", "force_error"))
    writer.writerows(zip(range(len(test)), uncertainty, expected, frame_errors, strict=True))
    write_text(path, text.getvalue())


def bins_seen(structures: Sequence[Structure], torsions: dict[str, Any], free_energy: Path) -> dict[str, int]:
    """Return how many thermally relevant bins of the torsion map `structures` have seen."""
    if len(torsions) != 2 or not free_energy.is_file():
        return {}
    angles = ramachandran_angles(structures, torsions)
    result = map_coverage(angles, read_free_energy(free_energy))
    return {"bins_visited": result.n_visited, "bins_relevant": result.n_relevant}


def bins_covered(
    folder: CampaignFolder,
    torsions: Mapping[str, Sequence[int]],
    free_energy: NDArray[np.float64],
    ceiling: float,
    generations: int,
) -> list[int]:
    """Return how many relevant bins hold an initial frame or one of the first k labels, for k = 0, 1, ...

    Labels count when they are asked for, whether they join the training or a held-out set; those that failed or are
    too high cover nothing.

    Parameters
    ----------
    folder
        Of a campaign.
    torsions
        Two.
    free_energy
        kJ/mol, shape (grid, grid).
    ceiling
        Energy above which a label is not kept, eV.
    generations
        How many to look at.
    """
    relevant = free_energy < RELEVANT_CEILING
    grid = len(relevant)
    seen = histogram(ramachandran_angles(read_structures(folder.initial), torsions), grid) > 0
    covered = [int((seen & relevant).sum())]
    for paths in map(folder.generation, range(generations)):
        frames = read_structures(paths.labelled) if paths.labelled.is_file() else []
        for frame, angles in zip(frames, ramachandran_angles(frames, torsions), strict=True):
            if frame.energy is not None and frame.energy <= ceiling:
                seen |= histogram(angles, grid) > 0
            covered.append(int((seen & relevant).sum()))
        sent = read_json(paths.label_summary)["sent"] if paths.label_summary.is_file() else 0
        covered += [covered[-1]] * (int(sent) - len(frames))
    return covered
