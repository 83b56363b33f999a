"""Structures made without dynamics: displaced at random, or by an attack on the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from uqcv.colvars.batches import BatchedUncertainty
from uqcv.colvars.bundle import Bundle
from uqcv.errors import InputError
from uqcv.files import digest, write_json
from uqcv.sampling.adversarial import Evaluate, attack
from uqcv.sampling.coordinates import AtomDisplacements, Coordinates, TorsionDisplacements
from uqcv.sampling.settings import ProposalSettings, ProposerName, SamplerName
from uqcv.simulation.frame_files import TRAJECTORY_FILE
from uqcv.simulation.identity import require_same
from uqcv.simulation.load_network import LoadNetwork, preparation
from uqcv.simulation.topology import Topology, read_topology
from uqcv.simulation.torsions import RotatableBond, rotatable_bonds
from uqcv.simulation.trajectory import write_dcd
from uqcv.simulation.walker import PLAN_FILE
from uqcv.simulation.walker_end import WalkerEnd, write_end
from uqcv.structures import Structure
from uqcv.uncertainty.pooling import Pooling
from uqcv.units import BOLTZMANN

# Samplers that turn bonds, and those that do the same to atoms.
TURNING: dict[SamplerName, SamplerName] = {
    "random_torsions": "random_atoms",
    "adversarial_torsions": "adversarial_atoms",
}
START_NOISE = 0.01  # Å or rad; an attack starts so far away, for a symmetric structure has no gradient to follow


@dataclass(frozen=True)
class ProposalPlan:
    """All that decides the structures that one process proposes.

    Attributes
    ----------
    folder
        Where it writes, in the form of a walker.
    bundle, topology
        Folder of the model, and PDB file with the atoms and bonds.
    model
        Short hash of the bundle.
    proposer
        How structures are made.
    starts
        One frame to displace for each structure.
    component
        Pooling that is attacked.
    settings
        Lengths and rates.
    seed
        Of the displacements.
    dtype, device
        Of the network.
    n_networks
        That one evaluation asks.
    """

    folder: Path
    bundle: Path
    topology: Path
    model: str
    proposer: ProposerName
    starts: tuple[Structure, ...]
    component: Pooling
    settings: ProposalSettings
    seed: int
    dtype: str
    device: str
    n_networks: int = 1
    shared_folder: None = None

    @property
    def n_steps(self) -> int:
        """What progress is counted in: structures, times the steps of an attack."""
        return len(self.starts) * (self.settings.attack_steps if self._attacks else 1)

    @property
    def _attacks(self) -> bool:
        return self.proposer.startswith("adversarial")

    def identity(self) -> dict[str, Any]:
        """Return what the structures are of."""
        names = "model proposer component seed dtype device"
        return {
            **{name: getattr(self, name) for name in names.split()},
            **self.settings.model_dump(),
            "starts": digest(b"".join(s.positions.tobytes() for s in self.starts)),
        }

    @property
    def preparation(self) -> LoadNetwork | None:
        """No more than imports: structures are evaluated in batches, by a network that is not compiled."""
        return preparation(self.bundle, self.dtype, self.device, False, self.starts[0])

    def run(self, report: Callable[[int], None] | None = None) -> WalkerEnd:
        """Propose all structures and write them as the trajectory of a walker."""
        begin = time.perf_counter()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / PLAN_FILE, self.identity())
        bundle, topology = Bundle.load(self.bundle), read_topology(self.topology)
        require_same({"model": bundle.short_hash}, {"model": self.model}, str(self.bundle))
        bonds = bonds_to_turn(self.proposer, topology, self.topology)
        frames: list[Structure] = []
        for batch in self._batches():
            moved = self._propose(bundle, batch, bonds, len(frames), report).cpu().numpy()
            frames += [s.with_positions(p) for s, p in zip(batch, moved, strict=True) if np.isfinite(p).all()]
        write_dcd(self.folder / TRAJECTORY_FILE, topology, frames)
        evaluations = self.n_steps * self.n_networks if self._attacks else 0
        end = WalkerEnd("finished", True, 0, time.perf_counter() - begin, evaluations)
        write_end(self.folder, end)
        return end

    def _batches(self) -> list[tuple[Structure, ...]]:
        size = self.settings.batch
        return [self.starts[k : k + size] for k in range(0, len(self.starts), size)]

    def _propose(
        self,
        bundle: Bundle,
        batch: Sequence[Structure],
        bonds: list[RotatableBond] | None,
        done: int,
        report: Callable[[int], None] | None,
    ) -> Tensor:
        dtype, settings = getattr(torch, self.dtype), self.settings
        positions = torch.as_tensor(np.stack([s.positions for s in batch]), dtype=dtype, device=self.device)
        coordinates: Coordinates = (
            AtomDisplacements(positions) if bonds is None else TorsionDisplacements(positions, bonds)
        )
        random = np.random.default_rng([self.seed, done])
        first = torch.as_tensor(self._first(random, coordinates.shape, bonds is not None), dtype=dtype).to(self.device)
        if not self._attacks:
            if report is not None:
                report(done + len(batch))
            return coordinates(first)

        def count(step: int) -> None:
            if report is not None:
                report(done * settings.attack_steps + step * len(batch))

        climbed = attack(
            positive(BatchedUncertainty(bundle, batch, self.component, dtype, self.device), bundle),
            coordinates,
            first,
            BOLTZMANN * settings.attack_temperature,
            settings.attack_steps,
            settings.atom_rate if bonds is None else settings.torsion_rate,
            count,
        )
        return coordinates(climbed)

    def _first(
        self, random: np.random.Generator, shape: tuple[int, ...], torsions: bool
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        if self._attacks:
            return START_NOISE * random.normal(size=shape)
        if torsions:
            return random.uniform(-np.pi, np.pi, size=shape)
        return self.settings.atom_displacement * random.normal(size=shape)


def bonds_to_turn(sampler: SamplerName, topology: Topology, path: Path) -> list[RotatableBond] | None:
    """Return the bonds that a sampler turns, or None if it turns none.

    Parameters
    ----------
    sampler
        Any.
    topology
        Of the molecule.
    path
        Where it was read, for the error.

    Raises
    ------
    InputError
        If it turns bonds and the molecule has none that turn.
    """
    if sampler not in TURNING:
        return None
    bonds = rotatable_bonds(topology)
    if not bonds:
        raise InputError(f"{path}: no bond that turns; give sampling.sampler={TURNING[sampler]}")
    return bonds


def positive(evaluate: Evaluate, bundle: Bundle) -> Evaluate:
    """Return an evaluation whose uncertainties are positive: as they are after the concave transform, else softplus."""
    if bundle.settings.pooling.transform == "log":
        return evaluate

    def softened(positions: Tensor) -> tuple[Tensor, Tensor]:
        energies, uncertainties = evaluate(positions)
        return energies, softplus(uncertainties)

    return softened
