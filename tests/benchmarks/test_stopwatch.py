"""Parts within parts are counted once."""

import pytest

from uqcv.benchmarks import stopwatch
from uqcv.benchmarks.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    now = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def test_a_part_counts_without_what_it_calls(clock):
    watch = Stopwatch()
    inner = watch.timing("inner", lambda: clock(2.0))

    def outer_work() -> str:
        clock(1.0)
        inner()
        inner()
        clock(0.5)
        return "done"

    outer = watch.timing("outer", outer_work)
    assert watch.seconds == {"inner": 0.0, "outer": 0.0}
    assert outer() == "done"
    inner()
    assert watch.seconds == {"inner": 6.0, "outer": 1.5}
    watch.reset()
    assert watch.seconds == {"inner": 0.0, "outer": 0.0}


def test_an_error_passes_and_its_time_counts(clock):
    watch = Stopwatch()

    def failing() -> None:
        clock(1.0)
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        watch.timing("failing", failing)()
    watch.timing("next", lambda: clock(3.0))()
    assert watch.seconds == {"failing": 1.0, "next": 3.0}
