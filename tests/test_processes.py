"""Work in processes, fresh ones and copies of one that is prepared: results, errors, nobody is left behind."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from uqcv.errors import BundleError, UqcvError
from uqcv.files import write_text
from uqcv.forks import run_in_forks
from uqcv.processes import available_cores, run_in_processes

SCRIPT = """import os, signal, sys, time
from pathlib import Path
from uqcv.forks import run_in_forks
from uqcv.processes import run_in_processes

def nothing():
    pass

def wait(path, progress):
    Path(path).write_text(f"{os.getpid()} {os.getppid()}")
    time.sleep(120)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have it ignored
    kind, *paths = sys.argv[1:]
    if kind == "fresh":
        run_in_processes(wait, paths, 2)
    else:
        run_in_forks(wait, paths, 2, nothing)
"""


def nothing() -> None:
    """Prepare nothing."""


def run_in_copies(function, items, n_processes, report=None, name=None) -> None:
    run_in_forks(function, items, n_processes, nothing, report, name)


@pytest.fixture(params=["fresh", "copies"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def run_all(kind):
    return {"fresh": run_in_processes, "copies": run_in_copies}[kind]


def square(item: tuple[Path, int], progress) -> None:
    path, number = item
    for k in range(number):
        progress(k + 1)
    path.write_text(f"{number**2} {os.getpid()}")


def note_times(path: Path, progress) -> None:
    start = time.time()
    time.sleep(0.2)
    path.write_text(f"{start} {time.time()}")


def fail(item: tuple[str, Path], progress) -> None:
    """One of four ways to end badly, once `beat` lives."""
    kind, beat = item
    while not beat.is_file():
        time.sleep(0.05)
    if kind == "ours":
        raise BundleError("folder: the bundle is broken")
    if kind == "foreign":
        raise ZeroDivisionError("one by none")
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


def live_long(item: tuple[str, Path], progress) -> None:
    """Beat for a second if told so, else fail."""
    kind, beat = item
    if kind != "beat":
        fail(item, progress)
    for k in range(20):
        write_text(beat, str(k))  # whole at any time: this process may be ended in the middle of it
        time.sleep(0.05)


def name(item: tuple[str, Path]) -> str:
    return f"the {item[0]} one"


def last_beat_beside(run_all, end: str, beat: Path, error: type[Exception], words: str) -> int:
    with pytest.raises(error, match=words) as caught:
        run_all(live_long, [("beat", beat), (end, beat)], 2, name=name)
    assert type(caught.value) is error
    return int(beat.read_text())


def wait_until(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_results_of_several_items(run_all, tmp_path):
    items, seen = [(tmp_path / str(k), k) for k in (3, 4, 5)], []
    run_all(square, items, 2, lambda done, note: seen.append((done, note)))
    written = [path.read_text().split() for path, _ in items]
    assert [int(words[0]) for words in written] == [9, 16, 25]
    assert len({words[1] for words in written} | {str(os.getpid())}) == 4, "each has a process of its own"
    done = [count for count, _ in seen]
    assert done == sorted(done) and seen[-1] == (12.0, "3 of 3 ended")


def test_one_at_a_time(run_all, tmp_path):
    items = [tmp_path / str(k) for k in range(2)]
    run_all(note_times, items, 1)
    (_, first_end), (second_start, _) = (map(float, path.read_text().split()) for path in items)
    assert second_start >= first_end


def test_nothing_to_do(run_all):
    run_all(square, [], 4)


def test_wrong_input_arrives_and_the_others_are_ended(run_all, tmp_path):
    beat = tmp_path / "beat"
    last = last_beat_beside(run_all, "ours", beat, BundleError, "^the ours one: folder: the bundle is broken$")
    time.sleep(0.3)
    assert int(beat.read_text()) == last < 19, "the other one still works"


@pytest.mark.parametrize(
    ("end", "words"),
    [("foreign", "^the foreign one: one by none\n.*Traceback"), ("killed", "^the killed one: .*exit code -9")],
)
def test_one_that_dies_does_so_alone_and_is_named(run_all, tmp_path, end, words):
    assert last_beat_beside(run_all, end, tmp_path / "beat", UqcvError, words) == 19


def test_wrong_input_of_one_alone_ends_no_other(tmp_path):
    run_all = partial(run_in_processes, input_is_shared=False)
    assert last_beat_beside(run_all, "ours", tmp_path / "beat", BundleError, "^the ours one: folder") == 19


@pytest.fixture
def parent(kind, tmp_path, alive):
    """A process with two others that sleep; the numbers of these, and of one in between."""
    (tmp_path / "parent.py").write_text(SCRIPT)
    command, paths = [sys.executable, "parent.py", kind], [tmp_path / "one", tmp_path / "two"]
    process = subprocess.Popen(
        [*command, *map(str, paths)], cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE
    )
    assert wait_until(lambda: all(p.is_file() and len(p.read_text().split()) == 2 for p in paths), 60)
    others = {int(word) for p in paths for word in p.read_text().split()} - {process.pid}
    assert all(map(alive, others))
    yield process, others
    process.kill()
    process.communicate()
    for other in filter(alive, others):
        os.kill(other, signal.SIGKILL)


def test_all_end_when_their_parent_is_killed(parent, alive):
    process, others = parent
    process.kill()
    assert wait_until(lambda: not any(map(alive, others)), 2.0)


def test_an_interrupt_from_the_keyboard_ends_all(parent, alive):
    process, others = parent
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does: to all of them alike
    words = process.communicate(timeout=20)[1].decode()
    assert process.returncode in (130, -signal.SIGINT)
    assert words.count("KeyboardInterrupt") == 1, "the others leave the word to their parent"
    assert not any(map(alive, others))


def test_at_least_one_core():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
