"""The first generation, which campaigns of one seed have in common, is made once."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uqcv.active_learning.manager import Campaign
from uqcv.active_learning.selection import HarvestSettings
from uqcv.active_learning.state import CampaignFolder, CampaignState
from uqcv.config import CampaignSettings, Config
from uqcv.input_files import by_content
from uqcv.processes import output_to
from uqcv.sampling.settings import SamplingSettings
from uqcv.study.settings import Item

# All that decides about reference data and the first potential.
SECTIONS = ("seed", "system", "reference", "initial", "test", "potential", "training", "uncertainty")


@dataclass(frozen=True)
class First:
    """A campaign that ends with its first potential.

    Attributes
    ----------
    folder
        Where it runs.
    config
        All that campaigns which begin with it have in common, and nothing of their samplers.
    """

    folder: Path
    config: Config

    @property
    def is_made(self) -> bool:
        """Whether there is nothing left to do."""
        state = CampaignFolder(self.folder).state
        return state.is_file() and CampaignState.load(state).finished


def firsts(items: Sequence[Item], folder: Path) -> list[First]:
    """Return the first generations that campaigns need, each once."""
    found = {first_of(item, folder).folder: first_of(item, folder) for item in items}
    return list(found.values())


def first_of(item: Item, folder: Path) -> First:
    """Return the first generation that a campaign begins with; `folder` is that of the study."""
    content = by_content(item.config.model_dump(mode="json", include=set(SECTIONS)))
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    # It never samples, and must be the same whichever of its campaigns is there when it is made or goes on.
    plain = SamplingSettings(sampler="unbiased", hydrogen_mass=None)
    own = {"sampling": plain, "harvest": HarvestSettings(), "campaign": CampaignSettings(generations=1)}
    return First(folder / "first" / f"seed-{item.seed}-{digest}", item.config.model_copy(update=own))


def run_first(first: First, progress: Callable[[int], None]) -> None:
    """Make it, or go on with it; what it says goes to a file beside its folder."""
    with output_to(first.folder.with_suffix(".log")):
        Campaign(first.config, first.folder).run()
    progress(1)


def begin(item: Item, first: First) -> None:
    """Give a campaign its first generation, unless it has begun."""
    if item.folder.exists():
        return
    partial = item.folder.with_name(f".{item.folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    source = CampaignFolder(first.folder)
    partial.mkdir(parents=True)
    for path in (source.topology, source.relaxed.parent, source.generation(0).path):
        copy = shutil.copytree if path.is_dir() else shutil.copy2
        copy(path, partial / path.name)
    partial.rename(item.folder)
