"""kill -9 at ten random moments: does a campaign come to the same end?

    python benchmarks/kill_nine.py --seed 0

runs the short campaign once undisturbed and once with the kills, and compares training sets, labels, trajectories and
the hash of every bundle. Moments are drawn so that the kills spread over the whole campaign.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from uqcv.colvars.bundle import Bundle

CAMPAIGN = Path(__file__).parents[1] / "systems" / "alanine_dipeptide" / "campaign-short.yaml"
COMPARED = ("*.extxyz", "frames.csv", "HILLS", "failures.json", "history.csv")


def start(folder: Path) -> subprocess.Popen:
    """Start the campaign, or go on with it."""
    command = [sys.executable, "-m", "uqcv.cli", "run", str(CAMPAIGN), "--out", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def outcome(folder: Path) -> dict[str, str]:
    """Return a hash of each result of a campaign."""
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in COMPARED
        for path in sorted(folder.rglob(pattern))
    }
    return found | {f"{p.parent.name}/bundle": Bundle.load(p).hash for p in sorted(folder.glob("generation-*/bundle"))}


def main() -> int:
    """Run both and compare; exit code 0 if they are the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--kills", type=int, default=10)
    chosen = parser.parse_args()
    chance = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as scratch:
        undisturbed, killed = Path(scratch) / "undisturbed", Path(scratch) / "killed"
        begin = time.monotonic()
        if start(undisturbed).wait() != 0:
            raise SystemExit("the undisturbed campaign failed")
        length = time.monotonic() - begin
        print(f"undisturbed: {length:.0f} s; {chosen.kills} kills, seed {chosen.seed}")
        for k in range(chosen.kills):
            process, moment = start(killed), chance.uniform(0, 1.8 * length / chosen.kills)
            try:
                process.wait(timeout=moment)
                print(f"  kill {k}: the campaign had ended")
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                state = killed / "state.json"
                where = " ".join(state.read_text().split()) if state.is_file() else "no state yet"
                print(f"  kill {k} after {moment:.1f} s: {where}", flush=True)
        if start(killed).wait() != 0:
            raise SystemExit("the killed campaign does not go on")
        one, other = outcome(undisturbed), outcome(killed)
    different = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    print(f"{len(one)} results compared, different: {different or 'none'}")
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
