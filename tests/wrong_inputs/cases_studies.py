"""Wrong settings and folders of `uqcv study`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from .case import Case
from .spoiling import all_of, garbage, written

STUDY = "uqcv study study.yaml -o out"
GOOD: dict[str, Any] = {
    "name": "small",
    "campaign": "campaign.yaml",
    "seeds": 1,
    "samplers": {"plain": {"settings": {"sampling.sampler": "unbiased"}}},
}


def study(**changes: Any) -> Callable[[], None]:
    """Write a study with some keys of another kind, or without those that are None."""
    content = {key: value for key, value in (GOOD | changes).items() if value is not None}
    return written("study.yaml", yaml.safe_dump(content))


def with_sampler(**settings: Any) -> Callable[[], None]:
    """Write a study of one sampler, given its settings with two underscores for a dot."""
    return study(samplers={"own": {"settings": {key.replace("__", "."): value for key, value in settings.items()}}})


def other_study() -> None:
    Path("out").mkdir()
    Path("out/study.json").write_text(json.dumps(GOOD | {"campaign": "other.yaml"}))


CASES = (
    Case("no such file", "uqcv study nowhere.yaml"),
    Case("bytes that mean nothing", STUDY, garbage("study.yaml")),
    Case("a campaign in its place", "uqcv study campaign.yaml -o out"),
    Case("a misspelt key", STUDY, study(sampler={})),
    Case("no samplers", STUDY, study(samplers={})),
    Case("no campaign", STUDY, study(campaign=None)),
    Case("a campaign that is not there", STUDY, study(campaign="other.yaml")),
    Case("a sampler with a path for a name", STUDY, study(samplers={"../plain": {}})),
    Case("an expert that is no sampler", STUDY, study(expert="nobody")),
    Case("no seeds", STUDY, study(seeds=0)),
    Case("a share of bins above one", STUDY, study(measures={"target": 95})),
    Case("a sampler that is not in it", f"{STUDY} --only opes", study()),
    Case("a sampler that there is not", STUDY, with_sampler(sampling__sampler="magic")),
    Case("a misspelt setting of a sampler", STUDY, with_sampler(sampling__walkrs=2)),
    Case("new starts of a sampler without dynamics", STUDY,
         with_sampler(sampling__sampler="random_atoms", sampling__restarts=1)),
    Case("torsions that are not named", STUDY,
         with_sampler(sampling__sampler="torsion_metadynamics", system__torsions=None)),
    Case("an end by coverage without a map", STUDY,
         with_sampler(system__free_energy=None, campaign__stop_at_coverage=0.9)),
    Case("energies at rest of frames that move", STUDY, with_sampler(harvest__max_energy_at_rest=[0.4])),
    Case("results that are not there", f"{STUDY} --results nowhere.json", study()),
    Case("a structure in place of results", f"{STUDY} --results topology.pdb", study()),
    Case("results of another kind", f"{STUDY} --results other.json", all_of(study(), written("other.json", "{}"))),
    Case("a report of nothing", f"{STUDY} --report", study()),
    Case("a folder of another study", STUDY, all_of(study(), other_study)),
    Case("damaged settings of a study", STUDY, all_of(study(), written("out/study.json", "{"))),
    Case("a file in place of the folder", STUDY.replace("-o out", "-o potential.pt"), study()),
)  # fmt: skip
