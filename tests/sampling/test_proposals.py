"""Structures without dynamics, as plans that leave what walkers leave."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from uqcv.active_learning.harvesting import read_walkers
from uqcv.errors import IdentityError, InputError
from uqcv.sampling.proposals import positive
from uqcv.sampling.runner import run_walkers
from uqcv.sampling.settings import ProposerName, SamplingSettings
from uqcv.sampling.strategies import plan_walkers
from uqcv.simulation.validity import MoleculeGuard

PROPOSERS = get_args(ProposerName)
BRIEF = {"frames": 7, "attack_steps": 4, "batch": 2}


def plans(bundle, site, frames, sampler, seed=5, **changes):
    settings = SamplingSettings(sampler=sampler, walkers=2, proposals=BRIEF | changes, dtype="float64")
    return plan_walkers(bundle, site, frames[:7], settings, seed)


@pytest.mark.parametrize("sampler", PROPOSERS)
def test_frames_come_where_a_harvest_looks(bundle, site, frames, topology_path, sampler):
    counts = []
    made = plans(bundle, site, frames, sampler)
    ends = run_walkers(made, 2, lambda done, note: counts.append(done))
    found = read_walkers(site.folder, topology_path)
    assert len(found) == 7 and counts[-1] == sum(p.n_steps for p in made)
    assert [end.evaluations for end in ends] == ([16, 12] if sampler.startswith("adversarial") else [0, 0])
    assert all(end.completed and end.steps == 0 for end in ends)
    for frame, start in zip(found, [*frames[:7:2], *frames[1:7:2]], strict=True):
        moved = np.abs(frame.positions - start.positions).max()
        assert 1e-3 < moved < (20.0 if sampler.endswith("torsions") else 1.0)


def test_what_is_there_stays_and_another_is_refused(bundle, site, frames):
    made = plans(bundle, site, frames, "random_atoms")
    run_walkers(made, 1)
    path = made[0].folder / "trajectory.dcd"
    before = path.stat().st_mtime_ns
    run_walkers(plans(bundle, site, frames, "random_atoms"), 1)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(IdentityError, match=r"is of seed 5, this run has seed 6"):
        run_walkers(plans(bundle, site, frames, "random_atoms", seed=6), 1)
    with pytest.raises(IdentityError, match=r"is of proposer random_atoms, this run has proposer random_torsions"):
        run_walkers(plans(bundle, site, frames, "random_torsions"), 1)


def test_displacements_have_the_spread_that_is_asked_for(bundle, site, frames, topology_path):
    for plan in plans(bundle, site, frames, "random_atoms", atom_displacement=0.2):
        plan.run()
    found = read_walkers(site.folder, topology_path)
    moved = [f.positions - s.positions for f, s in zip(found, [*frames[:7:2], *frames[1:7:2]], strict=True)]
    assert np.std(moved) == pytest.approx(0.2, rel=0.1)


def test_random_torsions_leave_the_molecule_whole(bundle, site, frames, topology_path, force_field):
    for plan in plans(bundle, site, frames, "random_torsions"):
        plan.run()
    bonded = [(b[0].index, b[1].index) for b in force_field.topology.bonds()]
    guard = MoleculeGuard.from_structure(force_field.structure, bonded)
    problems = [guard.problem(s.positions) for s in read_walkers(site.folder, topology_path)]
    assert not [p for p in problems if p is not None and p.startswith(("bond", "chir"))]


def test_no_bond_turns_in_ammonia(bundle, site, frames, tmp_path):
    lines = [
        f"HETATM{k:5d}  {name:3s} NH3 A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {name[0]:>2s}"
        for k, (name, x, y, z) in enumerate(
            [("N", 0, 0, 0.1), ("H1", 0.94, 0, -0.27), ("H2", -0.47, 0.81, -0.27), ("H3", -0.47, -0.81, -0.27)], 1
        )
    ]
    (tmp_path / "ammonia.pdb").write_text("\n".join([*lines, "END\n"]))
    plan = replace(plans(bundle, site, frames, "adversarial_torsions")[0], topology=tmp_path / "ammonia.pdb")
    with pytest.raises(InputError, match=r"no bond that turns; give sampling.sampler=adversarial_atoms"):
        plan.run()


def test_uncertainties_of_an_attack_are_positive(bundle):
    def evaluate(positions):
        return positions, torch.tensor([-3.0, 2.0])

    assert positive(evaluate, bundle) is evaluate
    pooling = bundle.settings.pooling.model_copy(update={"transform": "none"})
    settings = bundle.settings.model_copy(
        update={"uncertainty": bundle.settings.uncertainty.model_copy(update={"pooling": pooling})}
    )
    raw = type(bundle)(settings, bundle.model)
    values = positive(evaluate, raw)(torch.zeros(2))[1]
    torch.testing.assert_close(values, torch.nn.functional.softplus(torch.tensor([-3.0, 2.0])))
