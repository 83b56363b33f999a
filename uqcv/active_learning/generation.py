"""One generation of a campaign: its stages, from files to files.

Each stage does nothing if its result is there; the file that says so is written last.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uqcv.active_learning.cooling import Cooler
from uqcv.active_learning.evaluation import bins_seen, honesty, measure
from uqcv.active_learning.harvesting import Harvest, harvest, read_walkers
from uqcv.active_learning.networks import Places, load_networks, of_member, train_networks
from uqcv.active_learning.reference_data import Facts
from uqcv.active_learning.restarts import walk
from uqcv.active_learning.selection import HarvestSettings
from uqcv.active_learning.state import CampaignFolder, GenerationFolder
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.fitting import evaluate_frames, fit_bundle
from uqcv.colvars.methods import networks_for
from uqcv.config import Config
from uqcv.files import read_json, write_json
from uqcv.labeling.batch import Failure, label_structures
from uqcv.labeling.reference import build_reference
from uqcv.potentials.cores import training_cores
from uqcv.processes import available_cores
from uqcv.progress import Update, progress, say
from uqcv.sampling.strategies import Site, choose_starts
from uqcv.seeding import derive_seed
from uqcv.simulation.topology import read_topology, topology_bonds
from uqcv.simulation.torsions import heavy_torsions
from uqcv.simulation.validity import MoleculeGuard
from uqcv.structures import Structure, read_structures, write_structures


class Generation:
    """The stages of one generation; each does nothing if its result is there."""

    def __init__(self, config: Config, campaign: CampaignFolder, number: int, facts: Facts | None) -> None:
        self.config, self.campaign, self.number = config, campaign, number
        self._facts = facts
        self.paths: GenerationFolder = campaign.generation(number)

    @property
    def facts(self) -> Facts:
        """What is known of the system."""
        assert self._facts is not None
        return self._facts

    def _seed(self, purpose: str) -> int:
        return derive_seed(self.config.seed, self.number, purpose)

    def gather(self) -> None:
        """Write the data of this generation: those of the last one and its labels."""
        if self.paths.calibration.is_file():
            return
        if self.number == 0:
            training = read_structures(self.campaign.initial, labelled=True)
            held_out = read_structures(self.campaign.held_out, labelled=True)
            half = len(held_out) // 2
            validation, calibration = held_out[:half], held_out[half:]
        else:
            training, validation, calibration = self._grown(self.campaign.generation(self.number - 1))
        write_structures(self.paths.training, training)
        write_structures(self.paths.validation, validation)
        write_structures(self.paths.calibration, calibration)

    def _grown(self, before: GenerationFolder) -> tuple[list[Structure], ...]:
        parts = [read_structures(p, labelled=True) for p in (before.training, before.validation, before.calibration)]
        ceiling = self.facts.minimum_energy + self.config.campaign.max_label_energy
        labels = read_structures(before.labelled, labelled=True) if before.labelled.is_file() else []
        new = [s for s in labels if s.energy is not None and s.energy <= ceiling]
        n_held_out = round(self.config.campaign.held_out_share * len(new))
        # Spread over the selection, whose order goes from the most different frame to the least.
        held = {int(k) for k in np.linspace(0, len(new) - 1, n_held_out + 2)[1:-1]} if n_held_out else set()
        for order, k in enumerate(sorted(held)):
            parts[1 + order % 2].append(new[k])
        parts[0] += [s for k, s in enumerate(new) if k not in held]
        return tuple(parts)

    def train(self) -> None:
        """Train the potential, or those of an ensemble, from the last generation's if there is one."""
        needed = networks_for(self.config.uncertainty)
        if of_member(self.paths.potential, needed.number - 1).is_file():
            for k in range(needed.number):
                of_member(self.paths.checkpoint, k).unlink(missing_ok=True)  # a run may have been killed just before
            return
        warm, settings = self.number > 0, self.config.training.of_generation(self.number)
        training = read_structures(self.paths.training, labelled=True)
        cores = training_cores(settings, len(training), warm)
        say(f"  training in {cores.processes} process(es) with {cores.threads} CPU thread(s) each")
        train_networks(
            needed,
            training,
            read_structures(self.paths.validation, labelled=True),
            self.config.potential,
            settings,
            self._seed,
            Places(self.paths.potential, self.paths.checkpoint, self.paths.history),
            f"generation {self.number}, training on {len(training)} frames",
            self.campaign.generation(self.number - 1).potential if warm else None,
        )

    def fit(self) -> None:
        """Fit the uncertainty and calibrate it."""
        if self.paths.bundle.is_dir():
            return
        provenance = {"campaign": self.config.name, "generation": self.number, "seed": self.config.seed}
        bundle = fit_bundle(
            load_networks(self.paths.potential, networks_for(self.config.uncertainty)),
            read_structures(self.paths.training, labelled=True),
            read_structures(self.paths.calibration, labelled=True),
            self.config.uncertainty,
            self._seed("mixture"),
            provenance,
        )
        bundle.save(self.paths.bundle)

    def evaluate(self) -> None:
        """Measure errors on held-out and test structures, and the map that training has seen."""
        if self.paths.metrics.is_file():
            return
        training = read_structures(self.paths.training, labelled=True)
        validation = read_structures(self.paths.validation, labelled=True)
        test = read_structures(self.campaign.test, labelled=True) if self.campaign.test.is_file() else []
        metrics: dict[str, Any] = {"generation": self.number, "n_training": len(training)}
        metrics |= measure(Bundle.load(self.paths.bundle), validation, test, self.paths.scatter)
        metrics |= bins_seen(training, self.facts.torsions, self.campaign.free_energy)
        write_json(self.paths.metrics, metrics)
        say(f"generation {self.number}: {_sentence(metrics)}")

    def sample(self) -> None:
        """Run the walkers that have not ended."""
        bundle, settings = Bundle.load(self.paths.bundle), self.config.sampling.heated(self.number)
        training = read_structures(self.paths.training, labelled=True)
        rng = np.random.default_rng(self._seed("starts"))
        n_newest = len(training) - self._n_training(self.number - 1) if self.number else 0
        starts, known = choose_starts(training, n_newest, settings, rng), self._known()
        few = self.config.harvest.model_copy(update={"max_frames": settings.walkers, "fill": True})

        def unsure(frames: Sequence[Structure], used: Sequence[Structure]) -> list[Structure]:
            title = f"generation {self.number}, cooling new starts"
            found = self._cooler(self.paths.walkers, few).cooled(
                self._select(bundle, frames, [*known, *used], few), title
            )
            return [s.with_info(cooling_evaluations=found.evaluations) for s in found.structures]

        say(f"  walkers: {settings.processes or available_cores()} at a time, one CPU thread each")
        title = f"generation {self.number}, "
        ends = walk(bundle, self._site(), starts, settings, self._seed("walkers"), unsure, title)
        for k, end in enumerate(ends):
            say(f"  walker {k}: {end.reason} after {end.steps} steps")

    def _site(self) -> Site:
        return Site(
            self.paths.walkers,
            self.paths.bundle,
            self.campaign.topology,
            read_structures(self.campaign.relaxed)[0],
            self.facts.minimum_energy,
            self.facts.torsions,
        )

    def _n_training(self, number: int) -> int:
        return len(read_structures(self.campaign.generation(number).training))

    def harvest(self) -> None:
        """Select frames to label."""
        if self.paths.harvest.is_file():
            return
        frames = self._candidates()
        with progress(f"generation {self.number}, harvest", max(1, len(frames))) as update:
            result = self._select(Bundle.load(self.paths.bundle), frames, self._known(), self.config.harvest, update)
        self.paths.harvest.parent.mkdir(parents=True, exist_ok=True)
        cooler = self._cooler(self.paths.harvest.parent, self.config.harvest)
        result = cooler.cooled(result, f"generation {self.number}, cooling")
        for path, chosen in ((self.paths.left_over, result.left_over), (self.paths.selected, result.structures)):
            if chosen:
                write_structures(path, chosen)
        write_json(
            self.paths.harvest,
            {
                "threshold": result.threshold,
                "funnel": list(result.funnel.steps),
                "problems": result.problems,
                "cooling_evaluations": result.evaluations,
            },
        )
        say(f"  harvest: {result.funnel}")

    def _cooler(self, folder: Path, settings: HarvestSettings) -> Cooler:
        return Cooler(
            self.paths.bundle, self.campaign.topology, self._guard(), self.facts.minimum_energy, settings,
            settings.highest_at_rest(self.number), self.config.sampling, folder / "cooled.extxyz",
            self._seed("cooling"),
        )  # fmt: skip

    def _candidates(self) -> list[Structure]:
        """Return the frames of the walkers, and what earlier ones, who may never come there again, left over."""
        walked = read_walkers(self.paths.walkers, self.campaign.topology)
        path = self.campaign.generation(self.number - 1).left_over
        left_over = read_structures(path) if self.number and path.is_file() else []
        return [s.with_info(origin=f"generation {self.number}") for s in walked] + left_over

    def _known(self) -> list[Structure]:
        """Return all frames that a label was spent on, whatever became of it: training, held-out, and given up ones."""
        earlier = [self.campaign.generation(k).selected for k in range(self.number)]
        data = (self.paths.training, self.paths.validation, self.paths.calibration)
        return [s for path in (*data, *earlier) if path.is_file() for s in read_structures(path)]

    def _select(
        self,
        bundle: Bundle,
        frames: Sequence[Structure],
        known: Sequence[Structure],
        settings: HarvestSettings,
        update: Update | None = None,
    ) -> Harvest:
        ceiling = self.facts.minimum_energy + (settings.max_energy or self.config.sampling.max_energy)
        torsions = heavy_torsions(read_topology(self.campaign.topology))
        component = self.config.sampling.bias.component
        return harvest(bundle, frames, known, self._guard(), ceiling, component, settings, update, torsions)

    def _guard(self) -> MoleculeGuard:
        relaxed = read_structures(self.campaign.relaxed)[0]
        bonds = topology_bonds(read_topology(self.campaign.topology))
        return MoleculeGuard.from_structure(relaxed, bonds or None, self.config.sampling.validity)

    def label(self, budget: int | None) -> None:
        """Label the selected frames, at most `budget` of them."""
        if self.paths.label_summary.is_file():
            return
        selected = read_structures(self.paths.selected)[:budget] if self.paths.selected.is_file() else []
        labelled: list[Structure] = []
        failures: list[Failure] = []
        if selected:
            method = build_reference(self.config.reference)
            with progress(f"generation {self.number}, labelling", len(selected)) as update:
                labelled, failures = label_structures(
                    method,
                    selected,
                    self.paths.labelled,
                    self.paths.failures,
                    lambda done, wanted: update(done, ""),
                )
        write_json(self.paths.label_summary, self._label_summary(len(selected), labelled, len(failures)))

    def _label_summary(self, n: int, labelled: list[Structure], n_failed: int) -> dict[str, Any]:
        ceiling = self.facts.minimum_energy + self.config.campaign.max_label_energy
        too_high = sum(s.energy is not None and s.energy > ceiling for s in labelled)
        summary: dict[str, Any] = {"sent": n, "failed": n_failed, "too_high": too_high}
        summary["kept"] = len(labelled) - too_high
        if labelled:
            bundle = Bundle.load(self.paths.bundle)
            summary |= honesty(bundle, evaluate_frames(bundle, labelled), labelled, "biased")
            summary["highest_energy"] = max(s.energy for s in labelled if s.energy) - self.facts.minimum_energy
        return summary

    def label_count(self) -> int:
        """Return how many structures this generation sent to the reference method."""
        return int(read_json(self.paths.label_summary)["sent"]) if self.paths.label_summary.is_file() else 0

    def note_time(self, stage: str, wall: float, core: float) -> None:
        """Keep the seconds of a stage, on the wall and of all cores; an interrupted one counts from its last start."""
        for name, seconds in (("seconds.json", wall), ("core_seconds.json", core)):
            path = self.paths.path / name
            times = read_json(path) if path.is_file() else {}
            write_json(path, {stage: seconds} | times)


def _sentence(metrics: dict[str, Any]) -> str:
    parts = [f"{metrics['n_training']} training frames"]
    for name in ("validation", "test"):
        if f"{name}_force_mae" in metrics:
            parts.append(f"{name} force error {1000 * metrics[f'{name}_force_mae']:.1f} meV/Å")
    if "bins_visited" in metrics:
        parts.append(f"{metrics['bins_visited']} of {metrics['bins_relevant']} relevant bins seen")
    return ", ".join(parts)
