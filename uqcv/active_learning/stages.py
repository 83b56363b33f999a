"""Each stage of the loop by itself, from files to files: what the command line offers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from uqcv.active_learning.beginning import backbone_or_named
from uqcv.active_learning.cooling import Cooler
from uqcv.active_learning.harvesting import Harvest, harvest, read_walkers
from uqcv.active_learning.networks import Places, train_networks
from uqcv.active_learning.restarts import walk
from uqcv.active_learning.selection import HarvestSettings
from uqcv.analysis.evaluation import evaluate_trajectory
from uqcv.analysis.trajectories import load_trajectory, read_trajectory, structures_of, write_bfactor_pdb
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.methods import networks_for
from uqcv.config import Config
from uqcv.errors import InputError, LabelingError
from uqcv.folders import locked, require_writable, staged
from uqcv.labeling.batch import Failure, label_structures
from uqcv.labeling.free_energy import reference_free_energy
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.reference import ReferenceSettings, build_reference
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.devices import require_device
from uqcv.potentials.loss import Errors, measure_errors
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.storage import load_potential
from uqcv.processes import available_cores
from uqcv.progress import progress
from uqcv.sampling.settings import SamplingSettings
from uqcv.sampling.strategies import Site, choose_starts
from uqcv.seeding import derive_seed
from uqcv.simulation.topology import read_topology, topology_bonds
from uqcv.simulation.torsions import heavy_torsions
from uqcv.simulation.validity import MoleculeGuard
from uqcv.simulation.walker_end import WalkerEnd
from uqcv.structures import Structure, elements, read_structures, require_elements, write_structures
from uqcv.uncertainty.settings import UncertaintySettings


def train_potential(
    training: Path,
    validation: Path,
    out: Path,
    architecture: PaiNNSettings,
    settings: TrainingSettings,
    seed: int,
    start: Path | None = None,
    uncertainty: UncertaintySettings | None = None,
) -> Errors:
    """Train on extxyz files; write `potential.pt` and `history.csv` into `out`; return the validation errors.

    An ensemble has such files for each of its networks, and the errors are those of the first.

    Parameters
    ----------
    training, validation
        Labelled extxyz files.
    out
        Folder; a training that was interrupted in it goes on.
    architecture
        Of a new potential.
    settings
        Of the training.
    seed
        Of weights and batches.
    start
        Potential to go on from instead of a new one.
    uncertainty
        What is to be fitted afterwards, which decides about outputs, loss and the number of networks.
    """
    require_device(settings.device, "training.device")
    settings = settings.of_generation(0)  # a training by itself is a first one
    torch.set_num_threads(available_cores())
    frames = [read_structures(p, labelled=True) for p in (training, validation)]
    known = load_potential(start).elements if start else elements(frames[0] + frames[1])
    for structures, source in zip(frames, (training, validation), strict=True):
        require_elements(structures, known, source)
    needed = networks_for(uncertainty or UncertaintySettings())
    places = Places(out / "potential.pt", out / "checkpoint.pt", out / "history.csv")
    title = f"training on {len(frames[0])} frames"
    with locked(out):
        networks = train_networks(
            needed, frames[0], frames[1], architecture, settings, partial(derive_seed, seed), places, title, start
        )
    return measure_errors(networks[0], Dataset(frames[1], networks[0].settings.cutoff), settings)


def sample_bundle(
    bundle: Path, start: Path, topology: Path, out: Path, settings: SamplingSettings, seed: int, new_bias: bool = False
) -> list[WalkerEnd]:
    """Run walkers from the frames in `start`; the molecule to keep is that in `topology`.

    Parameters
    ----------
    bundle
        Folder.
    start
        extxyz with frames to start from.
    topology
        PDB file of the whole, relaxed system.
    out
        Gets one folder per walker.
    settings
        Strategy and limits; the energy ceiling counts from the bundle's lowest training label.
    seed
        Of starts and walkers.
    new_bias
        Whether walkers that are there, with their hills, are thrown away.

    Raises
    ------
    IdentityError
        If walkers are there that are of another model, PLUMED input, start or setting.
    """
    require_device(settings.device, "sampling.device")
    model = Bundle.load(bundle)
    reference = read_trajectory(topology, topology)[0]
    frames = read_structures(start)
    wrong = [k for k, s in enumerate(frames) if s.numbers.tolist() != reference.numbers.tolist()]
    if wrong:
        raise InputError(
            f"{start}, frame {wrong[0]}: its atoms are not those of {topology} in the same order; "
            "give the PDB file of these frames"
        )
    require_elements([reference], model.settings.elements, topology)
    _require_same_periodicity(frames, reference, start, topology)
    atoms = read_topology(topology)  # refuses now what no walker could read later
    site = Site(out.resolve(), bundle.resolve(), topology.resolve(), reference, model.settings.lowest_energy)
    starts = choose_starts(frames, 0, settings, np.random.default_rng(derive_seed(seed, "starts")))
    guard = MoleculeGuard.from_structure(reference, topology_bonds(atoms) or None, settings.validity)
    ceiling, few = (
        site.minimum_energy + settings.max_energy,
        HarvestSettings(max_frames=settings.walkers, remember=0, fill=True),
    )

    def unsure(walked: Sequence[Structure], used: Sequence[Structure]) -> list[Structure]:
        known, component, torsions = [*frames, *used], settings.bias.component, heavy_torsions(atoms)
        return harvest(model, walked, known, guard, ceiling, component, few, torsions=torsions).structures

    with locked(out):
        return walk(model, site, starts, settings, derive_seed(seed, "walkers"), unsure, new_bias=new_bias)


def _require_same_periodicity(frames: Sequence[Structure], reference: Structure, start: Path, topology: Path) -> None:
    for k, frame in enumerate(frames):
        if (frame.pbc != reference.pbc).any():
            given, expected = ("a" if s.is_periodic else "no" for s in (frame, reference))
            raise InputError(
                f"{start}, frame {k}: {given} periodic cell was given, {topology} has {expected} cell (CRYST1); "
                "give both the same"
            )


def harvest_walkers(
    bundle: Path,
    walkers: Path,
    training: Path,
    topology: Path,
    out: Path,
    settings: HarvestSettings,
    sampling: SamplingSettings,
    seed: int = 0,
) -> Harvest:
    """Select frames of walkers, write them to `out` if there are any, and say how they were selected.

    Cooling, if it is asked for, is seeded with `seed`.
    """
    require_writable(out)
    model = Bundle.load(bundle)
    reference = read_trajectory(topology, topology)[0]
    atoms = read_topology(topology)
    guard = MoleculeGuard.from_structure(reference, topology_bonds(atoms) or None, sampling.validity)
    frames, seen = read_walkers(walkers, topology), read_structures(training)
    for structures, source in (([reference], topology), (seen, training)):
        require_elements(structures, model.settings.elements, source)
    if not frames:
        raise InputError(f"{walkers}: no walker-*/trajectory.dcd with frames; give a folder that `uqcv sample` wrote")
    ceiling = model.settings.lowest_energy + (settings.max_energy or sampling.max_energy)
    with progress("harvest", len(frames)) as update:
        result = harvest(
            model, frames, seen, guard, ceiling, sampling.bias.component, settings, update, heavy_torsions(atoms)
        )
    place = out.resolve().with_name(f".{out.name}.cooled.extxyz")
    cooler = Cooler(
        bundle, topology, guard, model.settings.lowest_energy, settings, settings.highest_at_rest(0), sampling, place,
        seed,
    )  # fmt: skip
    result = cooler.cooled(result)
    if result.structures:
        write_structures(out, result.structures)
    return result


def label_file(settings: ReferenceSettings, structures: Path, out: Path) -> tuple[list[Structure], list[Failure]]:
    """Label an extxyz file into another; failures are recorded beside it.

    Raises
    ------
    LabelingError
        If none could be labelled, with the reason of the first.
    """
    require_writable(out)
    frames = read_structures(structures)
    failures_path = out.with_suffix(".failures.json")
    with progress("labelling", len(frames)) as update:
        labelled, failures = label_structures(
            build_reference(settings), frames, out, failures_path, lambda done, wanted: update(done, "")
        )
    if not labelled:
        # Nothing is worth keeping, and a journal of failures would stand in the way of another try.
        for path in (failures_path, Path(f"{out}.journal")):
            path.unlink(missing_ok=True)
        raise LabelingError(f"{structures}: none of {len(frames)} structures could be labelled: {failures[0].reason}")
    return labelled, failures


def reference_surface(config: Config, out: Path | None, length: float, seed: int, grid: int) -> Path:
    """Compute the reference free energy over the campaign's two torsions (kJ/mol) and write it as CSV."""
    method = build_reference(config.reference)
    path = out or config.system.free_energy
    if not isinstance(method, OpenMMForceField) or path is None:
        raise InputError("the free energy needs an OpenMM reference, and --out or system.free_energy in the YAML")
    require_writable(path)
    torsions = backbone_or_named(config, method.topology)
    if len(torsions) != 2:
        raise InputError(f"system.torsions names {len(torsions)} torsions; two are expected")
    with progress("metadynamics over the torsions", 100) as update:
        surface = reference_free_energy(
            method, torsions, grid, length=length, seed=seed,
            progress=lambda done, wanted: update(100 * done / wanted, ""),
        )  # fmt: skip
    surface.save(path)
    return path


def evaluate_file(bundle: Path, trajectory: Path, topology: Path | None, out: Path, dtype: str) -> list[Path]:
    """Evaluate a trajectory; write `frames.csv`, `atoms.csv` and `uncertainty.pdb` into `out`.

    Parameters
    ----------
    bundle
        Folder.
    trajectory
        Any file that mdtraj reads.
    topology
        PDB with its atoms, unless the trajectory is one itself.
    out
        Folder.
    dtype
        float64 or float32.
    """
    if dtype not in ("float32", "float64"):
        raise InputError(f"--dtype {dtype} was given; float32 or float64 is expected")
    require_writable(out, folder=True)
    model = Bundle.load(bundle)
    frames = load_trajectory(trajectory, topology)
    require_elements(structures_of(frames[0]), model.settings.elements, topology or trajectory)
    with progress("evaluating", frames.n_frames) as update:
        table = evaluate_trajectory(model, trajectory, topology, getattr(torch, dtype), report=update)
    names = ("frames.csv", "atoms.csv", "uncertainty.pdb")
    with staged(out) as place:
        table.write_csv(place / names[0])
        table.write_atom_csv(place / names[1])
        write_bfactor_pdb(place / names[2], frames, table.atomic)
    return [out / name for name in names]
