"""A system to time that takes no training."""

import pytest

from uqcv.benchmarks.cases import Case
from uqcv.structures import write_structures


@pytest.fixture
def case(bundle, frames, topology_path, tmp_path) -> Case:
    write_structures(tmp_path / "training.extxyz", frames[:6])
    saved = bundle.save(tmp_path / "bundle")
    return Case("molecule", frames[0], topology_path, saved, tmp_path / "training.extxyz", 0.5)
