"""What a campaign starts from: the relaxed molecule, first labels, held-out frames and a test set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from uqcv.active_learning.state import CampaignFolder
from uqcv.analysis.ramachandran import read_free_energy
from uqcv.config import Config, save_config
from uqcv.errors import InputError
from uqcv.files import read_json, write_json, write_text
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.ramachandran import uniform_ramachandran
from uqcv.labeling.reference import ReferenceMethod, build_reference
from uqcv.labeling.reference_md import sample_reference
from uqcv.labeling.relaxation import relax
from uqcv.potentials.devices import require_device
from uqcv.progress import progress, say
from uqcv.sampling.bias import try_bias
from uqcv.seeding import derive_seed
from uqcv.simulation.forces import bare_system
from uqcv.simulation.topology import Topology, read_topology, topology_numbers
from uqcv.simulation.torsions import backbone_torsions, bond_pairs, torsion_angle, turn
from uqcv.structures import Structure, read_structures, write_structures

Torsions = Mapping[str, tuple[int, int, int, int]]


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
    method = build_reference(config.reference)
    topology = read_topology(config.system.topology)
    torsions = backbone_or_named(config, topology)
    _require_possible_test(config, method, torsions)
    # Refused now what no walker could have later, after all training.
    bare_system(topology, config.sampling.hydrogen_mass)
    try_bias(config.sampling, topology.getNumAtoms(), torsions)
    start = _starting_structure(config, topology)
    _require_files(config)
    save_config(config, folder.config)  # nothing is written before all is known to be possible
    write_text(folder.topology, config.system.topology.read_text(encoding="utf-8"))
    if config.system.free_energy is not None:
        write_text(folder.free_energy, config.system.free_energy.read_text(encoding="utf-8"))
    relaxed = _made(folder.relaxed, "relaxing the molecule", lambda: [relax(method, start)])[0]
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
    start = _starting_structure(config, topology)
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


def _require_files(config: Config) -> None:
    """Refuse files that a later stage would stumble over."""
    if config.system.free_energy is not None:
        read_free_energy(config.system.free_energy)
    if config.initial.file is not None:
        _own_frames(config)
    if config.test.file is not None:
        read_structures(config.test.file, labelled=True)
    require_device(config.training.device, "training.device")
    require_device(config.sampling.device, "sampling.device")


def _made(path: Path, name: str, make: Callable[[], list[Structure]]) -> list[Structure]:
    """Return the structures in `path`, made first if the file is not there."""
    if not path.is_file():
        say(f"{name} ...")
        write_structures(path, make())
    return read_structures(path, labelled=True)


def _starting_structure(config: Config, topology: Topology) -> Structure:
    """Return the first frame of the user's own data, or the positions in the PDB file."""
    numbers = topology_numbers(topology)
    source = config.initial.file or config.system.topology
    start = read_structures(source)[0]
    if start.numbers.tolist() != numbers:
        raise InputError(f"{source}: its atoms are not those of {config.system.topology} in the same order")
    return Structure(start.numbers, start.positions, start.cell, start.pbc)


def backbone_or_named(config: Config, topology: Topology) -> Torsions:
    """Return the torsions that a campaign draws maps of.

    Raises
    ------
    InputError
        If `initial.keep` names another, or a torsion names atoms that are not there.
    """
    chosen = config.system.torsions
    torsions = dict(backbone_torsions(topology) if chosen == "backbone" else chosen or {})
    unknown = sorted(set(config.initial.keep) - set(torsions))
    if unknown:
        raise InputError(f"initial.keep names the torsion {unknown[0]}; system.torsions has {sorted(torsions)}")
    n_atoms = topology.getNumAtoms()
    for name, atoms in torsions.items():
        if not all(0 <= k < n_atoms for k in atoms):
            raise InputError(
                f"system.torsions: {name} names the atoms {list(atoms)}; indices from 0 to {n_atoms - 1} are expected"
            )
    return torsions


def _initial(config: Config, method: ReferenceMethod, relaxed: Structure, torsions: Torsions) -> list[Structure]:
    if config.initial.file is None:
        return _dynamics(config, method, relaxed, torsions, config.initial.frames, "initial")
    frames = _own_frames(config)
    return frames[: -config.initial.held_out]


def _held_out(config: Config, method: ReferenceMethod, relaxed: Structure, torsions: Torsions) -> list[Structure]:
    if config.initial.file is None:
        return _dynamics(config, method, relaxed, torsions, config.initial.held_out, "held out")
    return _own_frames(config)[-config.initial.held_out :]


def _own_frames(config: Config) -> list[Structure]:
    """Return frames of the user's file, shuffled by the seed."""
    import numpy as np

    assert config.initial.file is not None
    frames = read_structures(config.initial.file, labelled=True)
    wanted = config.initial.held_out + 2
    if len(frames) < wanted:
        raise InputError(
            f"{config.initial.file}: {len(frames)} frames were given; at least {wanted} are expected with "
            f"initial.held_out = {config.initial.held_out}"
        )
    order = np.random.default_rng(derive_seed(config.seed, "own frames")).permutation(len(frames))
    kept = order[: config.initial.frames + config.initial.held_out]
    return [frames[int(k)].with_info(origin="initial") for k in kept]


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


def _require_possible_test(config: Config, method: ReferenceMethod, torsions: Torsions) -> None:
    wanted = config.test.file is None and config.test.ramachandran_grid is not None
    if wanted and (not isinstance(method, OpenMMForceField) or len(torsions) != 2):
        raise InputError("test.ramachandran_grid needs two torsions and an OpenMM reference; give test.file instead")


def _make_test(config: Config, folder: CampaignFolder, method: ReferenceMethod, torsions: Torsions) -> None:
    settings = config.test
    if settings.file is not None:
        _made(folder.test, "test set", lambda: read_structures(Path(settings.file or ""), labelled=True))
    elif settings.ramachandran_grid is not None:
        grid = settings.ramachandran_grid
        assert isinstance(method, OpenMMForceField)  # see _require_possible_test
        _made(
            folder.test,
            "uniform Ramachandran test set",
            lambda: uniform_ramachandran(
                method, torsions, grid, settings.temperature, seed=derive_seed(config.seed, "test")
            ),
        )
