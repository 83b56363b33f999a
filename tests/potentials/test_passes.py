"""Passes keep one contract, whoever differentiates."""

import pytest
import torch

from uqcv.potentials import recording
from uqcv.potentials.compiled_passes import CompiledPasses
from uqcv.potentials.passes import AutogradPasses
from uqcv.potentials.recording import RecordedPasses


@pytest.fixture(params=["autograd", "recorded", "compiled"])
def passes(request, springs, positions, offsets, links, monkeypatch):
    if request.param == "autograd":
        return AutogradPasses(springs)
    if request.param == "recorded":  # the graphs as they were recorded, run by torch
        monkeypatch.setattr(recording, "_compiled", lambda graph, arguments: graph)
        return RecordedPasses(springs, positions, offsets, links)
    return CompiledPasses(springs)


def test_derivatives_are_those_of_the_weighted_sum(passes, positions, offsets, links, assert_gradient):
    factors = torch.tensor([0.7], dtype=torch.float64), torch.tensor([2.0, -1.0], dtype=torch.float64)
    for weights in (factors, (factors[0], None), (None, factors[1])):

        def total(x, weights=weights):
            outputs, _ = passes.forward(torch.as_tensor(x), offsets, links)
            return sum(float((o.detach() * w).sum()) for o, w in zip(outputs, weights, strict=True) if w is not None)

        _, saved = passes.forward(positions.clone(), offsets, links)
        first, again = (passes.backward(saved, weights)[0] for _ in range(2))
        assert torch.equal(first, again), "a forward pass is differentiated as often as one likes"
        assert_gradient(total, positions.numpy(), first.numpy())


def test_an_earlier_evaluation_stays_true_after_a_later_one(passes, positions, offsets, links):
    weights = (torch.ones(1, dtype=torch.float64), None)
    _, saved = passes.forward(positions.clone(), offsets, links)
    expected = passes.backward(saved, weights)[0].clone()
    passes.forward(2 * positions, offsets, links)
    assert torch.equal(passes.backward(saved, weights)[0], expected)


def test_derivatives_by_offsets_too(springs, links, positions, offsets, assert_gradient):
    passes = AutogradPasses(springs, by_offsets=True)
    _, saved = passes.forward(positions, offsets, links)
    weights = (torch.ones(1, dtype=torch.float64), None)
    _, by_offsets = passes.backward(saved, weights)

    def energy(x):
        return float(passes.forward(positions.detach(), torch.as_tensor(x), links)[0][0].detach())

    assert_gradient(energy, offsets.detach().numpy(), by_offsets.numpy())
