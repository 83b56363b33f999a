"""A study that is small and real: two samplers, two generations, all measures."""

from pathlib import Path

import pytest
import yaml

from uqcv.study.run import run_study
from uqcv.study.settings import StudySettings, load_study

ROOT = Path(__file__).resolve().parents[2]
CONTENT = {
    "name": "tiny",
    "campaign": "campaign.yaml",
    "seeds": 1,
    "first_seed": 3,
    "samplers": {
        "plain": {"settings": {"sampling.sampler": "unbiased"}},
        "turned": {"settings": {"sampling.sampler": "random_torsions"}},
    },
    "expert": "turned",
    "measures": {
        "trajectory_frames": 6,
        "trajectory_temperatures": [300.0],
        "samples_per_bin": 2,
        "map_filling": 20000.0,
        "map_ceiling": 1.0,
        "stability_runs": 1,
        "stability_length": 20.0,
        "stability_temperatures": [300.0],
    },
}
SETTINGS = {
    "initial.frames": 8,
    "initial.held_out": 6,
    "initial.equilibration": 100.0,
    "test.ramachandran_grid": 2,
    "potential.n_features": 16,
    "potential.n_layers": 1,
    "training.epochs": 3,
    "training.warm_epochs": 2,
    "sampling.walkers": 1,
    "sampling.length": 60.0,
    "sampling.frame_interval": 4.0,
    "sampling.restarts": 0,
    "sampling.proposals.frames": 5,
    "campaign.generations": 2,
    "harvest.max_frames": 3,
    "harvest.cooling": 0.0,
    "harvest.fill": True,
    "harvest.duplicate_tolerance": 1e-6,
}


@pytest.fixture(scope="session")
def study_file(tmp_path_factory) -> Path:
    """YAML of the study, beside that of its campaign."""
    folder = tmp_path_factory.mktemp("study_settings")
    system = ROOT / "systems" / "alanine_dipeptide"
    campaign = yaml.safe_load((system / "campaign-short.yaml").read_text())
    for name in ("topology", "free_energy"):
        campaign["system"][name] = str(system / campaign["system"][name])
    campaign["reference"]["topology"] = str(system / campaign["reference"]["topology"])
    (folder / "campaign.yaml").write_text(yaml.safe_dump(campaign))
    (folder / "study.yaml").write_text(yaml.safe_dump(CONTENT | {"settings": SETTINGS}))
    return folder / "study.yaml"


@pytest.fixture(scope="session")
def study(study_file) -> StudySettings:
    return load_study(study_file)


@pytest.fixture(scope="session")
def studied(study, tmp_path_factory) -> Path:
    """Its folder, after it has run."""
    folder = tmp_path_factory.mktemp("study") / "runs"
    run_study(study, folder, processes=2)
    return folder
