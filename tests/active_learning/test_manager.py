"""The loop itself: it ends, goes on, and refuses what would spoil its results."""

import json
import multiprocessing
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.build import bulk
from ase.calculators.emt import EMT

from uqcv.active_learning.manager import Campaign
from uqcv.active_learning.reference_data import read_facts
from uqcv.active_learning.state import CampaignFolder, CampaignState
from uqcv.analysis.ramachandran import coverage, ramachandran_angles, read_free_energy
from uqcv.colvars.bundle import Bundle
from uqcv.errors import InputError
from uqcv.files import read_json
from uqcv.labeling.ase_calculator import ASECalculatorMethod
from uqcv.simulation.torsions import backbone_torsions, bond_pairs, turn
from uqcv.structures import Structure, read_structures, write_structures


class EveryThirdFails(EMT):
    """EMT that refuses every third structure of a file of labels; all others, and what comes before, it computes."""

    def __init__(self, journal: str) -> None:
        super().__init__()
        self._journal = Path(journal)

    def calculate(self, *args, **kwargs):
        if self._journal.is_file() and self._journal.read_text().count("\n") % 3 == 2:
            raise RuntimeError("the third one never converges")
        super().calculate(*args, **kwargs)


def run_in(path: Path, config, ready, answer) -> None:
    """Try to run a campaign in a folder that another process holds."""
    ready.wait(60)
    try:
        Campaign(config, path).run()
        answer.put("it ran")
    except InputError as error:
        answer.put(str(error))


@pytest.fixture
def copied(tiny, tmp_path) -> CampaignFolder:
    shutil.copytree(tiny.folder.path, tmp_path / "copy")
    return CampaignFolder(tmp_path / "copy")


def test_a_campaign_runs_to_its_end(tiny):
    assert tiny.state.finished and tiny.state.reason == "3 generations"
    assert (tiny.state.generation, tiny.state.stage, tiny.state.labels) == (2, "done", 6)
    assert CampaignState.load(tiny.folder.state) == tiny.state
    sizes = [len(read_structures(tiny.folder.generation(k).training)) for k in range(3)]
    assert sizes == [8, 11, 14]
    assert len({Bundle.load(tiny.folder.generation(k).bundle).hash for k in range(3)}) == 3
    assert not tiny.folder.generation(2).walkers.exists(), "the last generation trains and measures only"
    for k in range(2):
        walkers = sorted(path.name for path in tiny.folder.generation(k).walkers.iterdir())
        assert walkers == ["walker-00", "walker-01"]


def test_again_changes_nothing(copied, make_config, files_of):
    before, state = files_of(copied.path), copied.state.read_text()
    again = Campaign(make_config(), copied.path).run()
    assert files_of(copied.path) == before and copied.state.read_text() == state
    assert again.finished and again.labels == 6


def test_settings_lie_beside_the_results(tiny, make_config):
    assert yaml.safe_load(tiny.folder.config.read_text()) == make_config().model_dump(mode="json")


def test_more_generations_go_on(copied, make_config, files_of):
    before = files_of(copied.path)
    state = Campaign(make_config({"campaign.generations": 4}), copied.path).run()
    new = len(read_structures(copied.generation(2).labelled))
    assert 1 <= new <= 3
    assert (state.generation, state.reason, state.labels) == (3, "4 generations", 6 + new)
    after = files_of(copied.path)
    assert {name: after[name] for name in before} == before, "what was there stays"
    assert len(read_structures(copied.generation(3).training)) == 14 + new


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"seed": 1}, "seed"),
        ({"training.epochs": 4}, "training.epochs"),
        ({"sampling.bias.height": 3.0}, "sampling.bias.height"),
        ({"initial.keep": {"phi": [-180, 0]}}, "initial.keep.phi"),
    ],
)
def test_other_settings_in_the_same_folder(copied, make_config, files_of, changes, key):
    before, config = files_of(copied.path), copied.config.read_text()
    with pytest.raises(InputError, match=rf"holds a campaign with another {key}; give another --out"):
        Campaign(make_config(changes), copied.path)
    assert files_of(copied.path) == before and copied.config.read_text() == config


def test_files_count_by_what_they_hold(copied, make_config, topology_path, tmp_path):
    """A campaign goes on with settings that lie elsewhere; not with another topology."""
    moved = tmp_path / "moved.pdb"
    shutil.copyfile(topology_path, moved)
    there = {"system.topology": str(moved), "reference.topology": str(moved)}
    assert Campaign(make_config(there), copied.path).run().finished
    assert str(moved) in copied.config.read_text() and str(moved) in copied.input_files.read_text()
    moved.write_text("REMARK another one\n" + moved.read_text())
    with pytest.raises(InputError, match=r"holds a campaign with another system\.topology; give another --out"):
        Campaign(make_config(there), copied.path)
    copied.input_files.unlink()  # as in a campaign of an earlier version, whose files have paths only
    Campaign(make_config(there), copied.path)
    with pytest.raises(InputError, match=r"holds a campaign with another system\.topology; give another --out"):
        Campaign(make_config(), copied.path)


