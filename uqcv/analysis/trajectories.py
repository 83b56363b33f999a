"""Trajectories of any format that mdtraj reads: in as structures, out as PDB files coloured by atom."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uqcv import units
from uqcv.errors import InputError
from uqcv.files import about, atomic_path, require_readable
from uqcv.structures import Structure, require_distances

if TYPE_CHECKING:
    import mdtraj

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST_B_FACTOR = 999.99  # the column of a PDB file has six characters
B_FACTOR = slice(60, 66)
WITHOUT_ATOMS = (".dcd", ".xtc", ".trr", ".nc", ".netcdf")


def read_trajectory(path: Path, topology_path: Path | None = None, partial: bool = False) -> list[Structure]:
    """Read the frames of a trajectory; see `load_trajectory`.

    Raises
    ------
    InputError
        As `load_trajectory`, or if atoms of the first frame are nearer than they can be: the unit is not Å.
    """
    trajectory = load_trajectory(path, topology_path, partial)
    with about(path):
        structures = structures_of(trajectory, path)
    with about(f"{path}, frame 0"):
        require_distances(structures[0])
    return structures


def load_trajectory(path: Path, topology_path: Path | None = None, partial: bool = False) -> mdtraj.Trajectory:
    """Load a trajectory of any format that mdtraj reads.

    Parameters
    ----------
    path
        The trajectory: DCD, XTC, TRR, PDB, NetCDF, ...
    topology_path
        PDB file of the same atoms; not needed if the trajectory is a PDB file itself.
    partial
        Whether a DCD file that ends in the middle is accepted, with the frames that are whole.

    Raises
    ------
    InputError
        If a file is missing or cannot be read, ends in the middle, has no frames, or holds other atoms.
    """
    import mdtraj

    path = Path(path)
    if topology_path is None and path.suffix.lower() in WITHOUT_ATOMS:
        raise InputError(f"{path}: does not say which atoms it holds; give a PDB file of them with --top")
    topology_path = Path(topology_path or path)
    topology = _load_topology(topology_path)
    require_readable(path, "a trajectory")
    try:
        with _quiet():
            trajectory = mdtraj.load(str(path), top=topology)
    except Exception as error:
        raise InputError(f"{path}: {_reason(error, path, topology_path, topology.n_atoms)}") from error
    if not trajectory.n_frames:
        raise InputError(f"{path}: no frames; at least one is expected")
    if not partial:
        _require_whole(path, trajectory.n_frames)
    return trajectory


def topology_numbers(path: Path) -> Ints:
    """Return the atomic numbers of a PDB file, shape (n,).

    Raises
    ------
    InputError
        If the file is missing, is not a topology, or the element of an atom is not known.
    """
    return _numbers(_load_topology(Path(path)), str(path))


def structures_of(trajectory: mdtraj.Trajectory, path: Path | None = None) -> list[Structure]:
    """Return the frames of a trajectory of mdtraj in Å, periodic if it has a unit cell.

    Parameters
    ----------
    trajectory
        Positions in nm.
    path
        Where it was read from. A DCD holds Å, whose last digit is lost on the way to nm and back in single precision:
        U would differ from PLUMED's by some 1e-6 of its deviation. They are taken from the file as they are.

    Raises
    ------
    InputError
        If a position is not finite or an atom has no element.
    """
    numbers, n_frames = _numbers(trajectory.topology, "the topology"), trajectory.n_frames
    if path is not None and Path(path).suffix.lower() == ".dcd":
        positions = _dcd_positions(Path(path))[:n_frames]
    else:
        positions = trajectory.xyz.astype(float) * units.NM_TO_ANGSTROM
    vectors = trajectory.unitcell_vectors
    cells = np.zeros((n_frames, 3, 3)) if vectors is None else vectors.astype(float) * units.NM_TO_ANGSTROM
    return [_structure(k, numbers, positions[k], cells[k]) for k in range(n_frames)]


def _dcd_positions(path: Path) -> Floats:
    from mdtraj.formats import DCDTrajectoryFile

    with _quiet(), DCDTrajectoryFile(str(path)) as file:
        return np.asarray(file.read()[0], dtype=float)


def _structure(k: int, numbers: Ints, positions: Floats, cell: Floats) -> Structure:
    try:
        return Structure(numbers, positions, cell, pbc=np.repeat(cell.any(), 3))
    except InputError as error:
        raise InputError(f"frame {k}: {error}") from error


def write_bfactor_pdb(path: Path, trajectory: mdtraj.Trajectory, values: ArrayLike) -> None:
    """Write a PDB file with a model for each frame and one value per atom as its B-factor, atomically.

    Parameters
    ----------
    path
        The file to write.
    trajectory
        Of mdtraj.
    values
        Shape (frames, atoms); the column has two decimals and ends at 999.99, larger values are written as that.

    Raises
    ------
    InputError
        If the shape differs or a value is not finite.
    """
    values = np.asarray(values, dtype=float)
    expected = (trajectory.n_frames, trajectory.n_atoms)
    if values.shape != expected or not np.isfinite(values).all():
        raise InputError(f"B-factors: shape {values.shape} was given; finite values of shape {expected} are expected")
    fields = (f"{v:6.2f}" for v in np.clip(values, -99.99, LARGEST_B_FACTOR).ravel())
    with atomic_path(path) as temporary:
        trajectory.save_pdb(str(temporary))  # refuses B-factors of 100 and more, so they are put in afterwards
        lines = temporary.read_text().splitlines()
        temporary.write_text("\n".join(_with_b_factor(line, fields) for line in lines) + "\n")


def _with_b_factor(line: str, fields: Iterator[str]) -> str:
    is_atom = line.startswith(("ATOM  ", "HETATM"))
    return line[: B_FACTOR.start] + next(fields) + line[B_FACTOR.stop :] if is_atom else line


def _load_topology(path: Path) -> mdtraj.Topology:
    import mdtraj

    require_readable(path, "a PDB file with the atoms of the trajectory")
    try:
        with _quiet():
            topology = mdtraj.load_topology(str(path))
    except Exception as error:
        raise InputError(f"{path}: cannot be read as a topology; give a PDB file with all atoms") from error
    if not topology.n_atoms:
        raise InputError(f"{path}: no atoms; a PDB file with all atoms is expected")
    return topology


def _numbers(topology: mdtraj.Topology, source: str) -> Ints:
    numbers = np.array([0 if atom.element is None else atom.element.atomic_number for atom in topology.atoms])
    if (numbers < 1).any():
        atom = topology.atom(int((numbers < 1).argmax()))
        raise InputError(f"{source}: atom {atom} has no element; give it in columns 77-78 of the PDB file")
    return numbers


def _reason(error: Exception, path: Path, topology_path: Path, n_atoms: int) -> str:
    text = str(error)
    if "no loader" in text:
        return f"the extension {path.suffix or '(none)'} is not known; DCD, XTC, TRR, PDB or NetCDF is expected"
    if "same atoms" in text:
        return f"its atoms are not the {n_atoms} of {topology_path}; give the topology of this trajectory"
    if isinstance(error, ImportError):
        return f"{path.suffix} needs a Python package that is not installed; convert it to DCD or XTC"
    return "cannot be read as a trajectory, it is damaged or ends in the middle; write it again"


def _require_whole(path: Path, n_frames: int) -> None:
    """Refuse a DCD file whose header announces more frames than there are; mdtraj reads it without a word."""
    if path.suffix.lower() != ".dcd":
        return
    with open(path, "rb") as handle:
        header = handle.read(12)
    announced = struct.unpack("<i" if header[0] == 84 else ">i", header[8:])[0]
    if announced > n_frames:
        raise InputError(f"{path}: ends after {n_frames} of {announced} frames; write it again or cut it")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what mdtraj warns of out of an error in one line, and what it prints out of what may be somebody's JSON."""
    with warnings.catch_warnings(), _c_stdout_silenced():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _c_stdout_silenced() -> Iterator[None]:
    libc = ctypes.CDLL(None)
    sys.stdout.flush()
    libc.fflush(None)
    saved = os.dup(1)
    try:
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), 1)
        yield
    finally:
        libc.fflush(None)
        os.dup2(saved, 1)
        os.close(saved)
