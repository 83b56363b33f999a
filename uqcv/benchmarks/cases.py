"""Systems to time: a molecule and crystals of growing size, each with a potential trained for it in a minute."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import uqcv
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.fitting import fit_bundle
from uqcv.errors import InputError
from uqcv.files import write_text
from uqcv.labeling.reference import ASEReference, OpenMMReference, ReferenceMethod, build_reference
from uqcv.labeling.reference_md import sample_reference
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.training import new_potential, train
from uqcv.progress import progress
from uqcv.structures import Structure, elements, read_structures, write_structures
from uqcv.uncertainty.settings import UncertaintySettings

MOLECULE = Path(uqcv.__file__).resolve().parents[1] / "systems" / "alanine_dipeptide" / "topology.pdb"
LATTICE = 3.61  # of copper, Å
FACE_CENTRED = np.array([[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
EPOCHS = 10
SMALLEST_CRYSTAL, LARGEST_CRYSTAL = 100, 1_000_000


@dataclass(frozen=True)
class Case:
    """One system.

    Attributes
    ----------
    name
        For tables.
    start
        Where dynamics begin.
    topology
        PDB file.
    bundle
        Folder of the model.
    training
        Labelled structures of the kind that the model was trained on.
    time_step
        fs.
    """

    name: str
    start: Structure
    topology: Path
    bundle: Path
    training: Path
    time_step: float


def molecule(folder: Path, topology: Path, seed: int) -> Case:
    """Return a molecule in vacuum with a potential for ff14SB at 300 K."""
    if not topology.is_file():
        raise InputError(f"{topology}: no such PDB; give a molecule that amber14 knows with --molecule")
    method = build_reference(OpenMMReference(topology=topology))
    start = read_start(topology)

    def labels() -> list[Structure]:
        return sample_reference(method, start, 60, 300.0, 25.0, seed=seed, equilibration=500.0)

    topology = topology.resolve()
    name = topology.parent.name if topology.stem == "topology" else topology.stem
    digest = hashlib.sha256(topology.read_bytes()).hexdigest()[:8]
    bundle, training = _model(folder / f"{name}-{digest}-{seed}", labels, seed)
    return Case(name, read_structures(training)[0], topology, bundle, training, 0.5)


def read_start(topology: Path) -> Structure:
    """Return the first frame of a PDB file."""
    from uqcv.analysis.trajectories import read_trajectory

    return read_trajectory(topology, topology)[0]


def copper(folder: Path, n_atoms: int, seed: int) -> Case:
    """Return a crystal of copper with a potential for ASE's EMT."""
    method = build_reference(ASEReference(calculator="ase.calculators.emt.EMT"))
    bundle, training = _model(folder / f"copper-{seed}", lambda: _rattled(method, seed), seed)
    start = crystal(n_atoms)
    topology = folder / f"copper-{n_atoms}.pdb"
    write_text(topology, pdb_text(start))
    return Case("copper", start, topology, bundle, training, 2.0)


def crystal(n_atoms: int) -> Structure:
    """Return face-centred copper of the most cubic box that holds exactly `n_atoms`; vacancies make up the rest.

    Raises
    ------
    InputError
        For fewer atoms than a box of two cutoffs holds, or more than a machine.
    """
    if n_atoms < SMALLEST_CRYSTAL:
        raise InputError(f"--atoms {n_atoms} was given; {SMALLEST_CRYSTAL} or more is expected, or 0 for no crystal")
    if n_atoms > LARGEST_CRYSTAL:
        raise InputError(f"--atoms {n_atoms} was given; {LARGEST_CRYSTAL} or fewer are expected")
    edge = int(np.ceil((n_atoms / 4) ** (1 / 3)))
    boxes = [(a, b, c) for a in range(edge, edge + 2) for b in range(3, a + 1) for c in range(3, b + 1)]
    repeats = min((box for box in boxes if 4 * np.prod(box) >= n_atoms), key=lambda box: (np.prod(box), box))
    cells = np.stack(np.meshgrid(*(np.arange(r) for r in repeats), indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = LATTICE * (cells + FACE_CENTRED).reshape(-1, 3)
    kept = np.linspace(0, len(positions) - 1, n_atoms).round().astype(int)
    numbers = np.full(n_atoms, 29)
    return Structure(numbers, positions[kept], LATTICE * np.diag(repeats).astype(float), np.ones(3, dtype=bool))


def pdb_text(structure: Structure) -> str:
    """Return a PDB of single atoms in an orthorhombic box, each a residue of its own."""
    a, b, c = np.diag(structure.cell)
    lines = [f"CRYST1{a:9.3f}{b:9.3f}{c:9.3f}  90.00  90.00  90.00 P 1           1"]
    for k, (x, y, z) in enumerate(structure.positions):
        serial, residue = (k + 1) % 100_000, (k + 1) % 10_000
        lines.append(f"HETATM{serial:5d} CU    CU A{residue:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          CU")
    return "\n".join([*lines, "END", ""])


def _rattled(method: ReferenceMethod, seed: int) -> list[Structure]:
    random = np.random.default_rng(seed)
    perfect = crystal(108)

    def shaken() -> NDArray[np.float64]:
        return perfect.positions + random.normal(scale=0.1, size=(108, 3))

    return [method.label(perfect.with_positions(shaken())) for _ in range(24)]


def _model(folder: Path, labels: Callable[[], list[Structure]], seed: int) -> tuple[Path, Path]:
    """Return bundle and training set in `folder`, made first if they are not there."""
    bundle, training = folder / "bundle", folder / "training.extxyz"
    if not bundle.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        frames = labels()
        third = len(frames) // 3
        write_structures(training, frames[third:])
        torch.manual_seed(seed)
        settings = PaiNNSettings()
        seen, unseen = Dataset(frames[third:], settings.cutoff), Dataset(frames[:third], settings.cutoff)
        potential = new_potential(seen, Potential(elements(frames), settings))
        with progress(f"a potential for {folder.name}", EPOCHS) as update:
            potential = train(potential, seen, unseen, TrainingSettings(epochs=EPOCHS), seed, report=update)
        fit_bundle(potential, frames[third:], frames[:third], UncertaintySettings(), seed).save(bundle)
    return bundle, training


def load(case: Case) -> Bundle:
    """Return the model of a case."""
    return Bundle.load(case.bundle)