def test_a_setting_that_could_not_be_may_be_mended(make_config, tmp_path, topology_path):
    """Before anything was computed, another try is no other campaign."""
    with pytest.raises(InputError, match=r"nowhere\.pdb"):
        Campaign(make_config({"system.topology": "/nowhere.pdb"}), tmp_path / "new").run()
    assert Campaign(make_config(), tmp_path / "new").config.system.topology == topology_path


def test_a_second_process_in_the_same_folder(copied, make_config, files_of):
    before = files_of(copied.path)
    spawn = multiprocessing.get_context("spawn")
    ready, answer = spawn.Event(), spawn.Queue()
    process = spawn.Process(target=run_in, args=(copied.path, make_config(), ready, answer))
    process.start()
    with copied.locked():
        ready.set()
        words = answer.get(timeout=120)
    process.join()
    assert words == f"{copied.path}: another run is at work here; wait for it, or give --out"
    assert files_of(copied.path) == before


@pytest.mark.parametrize(("budget", "counts"), [(3, [3]), (4, [3, 1]), (6, [3, 3])])
def test_a_label_budget_is_spent_exactly(copied, make_config, budget, counts):
    """The campaign as it stood before it labelled in generation 1, with a budget."""
    shutil.rmtree(copied.generation(2).path)
    shutil.rmtree(copied.generation(1).label_summary.parent)
    CampaignState(generation=1, stage="label", labels=3).save(copied.state)
    if len(counts) == 1:
        shutil.rmtree(copied.generation(1).path)
        CampaignState(generation=1, stage="data", labels=3).save(copied.state)
    state = Campaign(make_config({"campaign.label_budget": budget, "campaign.generations": 6}), copied.path).run()
    assert (state.labels, state.reason) == (budget, f"label budget of {budget} is spent")
    sent = [len(read_structures(copied.generation(k).labelled)) for k in range(state.generation)]
    assert sent == counts
    assert len(read_structures(copied.generation(state.generation).training)) == 8 + budget


@pytest.fixture
def widened(copied, force_field) -> CampaignFolder:
    """The campaign before its second generation, with labels of conformers that its first frames know nothing of."""
    for k in (1, 2):
        shutil.rmtree(copied.generation(k).path)
    CampaignState(generation=1, stage="data", labels=3).save(copied.state)
    torsion, bonds = backbone_torsions(force_field.topology)["phi"], bond_pairs(force_field.topology)
    relaxed = read_structures(copied.relaxed, labelled=True)[0]
    positions = [turn(relaxed.positions, bonds, torsion, angle) for angle in (-152.0, 62.0, 77.0)]
    turned = [relaxed.with_positions(p).with_labels(relaxed.energy, relaxed.forces) for p in positions]
    write_structures(copied.generation(0).labelled, turned)
    return copied


def covered(folder: CampaignFolder, generations: int) -> tuple[int, int]:
    """How many relevant bins initial frames and labels of some generations have seen, and how many there are."""
    frames = read_structures(folder.initial)
    for k in range(generations):
        frames += read_structures(folder.generation(k).labelled)
    torsions = read_facts(folder.facts).torsions
    found = coverage(ramachandran_angles(frames, torsions), read_free_energy(folder.free_energy))
    return found.n_visited, found.n_relevant


def test_coverage_ends_it(widened, make_config):
    """With a potential that knows what was labelled; with a larger share, or none, it would go on."""
    (before, _), (seen, relevant) = covered(widened, 0), covered(widened, 1)
    assert before < seen < relevant / 2
    changes = {"campaign.generations": 6, "campaign.stop_at_coverage": seen / relevant}
    campaign = Campaign(make_config(changes), widened.path)
    assert not campaign.is_at_its_end
    state = campaign.run()
    words = f"{seen} of {relevant} relevant bins are covered, and campaign.stop_at_coverage is {seen / relevant:g}"
    assert (state.generation, state.labels, state.reason) == (1, 3, words)
    assert len(read_structures(widened.generation(1).training)) == 8 + 3
    assert widened.generation(1).metrics.is_file() and not widened.generation(1).walkers.exists()
    for share, is_at_its_end in ((seen / relevant, True), (0.01, True), (0.99, False), (None, False)):
        again = Campaign(make_config(changes | {"campaign.stop_at_coverage": share}), widened.path)
        assert again.is_at_its_end == is_at_its_end


def test_initial_frames_that_cover_enough_end_it_too(widened, make_config):
    CampaignState(generation=0, stage="sample").save(widened.state)
    seen, relevant = covered(widened, 0)
    state = Campaign(make_config({"campaign.stop_at_coverage": seen / relevant}), widened.path).run()
    assert state.generation == 0 and state.reason.startswith(f"{seen} of {relevant} relevant bins are covered")


