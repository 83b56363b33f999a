"""What a campaign starts from: the relaxed molecule, first labels, held-out frames and a test set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from uqcv.active_learning.beginning import Torsions, backbone_or_named, beginning, own_frames, starting_structure
from uqcv.active_learning.state import CampaignFolder
from uqcv.config import Config, save_config
from uqcv.errors import InputError
from uqcv.files import read_json, write_json, write_text
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.ramachandran import uniform_ramachandran
from uqcv.labeling.reference import ReferenceMethod, build_reference
from uqcv.labeling.reference_md import sample_reference
from uqcv.labeling.relaxation import relax
from uqcv.progress import progress, say
from uqcv.seeding import derive_seed
from uqcv.simulation.topology import read_topology
from uqcv.simulation.torsions import bond_pairs, torsion_angle, turn
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
        save_config(config, folder.config)
        return read_facts(folder.facts)
    begun = beginning(config)
    method, torsions = begun.method, begun.torsions
    save_config(config, folder.config)  # nothing is written before all is known to be possible
    write_text(folder.topology, config.system.topology.read_text(encoding="utf-8"))
    if config.system.free_energy is not None:
        write_text(folder.free_energy, config.system.free_energy.read_text(encoding="utf-8"))
    relaxed = _made(folder.relaxed, "relaxing the molecule", lambda: [relax(method, begun.start)])[0]
    frames = _made(folder.initial, "first labels", lambda: _initial(config, method, relaxed, torsions))
    held_out = _made(folder.held_out, "held-out labels", lambda: _held_out(config, method, relaxed, torsions))
    _make_test(config, folder, method, torsions)
    lowest = min(s.energy for s in (relaxed, *frames, *held_out) if s.energy is not None)
    facts = Facts(dict(torsions), lowest)
    free_energy = folder.free_energy.name if folder.free_energy.is_file() else None
    write_json(folder.facts, asdict(facts) | {"free_energy": free_energy})
    return facts


def reference_frames(config: Config, turned: Mapping[str, float]) -> list[Structure]:
    """Return labelled frames of dynamics by the reference method, as `config.initial` says.

    Parameters
    ----------
    config
        Of a campaign.
    turned
        Torsions (degrees) to turn the molecule to before it is relaxed, such as those of another conformer.

    Raises
    ------
    InputError
        For a torsion that `config.system` does not name, or a start that `config.initial.keep` does not hold.
    """
    method, topology = build_reference(config.reference), read_topology(config.system.topology)
    torsions = backbone_or_named(config, topology)
    start = starting_structure(config, topology)
    for name, angle in turned.items():
        if name not in torsions:
            raise InputError(f"--turn {name} was given; system.torsions has {sorted(torsions)}")
        positions = turn(start.positions, bond_pairs(topology), torsions[name], angle)
        start = start.with_positions(positions)
    return _dynamics(config, method, relax(method, start), torsions, config.initial.frames, "reference frames")


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


def _initial(config: Config, method: ReferenceMethod, relaxed: Structure, torsions: Torsions) -> list[Structure]:
    if config.initial.file is None:
        return _dynamics(config, method, relaxed, torsions, config.initial.frames, "initial")
    frames = own_frames(config)
    return frames[: -config.initial.held_out]


def _held_out(config: Config, method: ReferenceMethod, relaxed: Structure, torsions: Torsions) -> list[Structure]:
    if config.initial.file is None:
        return _dynamics(config, method, relaxed, torsions, config.initial.held_out, "held out")
    return own_frames(config)[-config.initial.held_out :]


def _dynamics(
    config: Config, method: ReferenceMethod, start: Structure, torsions: Torsions, n_frames: int, purpose: str
) -> list[Structure]:
    settings = config.initial

    def left(structure: Structure) -> str | None:
        """Return the torsion that is outside of its range, if one is."""
        angles = {name: torsion_angle(structure.positions, torsions[name]) for name in settings.keep}
        return next((k for k, (low, high) in settings.keep.items() if not low <= angles[k] <= high), None)

    if name := left(start):
        raise InputError(_outside(name, torsion_angle(start.positions, torsions[name]), settings.keep[name]))
    with progress(f"{purpose}, reference dynamics", n_frames) as update:
        frames = sample_reference(
            method,
            start,
            n_frames,
            settings.temperature,
            settings.spacing,
            time_step=settings.time_step,
            seed=derive_seed(config.seed, purpose),
            equilibration=settings.equilibration,
            accept=(lambda structure: left(structure) is None) if settings.keep else None,
            report=lambda done: update(done, ""),
        )
    return [s.with_info(origin=purpose) for s in frames]


def _outside(name: str, angle: float, wanted: tuple[float, float]) -> str:
    low, high = wanted
    return (
        f"initial.keep: {name} is {angle:.1f} degrees where the dynamics starts, relaxed; {low:g} to {high:g} is "
        f"expected: give another range, or another start (uqcv reference sample --turn {name}={(low + high) / 2:g})"
    )


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
