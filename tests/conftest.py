"""What the tests share: small real systems, networks and bundles, made once, and checks against differences."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from xdist.scheduler import LoadScopeScheduling

from uqcv.colvars.bundle import Bundle
from uqcv.colvars.export import export, module_name
from uqcv.colvars.fitting import fit_bundle
from uqcv.labeling.ase_calculator import ASECalculatorMethod
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.reference_md import sample_reference
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.potentials.training import new_potential, train
from uqcv.sampling.strategies import Site
from uqcv.simulation.plumed_bridge import PlumedBridge
from uqcv.structures import Structure
from uqcv.uncertainty.calibration import CalibrationSettings
from uqcv.uncertainty.gmm import GMMSettings
from uqcv.uncertainty.pooling import POOLINGS, PoolingSettings
from uqcv.uncertainty.settings import UncertaintySettings

torch.set_num_threads(1)  # for what is made once, before any test

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
NETWORK = PaiNNSettings(n_features=16, n_layers=2, n_radial=8, cutoff=4.0)
# All that matters is said here, so that other defaults change no test.
TRAINING = TrainingSettings(
    epochs=4, batch_size=5, learning_rate=2e-3, energy_weight=10.0, force_weight=1.0, ema_decay=0.9, warmup_steps=5
)
UNCERTAINTY = UncertaintySettings(
    gmm=GMMSettings(n_components=3, per_element=False, regularisation=1e-3, sees="directions", neighbourhood=None),
    directions=8,
    pooling=PoolingSettings(transform="log", atoms="heavy", sharpness=4.0, local_radius=3.0),
    calibration=CalibrationSettings(coverage=0.9),
)
# Files of these folders share what takes long to make, so one process takes them all.
TOGETHER = ("tests/active_learning/", "tests/benchmarks/uq/", "tests/study/")


class FilesTogether(LoadScopeScheduling):
    """Hands files to the processes of pytest-xdist, and folders whose files share fixtures as one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.split("::")[0])


def pytest_xdist_make_scheduler(config, log) -> LoadScopeScheduling:
    return FilesTogether(config, log)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A campaign takes all cores for its training; what follows it here is too small for that."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def topology_path() -> Path:
    return ROOT / "systems" / "alanine_dipeptide" / "topology.pdb"


@pytest.fixture(scope="session")
def reference_data() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"no reference data at {DATA}")
    return DATA


@pytest.fixture(scope="session")
def network() -> PaiNNSettings:
    return NETWORK


@pytest.fixture(scope="session")
def uncertainty() -> UncertaintySettings:
    return UNCERTAINTY


@pytest.fixture(scope="session")
def make_potential() -> Callable[..., Potential]:
    """A small network with random weights, the same for the same seed, in double precision."""

    def make(elements=(1, 6, 7, 8), seed: int = 0, dtype: torch.dtype = torch.float64, **changes) -> Potential:
        torch.manual_seed(seed)
        return Potential(elements, NETWORK.model_copy(update=changes)).to_dtype(dtype).eval()

    return make


@pytest.fixture(scope="session")
def potential(make_potential) -> Potential:
    return make_potential()


@pytest.fixture(scope="session")
def force_field(topology_path) -> OpenMMForceField:
    return OpenMMForceField(topology_path)


@pytest.fixture(scope="session")
def frames(force_field) -> list[Structure]:
    """Alanine dipeptide at 500 K: 36 labelled frames of 22 atoms."""
    return sample_reference(force_field, force_field.structure, 36, temperature=500.0, spacing=10.0, seed=1)


@pytest.fixture(scope="session")
def molecule(frames, force_field) -> Structure:
    """A labelled frame that is in no training set, and a bit stranger than those that are."""
    noise = np.random.default_rng(2).normal(scale=0.03, size=(22, 3))
    return force_field.label(frames[-1].with_positions(frames[-1].positions + noise))


@pytest.fixture(scope="session")
def bundle(frames) -> Bundle:
    """A briefly trained network of alanine dipeptide and its uncertainty."""
    torch.manual_seed(0)
    training, held_out = frames[:24], frames[24:34]
    data = Dataset(training, NETWORK.cutoff)
    network = new_potential(data, Potential((1, 6, 7, 8), NETWORK))
    train(network, data, Dataset(held_out, NETWORK.cutoff), TRAINING, seed=0)
    return fit_bundle(network, training, held_out, UNCERTAINTY, seed=0)


@pytest.fixture
def site(bundle, force_field, topology_path, tmp_path) -> Site:
    """Where walkers of alanine dipeptide run, with the bundle on disk."""
    folder = bundle.save(tmp_path / "bundle")
    return Site(tmp_path / "walkers", folder, topology_path, force_field.structure, bundle.settings.lowest_energy)


