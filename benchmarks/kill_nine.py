"""kill -9 at forty random moments: does a campaign come to the same end?

    python -m benchmarks.kill_nine --seed 0

runs the short campaign once undisturbed and once with the kills, and compares all files of both, byte for byte but for
what clocks say, and the hash of every bundle. A kill hits all processes, only the campaign's own, or only one walker
(or what cools frames). Moments are drawn evenly over the time of the undisturbed run; the killed one, which starts
again each time, is killed when it has done as much.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.integration.same_end import differences, read_files
from uqcv.colvars.bundle import Bundle

CAMPAIGN = Path(__file__).parents[1] / "systems" / "alanine_dipeptide" / "campaign-short.yaml"
GROWING = ("history.csv", "frames.csv", "*.journal")  # a line for each piece of work
WHOLE = ("*.extxyz", "*.json", "*.pt", "*.png")  # one piece of work each
SECONDS_BETWEEN_LOOKS = 0.02
VICTIMS = ("all", "all", "campaign", "walker")


@dataclass(frozen=True)
class Moment:
    """So many seconds after so many pieces of work were done."""

    work: int
    delay: float


class Run:
    """A campaign at work, in a process group of its own."""

    def __init__(self, folder: Path, interval: float) -> None:
        command = [sys.executable, "-m", "uqcv.cli", "run", CAMPAIGN, "-o", folder]
        command += ["--set", f"sampling.checkpoint_interval={interval}"]
        self.begin, self._state = time.time(), folder / "state.json"
        self._folder = folder
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},  # bytecode holds the time of its source
        )  # fmt: skip

    def work(self) -> int:
        """Return how many pieces of work are done; 0 if that could not be seen because a folder was just renamed."""
        try:
            lines = sum(_text(path).count("\n") for name in GROWING for path in self._folder.rglob(name))
            return lines + sum(1 for name in WHOLE for path in self._folder.rglob(name) if path.name[0] != ".")
        except FileNotFoundError:
            return 0

    def is_under_way(self) -> bool:
        """Whether it has started: the first time at once, later when it has found out where it stands."""
        return not self._state.is_file() or self._state.stat().st_mtime > self.begin

    def kill(self, chance: random.Random) -> str:
        """Kill, wait for the end, and return what was killed."""
        victims, walkers = chance.choice(VICTIMS), self._walkers()
        if victims == "walker" and walkers:
            os.kill(chance.choice(walkers), signal.SIGKILL)
        elif victims == "campaign":
            self.process.kill()
        else:
            victims = "all"
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return victims

    def _walkers(self) -> list[int]:
        """Return the copies of the prepared process, which nobody would miss while it has none."""
        return [copy for prepared in _children(self.process.pid) for copy in _children(prepared)]

    def where(self) -> str:
        """Return the stage that it is at."""
        if not (text := _text(self._state)):
            return "the reference data"
        state = json.loads(text)
        return f"generation {state['generation']}, {state['stage']}"


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _children(process: int) -> list[int]:
    """Return the processes that a process has started for its work."""
    found = _text(Path(f"/proc/{process}/task/{process}/children")).split()
    return [int(pid) for pid in found if "resource_tracker" not in _text(Path(f"/proc/{pid}/cmdline"))]


def watch(run: Run) -> list[tuple[float, int]]:
    """Return the seconds at which work was done, and how much, until the run ends well."""
    seen = [(0.0, 0)]
    while run.process.poll() is None:
        if (work := run.work()) > seen[-1][1]:
            seen.append((time.time() - run.begin, work))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if run.process.returncode:
        raise SystemExit("the undisturbed campaign failed")
    return [*seen, (time.time() - run.begin, seen[-1][1])]


def draw(seen: Sequence[tuple[float, int]], n: int, chance: random.Random) -> list[Moment]:
    """Draw moments, the earliest first."""
    times = sorted(chance.uniform(0, seen[-1][0]) for _ in range(n))
    before = [max(entry for entry in seen if entry[0] <= t) for t in times]
    return [Moment(work, t - since) for t, (since, work) in zip(times, before, strict=True)]


def reach(run: Run, moment: Moment) -> bool:
    """Wait for a moment; return whether it came before the run ended."""
    since = None
    while run.process.poll() is None:
        if since is None and run.is_under_way() and run.work() >= moment.work:
            since = time.time()
        if since is not None and time.time() - since >= moment.delay:
            return True
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return False


def disturb(folder: Path, moments: Sequence[Moment], interval: float, chance: random.Random) -> Counter[str]:
    """Kill a campaign at each of the moments; return what was killed how often."""
    killed: Counter[str] = Counter()
    for k, moment in enumerate(moments):
        run = Run(folder, interval)
        if reach(run, moment):
            where = run.where()
            victims = run.kill(chance)
            killed[victims] += 1
            print(f"  kill {k}, {victims}, {time.time() - run.begin:.1f} s after its start, in {where}", flush=True)
        else:
            print(f"  kill {k}: the campaign had ended with exit code {run.process.returncode}", flush=True)
    return killed


def main() -> int:
    """Run both and compare; exit code 0 if they are the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--checkpoint-interval", type=float, default=1.0, help="of the killed campaign's walkers, s")
    chosen = parser.parse_args()
    chance = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as scratch:
        undisturbed, killed = Path(scratch) / "undisturbed", Path(scratch) / "killed"
        seen = watch(Run(undisturbed, chosen.checkpoint_interval))
        print(f"undisturbed: {seen[-1][0]:.0f} s; {chosen.kills} kills, seed {chosen.seed}", flush=True)
        counts = disturb(killed, draw(seen, chosen.kills, chance), chosen.checkpoint_interval, chance)
        if Run(killed, chosen.checkpoint_interval).process.wait() != 0:
            raise SystemExit("the killed campaign does not go on")
        one, other = read_files(undisturbed), read_files(killed)
        bundles = [[Bundle.load(p).hash for p in sorted(f.glob("*/bundle"))] for f in (undisturbed, killed)]
    different = differences(one, other) + ([] if bundles[0] == bundles[1] else ["hashes of bundles"])
    print(", ".join(f"{n} killed {victims}" for victims, n in counts.items()))
    print(f"{len(one)} files and folders and {len(bundles[0])} bundles compared, different: {different or 'none'}")
    if counts.total() < chosen.kills:
        raise SystemExit(f"{counts.total()} of {chosen.kills} kills: the campaign had ended; give another --seed")
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
