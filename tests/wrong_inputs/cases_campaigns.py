"""Wrong campaigns: folders to look at or to go on in, and what else lies in them."""

import json
from pathlib import Path

from .case import Case
from .conditions import another_run
from .lines import LABEL, REPORT
from .spoiling import all_of, cut, empty, folder_instead, garbage, gone, json_content, written

STATUS, AGAIN = "uqcv status campaign", "uqcv run campaign.yaml -o campaign"
STATE, CONFIG, FACTS = "campaign/state.json", "campaign/config.yaml", "campaign/reference/facts.json"
GENERATION, INPUTS = "campaign/generation-00", "campaign/input_files.json"
LOCK, HISTORY = "campaign/.lock", f"{GENERATION}/training/history.csv"
JOURNAL = "out.extxyz.journal"
# A run that is refused in the middle says so far it came.
PROGRESS = (STATE, CONFIG, INPUTS, "campaign/generation-00/*seconds.json")


def _remark(name: str):
    """Let a file say more than it did."""
    return lambda: Path(name).write_text("REMARK of today\n" + Path(name).read_text())


def _at_stage(stage: str, *without: str):
    """Let a finished campaign be at an earlier stage, without what that stage made."""

    def change() -> None:
        state = json.loads(Path(STATE).read_text()) | {"stage": stage, "finished": False, "reason": ""}
        Path(STATE).write_text(json.dumps(state))
        for name in without:
            gone(f"{GENERATION}/{name}")()

    return change


def _unfitted():
    return _at_stage("fit", "bundle", "metrics.json")


CASES = (
    Case("a folder that is no campaign", "uqcv status walkers"),
    Case("no such folder", "uqcv report nowhere"),
    Case("a file in place of the folder", "uqcv status campaign.yaml"),
    Case("an empty `state.json`", STATUS, empty(STATE)),
    Case("an empty `state.json`", AGAIN, empty(STATE)),
    Case("a `state.json` cut in the middle", STATUS, cut(STATE, 50)),
    Case("a `state.json` that holds a list", "uqcv status campaign --json", written(STATE, "[]")),
    Case("a `state.json` with an unknown entry", AGAIN, json_content(STATE, lambda s: s | {"mood": "good"})),
    Case("a `state.json` with a word for a number", AGAIN, json_content(STATE, lambda s: s | {"generation": "one"})),
    Case("a folder in place of `state.json`", STATUS, folder_instead(STATE)),
    Case("a `config.yaml` of bytes that mean nothing", AGAIN, garbage(CONFIG)),
    Case("an empty `config.yaml`", AGAIN, empty(CONFIG)),
    Case("a campaign of another seed", f"{AGAIN} --seed 6"),
    Case("a campaign with another setting", f"{AGAIN} --set potential.cutoff=6"),
    Case("a topology that is not that of then", AGAIN, _remark("topology.pdb")),
    Case("an `input_files.json` that holds a list", AGAIN, written(INPUTS, "[]")),
    Case("another run is at work in the folder", AGAIN, written(LOCK, ""), under=another_run(LOCK)),
    Case("a `facts.json` cut in the middle", REPORT, cut(FACTS, 40)),
    Case("a `facts.json` without the minimum", AGAIN, written(FACTS, '{"torsions": {}}')),
    Case("torsions of atoms that are not there", REPORT,
         json_content(FACTS, lambda f: f | {"torsions": {"phi": [4, 6, 8, 14], "psi": [6, 8, 14, 160]}})),
    Case("torsions that are no numbers", REPORT,
         json_content(FACTS, lambda f: f | {"torsions": {"phi": ["C", 6, 8, 14], "psi": [6, 8, 14, 16]}})),
    Case("a `metrics.json` of bytes that mean nothing", REPORT, garbage(f"{GENERATION}/metrics.json")),
    Case("a `metrics.json` with a word for a number", REPORT,
         json_content(f"{GENERATION}/metrics.json", lambda m: m | {"n_training": "many"})),
    Case("a `history.csv` with a word", REPORT, written(HISTORY, "epoch,train_loss\n1,x\n")),
    Case("a `history.csv` of other columns", REPORT, written(HISTORY, "epoch,loss\n1,2\n")),
    Case("training frames that are damaged", REPORT, garbage(f"{GENERATION}/training.extxyz")),
    Case("training frames that are damaged", AGAIN,
         all_of(_unfitted(), cut(f"{GENERATION}/training.extxyz", 5000)), leaves=PROGRESS),
    Case("a potential that is damaged", AGAIN,
         all_of(_unfitted(), cut(f"{GENERATION}/potential.pt", 7000)), leaves=PROGRESS),
    Case("a checkpoint that is damaged", AGAIN,
         all_of(_at_stage("train", "bundle", "metrics.json", "potential.pt"),
                garbage(f"{GENERATION}/training/checkpoint.pt")), leaves=PROGRESS),
    Case("a trajectory of a walker cut in the middle", REPORT,
         all_of(garbage(f"{GENERATION}/walkers/walker-00/trajectory.dcd"),
                written(f"{GENERATION}/walkers/walker-00/end.json",
                        '{"reason": "finished", "completed": true, "steps": 20, "seconds": 1}'))),
    Case("an `end.json` cut in the middle", STATUS, written(f"{GENERATION}/walkers/walker-00/end.json", '{"reas')),
    Case("labels of other structures in the journal", LABEL,
         written(JOURNAL, '{"task": "0123456789abcdef", "reason": ""}\n')),
    Case("a journal of something else", LABEL, written(JOURNAL, '[1, 2]\n')),
    Case("a journal without labels", LABEL, written(JOURNAL, '{"energy": 1}\n')),
    Case("a journal of bytes that mean nothing", LABEL, garbage(JOURNAL)),
    Case("another labelling is at work on the file", LABEL, written(JOURNAL, ""), under=another_run(JOURNAL)),
    Case("another training is at work in the folder",
         "uqcv train training.extxyz held_out.extxyz -o out -c campaign.yaml",
         written("out/.lock", ""), under=another_run("out/.lock")),
    Case("other walkers are at work in the folder",
         "uqcv sample bundle training.extxyz --top topology.pdb -o out -c campaign.yaml",
         written("out/.lock", ""), under=another_run("out/.lock")),
)  # fmt: skip
