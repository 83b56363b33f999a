"""Where a campaign stands, and where its files are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from uqcv.errors import InputError
from uqcv.files import read_json, write_json
from uqcv.folders import locked


@dataclass(frozen=True)
class CampaignState:
    """What restarts a campaign: the next piece of work.

    Attributes
    ----------
    generation
        Current generation, from 0.
    stage
        Stage of it that comes next or was interrupted.
    labels
        Structures sent to the reference method so far, failed ones included; without initial data.
    finished
        Whether the campaign has ended.
    reason
        Why it ended.
    seed
        Of the campaign.
    """

    generation: int = 0
    stage: str = ""
    labels: int = 0
    finished: bool = False
    reason: str = ""
    seed: int = 0

    def save(self, path: Path) -> None:
        """Write the state, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> CampaignState:
        """Read the state.

        Raises
        ------
        InputError
            If the file is not a state.
        """
        advice = "remove it, and the run goes on from the results that lie beside it"
        content = read_json(path, advice)
        known = {field.name: type(field.default) for field in fields(cls)}
        if not isinstance(content, dict) or content.keys() - known or not _have_types(content, known):
            raise InputError(
                f"{path}: not the state of a campaign; {', '.join(known)} are expected, each of its type: {advice}"
            )
        return cls(**content)

    def at(self, generation: int, stage: str) -> CampaignState:
        """Return the state at another stage."""
        return replace(self, generation=generation, stage=stage)


@dataclass(frozen=True)
class GenerationFolder:
    """Paths of one generation."""

    path: Path

    @property
    def training(self) -> Path:
        """Training frames, oldest first."""
        return self.path / "training.extxyz"

    @property
    def validation(self) -> Path:
        """Frames that choose the epoch."""
        return self.path / "validation.extxyz"

    @property
    def calibration(self) -> Path:
        """Frames that calibrate the uncertainty."""
        return self.path / "calibration.extxyz"

    @property
    def checkpoint(self) -> Path:
        """Training in progress."""
        return self.path / "training" / "checkpoint.pt"

    @property
    def history(self) -> Path:
        """Losses per epoch."""
        return self.path / "training" / "history.csv"

    @property
    def potential(self) -> Path:
        """The trained potential."""
        return self.path / "potential.pt"

    @property
    def bundle(self) -> Path:
        """Potential with uncertainty."""
        return self.path / "bundle"

    @property
    def metrics(self) -> Path:
        """Errors and coverage of this generation's potential."""
        return self.path / "metrics.json"

    @property
    def scatter(self) -> Path:
        """Uncertainty and error of each test structure."""
        return self.path / "test_scatter.csv"

    @property
    def walkers(self) -> Path:
        """One folder per walker."""
        return self.path / "walkers"

    @property
    def harvest(self) -> Path:
        """How frames were selected; written last."""
        return self.path / "harvest" / "harvest.json"

    @property
    def left_over(self) -> Path:
        """Frames that were not selected, for the next generation to choose from as well."""
        return self.path / "harvest" / "left_over.extxyz"

    @property
    def selected(self) -> Path:
        """Frames to label."""
        return self.path / "harvest" / "selected.extxyz"

    @property
    def labelled(self) -> Path:
        """Frames with labels."""
        return self.path / "labels" / "labels.extxyz"

    @property
    def failures(self) -> Path:
        """Reference calculations that failed."""
        return self.path / "labels" / "failures.json"

    @property
    def label_summary(self) -> Path:
        """What became of the labels; written last."""
        return self.path / "labels" / "labels.json"


@dataclass(frozen=True)
class CampaignFolder:
    """Paths of a campaign."""

    path: Path

    @property
    def config(self) -> Path:
        """Resolved settings."""
        return self.path / "config.yaml"

    @property
    def input_files(self) -> Path:
        """Digests of the files that settings name."""
        return self.path / "input_files.json"

    @property
    def state(self) -> Path:
        """The one file that says where the campaign stands."""
        return self.path / "state.json"

    @property
    def topology(self) -> Path:
        """Copy of the PDB file."""
        return self.path / "topology.pdb"

    @property
    def relaxed(self) -> Path:
        """The molecule at its minimum, by the reference method."""
        return self.path / "reference" / "relaxed.extxyz"

    @property
    def initial(self) -> Path:
        """First training frames."""
        return self.path / "reference" / "initial.extxyz"

    @property
    def held_out(self) -> Path:
        """Frames of the same kind, kept from training."""
        return self.path / "reference" / "held_out.extxyz"

    @property
    def test(self) -> Path:
        """Test structures, if there are any."""
        return self.path / "reference" / "test.extxyz"

    @property
    def free_energy(self) -> Path:
        """Copy of the reference free energy, if there is one."""
        return self.path / "reference" / "free_energy.csv"

    @property
    def facts(self) -> Path:
        """Torsions, minimum; written last of the reference data."""
        return self.path / "reference" / "facts.json"

    def generation(self, number: int) -> GenerationFolder:
        """Return the paths of a generation."""
        return GenerationFolder(self.path / f"generation-{number:02d}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; see `uqcv.folders.locked`."""
        with locked(self.path):
            yield


def _have_types(content: dict[str, Any], types: dict[str, type]) -> bool:
    return all(type(value) is types[name] for name, value in content.items())