@pytest.fixture(scope="session")
def recalibrated(bundle, frames) -> Bundle:
    """The same network and mixture, calibrated on other frames."""
    return fit_bundle(bundle.potential, frames[:24], frames[26:36], UNCERTAINTY, seed=0)


@pytest.fixture(scope="session")
def crystals() -> list[Structure]:
    """Ten labelled frames of a copper-gold alloy in triclinic cells that are smaller than the cutoff.

    The cells are in the form that OpenMM wants: a along x, b in the xy plane.
    """
    method = ASECalculatorMethod("ase.calculators.emt.EMT")
    random = np.random.default_rng(3)
    return [method.label(_crystal(random)) for _ in range(10)]


def _crystal(random: np.random.Generator) -> Structure:
    atoms: Atoms = bulk("CuAu", "cesiumchloride", a=3.1).repeat((2, 1, 1))
    shear = np.eye(3) + np.tril(random.normal(scale=0.03, size=(3, 3)))
    atoms.set_cell(atoms.cell[:] @ shear, scale_atoms=True)
    atoms.positions += random.normal(scale=0.08, size=atoms.positions.shape)
    return Structure.from_ase(atoms)


@pytest.fixture(scope="session")
def crystal_bundle(crystals, make_potential) -> Bundle:
    """A network with random weights and its uncertainty, for the periodic alloy."""
    network = make_potential((29, 79), seed=1, dtype=torch.float32)
    network = new_potential(Dataset(crystals, NETWORK.cutoff), network)
    return fit_bundle(network, crystals[:6], crystals[6:9], UNCERTAINTY, seed=0)


@pytest.fixture(scope="session")
def crystal(crystals) -> Structure:
    """A periodic frame that is in no training set."""
    return crystals[-1]


@pytest.fixture(scope="session")
def exported(bundle, tmp_path_factory) -> tuple[Path, str]:
    """The folder of an export with all poolings, and the name of its module."""
    folder = tmp_path_factory.mktemp("export")
    export(bundle, folder, components=POOLINGS)
    return folder, module_name(bundle)


@pytest.fixture(scope="session")
def crystal_exported(crystal_bundle, tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("crystal_export")
    export(crystal_bundle, folder, components=POOLINGS)
    return folder, module_name(crystal_bundle)


@pytest.fixture
def make_bridge(tmp_path, monkeypatch) -> Iterator[Callable[..., PlumedBridge]]:
    """PLUMED on so many atoms; its files land in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    opened = []

    def make(text: str, n_atoms: int = 22, folder: Path | None = None) -> PlumedBridge:
        bridge = PlumedBridge(text, np.full(n_atoms, 12.0), 0.0005, 300.0, folder, log=tmp_path / "plumed.log")
        opened.append(bridge)
        return bridge

    yield make
    for bridge in opened:
        bridge.discard()
        bridge.close()


@pytest.fixture(scope="session")
def read_table() -> Callable[[Path], np.ndarray]:
    """Rows of a file that PLUMED wrote, shape (rows, columns)."""
    return lambda path: np.loadtxt(path, ndmin=2)


@pytest.fixture(scope="session")
def assert_gradient() -> Callable[..., None]:
    """Compare a gradient with central differences of its function (of fourth order), along random directions."""

    def check(function, at, gradient, step: float = 1e-4, n_directions: int = 4, rtol: float = 2e-6) -> None:
        at, gradient = np.asarray(at), np.asarray(gradient)
        assert gradient.shape == at.shape
        random = np.random.default_rng(7)
        for _ in range(n_directions):
            direction = random.normal(size=at.shape)
            near, far = (function(at + h * direction) - function(at - h * direction) for h in (step, 2 * step))
            slope = (8 * near - far) / (12 * step)
            expected = float((gradient * direction).sum())
            assert abs(expected - slope) <= rtol * (np.abs(gradient * direction).sum() + 1e-12)
        assert np.abs(gradient).max() > 0, "a gradient that is zero proves nothing"

    return check


@pytest.fixture(scope="session")
def strained() -> Callable[[Structure, np.ndarray], Structure]:
    """A structure under a homogeneous strain, cell included."""

    def apply(structure: Structure, strain: np.ndarray) -> Structure:
        deformation = np.eye(3) + 0.5 * (strain + strain.T)
        positions, cell = structure.positions @ deformation, structure.cell @ deformation
        return Structure(structure.numbers, positions, cell, structure.pbc)

    return apply


@pytest.fixture(scope="session")
def rotation() -> np.ndarray:
    """An arbitrary rotation, shape (3, 3)."""
    q, r = np.linalg.qr(np.random.default_rng(11).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


@pytest.fixture(scope="session")
def alive():
    """Return whether a process is there and not a zombie."""

    def look(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    return look
