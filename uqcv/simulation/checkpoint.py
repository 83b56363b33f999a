"""One checkpoint of all that a run is made of: integrator, random state, PLUMED, files, and what the run counts.

A checkpoint is one zip file, replaced atomically; beside it grows the diary of what PLUMED was told. Whatever was
written after the checkpoint is cut off when the run goes on, so that nothing is there twice or half.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

import uqcv
from uqcv.errors import InputError
from uqcv.files import atomic_path, digest, read_with
from uqcv.simulation.bias_files import is_kept
from uqcv.simulation.contexts import own_errors
from uqcv.simulation.diary import DiaryMark
from uqcv.simulation.force_functions import NetworkForce, PlumedForce
from uqcv.simulation.identity import require_same
from uqcv.simulation.output_files import OutputMark

FORMAT_VERSION = 1
HEADER, BINARY, PORTABLE, NEIGHBORS = "checkpoint.json", "openmm.chk", "state.xml", "neighbors.npz"


@dataclass(frozen=True)
class Content:
    """What is in a checkpoint file.

    Attributes
    ----------
    header
        Version, platform, identity, marks and notes.
    binary, portable
        OpenMM's own checkpoint, and its state as XML for where that cannot be read.
    neighbors
        Where the neighbour list was built.
    """

    header: dict[str, Any]
    binary: bytes
    portable: str
    neighbors: dict[str, np.ndarray]


class Checkpoint:
    """The checkpoint of a run, to be written and to go on from.

    On OpenMM's Reference platform a run that goes on is the same as one that was not interrupted, bit for bit. A
    barostat counts its own attempts, which OpenMM keeps in no checkpoint: with it, the same holds statistically.

    Parameters
    ----------
    path
        The file; the diary of PLUMED lies beside it, with `.diary` added.
    context
        Of the run.
    network, bias
        What `add_potential` and `add_plumed` returned.
    outputs
        Files that the run appends to, beside those of PLUMED, relative to the folder of the checkpoint.
    identity
        What else the run is of, beside its atoms, integrator, model and PLUMED input; a checkpoint of another is
        refused.
    """

    def __init__(
        self,
        path: Path | str,
        context: openmm.Context,
        network: NetworkForce | None = None,
        bias: PlumedForce | None = None,
        outputs: Sequence[str] = (),
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path).absolute()
        self._context, self._network, self._bias = context, network, bias
        self._outputs = (*outputs, *self._written_by_plumed())
        parts = [part.identity for part in (network, bias) if part is not None]
        parts = [_identity_of(context), *parts, dict(identity or {})]
        self._identity: dict[str, Any] = {key: value for part in parts for key, value in part.items()}

    def _written_by_plumed(self) -> list[str]:
        """Return what PLUMED appends to, where no diary writes it anew; hills that others have read stay."""
        if self._bias is None or not self._bias.bridge.shares_hills:
            return []
        files = self._bias.files
        hills = [shared.file(shared.walker) for shared in files.shared]
        return [
            os.path.relpath(path, self.path.parent) for path in files.written if path not in hills and is_kept(path)
        ]

    @property
    def diary(self) -> Path:
        """What PLUMED was told."""
        return _diary_of(self.path)

    def start(self) -> dict[str, Any] | None:
        """Go on from the checkpoint if there is one, else from the present state; return the notes that it holds.

        Call it once, before the first step; files that the run appends to are opened after it.

        Raises
        ------
        InputError
            If the checkpoint, or a file that it counts on, is damaged.
        IdentityError
            If it is of another run.
        """
        if not self.path.is_file():
            self._keep_diary(None)
            return None
        content = read_checkpoint(self.path)
        require_same(content.header["identity"], self._identity, str(self.path))
        self._load(content)
        for mark in content.header["outputs"]:
            OutputMark(**mark).cut_back(self.path.parent)
        if self._network is not None and content.neighbors:
            self._network.cv.recall(content.neighbors)
        diary = content.header["diary"]
        self._keep_diary(diary and DiaryMark(**diary))
        if content.header.get("evaluated"):
            self._context.getState(energy=True)
        notes: dict[str, Any] = content.header["notes"]
        return notes

    def _keep_diary(self, mark: DiaryMark | None) -> None:
        if self._bias is None:
            return
        if self._bias.bridge.shares_hills:
            self._bias.bridge.discard()  # the context was made elsewhere than where it goes on
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._bias.bridge.keep_diary(self.diary, mark)

    def _load(self, content: Content) -> None:
        try:
            self._context.loadCheckpoint(content.binary)
        except openmm.OpenMMException as error:
            print(
                f"uqcv: {self.path}: OpenMM's binary checkpoint cannot be read here ({error}); going on from positions "
                "and velocities, with other random numbers",
                file=sys.stderr,
            )
            self._context.setState(openmm.XmlSerializer.deserialize(content.portable))
            self._context.setStepCount(content.header["step"])

    def save(self, **notes: Any) -> None:
        """Replace the checkpoint by one of the present state, and `notes` that JSON can hold."""
        step = self._context.getStepCount()
        mark = None if self._bias is None else self._bias.bridge.mark(step)
        header = {
            "format_version": FORMAT_VERSION,
            "uqcv": uqcv.__version__,
            "step": step,
            "platform": self._context.getPlatform().getName(),
            "identity": self._identity,
            "outputs": [asdict(OutputMark.of(self.path.parent, name)) for name in self._outputs],
            "diary": mark and asdict(mark),
            # Then PLUMED deposits and writes for this step, even if it is the last and no later one asks for it.
            "evaluated": self._bias is not None and self._bias.bridge.pending == step,
            "notes": notes,
        }
        state = self._context.getState(positions=True, velocities=True, parameters=True, integratorParameters=True)
        neighbors = {} if self._network is None else self._network.cv.memory()
        xml = openmm.XmlSerializer.serialize(state)
        write_checkpoint(self.path, Content(header, self._context.createCheckpoint(), xml, neighbors))

    def run(self, simulation: app.Simulation, until: int, interval: int) -> None:
        """Take steps up to the step `until`, and save every `interval` steps and at the end.

        Not a reporter, because OpenMM does not say which reporter comes last in a step.

        Parameters
        ----------
        simulation
            Of the context; its reporters have been opened after `start`.
        until
            Number of the last step, counted from the first start.
        interval
            Steps between checkpoints.

        Raises
        ------
        Exception
            What network or bias raised, as itself; OpenMM keeps only its text.
        """
        while (step := simulation.currentStep) < until:
            with own_errors(self._network, self._bias):
                simulation.step(min(until, step - step % interval + interval) - step)
            self.save()

    def remove(self) -> None:
        """Remove checkpoint and diary: the run has ended."""
        remove_checkpoint(self.path)


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint and its diary, if they are there."""
    for each in (path, _diary_of(path)):
        each.unlink(missing_ok=True)


