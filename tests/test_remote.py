"""Objects in other processes: results in order, errors as they were, nobody left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from uqcv.errors import BundleError, UqcvError
from uqcv.remote import RemoteObject


class Counter:
    def __init__(self, start: int) -> None:
        if start < 0:
            raise BundleError(f"start {start}: less than nothing")
        self.count = start

    def add(self, number: int) -> int:
        self.count += number
        return self.count

    def own_pid(self) -> int:
        return os.getpid()

    def fail(self) -> None:
        raise ZeroDivisionError("one by none")


@pytest.fixture
def counter():
    remote = RemoteObject(Counter, 3)
    yield remote
    remote.close()


def test_it_keeps_its_state_and_answers_in_order(counter):
    counter.send("add", 1)
    counter.send("add", 2)
    assert [counter.receive(), counter.receive()] == [4, 6]
    assert counter.call("own_pid") == counter.pid != os.getpid()


def test_errors_of_the_object_are_raised_here(counter):
    broken = RemoteObject(Counter, -1)
    with pytest.raises(BundleError, match="start -1: less than nothing"):
        broken.call("add", 1)
    broken.close()
    with pytest.raises(UqcvError, match="one by none"):
        counter.call("fail")


def test_a_process_that_was_killed_is_said(counter):
    counter.wait()
    assert counter.exitcode is None
    os.kill(counter.pid, signal.SIGKILL)
    assert counter.answers(10.0), "the end is an answer"
    with pytest.raises(UqcvError, match="exit code -9"):
        counter.call("add", 1)
    assert counter.exitcode == -9


def test_one_can_ask_whether_there_is_an_answer(counter):
    counter.wait()
    assert not counter.answers(0.01)
    counter.send("add", 1)
    assert counter.answers(10.0) and counter.receive() == 4


def test_closing_ends_the_process(counter):
    counter.close()
    with pytest.raises(ProcessLookupError):
        os.kill(counter.pid, 0)


GUARDLESS = """
from uqcv.remote import RemoteObject
remote = RemoteObject(list, range(40000))
print(remote.call("index", 7))
remote.close()
"""
KILLED = """
import os
from uqcv.remote import RemoteObject
print(RemoteObject(list).pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_script_needs_no_guard(tmp_path):
    """Processes of multiprocessing run the script of the user again."""
    (tmp_path / "script.py").write_text(GUARDLESS)
    for name in ("script.py", "-"):
        command = [sys.executable, name]
        done = subprocess.run(command, input=GUARDLESS, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.stdout == "7\n" and done.returncode == 0, done.stderr


def test_it_ends_with_the_process_that_made_it(alive):
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=60)
    give_up = time.monotonic() + 10
    while alive(int(done.stdout)) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not alive(int(done.stdout))
