"""Recording the passes of a network keeps what is needed of it, and nothing twice."""

import torch

from uqcv.potentials import recording
from uqcv.potentials.recording import RecordedPasses, Weights


def test_nothing_of_the_weights_is_saved_in_a_step(springs, links, positions, offsets, monkeypatch):
    monkeypatch.setattr(recording, "_compiled", lambda graph, arguments: graph)
    passes = RecordedPasses(springs, positions, offsets, links)
    weights = {tensor.data_ptr() for tensor in passes._weights}
    _, saved = passes.forward(positions, offsets, links)
    beside = saved[2 + len(weights) :]
    assert beside and not weights & {tensor.untyped_storage().data_ptr() for tensor in beside}


def test_weights_come_back_as_they_were(springs):
    weights = Weights(springs)
    unpacked = weights.unpack(weights.packed)
    expected = dict(springs.named_parameters()) | dict(springs.named_buffers())
    assert set(unpacked) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(unpacked[name], tensor) and unpacked[name].dtype == tensor.dtype
    assert len(weights.packed) == 3, "one tensor for each data type"
