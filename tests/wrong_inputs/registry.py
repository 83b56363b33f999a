"""All wrong inputs, in the order of the table."""

from . import (
    cases_campaigns,
    cases_comparisons,
    cases_engines,
    cases_models,
    cases_places,
    cases_settings,
    cases_structures,
    cases_studies,
    cases_systems,
)
from .case import Case

GROUPS: dict[str, tuple[Case, ...]] = {
    "Settings: the YAML of a campaign, `--set`, options": cases_settings.CASES,
    "Structures (extxyz)": cases_structures.CASES,
    "Topologies (PDB)": cases_systems.TOPOLOGIES,
    "Trajectories (DCD)": cases_systems.TRAJECTORIES,
    "Free energies (CSV)": cases_systems.FREE_ENERGIES,
    "Bundles": cases_models.BUNDLES,
    "Potentials": cases_models.POTENTIALS,
    "Checkpoints of a training": cases_models.CHECKPOINTS,
    "Campaigns, journals, and two runs in one folder": cases_campaigns.CASES,
    "PLUMED templates": cases_engines.TEMPLATES,
    "Exported collective variables": cases_engines.EXPORTS,
    "The `plumed` program": cases_engines.PROGRAM,
    "The doctor": cases_engines.DOCTOR,
    "The benchmark": cases_engines.BENCHMARKS,
    "The comparison of uncertainties": cases_comparisons.CASES,
    "Studies": cases_studies.CASES,
    "Frames of the reference method": cases_comparisons.FRAMES,
    "Networks for another uncertainty": cases_comparisons.NETWORKS,
    "Files that may not be read": cases_places.UNREADABLE,
    "Folders that may not be written to": cases_places.READ_ONLY,
    "Places where nothing can be": cases_places.NO_FOLDER,
    "A disk that is full": cases_places.FULL,
}
