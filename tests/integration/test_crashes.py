"""A crash at every call that writes into a campaign's folder: each leaves a folder that goes on to the same end.

One real campaign is watched by `strace`; of each folder that a crash could have left behind, whole or with half of a
write, a copy goes on. All of them: `pytest -m slow tests/integration/test_crashes.py` (a quarter of an hour).
"""

import os
import queue
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from file_log import Event, Playback, record, write_files
from same_end import Files, differences, read_files

HERE = Path(__file__).parent
# One thread everywhere, for sums that round alike, and no bytecode, which holds the time of its source.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
# Files of which each crash after the last call is tried: another file or a removal must follow, and did not always.
TURNING_POINTS = ("history.csv", "checkpoint.pt", "potential.pt", "HILLS", "COLVAR", "checkpoint.zip", "end.json")
CHANGES = {
    "training": {"epochs": 3, "warm_epochs": 2},
    "sampling": {"walkers": 2, "length": 20, "processes": 1, "checkpoint_interval": 0},
}


@dataclass(frozen=True)
class Crash:
    """A folder as a crash leaves it: after an event, or in the middle of one."""

    number: int
    event: Event
    is_torn: bool

    @property
    def files(self) -> Files:
        found = self.event.half if self.is_torn else self.event.after
        assert found is not None
        return found

    def __str__(self) -> str:
        return f"{'in the middle of' if self.is_torn else 'after'} {self.number}, {self.event.kind} {self.event.path}"


@dataclass(frozen=True)
class Watched:
    """A campaign that ran to its end: what it did to its folder, and what lies there."""

    events: list[Event] = field(repr=False)
    end: Files = field(repr=False)

    def crashes(self) -> list[Crash]:
        """Return a crash for each different folder."""
        every = [Crash(k, event, False) for k, event in enumerate(self.events)]
        every += [Crash(k, event, True) for k, event in enumerate(self.events) if event.half is not None]
        different = {frozenset(crash.files.items()): crash for crash in reversed(every)}
        return sorted(different.values(), key=lambda crash: (crash.number, not crash.is_torn))

    def figures(self) -> str:
        kinds = Counter(event.kind for event in self.events)
        crashes = self.crashes()
        torn = sum(crash.is_torn for crash in crashes)
        return (
            f"{len(self.events)} calls by {len({event.task for event in self.events})} processes: "
            f"{', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}\n"
            f"{len(crashes)} different folders, {torn} of them with half of a write"
        )


class Resumer:
    """A process that goes on with campaigns, on a core of its own."""

    def __init__(self, settings: Path, core: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, HERE / "resume.py", settings, str(core)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | ENVIRONMENT, text=True,
        )  # fmt: skip

    def go_on(self, folder: Path) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(folder, file=self._process.stdin, flush=True)
        return int(next(line for line in self._process.stdout if line != "ready\n"))

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def settings(campaign_yaml, tmp_path_factory) -> Path:
    content = yaml.safe_load(campaign_yaml.read_text())
    for section, changes in CHANGES.items():
        content[section] |= changes
    content["sampling"]["bias"]["pace"] = 5
    path = tmp_path_factory.mktemp("crashes") / "campaign.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def resumers(settings) -> Iterator[list[Resumer]]:
    found = [Resumer(settings, core) for core in sorted(os.sched_getaffinity(0))]
    yield found
    for resumer in found:
        resumer.close()


@pytest.fixture(scope="module")
def watch(settings, tmp_path_factory):
    """Run a campaign, or go on in a folder with some files, and see what it does there."""
    if shutil.which("strace") is None or subprocess.run(["strace", "-o", os.devnull, "true"], check=False).returncode:
        pytest.skip("strace is not installed, or may not watch processes here")

    def run(before: Files) -> Watched:
        place = tmp_path_factory.mktemp("watched")
        folder, core = place / "run", max(os.sched_getaffinity(0))
        write_files(before, folder)
        calls = record(
            [sys.executable, "-m", "uqcv.cli", "run", settings, "-o", folder], place / "log", cwd=place,
            env=os.environ | ENVIRONMENT, preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )  # fmt: skip
        shutil.rmtree(place / "log")
        playback = Playback(folder, place, before)
        events, end = playback.events(calls), read_files(folder)
        assert playback.files == end, "no call was missed"
        return Watched(events, end)

    return run


@pytest.fixture(scope="module")
def undisturbed(watch, resumers) -> Watched:
    return watch({})


def end_of(crash: Crash, undisturbed: Watched) -> Files:
    """Return the files to compare with; pictures are drawn again only where a crash came while they were drawn."""
    if "report" in crash.files:
        return undisturbed.end
    return {name: content for name, content in undisturbed.end.items() if not name.startswith("report")}


def problems(crashes: Sequence[Crash], undisturbed: Watched, resumers: Sequence[Resumer], place: Path) -> list[str]:
    """Go on after each crash; return what is not as if there had been none."""
    free: queue.SimpleQueue[Resumer] = queue.SimpleQueue()
    for resumer in resumers:
        free.put(resumer)

    def problem(crash: Crash) -> str | None:
        folder = place / f"{crash.number}{'-torn' if crash.is_torn else ''}"
        write_files(crash.files, folder)
        resumer = free.get()
        code = resumer.go_on(folder)
        free.put(resumer)
        different = differences(read_files(folder), end_of(crash, undisturbed))
        shutil.rmtree(folder)
        said = folder.with_suffix(".log").read_text()[-2000:] if code else ""
        return f"{crash}: exit code {code}, different {different} {said}" if code or different else None

    with ThreadPoolExecutor(len(resumers)) as pool:
        return [found for found in pool.map(problem, crashes) if found is not None]


def check(crashes: Sequence[Crash], undisturbed: Watched, resumers, place: Path, capsys) -> None:
    found = problems(crashes, undisturbed, resumers, place)
    with capsys.disabled():
        print(f"\n{undisturbed.figures()}\n{len(crashes) - len(found)} of {len(crashes)} went on to the same end")
    assert found == []


def last_of(name: str, crashes: Sequence[Crash]) -> Crash | None:
    """Return the last crash at a file of this name that leaves it whole."""
    at_it = [c for c in crashes if Path(c.event.path).name == name and c.event.kind in ("write", "rename")]
    return max((c for c in at_it if not c.is_torn), key=lambda c: c.number, default=None)


def test_some_of_all_crashes(undisturbed, resumers, tmp_path, capsys):
    crashes = undisturbed.crashes()
    turning = [crash for name in TURNING_POINTS if (crash := last_of(name, crashes)) is not None]
    assert len(turning) > 4
    spread = random.Random(5).sample(range(len(crashes)), 6)
    check([*turning, *(crashes[k] for k in spread)], undisturbed, resumers, tmp_path, capsys)


@pytest.mark.slow
def test_all_crashes(undisturbed, resumers, tmp_path, capsys):
    check(undisturbed.crashes(), undisturbed, resumers, tmp_path, capsys)


@pytest.mark.slow
def test_all_crashes_of_a_walker_that_goes_on_after_a_crash(undisturbed, watch, resumers, tmp_path, capsys):
    """It does what no other does: cuts files back, tells PLUMED its diary, replaces what it had exported."""
    first = [c for c in undisturbed.crashes() if re.search(r"walker-01/\.uqcv-\d+\.checkpoint.zip$", c.event.path)][-1]
    again = watch(first.files)
    assert differences(again.end, undisturbed.end) == []
    ended = next(k for k, event in enumerate(again.events) if event.path.endswith("walker-01/end.json"))
    walker = Watched(again.events[:ended], again.end)
    check(walker.crashes(), walker, resumers, tmp_path, capsys)
