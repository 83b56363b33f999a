"""The loop: train, fit, sample, harvest, label, append, repeat.

Each stage leaves its result in files, the one that says «done» last, and starts from files only. So a campaign
goes on wherever it was stopped, and comes to the same end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from uqcv.active_learning.evaluation import bins_covered
from uqcv.active_learning.generation import Generation
from uqcv.active_learning.reference_data import Facts, prepare, read_facts
from uqcv.active_learning.state import CampaignFolder, CampaignState
from uqcv.analysis.ramachandran import RELEVANT_CEILING, CoverageResult, read_free_energy
from uqcv.config import Config
from uqcv.errors import InputError
from uqcv.files import read_yaml
from uqcv.folders import remove_leftovers
from uqcv.forks import prepared_once
from uqcv.input_files import by_content, read_digests
from uqcv.processes import available_cores, core_seconds
from uqcv.progress import say
from uqcv.settings_input import first_difference

# A campaign may go on for longer than was planned at first; everything else must stay as it was.
WITHOUT_EFFECT = ("sampling.processes", "sampling.checkpoint_interval")  # on results
MAY_CHANGE = ("campaign.generations", "campaign.label_budget", "campaign.stop_at_coverage", *WITHOUT_EFFECT)


class Campaign:
    """A campaign in a folder.

    Parameters
    ----------
    config
        All settings.
    path
        The folder; a campaign that is there already goes on.

    Raises
    ------
    InputError
        If the folder holds a campaign with other settings.
    """

    def __init__(self, config: Config, path: Path) -> None:
        self.config = config
        self.folder = CampaignFolder(Path(path).resolve())
        self._require_same_settings()
        self.state = CampaignState(seed=config.seed)
        if self.folder.state.is_file():
            self.state = CampaignState.load(self.folder.state)

    def _require_same_settings(self) -> None:
        if not (self.folder.config.is_file() and self.folder.relaxed.is_file()):
            return  # nothing was computed yet: a setting that could not be may be mended
        before = read_yaml(self.folder.config, "restore it from a copy, or give another --out")
        now = self.config.model_dump(mode="json")
        if digests := read_digests(self.folder.input_files):
            before, now = by_content(before, digests), by_content(now)
        for key in MAY_CHANGE:
            section, name = key.split(".")
            before.get(section, {}).pop(name, None)
            now[section].pop(name)
        different = first_difference(before, now)
        if different:
            raise InputError(
                f"{self.folder.path} holds a campaign with another {different}; give another --out, or remove it"
            )

    def run(self, report: Callable[[int], None] | None = None) -> CampaignState:
        """Run, or go on, until a limit is reached; return the last state.

        Parameters
        ----------
        report
            Called after each generation with its number, from 0.
        """
        with self.folder.locked():
            torch.set_num_threads(self.config.training.threads or available_cores())
            say(f"{self.config.name}: seed {self.config.seed}, {self.config.sampling.sampler}, in {self.folder.path}")
            facts = prepare(self.config, self.folder)
            remove_leftovers(self.folder.path)
            self._move(self.state.generation, self.state.stage, finished=False, reason="")
            while not self.state.finished:
                number = self.state.generation
                self._generation(number, facts)
                if report is not None:
                    report(number)
        say(f"finished: {self.state.reason}")
        return self.state

    @property
    def is_at_its_end(self) -> bool:
        """Whether it has ended at a limit that is one under these settings too, or found nothing new."""
        if not (self.state.finished and self.folder.facts.is_file()):
            return False
        number = self.state.generation
        return self._limit(number) is not None or self.folder.generation(number).label_summary.is_file()

    def _generation(self, number: int, facts: Facts) -> None:
        work = Generation(self.config, self.folder, number, facts)
        is_last = self._limit(number)
        self._stages(work, data=work.gather, train=work.train, fit=work.fit, evaluate=work.evaluate)
        if is_last is None:
            with prepared_once():  # walkers, and what cools their frames, need the same network
                self._stages(work, sample=work.sample, harvest=work.harvest)
            self._stages(work, label=self._label_of(work))
        if is_last is not None:
            self._move(number, "done", finished=True, reason=is_last)
        elif not work.label_count():
            self._move(number, "done", finished=True, reason="the uncertainty finds nothing new")
        else:
            self._move(number + 1, "data")

    def _stages(self, work: Generation, **stages: Callable[[], None]) -> None:
        """Go through stages, and keep how long each took."""
        for name, stage in stages.items():
            self._move(work.number, name)
            start, used = time.perf_counter(), core_seconds()
            stage()
            work.note_time(name, time.perf_counter() - start, core_seconds() - used)

    def _limit(self, number: int) -> str | None:
        """Return why this generation is the last, or None."""
        limits = self.config.campaign
        if number + 1 >= limits.generations:
            return f"{limits.generations} generations"
        if limits.label_budget is not None and self._labels_before(number) >= limits.label_budget:
            return f"label budget of {limits.label_budget} is spent"
        if limits.stop_at_coverage is not None:
            reached, wanted = self._coverage(number), limits.stop_at_coverage
            if reached.share >= wanted:
                covered = f"{reached.n_visited} of {reached.n_relevant} relevant bins are covered"
                return f"{covered}, and campaign.stop_at_coverage is {wanted:g}"
        return None

    def _coverage(self, number: int) -> CoverageResult:
        """Return what initial frames and the labels of the generations before cover."""
        facts, free_energy = read_facts(self.folder.facts), read_free_energy(self.folder.free_energy)
        ceiling = facts.minimum_energy + self.config.campaign.max_label_energy
        covered = bins_covered(self.folder, facts.torsions, free_energy, ceiling, number)
        return CoverageResult(covered[-1], int((free_energy < RELEVANT_CEILING).sum()))

    def _labels_before(self, number: int) -> int:
        return sum(Generation(self.config, self.folder, k, None).label_count() for k in range(number))

    def _label_of(self, work: Generation) -> Callable[[], None]:
        budget = self.config.campaign.label_budget
        spent = self._labels_before(work.number)
        return lambda: work.label(None if budget is None else budget - spent)

    def _move(self, generation: int, stage: str, finished: bool = False, reason: str = "") -> None:
        labels = self._labels_before(generation + 1)
        self.state = replace(
            self.state.at(generation, stage), labels=labels, finished=finished, reason=reason, seed=self.config.seed
        )
        self.state.save(self.folder.state)
