"""What a campaign starts from: the relaxed molecule, first labels, held-out frames and a test set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from uqcv.active_learning.beginning import Torsions, beginning, own_frames
from uqcv.active_learning.reference_dynamics import task_of, write_dynamics
from uqcv.active_learning.state import CampaignFolder
from uqcv.config import Config, save_config
from uqcv.errors import InputError
from uqcv.files import read_json, write_json, write_text
from uqcv.input_files import file_digests
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.ramachandran import uniform_ramachandran
from uqcv.labeling.reference import ReferenceMethod
from uqcv.labeling.relaxation import relax
from uqcv.progress import say
from uqcv.seeding import derive_seed
from uqcv.structures import Structure, read_structures, write_structures


@dataclass(frozen=True)
class Facts:
    """What later stages need to know of the system.

    Attributes
    ----------
    torsions
        Name -> four atom indices from 0.
    minimum_energy
        Energy of the lowest structure known at the start, eV.
    """

    torsions: dict[str, tuple[int, int, int, int]]
    minimum_energy: float


def prepare(config: Config, folder: CampaignFolder) -> Facts:
    """Make the reference data of a campaign, or read what an earlier run made.

    Raises
    ------
    InputError
        For files that do not fit one another.
    """
    if folder.facts.is_file():
        facts = read_facts(folder.facts)
        _note(config, folder)
        return facts
    begun = beginning(config)
    method, torsions = begun.method, begun.torsions
    _note(config, folder)  # nothing is written before all is known to be possible
    write_text(folder.topology, config.system.topology.read_text(encoding="utf-8"))
    if config.system.free_energy is not None:
        write_text(folder.free_energy, config.system.free_energy.read_text(encoding="utf-8"))
    relaxed = _made(folder.relaxed, "relaxing the molecule", lambda: [relax(method, begun.start)])[0]
    frames = _labels(config, folder.initial, method, relaxed, torsions, held_out=False)
    held_out = _labels(config, folder.held_out, method, relaxed, torsions, held_out=True)
    _make_test(config, folder, method, torsions)
    lowest = min(s.energy for s in (relaxed, *frames, *held_out) if s.energy is not None)
    facts = Facts(dict(torsions), lowest)
    free_energy = folder.free_energy.name if folder.free_energy.is_file() else None
    write_json(folder.facts, asdict(facts) | {"free_energy": free_energy})
    return facts


def _note(config: Config, folder: CampaignFolder) -> None:
    """Write settings, and what the files held that they name: the campaign goes on from wherever these are the same."""
    save_config(config, folder.config)
    write_json(folder.input_files, file_digests(config.model_dump()))


def read_facts(path: Path) -> Facts:
    """Read what `prepare` found out.

    Raises
    ------
    InputError
        If the file is something else.
    """
    content = read_json(path)
    try:
        return Facts({k: tuple(v) for k, v in content["torsions"].items()}, float(content["minimum_energy"]))
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path}: not what a campaign knows of its system (torsions and minimum_energy); "
            "remove it, and the run finds it out again"
        ) from error


def _made(path: Path, name: str, make: Callable[[], list[Structure]]) -> list[Structure]:
    """Return the structures in `path`, made first if the file is not there."""
    if not path.is_file():
        say(f"{name} ...")
        write_structures(path, make())
    return read_structures(path, labelled=True)


def _labels(
    config: Config, path: Path, method: ReferenceMethod, relaxed: Structure, torsions: Torsions, held_out: bool
) -> list[Structure]:
    """Return the first labels or the held-out ones, made first if the file is not there."""
    settings = config.initial
    if settings.file is not None:
        own = slice(-settings.held_out, None) if held_out else slice(None, -settings.held_out)
        return _made(path, "held-out labels" if held_out else "first labels", lambda: own_frames(config)[own])
    if not path.is_file():
        n_frames, purpose = (settings.held_out, "held out") if held_out else (settings.frames, "initial")
        task = task_of(config, method, relaxed, purpose)
        write_dynamics(path, config, method, relaxed, torsions, n_frames, purpose, task)
    return read_structures(path, labelled=True)


def _make_test(config: Config, folder: CampaignFolder, method: ReferenceMethod, torsions: Torsions) -> None:
    settings = config.test
    if settings.file is not None:
        _made(folder.test, "test set", lambda: read_structures(Path(settings.file or ""), labelled=True))
    elif settings.ramachandran_grid is not None:
        grid = settings.ramachandran_grid
        assert isinstance(method, OpenMMForceField)  # see `beginning`
        _made(
            folder.test,
            "uniform Ramachandran test set",
            lambda: uniform_ramachandran(
                method, torsions, grid, settings.temperature, seed=derive_seed(config.seed, "test")
            ),
        )
