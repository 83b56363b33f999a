"""The peak of memory is what was held at a time, and can begin anew."""

import pytest

from uqcv.benchmarks.memory import FORGET, forget_peak, peak_memory

MIB_PER_GIB = 1024


@pytest.mark.skipif(not FORGET.is_file(), reason="only Linux can forget a peak")
def test_a_peak_is_seen_and_forgotten():
    forget_peak()
    before = peak_memory()
    held = bytearray(b"x") * (256 * 1024**2)
    grown = peak_memory() - before
    del held
    forget_peak()
    assert 200 < grown * MIB_PER_GIB < 320
    assert peak_memory() < before + 0.5 * grown
