"""What peers are timed with works; their packages are seldom installed, so ASE's EMT stands for them here."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase.calculators.emt import EMT

from uqcv.benchmarks import peers, speed
from uqcv.benchmarks.cases import Case, crystal
from uqcv.benchmarks.methods import Conditions
from uqcv.benchmarks.peers import PEERS, PeerRun, require_peer
from uqcv.errors import MissingEngineError

CONDITIONS = Conditions(1, 0, "float64", "cpu")


@pytest.fixture
def copper(monkeypatch, tmp_path) -> Case:
    monkeypatch.setitem(peers.CALCULATORS, "mace", lambda case, conditions: EMT())
    monkeypatch.chdir(tmp_path)
    shaken = crystal(100)
    shaken = shaken.with_positions(shaken.positions + np.random.default_rng(0).normal(scale=0.05, size=(100, 3)))
    return Case("copper", shaken, tmp_path / "none.pdb", tmp_path, tmp_path, 2.0)


def table(path: Path) -> np.ndarray:
    return np.loadtxt(path, comments="#", ndmin=2)


def test_a_biased_peer_deposits_hills_along_a_second_network(copper, tmp_path):
    run = PeerRun(copper, tmp_path / "runs", CONDITIONS, "mace-plumed")
    assert run.turn(130)["step"] > 0 and run.finish() > 0
    folder = tmp_path / "runs" / "mace-plumed"
    run._dynamics.atoms.calc.plumed.finalize()
    atoms = run._dynamics.atoms.copy()
    atoms.calc = EMT()
    per_atom = atoms.get_potential_energy() / len(atoms)
    assert len(table(folder / "HILLS")) == 1
    np.testing.assert_allclose(table(folder / "COLVAR")[:, 1], per_atom, atol=1e-5)
    assert np.abs(run._dynamics.atoms.positions - copper.start.positions).max() < 1e-3, "the structure stays"


def test_a_second_network_has_the_gradient_of_its_value(copper, assert_gradient):
    def action(positions):
        return SimpleNamespace(getPositions=lambda: positions)

    atoms = PeerRun(copper, Path("runs"), CONDITIONS, "mace")._dynamics.atoms
    second = peers.SecondNetwork(atoms.copy(), EMT())
    positions = 0.1 * copper.start.positions
    _, gradient, _ = second.calculate(action(positions))
    assert_gradient(lambda x: second.calculate(action(x))[0], positions, gradient, step=1e-5)


@pytest.mark.parametrize("peer", PEERS)
def test_peers_that_are_not_there_are_left_out_by_name(peer, copper, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    with ExitStack() as stack:
        assert speed._started_peer(stack, copper, tmp_path, CONDITIONS, peer) is None
    assert f"{peer}: left out, {peer.split('-')[0]} is not installed" in capsys.readouterr().err


def test_peers_that_cannot_run_are_left_out_with_the_reason(copper, tmp_path, monkeypatch, capsys):
    """Another process asks for the package, and it is not there after all."""
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: "here")
    with ExitStack() as stack:
        assert speed._started_peer(stack, copper, tmp_path, CONDITIONS, "schnetpack") is None
    assert "schnetpack: left out, No module named 'schnetpack'" in capsys.readouterr().err
    with pytest.raises(MissingEngineError, match="2000 atoms take too long; 1000 are timed at most"):
        require_peer("mace", 2000)
