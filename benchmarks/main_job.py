"""The main job for several seeds, metadynamics against unbiased dynamics, at equal steps and labels.

    python benchmarks/main_job.py --out runs/main_job

runs what is not there yet (six campaigns, one after the other) and prints the table of docs/alanine_dipeptide.md;
`--collect` only reads what is there. Folders are `<sampler>-<seed>`. Seeds 0 and 1 served to choose the settings,
the default ones did not.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from uqcv.analysis.ramachandran import ramachandran_angles
from uqcv.errors import UqcvError
from uqcv.files import read_json
from uqcv.structures import Structure, read_structures

SAMPLERS = ("metadynamics", "unbiased")
CAMPAIGN = Path(__file__).parents[1] / "systems" / "alanine_dipeptide" / "campaign.yaml"


def run(out: Path, sampler: str, seed: int) -> None:
    """Run one campaign, or go on with it."""
    from uqcv.active_learning.manager import Campaign
    from uqcv.config import load_config

    config = load_config(CAMPAIGN, {"sampling.sampler": sampler, "seed": seed})
    Campaign(config, out / f"{sampler}-{seed}").run()


def generations(folder: Path) -> list[dict[str, Any]]:
    """Return metrics, labels and harvest of each generation of a campaign."""
    rows = []
    for path in sorted(folder.glob("generation-*")):
        row: dict[str, Any] = read_json(path / "metrics.json")
        for name, file in (("labels", "labels/labels.json"), ("harvest", "harvest/harvest.json")):
            row[name] = read_json(path / file) if (path / file).is_file() else None
        row["seconds"] = read_json(path / "seconds.json")
        rows.append(row)
    return rows


def harvested(folder: Path) -> list[Structure]:
    """Return all labelled frames that walkers found."""
    return [s for p in sorted(folder.glob("generation-*/labels/labels.extxyz")) for s in read_structures(p)]


def highest_label(folder: Path) -> float:
    """Return the highest energy above the minimum among all labels of harvested frames, eV."""
    minimum = read_json(folder / "reference" / "facts.json")["minimum_energy"]
    return max((s.energy - minimum for s in harvested(folder) if s.energy is not None), default=float("nan"))


def beyond(folder: Path) -> tuple[int, int]:
    """Return how many harvested frames have phi from 0 to 130 degrees, and how many are in the C7ax basin."""
    torsions = read_json(folder / "reference" / "facts.json")["torsions"]
    phi, psi = ramachandran_angles(harvested(folder), torsions).T
    c7ax = (phi > 30) & (phi < 100) & (psi > -110) & (psi < 30)
    return int(((phi > 0) & (phi < 130)).sum()), int(c7ax.sum())


def spread(values: list[float], digits: int) -> str:
    """Return mean and range of `values` as text."""
    mean, low, high = statistics.mean(values), min(values), max(values)
    return f"{mean:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def per_generation(runs: dict[str, list[list[dict[str, Any]]]]) -> Table:
    """Return the table of means over seeds, with their range."""
    table = Table(
        "sampler", "generation", "training frames", "bins seen (%)", "force MAE (meV/Å)", "validation (meV/Å)"
    )
    for sampler, seeds in runs.items():
        for number in range(min(len(s) for s in seeds)):
            rows = [s[number] for s in seeds]
            table.add_row(
                sampler,
                str(number),
                spread([r["n_training"] for r in rows], 0),
                spread([100 * r["bins_visited"] / r["bins_relevant"] for r in rows], 0),
                spread([1000 * r["test_force_mae"] for r in rows], 1),
                spread([1000 * r["validation_force_mae"] for r in rows], 1),
            )
    return table


def per_run(out: Path, seeds: list[int]) -> Table:
    """Return what became of the frames of each run, and its wall time."""
    names = ("labels sent/kept/failed/too high", "phi 0 to 130 / C7ax", "highest (eV)", "seconds")
    table = Table("run", "funnel per generation", *names)
    for sampler in SAMPLERS:
        for seed in seeds:
            folder = out / f"{sampler}-{seed}"
            rows = generations(folder)
            funnels = [" > ".join(str(n) for _, n in r["harvest"]["funnel"]) for r in rows if r["harvest"]]
            counts = [[r["labels"][k] for k in ("sent", "kept", "failed", "too_high")] for r in rows if r["labels"]]
            labels = "/".join(str(sum(c)) for c in zip(*counts, strict=True))
            seconds = sum(sum(r["seconds"].values()) for r in rows)
            there = "{} / {}".format(*beyond(folder))
            highest = f"{highest_label(folder):.2f}"
            table.add_row(folder.name, "; ".join(funnels), labels, there, highest, f"{seconds:.0f}")
    return table


def main() -> None:
    """Run or collect, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/main_job"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--collect", action="store_true", help="only read what is there")
    chosen = parser.parse_args()
    for seed in chosen.seeds:
        for sampler in SAMPLERS:
            if not chosen.collect:
                run(chosen.out, sampler, seed)
    try:
        show(chosen.out, chosen.seeds)
    except UqcvError as error:
        raise SystemExit(f"uqcv: {error}; without --collect it is made") from error


def show(out: Path, seeds: list[int]) -> None:
    """Print the tables."""
    runs = {s: [generations(out / f"{s}-{k}") for k in seeds] for s in SAMPLERS}
    console = Console(width=200)
    console.print(per_generation(runs))
    console.print("funnel: frames > uncertain > below the ceiling > physical > new > selected")
    console.print(per_run(out, seeds))


if __name__ == "__main__":
    main()
