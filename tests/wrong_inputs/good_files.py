"""A folder of small files that every command takes; each case spoils a copy of it."""

import shutil
from pathlib import Path

import mdtraj
import numpy as np
import torch

from uqcv.active_learning.manager import Campaign
from uqcv.config import load_config
from uqcv.labeling.openmm_forcefield import OpenMMForceField
from uqcv.labeling.reference_md import sample_reference
from uqcv.structures import write_structures

SYSTEM = Path(__file__).resolve().parents[2] / "systems" / "alanine_dipeptide"
CAMPAIGN = """\
name: small
system: {topology: topology.pdb, torsions: backbone, free_energy: free_energy.csv}
reference: {kind: openmm, topology: topology.pdb}
initial: {frames: 4, held_out: 6, equilibration: 0, spacing: 10}
potential: {n_features: 8, n_layers: 1, n_radial: 4, cutoff: 4.0}
training: {epochs: 2, warmup_steps: 2, threads: 1, processes: 1}
uncertainty: {gmm: {n_components: 2}}
sampling: {walkers: 1, length: 20, frame_interval: 10, compiled: false, processes: 1}
campaign: {generations: 1}
"""


def make_good_files(folder: Path) -> None:
    """Write what commands take: settings, a PDB, frames with and without labels, a model, walkers, a campaign."""
    torch.set_num_threads(1)
    for name in ("topology.pdb", "free_energy.csv"):
        shutil.copyfile(SYSTEM / name, folder / name)
    (folder / "campaign.yaml").write_text(CAMPAIGN)
    method = OpenMMForceField(folder / "topology.pdb")
    frames = sample_reference(method, method.structure, 14, temperature=400.0, spacing=10.0, seed=1)
    write_structures(folder / "training.extxyz", frames[:8])
    write_structures(folder / "held_out.extxyz", frames[8:])
    write_structures(folder / "bare.extxyz", [s.with_positions(s.positions) for s in frames[:3]])
    write_dcd(folder / "trajectory.dcd", np.array([s.positions for s in frames[:5]]))
    campaign = Campaign(load_config(folder / "campaign.yaml"), folder / "campaign")
    campaign.run()
    made = campaign.folder.generation(0)
    shutil.copytree(made.bundle, folder / "bundle")
    shutil.copyfile(made.potential, folder / "potential.pt")
    (folder / "walkers" / "walker-00").mkdir(parents=True)
    shutil.copyfile(folder / "trajectory.dcd", folder / "walkers" / "walker-00" / "trajectory.dcd")


def write_dcd(path: Path, positions: np.ndarray) -> None:
    """Write positions (Å, shape (frames, 22, 3)) of alanine dipeptide as DCD."""
    trajectory = mdtraj.load(str(SYSTEM / "topology.pdb"))
    trajectory.xyz = (positions * 0.1).astype(np.float32)
    trajectory.time = np.arange(len(positions))
    trajectory.save_dcd(str(path))
