"""Objects in other processes: results in order, errors as they were, nobody left behind."""

import os
import signal

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

    def pid(self) -> int:
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
    assert counter.call("pid") != os.getpid()


def test_errors_of_the_object_are_raised_here(counter):
    broken = RemoteObject(Counter, -1)
    with pytest.raises(BundleError, match="start -1: less than nothing"):
        broken.call("add", 1)
    broken.close()
    with pytest.raises(UqcvError, match="one by none"):
        counter.call("fail")


def test_a_process_that_was_killed_is_said(counter):
    os.kill(counter.call("pid"), signal.SIGKILL)
    with pytest.raises(UqcvError, match="exit code -9"):
        counter.call("add", 1)


def test_closing_ends_the_process(counter):
    pid = counter.call("pid")
    counter.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
