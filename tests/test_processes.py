"""Work in processes: results, errors, and that nobody is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from uqcv.errors import BundleError, UqcvError
from uqcv.processes import available_cores, run_in_processes

SCRIPT = """import os, signal, sys, time
from pathlib import Path
from uqcv.processes import run_in_processes

def wait(path, progress):
    Path(path).write_text(str(os.getpid()))
    time.sleep(120)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may have it ignored
    run_in_processes(wait, sys.argv[1:], 2)
"""


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
        beat.write_text(str(k))
        time.sleep(0.05)


def last_beat_beside(kind: str, beat: Path, error: type[Exception], words: str) -> int:
    with pytest.raises(error, match=words) as caught:
        run_in_processes(live_long, [("beat", beat), (kind, beat)], 2, name=lambda item: f"the {item[0]} one")
    assert type(caught.value) is error
    return int(beat.read_text())


def wait_until(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_results_of_several_items(tmp_path):
    items, seen = [(tmp_path / str(k), k) for k in (3, 4, 5)], []
    run_in_processes(square, items, 2, lambda done, note: seen.append((done, note)))
    written = [path.read_text().split() for path, _ in items]
    assert [int(words[0]) for words in written] == [9, 16, 25]
    assert len({words[1] for words in written} | {str(os.getpid())}) == 4, "each has a process of its own"
    done = [count for count, _ in seen]
    assert done == sorted(done) and seen[-1] == (12.0, "3 of 3 ended")


def test_one_at_a_time(tmp_path):
    items = [tmp_path / str(k) for k in range(2)]
    run_in_processes(note_times, items, 1)
    (_, first_end), (second_start, _) = (map(float, path.read_text().split()) for path in items)
    assert second_start >= first_end


def test_nothing_to_do():
    run_in_processes(square, [], 4)


def test_wrong_input_arrives_and_the_others_are_ended(tmp_path):
    beat = tmp_path / "beat"
    last = last_beat_beside("ours", beat, BundleError, "^the ours one: folder: the bundle is broken$")
    time.sleep(0.3)
    assert int(beat.read_text()) == last < 19, "the other one still works"


@pytest.mark.parametrize(
    ("kind", "words"),
    [("foreign", "^the foreign one: one by none\n.*Traceback"), ("killed", "^the killed one: .*exit code -9")],
)
def test_one_that_dies_does_so_alone_and_is_named(tmp_path, kind, words):
    assert last_beat_beside(kind, tmp_path / "beat", UqcvError, words) == 19


@pytest.fixture
def parent(tmp_path, alive):
    """A process with two children that sleep; the children's numbers."""
    (tmp_path / "parent.py").write_text(SCRIPT)
    paths = [tmp_path / "one", tmp_path / "two"]
    process = subprocess.Popen(
        [sys.executable, "parent.py", *map(str, paths)], cwd=tmp_path, start_new_session=True, stderr=subprocess.PIPE
    )
    assert wait_until(lambda: all(p.is_file() and p.read_text() for p in paths), 60)
    children = [int(p.read_text()) for p in paths]
    assert all(map(alive, children))
    yield process, children
    process.kill()
    process.communicate()
    for child in filter(alive, children):
        os.kill(child, signal.SIGKILL)


def test_children_end_when_their_parent_is_killed(parent, alive):
    process, children = parent
    process.kill()
    assert wait_until(lambda: not any(map(alive, children)), 2.0)


def test_an_interrupt_from_the_keyboard_ends_all(parent, alive):
    process, children = parent
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does: to parent and children alike
    words = process.communicate(timeout=20)[1].decode()
    assert process.returncode in (130, -signal.SIGINT)
    assert words.count("KeyboardInterrupt") == 1, "children leave the word to their parent"
    assert not any(map(alive, children))


def test_at_least_one_core():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
