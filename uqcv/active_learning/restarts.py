"""Walkers of one generation that start anew: where the potential is unsure, and none has started before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from uqcv.active_learning.harvesting import read_frames
from uqcv.colvars.bundle import Bundle
from uqcv.forks import prepared_once
from uqcv.progress import Update, progress
from uqcv.sampling.runner import run_walkers
from uqcv.sampling.settings import SamplingSettings
from uqcv.sampling.strategies import Site, plan_walkers
from uqcv.simulation.walker_end import WalkerEnd
from uqcv.structures import Structure, read_structures, write_structures

Choose = Callable[[Sequence[Structure], Sequence[Structure]], Sequence[Structure]]


def walk(
    bundle: Bundle,
    site: Site,
    starts: Sequence[Structure],
    settings: SamplingSettings,
    seed: int,
    choose: Choose,
    title: str = "",
    new_bias: bool = False,
) -> list[WalkerEnd]:
    """Run the walkers of a generation, `settings.restarts` times anew; return how all of them ended.

    Each part is as long as the others, and its walkers have folders of their own. What one walker found by chance is
    thus where all go on from, without the heat of the bias: adaptive sampling (Bowman, Ensign & Pande 2010,
    doi 10.1021/ct900620b) towards what is uncertain.

    Parameters
    ----------
    bundle
        Loaded from `site.bundle`.
    site
        Folders and the molecule.
    starts
        Of the first part, one frame per walker.
    settings
        Strategy and limits.
    seed
        Walker k uses seed + k.
    choose
        Given all frames so far, and those that were started from, returns frames to start from, the best first.
    title
        Begins what progress is called.
    new_bias
        Whether all begins anew, whatever is there.
    """
    if new_bias:
        for path in site.folder.glob("starts-*.extxyz"):
            path.unlink()
    part = settings.model_copy(update={"length": settings.length / (settings.restarts + 1)})
    plans = plan_walkers(bundle, site, starts, part, seed)
    steps, frames, used = sum(plan.n_steps for plan in plans), list[Structure](), list(starts)
    with prepared_once(), progress(f"{title}{len(plans)} walkers", steps * (settings.restarts + 1)) as update:
        ends = run_walkers(plans, settings.processes, update, new_bias)
        for k in range(1, settings.restarts + 1):
            frames += [frame for plan in plans for frame in read_frames(plan.folder, site.topology)]
            path = site.folder / f"starts-{k}.extxyz"
            if not path.is_file():
                write_structures(path, _as_many(choose(frames, used) or starts, len(starts)))
            starts = read_structures(path)
            used += starts
            plans = plan_walkers(bundle, site, starts, part, seed, first=k * settings.walkers)
            ends += run_walkers(plans, settings.processes, partial(_after, update, k * steps))
    return ends


def _as_many(structures: Sequence[Structure], number: int) -> list[Structure]:
    return [structures[int(k)] for k in np.resize(np.arange(len(structures)), number)]


def _after(report: Update, before: int, done: float, note: str) -> None:
    report(before + done, note)
