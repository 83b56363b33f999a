"""Wrong data and options of `uqcv benchmark uq`, and networks that were trained for another uncertainty."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from uqcv.structures import read_structures, write_structures

from .case import Case
from .conditions import another_run, full_disk
from .lines import FIT, TRAIN
from .spoiling import cut, garbage, written

COMPARE = "uqcv benchmark uq training.extxyz -o out --seeds 1"
SMALL = f"{COMPARE} --train 2 --test 3"
NPZ = "uqcv benchmark uq data.npz -o out --seeds 1"


def arrays(**changes: np.ndarray | None) -> Callable[[], None]:
    """Write a file of rMD17 with some arrays of another kind."""

    def spoil() -> None:
        good = {
            "nuclear_charges": np.array([8, 1, 1]),
            "coords": np.arange(180.0).reshape(20, 3, 3),
            "energies": np.zeros(20),
            "forces": np.zeros((20, 3, 3)),
        }
        np.savez("data.npz", **{name: array for name, array in (good | changes).items() if array is not None})

    return spoil


def other_comparison() -> None:
    from uqcv.benchmarks.uq.data import Source
    from uqcv.benchmarks.uq.plan import make_plan
    from uqcv.benchmarks.uq.resume import described
    from uqcv.benchmarks.uq.split import Sizes
    from uqcv.config import load_sections
    from uqcv.files import write_json

    sections = load_sections(None, {}, ("potential", "training", "uncertainty"))
    plan = make_plan(Source((Path("training.extxyz"),)), [2], {}, 7, [], sections)
    write_json(Path("out/settings.json"), described(plan, [Sizes(2, 1, 2, 3)]))


def copies(name: str, first: int, last: int) -> Callable[[], None]:
    """Write frames of the training set again."""

    def spoil() -> None:
        write_structures(Path(name), read_structures(Path("training.extxyz"))[first:last])

    return spoil


def renamed(name: str) -> Callable[[], None]:
    return lambda: Path(name).write_bytes(Path("held_out.extxyz").read_bytes())


CASES = (
    Case("data that are not there", "uqcv benchmark uq nowhere.extxyz -o out"),
    Case("frames without labels", "uqcv benchmark uq bare.extxyz -o out"),
    Case("too few frames", f"{COMPARE} --train 8"),
    Case("no frames left for a part", f"{COMPARE} --train 4 --validation 2 --calibration 2 --test 9"),
    Case("a key that frames do not have", f"{COMPARE} --group-key geometry"),
    Case("half of a pair of options", f"{COMPARE} --domain-key stage"),
    Case("a domain that no frame is of", f"{COMPARE} --domain-key stage --train-on initial",
         lambda: _with_stage("attack")),
    Case("an uncertainty that does not exist", f"{COMPARE} --only magic"),
    Case("a folder of another comparison", SMALL, other_comparison),
    Case("a folder of something else", SMALL, lambda: (Path("out").mkdir(), written("out/thesis.tex", "")())),
    Case("damaged settings of a comparison", SMALL,
         lambda: (Path("out").mkdir(), written("out/settings.json", "{")())),
    Case("a file in place of the folder", f"{SMALL.replace('-o out', '-o potential.pt')}"),
    Case("an uncertainty as a setting", f"{COMPARE} --set uncertainty.method=mve"),
    Case("two test sets of one name", f"{SMALL} --other held_out.extxyz --other walkers/held_out.extxyz",
         copies("walkers/held_out.extxyz", 0, 3)),
    Case("a test set with a name that is ours", f"{SMALL} --other 'in domain.extxyz'", renamed("in domain.extxyz")),
    Case("a domain that is a path", f"{COMPARE} --domain-key stage --train-on attack",
         lambda: (_with_stage("attack"), _one_stage("../esc"))),
    Case("a file that is given twice", f"{SMALL} --other copy.extxyz", copies("copy.extxyz", 0, 8)),
    Case("a frame that is trained on and tested", f"{SMALL} --other seen.extxyz", copies("seen.extxyz", 2, 5)),
    Case("a test set that is too small", f"{SMALL} --other one.extxyz", copies("one.extxyz", 2, 3)),
    Case("groups that are one", f"{SMALL} --group-key stage", lambda: _with_stage("attack")),
    Case("a row that is given twice", f"{NPZ} --train-index rows.csv",
         lambda: (arrays()(), written("rows.csv", "0\n3\n3\n")())),
    Case("a row to train and to test on", f"{NPZ} --train-index rows.csv --test-index tested.csv",
         lambda: (arrays()(), written("rows.csv", "0\n1\n")(), written("tested.csv", "1\n2\n3\n")())),
    Case("an `.npz` of bytes that mean nothing", NPZ, garbage("data.npz")),
    Case("an `.npz` without forces", NPZ, arrays(forces=None)),
    Case("an `.npz` whose arrays do not fit", NPZ, arrays(forces=np.zeros((20, 4, 3)))),
    Case("an `.npz` with one energy for all frames", NPZ, arrays(energies=np.float64(0))),
    Case("an `.npz` with energies in a column", NPZ, arrays(energies=np.zeros((20, 1)))),
    Case("an `.npz` with energies as text", NPZ, arrays(energies=np.array(["low"] * 20))),
    Case("an `.npz` with complex forces", NPZ, arrays(forces=np.zeros((20, 3, 3), complex))),
    Case("an `.npz` with an element that there is not", NPZ, arrays(nuclear_charges=np.array([150, 1, 1]))),
    Case("an `.npz` of objects of Python", NPZ, arrays(energies=np.array([{}] * 20, dtype=object))),
    Case("an index that is outside of the data", f"{NPZ} --train-index rows.csv",
         lambda: (arrays()(), written("rows.csv", "0\n20\n")())),
    Case("a list of indices that is none", f"{NPZ} --train-index rows.csv",
         lambda: (arrays()(), written("rows.csv", "first\nsecond\n")())),
    Case("a test index alone", f"{NPZ} --test-index rows.csv", arrays()),
    Case("a device that is not there", f"{COMPARE} --set training.device=abacus"),
)  # fmt: skip


def _with_stage(value: str) -> None:
    path = Path("training.extxyz")
    path.write_text(path.read_text().replace("Properties=", f"stage={value} Properties="))


def _one_stage(value: str) -> None:
    path = Path("training.extxyz")
    path.write_text(path.read_text().replace("stage=attack", f"stage={value}", 1))


JOURNAL = "out.extxyz.journal"
REFERENCE = "uqcv reference sample campaign.yaml -o out.extxyz --set initial.frames=2"

FRAMES = (
    Case("an angle without a number", f"{REFERENCE} --turn phi"),
    Case("a torsion that is not named", f"{REFERENCE} --turn chi=60"),
    Case("a start outside of the range to keep", f"{REFERENCE} --set 'initial.keep={{phi: [0, 150]}}'"),
    Case("an angle that is no number", f"{REFERENCE} --turn phi=nan"),
    Case("two angles of a torsion", f"{REFERENCE} --turn phi=60 --turn phi=70"),
    Case("a range that holds no angle", f"{REFERENCE} --set 'initial.keep={{phi: [150, 0]}}'"),
    Case("a time step that is too long", f"{REFERENCE} --set initial.time_step=50 --set initial.spacing=50"),
    Case("an output below a file", f"{REFERENCE.replace('out.extxyz', 'potential.pt/out.extxyz')}"),
    Case("frames of other settings in the journal", REFERENCE,
         written(JOURNAL, '{"task": "0123456789ab", "velocities": []}\n')),
    Case("a journal of something else", REFERENCE, written(JOURNAL, '[1, 2]\n')),
    Case("another run is at work on the file", REFERENCE, written(JOURNAL, ""), under=another_run(JOURNAL)),
    Case("a disk that is full", REFERENCE, under=full_disk),
)  # fmt: skip

NETWORKS = (
    Case("a network without a second readout", f"{FIT} --set uncertainty.method=mve"),
    Case("one network for an ensemble", f"{FIT} --set uncertainty.method=ensemble"),
    Case("a network of an ensemble that is cut in the middle",
         f"{FIT} --set uncertainty.method=ensemble --set uncertainty.ensemble.members=2",
         lambda: (_second(), cut("potential-1.pt", 7000)())),
    Case("going on with another uncertainty", f"{TRAIN} --start potential.pt --set uncertainty.method=evidential"),
    Case("an ensemble of one", f"{TRAIN} --set uncertainty.method=ensemble --set uncertainty.ensemble.members=1"),
)  # fmt: skip


def _second() -> None:
    Path("potential-1.pt").write_bytes(Path("potential.pt").read_bytes())