def test_nothing_uncertain_ends_it(copied, make_config):
    for k in (1, 2):
        shutil.rmtree(copied.generation(k).path)
    shutil.rmtree(copied.generation(0).path / "harvest")
    shutil.rmtree(copied.generation(0).label_summary.parent)
    changes = {"harvest.quantile": 1.0, "harvest.ceiling": -1e9}
    copied.config.unlink()
    CampaignState(generation=0, stage="harvest").save(copied.state)
    state = Campaign(make_config(changes), copied.path).run()
    assert (state.generation, state.finished, state.labels) == (0, True, 0)
    assert state.reason == "the uncertainty finds nothing new"
    assert read_json(copied.generation(0).harvest)["funnel"][-1] == ["selected", 0]


def test_plain_dynamics_as_the_strategy(copied, make_config, tmp_path):
    """From the same first potential: the walkers run again, without PLUMED."""
    changes = {"sampling.sampler": "unbiased", "sampling.walkers": 1, "campaign.generations": 2}
    for k in (1, 2):
        shutil.rmtree(copied.generation(k).path)
    for name in ("walkers", "harvest", "labels"):
        shutil.rmtree(copied.generation(0).path / name)
    copied.config.unlink()
    CampaignState(generation=0, stage="sample").save(copied.state)
    state = Campaign(make_config(changes), copied.path).run()
    assert state.finished
    walkers = sorted(copied.generation(0).walkers.iterdir())
    assert [path.name for path in walkers] == ["walker-00"]
    assert (walkers[0] / "frames.csv").is_file() and not (walkers[0] / "COLVAR").exists()


def write_pdb(path: Path, atoms) -> None:
    """Each atom in a residue of its own, since OpenMM takes atoms of one name in one residue for one."""
    a, b, c = atoms.cell.lengths()
    lines = [f"CRYST1{a:9.3f}{b:9.3f}{c:9.3f}  90.00  90.00  90.00 P 1           1"]
    for k, (x, y, z) in enumerate(atoms.positions, 1):
        lines.append(f"HETATM{k:5d} CU    CU A{k:4d}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          CU")
    path.write_text("\n".join([*lines, "END", ""]))


@pytest.fixture
def copper(tmp_path) -> dict:
    """Settings of a campaign on a periodic cell of copper with data of one's own, by a method that fails at times."""
    method, random = ASECalculatorMethod("ase.calculators.emt.EMT"), np.random.default_rng(1)
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    frames = []
    for _ in range(12):
        moved = atoms.copy()
        moved.positions += random.normal(scale=0.08, size=(8, 3))
        frames.append(method.label(Structure.from_ase(moved)))
    write_structures(tmp_path / "frames.extxyz", frames)
    write_pdb(tmp_path / "copper.pdb", atoms)
    arguments = {"journal": str(tmp_path / "run" / "generation-00" / "labels" / "labels.extxyz.journal")}
    return {
        "system.topology": str(tmp_path / "copper.pdb"), "system.torsions": None, "system.free_energy": None,
        "reference": {"kind": "ase", "calculator": f"{__name__}.EveryThirdFails", "arguments": arguments},
        "initial.file": str(tmp_path / "frames.extxyz"), "initial.held_out": 4, "test.ramachandran_grid": None,
        "sampling.walkers": 1, "sampling.length": 40.0, "harvest.quantile": 0.0, "harvest.max_frames": 7,
        "harvest.duplicate_tolerance": 0.0, "campaign.generations": 2,
        "sampling.sampler": "monitor",
    }  # fmt: skip


def test_a_reference_calculation_that_fails_is_not_the_end(make_config, copper, tmp_path):
    campaign = Campaign(make_config(copper), tmp_path / "run")
    state = campaign.run()
    assert state.finished and state.reason == "2 generations"
    paths = campaign.folder.generation(0)
    failures, summary = read_json(paths.failures), read_json(paths.label_summary)
    assert summary["sent"] == 7 and state.labels == 7, "a calculation that failed was paid for"
    assert [failure["index"] for failure in failures] == [2, 5]
    assert all(failure["reason"].endswith("the third one never converges") for failure in failures)
    assert (summary["failed"], summary["kept"]) == (2, 5)
    assert len(read_structures(paths.labelled, labelled=True)) == 5
    assert len(read_structures(campaign.folder.generation(1).training)) == 8 + 5


def test_the_state_is_always_whole(copied, make_config):
    """Read by another as often as possible while a campaign goes through its stages."""
    stop, seen, broken = threading.Event(), set(), []

    def watch() -> None:
        while not stop.is_set():
            try:
                content = json.loads(copied.state.read_text())
                seen.add((content["generation"], content["stage"]))
            except Exception as error:
                broken.append(repr(error))

    watcher = threading.Thread(target=watch)
    watcher.start()
    Campaign(make_config(), copied.path).run()
    CampaignState().save(copied.state)
    Campaign(make_config(), copied.path).run()
    stop.set()
    watcher.join()
    assert broken == [] and len(seen) > 3