def _diary_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.diary")


def _identity_of(context: openmm.Context) -> dict[str, Any]:
    masses = [context.getSystem().getParticleMass(k)._value for k in range(context.getSystem().getNumParticles())]
    integrator = context.getIntegrator()
    step = integrator.getStepSize().value_in_unit(unit.femtosecond)
    return {
        "number of atoms": len(masses),
        "masses": digest(np.array(masses).tobytes()),
        "integrator": f"{type(integrator).__name__} of {step:.9g} fs",
    }


def write_checkpoint(path: Path, content: Content) -> None:
    """Write a checkpoint file, atomically."""
    arrays = io.BytesIO()
    np.savez(arrays, allow_pickle=False, **content.neighbors)
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(HEADER, json.dumps(content.header, indent=2))
        archive.writestr(BINARY, content.binary)
        archive.writestr(PORTABLE, content.portable)
        archive.writestr(NEIGHBORS, arrays.getvalue())


def read_checkpoint(path: Path) -> Content:
    """Read a checkpoint file; nothing in it is executed.

    Raises
    ------
    InputError
        If it is not one, is damaged, or of another format version.
    """
    content: Content = read_with(path, _read, "a checkpoint of uqcv")
    version = content.header.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: checkpoint format {version} was given; this uqcv reads format {FORMAT_VERSION}: "
            "begin anew without it"
        )
    return content


def _read(path: Path) -> Content:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in (HEADER, BINARY, PORTABLE, NEIGHBORS)}  # checks each CRC
    with np.load(io.BytesIO(parts[NEIGHBORS]), allow_pickle=False) as arrays:
        neighbors = dict(arrays)
    return Content(json.loads(parts[HEADER]), parts[BINARY], parts[PORTABLE].decode(), neighbors)
